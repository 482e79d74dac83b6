"""Writes our messages and tools in the form of Azure AI's model inference API. Stands on the model contract."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models._shared._provider_data import message_fields, unpack
from autogen_ext.models._shared._tools import ToolSpec

PROTOCOL = "azure.ai.inference"
"""The name under which provider data is kept."""

EncodeImage = Callable[[Image], dict[str, Any]]
"""Returns the content part of an image."""


def encode_messages(
    messages: Sequence[LLMMessage], *, vision: bool, server: str = "", image: EncodeImage = Image.to_openai_format
) -> list[dict[str, Any]]:
    """Return a conversation in the API's form.

    Raises:
        ValueError: There is an image, but the model takes none.
    """
    return [encoded for message in messages for encoded in _encode(message, vision, server, image)]


def _encode(message: LLMMessage, vision: bool, server: str, image: EncodeImage) -> Iterator[dict[str, Any]]:
    if isinstance(message, SystemMessage):
        yield {"role": "system", "content": message.content}
    elif isinstance(message, UserMessage):
        content = message.content
        parts = content if isinstance(content, str) else [_encode_part(part, vision, image) for part in content]
        yield {"role": "user", "content": parts}
    elif isinstance(message, FunctionExecutionResultMessage):
        for result in message.content:
            yield {"role": "tool", "content": result.content, "tool_call_id": result.call_id}
    else:
        yield _encode_assistant(message, server)


def _encode_part(part: str | Image, vision: bool, image: EncodeImage) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not vision:
        raise ValueError(
            "Model does not support vision and image was provided. Use a model that sees images, say so in "
            "model_info, or remove images before the call."
        )
    return image(part)


def _encode_assistant(message: AssistantMessage, server: str) -> dict[str, Any]:
    kept = message_fields(message, PROTOCOL, server)
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content, **kept}
    calls = [_encode_call(call, server) for call in message.content]
    # Some models behind this API refuse a message without content, even beside calls.
    return {"role": "assistant", "content": message.thought or "", "tool_calls": calls, **kept}


def _encode_call(call: FunctionCall, server: str) -> dict[str, Any]:
    function: dict[str, Any] = {"name": call.name, "arguments": call.arguments}
    kept = unpack(call.provider_data, PROTOCOL, server, "call")
    function.update(kept.pop("function", {}))
    return {"id": call.id, "type": "function", "function": function, **kept}


def encode_tool(tool: ToolSpec) -> dict[str, Any]:
    """Return a tool in the API's form, which has no place for `strict`."""
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    if tool.parameters:
        function["parameters"] = dict(tool.parameters)
    return {"type": "function", "function": function}
