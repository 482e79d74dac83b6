"""A Python function as a tool. Stands on tools' base, signatures and code_executor's functions; knows no workbench."""

import asyncio
import contextvars
import functools
import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Self

from pydantic import BaseModel

from autogen_core._cancellation import CancellationToken
from autogen_core._component import Component, require_source_code_allowed
from autogen_core._interrupt import Interrupt
from autogen_core.code_executor._functions import Import, compile_function, function_source
from autogen_core.exceptions import ComponentError

from ._signature import read_signature
from ._tool import BaseTool


class FunctionToolConfig(BaseModel):
    """A function tool as data."""

    source_code: str
    name: str
    description: str
    global_imports: Sequence[Import]
    has_cancellation_support: bool
    strict: bool | None = None
    """Written only if true, so that the others look as they always did."""


class FunctionTool(BaseTool[BaseModel, BaseModel], Component[FunctionToolConfig]):
    """A tool that calls a Python function, sync or async; its schema is made from the signature.

    Each parameter needs a type annotation; `Annotated[int, "how many"]` describes it to the model. A parameter annotated
    with `CancellationToken` receives the token and is not shown to the model.

    A sync function runs in a thread, so it may block. Cancelling does not end the thread: nobody waits for it any
    longer, and what it returns is thrown away. An async function is cancelled where it awaits.

    A configuration holds the function's source text, without what surrounds it: what the function uses from its module
    must be named in `global_imports`. Loading one runs that text, so it needs `allow_source_code=True`.

    Args:
        func: What to call. A lambda or a partial works, but cannot be dumped.
        description: What a model is told about it.
        name: The name by which a model calls it; the function's own by default.
        global_imports: Imports that the source text needs when it is loaded from a configuration.
        strict: Whether the model must follow the schema exactly; then no parameter may have a default.

    Raises:
        TypeError: A parameter has no annotation, takes any number of values, or has a type that JSON cannot describe.
    """

    component_provider_override = "autogen_core.tools.FunctionTool"
    component_config_schema = FunctionToolConfig

    def __init__(
        self,
        func: Callable[..., Any],
        description: str,
        name: str | None = None,
        global_imports: Sequence[Import] = [],
        strict: bool = False,
    ) -> None:
        self._func = func
        self._global_imports = global_imports
        self._source_code: str | None = None
        own_name = _name_of(func)
        self._signature = read_signature(func, own_name)
        self._is_async = _is_async(func)
        super().__init__(self._signature.args_type, self._signature.return_type, name or own_name, description, strict)

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> Any:
        """Call the function.

        Raises:
            asyncio.CancelledError: The token was cancelled.
            Exception: Whatever the function raised.
        """
        placed, named = self._signature.bind(args, cancellation_token)
        call = functools.partial(self._func, *placed, **named)
        if cancellation_token.is_cancelled():
            raise asyncio.CancelledError
        if self._is_async:
            return await Interrupt(cancellation_token).wait(call())
        result = await cancellation_token.link_future(_in_thread(call))
        if inspect.isawaitable(result):  # a sync function that hands out a coroutine
            return await Interrupt(cancellation_token).wait(result)
        return result

    def _to_config(self) -> FunctionToolConfig:
        return FunctionToolConfig(
            source_code=self._source(),
            name=self.name,
            description=self.description,
            global_imports=self._global_imports,
            has_cancellation_support=self._signature.token is not None,
            strict=self._strict or None,
        )

    def _source(self) -> str:
        if self._source_code is not None:
            return self._source_code
        try:
            source = function_source(self._func)
        except ValueError as error:
            raise ComponentError(f"FunctionTool {self.name!r} cannot be dumped: {error}") from error
        enclosed = getattr(getattr(inspect.unwrap(self._func), "__code__", None), "co_freevars", ())
        if enclosed:
            warnings.warn(
                f"The configuration of FunctionTool {self.name!r} lacks variables of the function around it: "
                f"{', '.join(enclosed)}. Loaded, it will fail when it uses them.",
                stacklevel=4,
            )
        return source

    @classmethod
    def _from_config(cls, config: FunctionToolConfig) -> Self:
        require_source_code_allowed(f"FunctionTool {config.name!r}")
        known = {"CancellationToken": CancellationToken} if config.has_cancellation_support else {}
        try:
            func = compile_function(config.source_code, config.global_imports, known)
            tool = cls(func, config.description, config.name, config.global_imports, strict=bool(config.strict))
        except (TypeError, ValueError) as error:
            raise ComponentError(f"FunctionTool {config.name!r} cannot be loaded: {error}") from error
        tool._source_code = config.source_code
        return tool


def _name_of(func: Callable[..., Any]) -> str:
    while isinstance(func, functools.partial):
        func = func.func
    return getattr(func, "__name__", type(func).__name__)


def _is_async(func: Callable[..., Any]) -> bool:
    """Tell whether calling makes a coroutine: of a function, a partial, or an object with an async `__call__`."""
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(type(func).__call__)


def _in_thread(call: Callable[[], Any]) -> asyncio.Future[Any]:
    """Call in a thread of the loop's executor, with the context of the caller."""
    context = contextvars.copy_context()

    def work() -> Any:
        return context.run(_without_stop_iteration, call)

    return asyncio.get_running_loop().run_in_executor(None, work)


def _without_stop_iteration(call: Callable[[], Any]) -> Any:
    """Call, and turn `StopIteration` into an error that a future can hold; with it, the future would never be done."""
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error
