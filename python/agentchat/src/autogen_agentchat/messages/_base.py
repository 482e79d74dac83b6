"""What every chat message and every event has: an id, a source, a time, and a form as JSON.

Stands on the model contracts of `autogen_core`; knows no agent, no team and no runtime.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from os import urandom
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from autogen_core.models import RequestUsage, UserMessage


def new_id() -> str:
    """Make a random UUID (RFC 9562, version 4) as text, as `str(uuid4())` does in three times the time."""
    digits = urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"


_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def _now() -> datetime:
    return datetime.now(UTC)


class BaseMessage(BaseModel, ABC):
    """The root of everything that can appear in the stream of a run.

    Derive from `BaseChatMessage` or `BaseAgentEvent`, not from this class.
    """

    # Validators are built when a type is first used: half the price of importing this package would go into them.
    model_config = ConfigDict(defer_build=True)

    @abstractmethod
    def to_text(self) -> str:
        """Return the message as a human should read it, for example on a console."""
        ...

    def dump(self) -> Mapping[str, Any]:
        """Return the message as JSON data from which `MessageFactory.create` makes an equal message.

        The result always has a `type`; for a custom class that declares none it is the name of the class.
        """
        data = self.model_dump(mode="json")
        data.setdefault("type", type(self).__name__)
        return data

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Self:
        """Make a message of this class from what `dump` returned.

        Raises:
            pydantic.ValidationError: The data do not describe a message of this class.
        """
        if "type" in data and "type" not in cls.model_fields:
            data = {key: value for key, value in data.items() if key != "type"}
        return cls.model_validate(data)


class BaseChatMessage(BaseMessage, ABC):
    """A message from one agent to others, or from the user: the turns of the conversation.

    Chat messages are what agents receive, and what a model is shown. To make a type of your own, add fields, give it
    `type: Literal["Mine"] = "Mine"`, implement the three conversions below, and hand the class to the team as one of
    its `custom_message_types`.
    """

    id: str = Field(default_factory=new_id)
    """Unique to this message."""

    source: str
    """The name of the agent that sent it; `"user"` for the task."""

    models_usage: RequestUsage | None = None
    """Tokens that the model calls behind this message used, if any."""

    metadata: dict[str, str] = Field(default_factory=dict)
    """Free notes for the application. Models do not see them."""

    created_at: datetime = Field(default_factory=_now)
    """When the message was made, with a time zone."""

    @abstractmethod
    def to_model_text(self) -> str:
        """Return the content as text for a model, without anything a model cannot read as text."""
        ...

    @abstractmethod
    def to_model_message(self) -> UserMessage:
        """Return the message as a model client takes it."""
        ...


class BaseAgentEvent(BaseMessage, ABC):
    """Something an agent or a team did that others may watch: a tool call, a token, a thought.

    Events are not sent to other agents and are not shown to models. To make a type of your own, add fields, give it
    `type: Literal["Mine"] = "Mine"`, and implement `to_text`.
    """

    id: str = Field(default_factory=new_id)
    """Unique to this event."""

    source: str
    """The name of the agent or team that did it."""

    models_usage: RequestUsage | None = None
    """Tokens that the model call behind this event used, if any."""

    metadata: dict[str, str] = Field(default_factory=dict)
    """Free notes for the application."""

    created_at: datetime = Field(default_factory=_now)
    """When it happened, with a time zone."""
