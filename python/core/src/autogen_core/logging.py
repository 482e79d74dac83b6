"""What happened, as records for the logger `autogen_core.events`: each is a log message with its facts in `kwargs`.

A record becomes JSON only when somebody writes it (`str(record)`), and that never raises: what JSON cannot hold is
written as its text. Stands on identities and the ambient context; must not know who logs, nor who listens.
"""

import json
from enum import Enum
from typing import Any, cast

from autogen_core._context import MessageHandlerContext
from autogen_core._identity import AgentId, TopicId

__all__ = [
    "AgentConstructionExceptionEvent",
    "DeliveryStage",
    "LLMCallEvent",
    "LLMStreamEndEvent",
    "LLMStreamStartEvent",
    "MessageDroppedEvent",
    "MessageEvent",
    "MessageHandlerExceptionEvent",
    "MessageKind",
    "ToolCallEvent",
]


class DeliveryStage(Enum):
    """Where on its way a message is."""

    SEND = 1
    DELIVER = 2


class MessageKind(Enum):
    """How a message travels."""

    DIRECT = 1
    PUBLISH = 2
    RESPOND = 3


class _Record:
    """Base of all records.

    Attributes:
        kwargs: The facts, by name; `type` tells the kind of the record.
    """

    __slots__ = ("kwargs",)

    def __init__(self, kwargs: dict[str, Any]) -> None:
        self.kwargs = kwargs

    def __str__(self) -> str:
        """Return the facts as JSON."""
        try:
            return json.dumps(self.kwargs, default=_shown)
        except (TypeError, ValueError, RecursionError):  # a key that is no text, or data that holds itself
            return json.dumps({str(name): _shown(value) for name, value in self.kwargs.items()})


class _UsageRecord(_Record):
    __slots__ = ()

    @property
    def prompt_tokens(self) -> int:
        """Tokens that the request took."""
        return cast("int", self.kwargs["prompt_tokens"])

    @property
    def completion_tokens(self) -> int:
        """Tokens that the answer took."""
        return cast("int", self.kwargs["completion_tokens"])


class LLMCallEvent(_UsageRecord):
    """A model answered.

    Args:
        messages: The conversation, as sent to the provider.
        response: The answer, as it came.
        prompt_tokens: Tokens that the request took.
        completion_tokens: Tokens that the answer took.
        kwargs: Further facts.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        messages: list[dict[str, Any]],
        response: dict[str, Any],
        prompt_tokens: int,
        completion_tokens: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            {
                **kwargs,
                "type": "LLMCall",
                "messages": messages,
                "response": response,
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "agent_id": _current_agent(),
            }
        )


class LLMStreamStartEvent(_Record):
    """A model is asked to answer piece by piece.

    Args:
        messages: The conversation, as sent to the provider.
        kwargs: Further facts.
    """

    __slots__ = ()

    def __init__(self, *, messages: list[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__({**kwargs, "type": "LLMStreamStart", "messages": messages, "agent_id": _current_agent()})


class LLMStreamEndEvent(_UsageRecord):
    """A model has answered piece by piece.

    Args:
        response: The whole answer.
        prompt_tokens: Tokens that the request took.
        completion_tokens: Tokens that the answer took.
        kwargs: Further facts.
    """

    __slots__ = ()

    def __init__(self, *, response: dict[str, Any], prompt_tokens: int, completion_tokens: int, **kwargs: Any) -> None:
        super().__init__(
            {
                **kwargs,
                "type": "LLMStreamEnd",
                "response": response,
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "agent_id": _current_agent(),
            }
        )


class ToolCallEvent(_Record):
    """A tool did its work.

    Args:
        tool_name: The tool.
        arguments: Its arguments.
        result: What came of it, as the model reads it.
    """

    __slots__ = ()

    def __init__(self, *, tool_name: str, arguments: dict[str, Any], result: str) -> None:
        super().__init__(
            {
                "type": "ToolCall",
                "tool_name": tool_name,
                "arguments": arguments,
                "result": result,
                "agent_id": _current_agent(),
            }
        )


class MessageEvent(_Record):
    """A message was sent or delivered.

    Args:
        payload: The message as text.
        sender: Who sent it; `None` for somebody outside of the runtime.
        receiver: Whom or what it is for.
        kind: How it travels.
        delivery_stage: Where on its way it is.
        kwargs: Further facts.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        payload: str,
        sender: AgentId | None,
        receiver: AgentId | TopicId | None,
        kind: MessageKind,
        delivery_stage: DeliveryStage,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            {
                **kwargs,
                "payload": payload,
                "sender": _text(sender),
                "receiver": _text(receiver),
                "kind": str(kind),
                "delivery_stage": str(delivery_stage),
                "type": "Message",
            }
        )


class MessageDroppedEvent(_Record):
    """An intervention handler dropped a message.

    Args:
        payload: The message as text.
        sender: Who sent it; `None` for somebody outside of the runtime.
        receiver: Whom or what it was for.
        kind: How it travelled.
        kwargs: Further facts.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        payload: str,
        sender: AgentId | None,
        receiver: AgentId | TopicId | None,
        kind: MessageKind,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            {
                **kwargs,
                "payload": payload,
                "sender": _text(sender),
                "receiver": _text(receiver),
                "kind": str(kind),
                "type": "MessageDropped",
            }
        )


class MessageHandlerExceptionEvent(_Record):
    """An agent failed to handle a message.

    Args:
        payload: The message as text.
        handling_agent: The agent.
        exception: What it raised.
        kwargs: Further facts.
    """

    __slots__ = ()

    def __init__(self, *, payload: str, handling_agent: AgentId, exception: BaseException, **kwargs: Any) -> None:
        super().__init__(
            {
                **kwargs,
                "payload": payload,
                "handling_agent": str(handling_agent),
                "exception": _shown(exception),
                "type": "MessageHandlerException",
            }
        )


class AgentConstructionExceptionEvent(_Record):
    """An agent could not be made.

    Args:
        agent_id: The agent.
        exception: What its factory raised.
        kwargs: Further facts.
    """

    __slots__ = ()

    def __init__(self, *, agent_id: AgentId, exception: BaseException, **kwargs: Any) -> None:
        super().__init__(
            {
                **kwargs,
                "agent_id": str(agent_id),
                "exception": _shown(exception),
                "type": "AgentConstructionException",
            }
        )


def _current_agent() -> str | None:
    """Return the id of the agent that is handling a message here, if one is."""
    try:
        return str(MessageHandlerContext.agent_id())
    except RuntimeError:
        return None


def _text(identity: AgentId | TopicId | None) -> str | None:
    return None if identity is None else str(identity)


def _shown(value: object) -> str:
    """Return something as text, whatever its own `__str__` does."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a record is written even if it holds something broken
        return f"<{type(value).__name__} without text: {type(error).__name__}>"
