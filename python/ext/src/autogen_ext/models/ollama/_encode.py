"""Writes our messages and tools in Ollama's form. Stands on the model contract, `_shared` and the SDK's image type."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from ollama import Image as OllamaImage

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models._shared._provider_data import message_fields
from autogen_ext.models._shared._tokens import image_tokens
from autogen_ext.models._shared._tools import ToolSpec

PROTOCOL = "ollama"
"""The name under which provider data is kept."""

_KEPT = frozenset({"type", "items", "enum", "description", "title"})
"""Keywords of a parameter's schema that the SDK sends on (a title is left out, but says nothing new)."""


def encode_messages(
    messages: Sequence[LLMMessage], *, vision: bool, thinks: bool, server: str = ""
) -> list[dict[str, Any]]:
    """Return a conversation in Ollama's form.

    Args:
        messages: The conversation.
        vision: The model takes images.
        thinks: A thought beside calls that does not say what it was is sent as a thought; otherwise as text.
        server: Who is spoken to.

    Raises:
        ValueError: There is an image, but the model takes none.
    """
    return [
        encoded for message in messages for encoded in _encode(message, vision=vision, thinks=thinks, server=server)
    ]


def _encode(message: LLMMessage, *, vision: bool, thinks: bool, server: str) -> Iterator[dict[str, Any]]:
    if isinstance(message, SystemMessage):
        yield {"role": "system", "content": message.content}
    elif isinstance(message, UserMessage):
        yield _encode_user(message, vision=vision)
    elif isinstance(message, FunctionExecutionResultMessage):
        for result in message.content:
            yield {"role": "tool", "content": result.content, "tool_name": result.name}
    else:
        yield _encode_assistant(message, thinks=thinks, server=server)


def _encode_user(message: UserMessage, *, vision: bool) -> dict[str, Any]:
    if isinstance(message.content, str):
        return {"role": "user", "content": message.content}
    texts = [part for part in message.content if isinstance(part, str)]
    images = [part for part in message.content if isinstance(part, Image)]
    if images and not vision:
        raise ValueError(
            "Model does not support vision and image was provided. Use a model that sees images, say so in "
            "model_info, or remove images before the call."
        )
    encoded: dict[str, Any] = {"role": "user", "content": "\n".join(texts)}
    if images:
        # As bytes: a text would be looked for in the file system first.
        encoded["images"] = [OllamaImage(value=base64.b64decode(image.to_base64())) for image in images]
    return encoded


def _encode_assistant(message: AssistantMessage, *, thinks: bool, server: str) -> dict[str, Any]:
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content}
    encoded: dict[str, Any] = {"role": "assistant", "tool_calls": [_encode_call(call) for call in message.content]}
    kept = message_fields(message, PROTOCOL, server)
    if kept:
        encoded.update(kept)
    elif message.thought:
        encoded["thinking" if thinks else "content"] = message.thought
    return encoded


def _encode_call(call: FunctionCall) -> dict[str, Any]:
    """Return a call; what the model wrote in place of a JSON object is kept as an argument of that name."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        arguments = {"arguments": call.arguments}
    return {"function": {"name": call.name, "arguments": arguments}}


def countable(messages: Sequence[LLMMessage]) -> list[dict[str, Any]]:
    """Return messages in the form in which tokens are counted; no image is encoded for that."""
    counted: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, UserMessage) and not isinstance(message.content, str):
            parts = [
                {"type": "image", "tokens": image_tokens(part)} if isinstance(part, Image) else {"text": part}
                for part in message.content
            ]
            counted.append({"role": "user", "content": parts})
        else:
            counted.extend(_encode(message, vision=False, thinks=False, server=""))
    return counted


def loggable(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages as JSON, for records: images as the texts that are sent."""
    return [
        {**message, "images": [image.model_dump() for image in message["images"]]} if "images" in message else message
        for message in messages
    ]


def encode_tool(tool: ToolSpec) -> dict[str, Any]:
    """Return a tool in Ollama's form."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": _encode_parameters(tool.parameters),
        },
    }


def _encode_parameters(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in the part of JSON schema that the SDK sends on.

    Of each parameter it sends type, items, enumeration and description. Whatever else a schema says, such as the
    properties of an inner object, is appended to the description, where the model can read it.
    """
    definitions: dict[str, Any] = schema.get("$defs") or schema.get("definitions") or {}
    given: dict[str, Any] = schema.get("properties") or {}
    properties = {name: _encode_property(value, definitions) for name, value in given.items()}
    encoded: dict[str, Any] = {"type": "object", "properties": properties}
    if schema.get("required"):
        encoded["required"] = list(schema["required"])
    if definitions:
        encoded["$defs"] = definitions
    return encoded


def _encode_property(schema: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    whole = _resolved(schema, definitions)
    flat = {key: value for key, value in whole.items() if key in _KEPT and key != "title"}
    if "const" in whole:
        flat["enum"] = [whole["const"]]
    options = whole.get("anyOf") or whole.get("oneOf")
    types = _types_of(options, definitions)
    if types and "type" not in flat:
        flat["type"] = types[0] if len(types) == 1 else types
    simple = types and all(set(option) == {"type"} for option in cast("list[dict[str, Any]]", options))
    told = {*_KEPT, "const", "additionalProperties", *(("anyOf", "oneOf") if simple else ())}
    untold = [key for key in whole if key not in told]
    if untold:
        rest = {key: value for key, value in whole.items() if key not in ("description", "title")}
        note = f"JSON schema: {json.dumps(rest, separators=(',', ':'))}"
        if untold == ["default"]:
            note = f"(default: {json.dumps(whole['default'])})"
        flat["description"] = f"{flat['description']} {note}" if flat.get("description") else note
    return flat


def _resolved(schema: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or what it refers to with its own keywords added."""
    if not isinstance(schema, dict):
        return {}
    node = cast("dict[str, Any]", schema)
    reference = node.get("$ref")
    target = definitions.get(str(reference).rsplit("/", 1)[-1]) if reference else None
    if not isinstance(target, dict):
        return node
    return {**cast("dict[str, Any]", target), **{key: value for key, value in node.items() if key != "$ref"}}


def _types_of(options: Any, definitions: dict[str, Any]) -> list[str]:
    """Return the types that alternatives allow, if each names one."""
    if not isinstance(options, list):
        return []
    types = [_resolved(option, definitions).get("type") for option in cast("list[Any]", options)]
    named = [one for one in types if isinstance(one, str)]
    return list(dict.fromkeys(named)) if len(named) == len(types) else []
