"""The contract of a tool, and bases that do for a tool all but its work. Stands on components and logging.

Must not know models, workbenches, or what any tool does.
"""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, Generic, Protocol, TypeVar, get_args, get_origin, runtime_checkable

from pydantic import BaseModel

from autogen_core._cancellation import CancellationToken
from autogen_core._component import ComponentBase
from autogen_core._names import EVENT_LOGGER_NAME
from autogen_core._telemetry import tracing_enabled
from autogen_core.logging import ToolCallEvent

from ._schema import ToolSchema, copy_json, make_schema

ArgsT = TypeVar("ArgsT", bound=BaseModel, contravariant=True)
ReturnT = TypeVar("ReturnT", bound=BaseModel, covariant=True)
StateT = TypeVar("StateT", bound=BaseModel)
StreamT = TypeVar("StreamT", covariant=True)

_events = logging.getLogger(EVENT_LOGGER_NAME)


@runtime_checkable
class Tool(Protocol):
    """Something that a model can ask for, with arguments in JSON."""

    @property
    def name(self) -> str:
        """The name by which a model calls it."""
        ...

    @property
    def description(self) -> str:
        """What a model is told about it."""
        ...

    @property
    def schema(self) -> ToolSchema:
        """The whole description for a model. Changing the returned value changes nothing else."""
        ...

    def args_type(self) -> type[BaseModel]:
        """Return the model of its arguments."""
        ...

    def return_type(self) -> type[Any]:
        """Return the type of its results."""
        ...

    def state_type(self) -> type[BaseModel] | None:
        """Return the model of its state; `None` if it keeps none."""
        ...

    def return_value_as_string(self, value: Any) -> str:
        """Return a result as the model shall read it."""
        ...

    async def run_json(
        self, args: Mapping[str, Any], cancellation_token: CancellationToken, call_id: str | None = None
    ) -> Any:
        """Check the arguments and do the work.

        Args:
            args: The arguments as decoded JSON.
            cancellation_token: Gives up the work.
            call_id: The id of the model's call, for logs and traces.

        Raises:
            pydantic.ValidationError: The arguments do not fit. Also a `ValueError`.
        """
        ...

    async def save_state_json(self) -> Mapping[str, Any]:
        """Return what `load_state_json` needs to carry on in another process."""
        ...

    async def load_state_json(self, state: Mapping[str, Any]) -> None:
        """Take over a state that was saved."""
        ...


@runtime_checkable
class StreamTool(Tool, Protocol):
    """A tool that can tell what it is doing while it does it."""

    def run_json_stream(
        self, args: Mapping[str, Any], cancellation_token: CancellationToken, call_id: str | None = None
    ) -> AsyncGenerator[Any, None]:
        """Do the work, yielding what happens, and the result as the last item."""
        ...


class BaseTool(ABC, Tool, ComponentBase[BaseModel], Generic[ArgsT, ReturnT]):
    """Base of a tool: checks arguments, describes itself, logs and traces; a subclass writes `run`.

    Args:
        args_type: The model of its arguments.
        return_type: The type of its results.
        name: The name by which a model calls it.
        description: What a model is told about it.
        strict: Whether the model must follow the schema exactly; then no argument may have a default.
    """

    component_type = "tool"

    def __init__(
        self, args_type: type[ArgsT], return_type: type[ReturnT], name: str, description: str, strict: bool = False
    ) -> None:
        self._args_type = args_type
        self._return_type: type[ReturnT] = _bare(return_type)
        self._name = name
        self._description = description
        self._strict = strict
        self.__schema: ToolSchema | None = None  # mangled: subclasses of users may well have a `_schema`

    @property
    def schema(self) -> ToolSchema:
        """The description for a model: made at first use, a fresh copy each time.

        Raises:
            ValueError: The tool is strict and an argument has a default, or undeclared ones are accepted.
        """
        if self.__schema is None:
            self.__schema = make_schema(self._args_type, self.name, self.description, strict=self._strict)
        return copy_json(self.__schema)

    @property
    def name(self) -> str:
        """The name by which a model calls it."""
        return self._name

    @property
    def description(self) -> str:
        """What a model is told about it."""
        return self._description

    def args_type(self) -> type[BaseModel]:
        """Return the model of its arguments."""
        return self._args_type

    def return_type(self) -> type[Any]:
        """Return the type of its results."""
        return self._return_type

    def state_type(self) -> type[BaseModel] | None:
        """Return the model of its state; `None` if it keeps none."""
        return None

    def return_value_as_string(self, value: Any) -> str:
        """Return a result as the model shall read it: a pydantic model as JSON, anything else as `str` gives it."""
        if isinstance(value, BaseModel):
            return json.dumps(value.model_dump(mode="json"))
        return str(value)

    @abstractmethod
    async def run(self, args: ArgsT, cancellation_token: CancellationToken) -> ReturnT:
        """Do the work, with arguments that were checked."""
        ...

    async def run_json(
        self, args: Mapping[str, Any], cancellation_token: CancellationToken, call_id: str | None = None
    ) -> Any:
        """Check the arguments and do the work.

        Args:
            args: The arguments as decoded JSON.
            cancellation_token: Gives up the work.
            call_id: The id of the model's call, for logs and traces.

        Raises:
            pydantic.ValidationError: The arguments do not fit. Also a `ValueError`.
        """
        with self._span(call_id):
            value = await self.run(self._args_type.model_validate(args), cancellation_token)
            self._log_call(args, value)
            return value

    async def save_state_json(self) -> Mapping[str, Any]:
        """Return the state; nothing here."""
        return {}

    async def load_state_json(self, state: Mapping[str, Any]) -> None:
        """Take over a state; nothing here."""

    def _span(self, call_id: str | None) -> AbstractContextManager[Any]:
        if not tracing_enabled():
            return nullcontext()
        from autogen_core._telemetry import trace_tool_span

        return trace_tool_span(self._name, tool_description=self._description, tool_call_id=call_id)

    def _log_call(self, args: Mapping[str, Any], value: Any) -> None:
        """Record the call if somebody listens. A result that cannot be shown does not fail the call."""
        if not _events.isEnabledFor(logging.INFO):
            return
        try:
            shown = self.return_value_as_string(value)
        except Exception as error:  # noqa: BLE001 - logging never raises into the work; the record says what went wrong
            shown = f"<{type(value).__name__} without text: {error}>"
        _events.info(ToolCallEvent(tool_name=self._name, arguments=dict(args), result=shown))


class BaseStreamTool(
    BaseTool[ArgsT, ReturnT], StreamTool, ABC, ComponentBase[BaseModel], Generic[ArgsT, StreamT, ReturnT]
):
    """Base of a tool that tells what it is doing; a subclass writes `run_stream`, and `run` for those who do not listen."""

    @abstractmethod
    def run_stream(self, args: ArgsT, cancellation_token: CancellationToken) -> AsyncGenerator[StreamT | ReturnT, None]:
        """Do the work, with arguments that were checked; the last item is the result."""
        ...

    async def run_json_stream(
        self, args: Mapping[str, Any], cancellation_token: CancellationToken, call_id: str | None = None
    ) -> AsyncGenerator[StreamT | ReturnT, None]:
        """Check the arguments and do the work, yielding what happens, and the result as the last item.

        Args:
            args: The arguments as decoded JSON.
            cancellation_token: Gives up the work.
            call_id: The id of the model's call, for logs and traces.

        Raises:
            pydantic.ValidationError: The arguments do not fit. Also a `ValueError`.
            TypeError: The last item is not of the return type.
            RuntimeError: There was no item at all.
        """
        nothing = object()
        last: Any = nothing
        with self._span(call_id):
            stream = self.run_stream(self._args_type.model_validate(args), cancellation_token)
            try:
                async for last in stream:
                    yield last
            finally:
                await stream.aclose()
            if last is nothing:
                raise RuntimeError(f"Tool {self._name!r} must yield its result as the last item, but yielded nothing.")
            if get_origin(self._return_type) is None and not isinstance(last, self._return_type):
                raise TypeError(
                    f"Tool {self._name!r} must yield a {self._return_type.__name__} as the last item, "
                    f"but yielded a {type(last).__name__}."
                )
            self._log_call(args, last)


class BaseToolWithState(BaseTool[ArgsT, ReturnT], ABC, ComponentBase[BaseModel], Generic[ArgsT, ReturnT, StateT]):
    """Base of a tool that keeps a state between calls, which is saved with the workbench that holds it."""

    component_type = "tool"

    def __init__(
        self, args_type: type[ArgsT], return_type: type[ReturnT], state_type: type[StateT], name: str, description: str
    ) -> None:
        super().__init__(args_type, return_type, name, description)
        self._state_type = state_type

    def state_type(self) -> type[BaseModel] | None:
        """Return the model of its state."""
        return self._state_type

    @abstractmethod
    def save_state(self) -> StateT:
        """Return the state."""
        ...

    @abstractmethod
    def load_state(self, state: StateT) -> None:
        """Take over a state that was saved."""
        ...

    async def save_state_json(self) -> Mapping[str, Any]:
        """Return the state as data."""
        return self.save_state().model_dump(mode="json")

    async def load_state_json(self, state: Mapping[str, Any]) -> None:
        """Take over a state that was saved as data.

        Raises:
            pydantic.ValidationError: It is not a state of this tool. Also a `ValueError`.
        """
        self.load_state(self._state_type.model_validate(state))


def _bare(annotation: Any) -> Any:
    """Strip `Annotated` from a type."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
