"""Writes our messages and tools in OpenAI's form: strict about what the protocol asks, following each family's dialect.

Stands on the model contract and `_shared`; imports the SDK's types only for the type checker.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models._shared._names import assert_valid_name
from autogen_ext.models._shared._provider_data import message_fields, unpack
from autogen_ext.models._shared._tools import ToolSpec

from ._fields import texts_of
from ._message_transform import Dialect, dialect_of

if TYPE_CHECKING:
    from openai.types.chat import (
        ChatCompletionAssistantMessageParam,
        ChatCompletionMessageFunctionToolCallParam,
        ChatCompletionMessageParam,
        ChatCompletionSystemMessageParam,
        ChatCompletionToolMessageParam,
        ChatCompletionToolParam,
        ChatCompletionUserMessageParam,
    )

PROTOCOL = "openai"
"""Under this name provider data is kept."""

EncodeImage = Callable[[Image], dict[str, Any]]
"""Returns the content part of an image."""


@dataclass(frozen=True, slots=True)
class MessageEncoder:
    """Encodes conversations for one client."""

    dialect: Dialect
    vision: bool
    several_systems: bool
    """The model takes system messages anywhere; otherwise they are joined, and must follow each other."""
    name_prefixes: bool
    names: bool
    server: str = ""
    """The host that is spoken to; what another one wants back is left out."""

    @classmethod
    def for_model(cls, info: ModelInfo, *, name_prefixes: bool, names: bool, server: str = "") -> "MessageEncoder":
        """Make the encoder that suits a model."""
        return cls(
            dialect=dialect_of(info["family"]),
            vision=info["vision"],
            several_systems=bool(info.get("multiple_system_messages")),
            name_prefixes=name_prefixes,
            names=names,
            server=server,
        )

    def encode(
        self, messages: Sequence[LLMMessage], image: EncodeImage = Image.to_openai_format
    ) -> "list[ChatCompletionMessageParam]":
        """Return the conversation in OpenAI's form.

        Raises:
            ValueError: The model cannot take it: an image without vision, a name that is refused, or system messages
                apart from each other where only one is allowed.
        """
        return [encoded for message in self.arrange(messages) for encoded in self.encode_message(message, image)]

    def arrange(self, messages: Sequence[LLMMessage]) -> Sequence[LLMMessage]:
        """Return the conversation with as many system messages as the model takes; errors as in `encode`."""
        return messages if self.several_systems else _join_system_messages(messages)

    def encode_message(
        self, message: LLMMessage, image: EncodeImage = Image.to_openai_format
    ) -> "Iterator[ChatCompletionMessageParam]":
        """Yield none, one, or for tool results several messages."""
        if isinstance(message, UserMessage):
            user = self._encode_user(message, image)
            if user is not None:
                yield user
        elif isinstance(message, AssistantMessage):
            assistant = self._encode_assistant(message)
            if assistant is not None:
                yield assistant
        elif isinstance(message, FunctionExecutionResultMessage):
            for result in message.content:
                tool: ChatCompletionToolMessageParam = {
                    "role": "tool",
                    "content": result.content,
                    "tool_call_id": result.call_id,
                }
                yield tool
        else:
            content = message.content or (" " if self.dialect.blank_system == "fill" else "")
            system: ChatCompletionSystemMessageParam = {"role": "system", "content": content}
            yield system

    def _encode_user(self, message: UserMessage, image: EncodeImage) -> "ChatCompletionUserMessageParam | None":
        prefix = f"{message.source} said:\n" if self.name_prefixes else ""
        content: Any
        if isinstance(message.content, str):
            content = self._fit_text(prefix + message.content)
            if content is None:
                return None
        else:
            content = [self._encode_part(part, image) for part in message.content]
            if content and isinstance(message.content[0], str):
                content[0]["text"] = prefix + message.content[0]
        encoded: ChatCompletionUserMessageParam = {"role": "user", "content": content}
        if self.names and self.dialect.names:
            encoded["name"] = assert_valid_name(message.source)
        return encoded

    def _encode_part(self, part: str | Image, image: EncodeImage) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        if not self.vision:
            raise ValueError(
                "Model does not support vision and image was provided. Use a model that sees images, say so in "
                "model_info, or remove images before the call."
            )
        return image(part)

    def _encode_assistant(self, message: AssistantMessage) -> "ChatCompletionAssistantMessageParam | None":
        kept = message_fields(message, PROTOCOL, self.server)
        encoded: ChatCompletionAssistantMessageParam
        if isinstance(message.content, str):
            if "content" in kept and "".join(texts_of(kept["content"])) != message.content:
                del kept["content"]  # somebody has rewritten the text since
            text = self._fit_text(message.content)
            if text is None:
                return None
            encoded = {"role": "assistant", "content": text}
        else:
            thought = message.thought
            if thought == "" and self.dialect.blank_text != "keep":
                thought = " "
            encoded = {
                "role": "assistant",
                "content": thought,
                "tool_calls": [self._encode_call(call) for call in message.content],
            }
        if kept:
            encoded.update(cast("Any", kept))
        return encoded

    def _encode_call(self, call: FunctionCall) -> "ChatCompletionMessageFunctionToolCallParam":
        encoded: ChatCompletionMessageFunctionToolCallParam = {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        if call.provider_data is not None:
            kept = unpack(call.provider_data, PROTOCOL, self.server, "call")
            encoded["function"].update(kept.pop("function", {}))
            encoded.update(cast("Any", kept))
        return encoded

    def _fit_text(self, text: str) -> str | None:
        """Return a message's text as the family takes it; `None` if the message is to be left out."""
        if self.dialect.blank_text == "fill" and not text:
            return " "
        if self.dialect.blank_text == "drop" and not text.strip():
            return None
        return text


def encode_tool(tool: ToolSpec) -> "ChatCompletionToolParam":
    """Return a tool in OpenAI's form."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": cast("dict[str, object]", tool.parameters),
            "strict": tool.strict,
        },
    }


def _join_system_messages(messages: Sequence[LLMMessage]) -> Sequence[LLMMessage]:
    """Make one system message of all, where the first of them stands; leave it out if it holds nothing.

    Raises:
        ValueError: They do not follow each other, so that joining them would change what they mean.
    """
    places = [place for place, message in enumerate(messages) if isinstance(message, SystemMessage)]
    if not places:
        return messages
    first, last = places[0], places[-1]
    if last - first + 1 != len(places):
        raise ValueError(
            "Multiple and Not continuous system messages are not supported if "
            "model_info['multiple_system_messages'] is False. Put them beside each other, or set it to True if the "
            "model takes them anywhere."
        )
    text = "\n".join(str(messages[place].content) for place in places).rstrip()
    joined = [SystemMessage(content=text)] if text else []
    return [*messages[:first], *joined, *messages[last + 1 :]]
