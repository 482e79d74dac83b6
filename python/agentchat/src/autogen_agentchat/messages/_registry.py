"""Every built-in message type, once, and the factory that turns saved data into messages.

`BUILT_IN` is the list; the two unions below say the same to type checkers and to pydantic, and a test holds them, the
factory and `__all__` against it. Stands on the message types; knows no agent and no team.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from autogen_agentchat.messages._base import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.messages._chat import (
    HandoffMessage,
    MultiModalMessage,
    StopMessage,
    TextMessage,
    ToolCallSummaryMessage,
)
from autogen_agentchat.messages._events import (
    CodeExecutionEvent,
    CodeGenerationEvent,
    MemoryQueryEvent,
    ModelClientStreamingChunkEvent,
    SelectorEvent,
    SelectSpeakerEvent,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    UserInputRequestedEvent,
)

BUILT_IN: tuple[type[BaseAgentEvent | BaseChatMessage], ...] = (
    TextMessage,
    MultiModalMessage,
    StopMessage,
    ToolCallSummaryMessage,
    HandoffMessage,
    ToolCallRequestEvent,
    ToolCallExecutionEvent,
    MemoryQueryEvent,
    UserInputRequestedEvent,
    ModelClientStreamingChunkEvent,
    ThoughtEvent,
    SelectSpeakerEvent,
    SelectorEvent,
    CodeGenerationEvent,
    CodeExecutionEvent,
)
"""The message types every factory knows from the start."""

ChatMessage = Annotated[
    TextMessage | MultiModalMessage | StopMessage | ToolCallSummaryMessage | HandoffMessage,
    Field(discriminator="type"),
]
"""Any built-in chat message, told apart by `type`: for fields of pydantic models that hold messages."""

AgentEvent = Annotated[
    ToolCallRequestEvent
    | ToolCallExecutionEvent
    | MemoryQueryEvent
    | UserInputRequestedEvent
    | ModelClientStreamingChunkEvent
    | ThoughtEvent
    | SelectSpeakerEvent
    | SelectorEvent
    | CodeGenerationEvent
    | CodeExecutionEvent,
    Field(discriminator="type"),
]
"""Any built-in event, told apart by `type`: for fields of pydantic models that hold events."""


class UnknownMessageTypeError(ValueError):
    """The data name a type of message that the factory does not know.

    Attributes:
        message_type: The name found in the data.
    """

    def __init__(self, message_type: str) -> None:
        super().__init__(
            f"Unknown message type: {message_type!r}. Register its class first: "
            "`factory.register(cls)`, or `custom_message_types=[cls]` of the team."
        )
        self.message_type = message_type


class MessageFactory:
    """Turns what `BaseMessage.dump` returned into messages again. It knows the built-in types; register your own."""

    def __init__(self) -> None:
        self._types: dict[str, type[BaseAgentEvent | BaseChatMessage]] = dict(_BUILT_IN_BY_NAME)

    def is_registered(self, message_type: type[BaseAgentEvent | BaseChatMessage]) -> bool:
        """Tell whether messages of this type can be created. Types are known by name."""
        return message_type.__name__ in self._types

    def register(self, message_type: type[BaseAgentEvent | BaseChatMessage]) -> None:
        """Add a type.

        Raises:
            ValueError: A type of this name is registered already, or it is no chat message and no event.
        """
        if not issubclass(message_type, BaseAgentEvent | BaseChatMessage):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise ValueError(f"Message type {message_type} must be a subclass of BaseChatMessage or BaseAgentEvent.")
        if self.is_registered(message_type):
            raise ValueError(f"Message type {message_type} is already registered: its name must be unique.")
        self._types[message_type.__name__] = message_type
        declared = message_type.model_fields.get("type")
        if declared is not None and isinstance(declared.default, str):
            # What a dump says is the field's value, which need not be the name of the class. First come, first served.
            self._types.setdefault(declared.default, message_type)

    def create(self, data: Mapping[str, Any]) -> BaseAgentEvent | BaseChatMessage:
        """Make a message from its JSON data.

        Raises:
            UnknownMessageTypeError: The type is not registered (a `ValueError`).
            ValueError: The data have no `type`.
            pydantic.ValidationError: The data do not fit the type.
        """
        name = data.get("type")
        if name is None:
            raise ValueError("Field 'type' is required in the message data: it says which class of message to make.")
        message_type = self._types.get(name) if isinstance(name, str) else None
        if message_type is None:
            raise UnknownMessageTypeError(str(name))
        return message_type.load(data)


_BUILT_IN_BY_NAME = {message_type.__name__: message_type for message_type in BUILT_IN}
