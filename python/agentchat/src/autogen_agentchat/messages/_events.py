"""The events of this package: what agents and teams report while they work.

Stands on the base classes; knows no agent and no team.
"""

from typing import Literal

from autogen_agentchat.messages._base import BaseAgentEvent
from autogen_core import FunctionCall
from autogen_core.code_executor import CodeBlock, CodeResult
from autogen_core.memory import MemoryContent
from autogen_core.models import FunctionExecutionResult


class ToolCallRequestEvent(BaseAgentEvent):
    """A model asked for tools to be called."""

    content: list[FunctionCall]
    """The calls."""

    type: Literal["ToolCallRequestEvent"] = "ToolCallRequestEvent"

    def to_text(self) -> str:
        return str(self.content)


class ToolCallExecutionEvent(BaseAgentEvent):
    """Tools were called."""

    content: list[FunctionExecutionResult]
    """The results, one for each call."""

    type: Literal["ToolCallExecutionEvent"] = "ToolCallExecutionEvent"

    def to_text(self) -> str:
        return str(self.content)


class CodeGenerationEvent(BaseAgentEvent):
    """A model wrote code to be run."""

    retry_attempt: int
    """0 for the first attempt, then how often the code was written anew."""

    content: str
    """The whole answer of the model."""

    code_blocks: list[CodeBlock]
    """The blocks of code found in the answer."""

    type: Literal["CodeGenerationEvent"] = "CodeGenerationEvent"

    def to_text(self) -> str:
        return self.content


class CodeExecutionEvent(BaseAgentEvent):
    """Code was run."""

    retry_attempt: int
    """0 for the first attempt, then how often the code was written anew."""

    result: CodeResult
    """Exit code and output."""

    type: Literal["CodeExecutionEvent"] = "CodeExecutionEvent"

    def to_text(self) -> str:
        return self.result.output


class UserInputRequestedEvent(BaseAgentEvent):
    """A user proxy is about to ask the human."""

    request_id: str
    """Names the request; the same id is known to the input function while it asks."""

    content: Literal[""] = ""

    type: Literal["UserInputRequestedEvent"] = "UserInputRequestedEvent"

    def to_text(self) -> str:
        return self.content


class MemoryQueryEvent(BaseAgentEvent):
    """Memory was asked for what fits the conversation."""

    content: list[MemoryContent]
    """What was found."""

    type: Literal["MemoryQueryEvent"] = "MemoryQueryEvent"

    def to_text(self) -> str:
        return str(self.content)


class ModelClientStreamingChunkEvent(BaseAgentEvent):
    """A piece of text as the model writes it. The whole text follows in a message of its own."""

    content: str
    """The piece."""

    full_message_id: str | None = None
    """The id of the message that the pieces add up to, where it is known in advance."""

    type: Literal["ModelClientStreamingChunkEvent"] = "ModelClientStreamingChunkEvent"

    def to_text(self) -> str:
        return self.content


class ThoughtEvent(BaseAgentEvent):
    """What a model thought before it answered, for models that tell."""

    content: str
    """The thought."""

    type: Literal["ThoughtEvent"] = "ThoughtEvent"

    def to_text(self) -> str:
        return self.content


class SelectSpeakerEvent(BaseAgentEvent):
    """A team chose who speaks next."""

    content: list[str]
    """The names of the speakers."""

    type: Literal["SelectSpeakerEvent"] = "SelectSpeakerEvent"

    def to_text(self) -> str:
        return str(self.content)


class SelectorEvent(BaseAgentEvent):
    """What a model said while it was asked to choose the next speaker."""

    content: str
    """Its words."""

    type: Literal["SelectorEvent"] = "SelectorEvent"

    def to_text(self) -> str:
        return self.content
