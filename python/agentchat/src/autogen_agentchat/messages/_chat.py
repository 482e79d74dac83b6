"""The chat messages of this package: text, pictures, handoffs, stops and summaries of tool calls.

Stands on the base classes; knows no agent and no team.
"""

from abc import ABC
from typing import Literal

from autogen_agentchat.messages._base import BaseChatMessage
from autogen_core import FunctionCall, Image
from autogen_core.models import FunctionExecutionResult, LLMMessage, UserMessage


class BaseTextChatMessage(BaseChatMessage, ABC):
    """A chat message whose content is one text. Derive from it for messages of your own that are text."""

    content: str
    """The text."""

    def to_text(self) -> str:
        return self.content

    def to_model_text(self) -> str:
        return self.content

    def to_model_message(self) -> UserMessage:
        return UserMessage(content=self.content, source=self.source)


class TextMessage(BaseTextChatMessage):
    """A plain text."""

    type: Literal["TextMessage"] = "TextMessage"


class StopMessage(BaseTextChatMessage):
    """A request to end the conversation; its text is the reason. Termination conditions return it."""

    type: Literal["StopMessage"] = "StopMessage"


class HandoffMessage(BaseTextChatMessage):
    """A text that hands the conversation over to another agent."""

    target: str
    """The name of the agent that should go on."""

    context: list[LLMMessage] = []
    """What the receiver should know besides the text, as model messages: tool calls and results made on the way."""

    type: Literal["HandoffMessage"] = "HandoffMessage"


class ToolCallSummaryMessage(BaseTextChatMessage):
    """The results of tool calls, written up as one text, where no model was asked to reflect on them."""

    type: Literal["ToolCallSummaryMessage"] = "ToolCallSummaryMessage"

    tool_calls: list[FunctionCall]
    """The calls that the model asked for."""

    results: list[FunctionExecutionResult]
    """What came back, one result for each call."""


class MultiModalMessage(BaseChatMessage):
    """Texts and images in their order."""

    content: list[str | Image]
    """The parts."""

    type: Literal["MultiModalMessage"] = "MultiModalMessage"

    def to_model_text(self, image_placeholder: str | None = "[image]") -> str:
        """Return the parts as one text.

        Args:
            image_placeholder: Stands for each image; `None` puts in the image itself in base64.
        """
        return "".join(
            part
            if isinstance(part, str)
            else f" {part.to_base64() if image_placeholder is None else image_placeholder}"
            for part in self.content
        )

    def to_text(self, iterm: bool = False) -> str:
        """Return one part a line.

        Args:
            iterm: Write images as the iTerm2 terminal shows them, instead of as `<image>`.
        """
        return "\n".join(part if isinstance(part, str) else _picture(part, iterm=iterm) for part in self.content)

    def to_model_message(self) -> UserMessage:
        return UserMessage(content=self.content, source=self.source)


def _picture(image: Image, *, iterm: bool) -> str:
    # iTerm2's protocol for pictures in line: an operating system command, ended by a bell.
    return f"\x1b]1337;File=inline=1:{image.to_base64()}\x07\n" if iterm else "<image>"
