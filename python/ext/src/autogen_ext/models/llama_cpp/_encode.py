"""Writes our messages and tools in the form that llama-cpp-python takes. Stands on the model contract.

Tools reach a model in one of three ways: its chat template knows them, a chat format of the library does, or they are told
in the system message, and calls and results are then written as text.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models._shared._tools import ToolSpec

ToolsBy = Literal["template", "format", "text"]
"""Who tells a model about tools: its chat template, a chat format of the library, or our system message."""

EncodeImage = Callable[[Image], dict[str, Any]]
"""Returns the content part of an image."""

_INSTRUCTIONS = """You can call these functions:
{tools}
To call one, answer with nothing but a line like this for each call:
<tool_call>{{"name": "FUNCTION", "arguments": {{"PARAMETER": "VALUE"}}}}</tool_call>
The result comes in the next message. If no function helps, answer in plain words."""


def encode_messages(
    messages: Sequence[LLMMessage],
    *,
    vision: bool,
    tools_by: ToolsBy = "format",
    told: Sequence[ToolSpec] = (),
    image: EncodeImage = Image.to_openai_format,
) -> list[dict[str, Any]]:
    """Return a conversation in the library's form.

    Args:
        messages: The conversation.
        vision: The model takes images.
        tools_by: Who tells about tools.
        told: Tools to be told in the system message.
        image: Encodes images.

    Raises:
        ValueError: There is an image, but the model takes none.
    """
    encoded = [one for message in messages for one in _encode(message, vision, tools_by, image)]
    if told:
        schemas = "\n".join(json.dumps(encode_tool(tool)["function"]) for tool in told)
        instructions = _INSTRUCTIONS.format(tools=schemas)
        if encoded and encoded[0]["role"] == "system":
            encoded[0] = {"role": "system", "content": f"{encoded[0]['content']}\n\n{instructions}"}
        else:
            encoded.insert(0, {"role": "system", "content": instructions})
    return encoded


def _encode(message: LLMMessage, vision: bool, tools_by: ToolsBy, image: EncodeImage) -> Iterator[dict[str, Any]]:
    if isinstance(message, SystemMessage):
        yield {"role": "system", "content": message.content}
    elif isinstance(message, UserMessage):
        content = message.content
        parts = content if isinstance(content, str) else [_encode_part(part, vision, image) for part in content]
        if isinstance(parts, list) and all(part.get("type") == "text" for part in parts):
            parts = "\n".join(part["text"] for part in parts)  # most templates take text only
        yield {"role": "user", "content": parts}
    elif isinstance(message, FunctionExecutionResultMessage):
        if tools_by == "text":
            results = [f"<tool_response>{result.content}</tool_response>" for result in message.content]
            yield {"role": "user", "content": "\n".join(results)}
            return
        for result in message.content:
            yield {"role": "tool", "content": result.content, "tool_call_id": result.call_id, "name": result.name}
    else:
        yield _encode_assistant(message, tools_by)


def _encode_part(part: str | Image, vision: bool, image: EncodeImage) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not vision:
        raise ValueError(
            "Model does not support vision and image was provided. Use a model and a chat_handler that see images, say "
            "so in model_info, or remove images before the call."
        )
    return image(part)


def _encode_assistant(message: AssistantMessage, tools_by: ToolsBy) -> dict[str, Any]:
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content}
    if tools_by == "text":
        calls = "\n".join(_call_as_text(call) for call in message.content)
        return {"role": "assistant", "content": f"{message.thought}\n{calls}" if message.thought else calls}
    return {
        "role": "assistant",
        "content": message.thought or "",  # templates join it to text
        "tool_calls": [_encode_call(call, tools_by) for call in message.content],
    }


def _call_as_text(call: FunctionCall) -> str:
    fields = {"name": call.name, "arguments": _arguments_of(call)}
    return f"<tool_call>{json.dumps(fields)}</tool_call>"


def _encode_call(call: FunctionCall, tools_by: ToolsBy) -> dict[str, Any]:
    # A template writes arguments as JSON itself, so text would be quoted twice; the library's formats want text.
    arguments = _arguments_of(call) if tools_by == "template" else call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _arguments_of(call: FunctionCall) -> Any:
    try:
        return json.loads(call.arguments)
    except ValueError:
        return call.arguments


def encode_tool(tool: ToolSpec) -> dict[str, Any]:
    """Return a tool in the library's form."""
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
    }
