"""Saved messages of types that this program does not know: kept as they are, and saved again unchanged.

They come from a program that had more `custom_message_types`, or a newer release. Stands on the registry; knows no team.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import PrivateAttr

from autogen_agentchat.messages._base import BaseAgentEvent, BaseChatMessage, BaseMessage
from autogen_agentchat.messages._registry import MessageFactory, UnknownMessageTypeError
from autogen_core.models import UserMessage


class _Opaque(BaseMessage):
    """Holds the data of a message and gives them back."""

    _data: Mapping[str, Any] = PrivateAttr(default_factory=dict[str, Any])

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Self:
        common = {
            name: data[name] for name in ("id", "source", "models_usage", "metadata", "created_at") if name in data
        }
        message = cls.model_validate({"source": "unknown", **common})
        message._data = dict(data)
        return message

    def dump(self) -> Mapping[str, Any]:
        return self._data

    def to_text(self) -> str:
        content = self._data.get("content")
        return content if isinstance(content, str) else str(self._data)


class OpaqueChatMessage(_Opaque, BaseChatMessage):
    """A chat message of an unknown type. Models and humans are shown its `content`."""

    def to_model_text(self) -> str:
        return self.to_text()

    def to_model_message(self) -> UserMessage:
        return UserMessage(content=self.to_text(), source=self.source)


class OpaqueEvent(_Opaque, BaseAgentEvent):
    """An event, or a message that nobody has still to hear, of an unknown type."""


def restore(factory: MessageFactory, data: Mapping[str, Any]) -> BaseAgentEvent | BaseChatMessage:
    """Make a message of a saved thread again, an `OpaqueEvent` if nobody knows its type.

    Raises:
        ValueError: The data have no `type`, or do not fit it.
    """
    try:
        return factory.create(data)
    except UnknownMessageTypeError:
        return OpaqueEvent.load(data)


def restore_heard(factory: MessageFactory, data: Mapping[str, Any]) -> BaseChatMessage:
    """Make a message that a participant has still to hear again, an `OpaqueChatMessage` if nobody knows its type.

    Raises:
        ValueError: The data have no `type`, do not fit it, or are an event's.
    """
    try:
        message = factory.create(data)
    except UnknownMessageTypeError:
        return OpaqueChatMessage.load(data)
    if not isinstance(message, BaseChatMessage):
        raise ValueError(f"{type(message).__name__} is an event; participants hear chat messages only.")
    return message
