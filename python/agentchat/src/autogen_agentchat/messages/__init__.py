"""The words agents speak: chat messages that agents send each other, and events that tell an observer what an agent does."""

from autogen_agentchat.messages._base import BaseAgentEvent, BaseChatMessage, BaseMessage
from autogen_agentchat.messages._chat import (
    BaseTextChatMessage,
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
from autogen_agentchat.messages._registry import AgentEvent, ChatMessage, MessageFactory, UnknownMessageTypeError
from autogen_agentchat.messages._structured import (
    StructuredContentType,
    StructuredMessage,
    StructuredMessageFactory,
    StructureMessageConfig,
)

__all__ = [
    "AgentEvent",
    "BaseAgentEvent",
    "BaseChatMessage",
    "BaseMessage",
    "BaseTextChatMessage",
    "ChatMessage",
    "CodeExecutionEvent",
    "CodeGenerationEvent",
    "HandoffMessage",
    "MemoryQueryEvent",
    "MessageFactory",
    "ModelClientStreamingChunkEvent",
    "MultiModalMessage",
    "SelectSpeakerEvent",
    "SelectorEvent",
    "StopMessage",
    "StructureMessageConfig",
    "StructuredContentType",
    "StructuredMessage",
    "StructuredMessageFactory",
    "TextMessage",
    "ThoughtEvent",
    "ToolCallExecutionEvent",
    "ToolCallRequestEvent",
    "ToolCallSummaryMessage",
    "UnknownMessageTypeError",
    "UserInputRequestedEvent",
]
