"""`RoutedAgent` and the decorator that marks its handlers: which method of an agent takes which message.

One decorator with three faces: `message_handler` takes all messages of its types, `event` published ones, `rpc` those whose
sender waits. The annotations are read when the class is defined; the table type → handlers is made once per class.
Stands on `BaseAgent`; knows no runtime.
"""

import inspect
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from types import FrameType, NoneType, UnionType
from typing import Any, Literal, Protocol, TypeVar, Union, cast, get_args, get_origin, overload, runtime_checkable

from typing_extensions import TypeAliasType

from autogen_core._base_agent import BaseAgent, HandledTypes
from autogen_core._message_context import MessageContext
from autogen_core._names import TRACE_LOGGER_NAME
from autogen_core._serialization import try_get_known_serializers_for_type
from autogen_core.exceptions import CantHandleException, HandlerSignatureError, UndeliverableException

_logger = logging.getLogger(TRACE_LOGGER_NAME)

AgentT = TypeVar("AgentT")
ReceivesT = TypeVar("ReceivesT")
ProducesT = TypeVar("ProducesT", covariant=True)
AgentT_contra = TypeVar("AgentT_contra", contravariant=True)

Match = Callable[[Any, MessageContext], bool]


@runtime_checkable
class MessageHandler(Protocol[AgentT_contra, ReceivesT, ProducesT]):
    """A method of an agent that takes messages of certain types."""

    target_types: Sequence[type]
    produces_types: Sequence[type]
    is_message_handler: Literal[True]
    router: Callable[[ReceivesT, MessageContext], bool]

    @staticmethod
    async def __call__(agent_instance: AgentT_contra, message: ReceivesT, ctx: MessageContext) -> ProducesT:
        """Handle a message."""
        ...


def _accept(_: Any, ctx: MessageContext) -> bool:
    return True


def _accept_event(_: Any, ctx: MessageContext) -> bool:
    return not ctx.is_rpc


def _accept_rpc(_: Any, ctx: MessageContext) -> bool:
    return ctx.is_rpc


def _both(first: Match, second: Match | None) -> Match:
    if second is None:
        return first
    if first is _accept:
        return second
    return lambda message, ctx: first(message, ctx) and second(message, ctx)


@overload
def message_handler(
    func: Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, ProducesT]],
) -> MessageHandler[AgentT, ReceivesT, ProducesT]: ...
@overload
def message_handler(
    func: None = None, *, match: None = ..., strict: bool = ...
) -> Callable[
    [Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, ProducesT]]],
    MessageHandler[AgentT, ReceivesT, ProducesT],
]: ...
@overload
def message_handler(
    func: None = None, *, match: Callable[[ReceivesT, MessageContext], bool], strict: bool = ...
) -> Callable[
    [Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, ProducesT]]],
    MessageHandler[AgentT, ReceivesT, ProducesT],
]: ...
def message_handler(
    func: Callable[..., Coroutine[Any, Any, Any]] | None = None, *, match: Match | None = None, strict: bool = True
) -> Any:
    """Mark a method of a `RoutedAgent` as the handler for the message types that its first parameter is annotated with.

    The method is `async def name(self, message: T, ctx: MessageContext) -> R`; its parameters may have any names. `T` may
    be a union. A message is routed by its exact class. Where several handlers take it, they are asked in the alphabetical
    order of their names, and the first whose `match` is true handles it.

    Args:
        func: The method.
        match: Tells whether this handler takes a message.
        strict: Whether an answer of another type than annotated raises `ValueError`; else it is logged.

    Raises:
        HandlerSignatureError: The method does not have that form.
    """
    return _decorate(func, _accept, match, strict)


@overload
def event(
    func: Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, None]],
) -> MessageHandler[AgentT, ReceivesT, None]: ...
@overload
def event(
    func: None = None, *, match: None = ..., strict: bool = ...
) -> Callable[
    [Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, None]]],
    MessageHandler[AgentT, ReceivesT, None],
]: ...
@overload
def event(
    func: None = None, *, match: Callable[[ReceivesT, MessageContext], bool], strict: bool = ...
) -> Callable[
    [Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, None]]],
    MessageHandler[AgentT, ReceivesT, None],
]: ...
def event(
    func: Callable[..., Coroutine[Any, Any, Any]] | None = None, *, match: Match | None = None, strict: bool = True
) -> Any:
    """Mark a method as a handler of published messages; it returns nothing. Else as `message_handler`.

    Raises:
        HandlerSignatureError: The method does not have the right form, or does not return None.
    """
    return _decorate(func, _accept_event, match, strict)


@overload
def rpc(
    func: Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, ProducesT]],
) -> MessageHandler[AgentT, ReceivesT, ProducesT]: ...
@overload
def rpc(
    func: None = None, *, match: None = ..., strict: bool = ...
) -> Callable[
    [Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, ProducesT]]],
    MessageHandler[AgentT, ReceivesT, ProducesT],
]: ...
@overload
def rpc(
    func: None = None, *, match: Callable[[ReceivesT, MessageContext], bool], strict: bool = ...
) -> Callable[
    [Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, ProducesT]]],
    MessageHandler[AgentT, ReceivesT, ProducesT],
]: ...
def rpc(
    func: Callable[..., Coroutine[Any, Any, Any]] | None = None, *, match: Match | None = None, strict: bool = True
) -> Any:
    """Mark a method as a handler of messages whose sender waits for the answer. Else as `message_handler`.

    Raises:
        HandlerSignatureError: The method does not have the right form.
    """
    return _decorate(func, _accept_rpc, match, strict)


def _decorate(
    func: Callable[..., Coroutine[Any, Any, Any]] | None, accepts: Match, match: Match | None, strict: bool
) -> Any:
    """Make a handler of a method, or a decorator that does so."""
    frame = sys._getframe(2)
    if func is not None:
        return _handler(func, _both(accepts, match), strict, frame)
    return lambda f: _handler(f, _both(accepts, match), strict, frame)  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType, reportUnknownArgumentType]  # typed by the overloads


def _handler(func: Callable[..., Coroutine[Any, Any, Any]], router: Match, strict: bool, frame: FrameType) -> Any:
    receives, produces = _read_signature(func, frame)
    if router is _accept_event and produces != (NoneType,):
        raise HandlerSignatureError(f"{func.__qualname__}: an event handler answers nobody, so it must return None.")
    checked = Any not in produces
    target_types = frozenset(receives)

    @wraps(func)
    async def handle(self: Any, message: Any, ctx: MessageContext) -> Any:
        if type(message) not in target_types:
            _refuse(strict, CantHandleException(f"{func.__qualname__} does not take a {type(message).__name__}."))
        answer = await func(self, message, ctx)
        if checked and type(answer) not in produces:
            names = " | ".join(t.__name__ for t in produces)
            _refuse(
                strict, ValueError(f"{func.__qualname__} is to return {names}, but returned a {type(answer).__name__}.")
            )
        return answer

    handler = cast("MessageHandler[Any, Any, Any]", handle)
    handler.target_types = list(receives)
    handler.produces_types = list(produces)
    handler.is_message_handler = True
    handler.router = router
    return handler


def _refuse(strict: bool, error: Exception) -> None:
    if strict:
        raise error
    _logger.warning("%s", error)


def _read_signature(func: Callable[..., Any], frame: FrameType) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the types that a handler takes and returns; raise HandlerSignatureError if it has another form."""
    name = func.__qualname__
    form = "Expected `async def handler(self, message: T, ctx: MessageContext) -> R`."
    if not inspect.iscoroutinefunction(func):
        raise HandlerSignatureError(f"{name} is not an async function. {form}")
    parameters = list(inspect.signature(func).parameters.values())
    required = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 3 or len(required) > 3 or any(p.kind is p.KEYWORD_ONLY for p in required):
        names = ", ".join(p.name for p in parameters)
        raise HandlerSignatureError(f"{name} takes the parameters ({names}), not three. {form}")
    message = positional[1].name
    annotations = inspect.get_annotations(func)
    if message not in annotations:
        raise HandlerSignatureError(f"{name}: the message parameter {message!r} has no annotation. {form}")
    if "return" not in annotations:
        raise HandlerSignatureError(f"{name} has no return annotation; write `-> None` if it returns nothing. {form}")
    receives = alternatives(_evaluate(annotations[message], func, frame, message))
    produces = alternatives(_evaluate(annotations["return"], func, frame, "return"))
    for taken in receives:
        if taken is Any or not isinstance(taken, type):
            raise HandlerSignatureError(
                f"{name}: the message parameter {message!r} is annotated with {taken!r}, but messages are routed by class. "
                "Expected a class, or a union of classes."
            )
    return receives, produces


def _evaluate(annotation: Any, func: Callable[..., Any], frame: FrameType, parameter: str) -> Any:
    """Evaluate an annotation that is text: in the function's module, and in what encloses the class."""
    if not isinstance(annotation, str):
        return annotation
    enclosing = frame.f_back.f_locals if frame.f_back is not None else {}
    scope = {**vars(sys.modules[func.__module__]), **enclosing, **frame.f_locals}
    try:
        return eval(annotation, scope)  # noqa: S307 - the program's own annotation, as typing.get_type_hints does
    except NameError as error:
        raise HandlerSignatureError(
            f"{func.__qualname__}: the annotation {annotation!r} of {parameter!r} cannot be evaluated: {error}. "
            "Import the name at run time, before the class."
        ) from error


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Take a union apart; of a parametrised generic, only the class can be told by a message."""
    if isinstance(annotation, TypeAliasType) or type(annotation).__name__ == "TypeAliasType":
        return alternatives(annotation.__value__)
    origin = get_origin(annotation)
    if origin is Union or origin is UnionType:
        return tuple(dict.fromkeys(kind for part in get_args(annotation) for kind in alternatives(part)))
    if hasattr(annotation, "__metadata__"):  # Annotated
        return alternatives(annotation.__origin__)
    if annotation is None:
        return (NoneType,)
    return (origin if isinstance(origin, type) else annotation,)


class RoutedAgent(BaseAgent):
    """An agent whose methods, marked with `message_handler`, `event` or `rpc`, take messages by their type.

    Args:
        description: What the agent is for, in a sentence.
    """

    def __init__(self, description: str) -> None:
        self._handlers = _handlers(type(self))
        super().__init__(description)

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any | None:
        """Give the message to the handler that takes it, or to `on_unhandled_message`."""
        for handler in self._handlers.get(message.__class__, ()):
            if handler.router(message, ctx):
                return await handler(self, message, ctx)  # pyright: ignore[reportCallIssue]  # a function, called with self
        return await self.on_unhandled_message(message, ctx)

    async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> None:
        """Take a message that no handler takes. Published ones are logged; override it to do something else.

        Raises:
            UndeliverableException: The sender waits for an answer, and there is none.
        """
        kind = type(message).__name__
        if ctx.is_rpc:
            known = ", ".join(sorted(taken.__name__ for taken in self._handlers)) or "none"
            raise UndeliverableException(
                f"No handler of {self.id} takes a {kind} (it handles: {known}). Add a handler, or check the recipient.",
                recipient=self.id,
                message_type=message.__class__,
            )
        _logger.info("%s: no handler takes a published %s", self.id, kind)

    @classmethod
    def _handles_types(cls) -> HandledTypes:
        types = [(taken, try_get_known_serializers_for_type(taken)) for taken in _handlers(cls)]
        return [*types, *super()._handles_types()]


_Table = dict[type, list[MessageHandler[Any, Any, Any]]]


def _handlers(cls: type[RoutedAgent]) -> _Table:
    """Return a class's handlers by message type, in alphabetical order; found once per class."""
    table: _Table | None = cls.__dict__.get("_handler_table")
    if table is None:
        table = {}
        for name in dir(cls):
            member: Any = inspect.getattr_static(cls, name)
            if getattr(member, "is_message_handler", False):
                for taken in member.target_types:
                    table.setdefault(taken, []).append(member)
        setattr(cls, "_handler_table", table)  # noqa: B010 - a cache of this class, not of those derived from it
    return table
