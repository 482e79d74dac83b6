"""Writes our messages, tools and choices in OpenAI's form, which engine and server share. Must not know any engine."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from autogen_core import FunctionCall, Image
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, SystemMessage, UserMessage
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models._shared._schemas import strict_json_schema
from autogen_ext.models._shared._tools import ToolSpec, check_tool_choice, tool_specs

from ._prompts import Message
from ._request import ChatRequest
from ._schemas import ANY_JSON, JsonSchema

_OWN_ARGUMENTS = frozenset(
    {"messages", "model", "tools", "tool_choice", "response_format", "json_schema", "grammar", "stream", "n"}
)
"""Arguments of a request that the parameters of `create` decide."""


def encode_request(
    messages: Sequence[LLMMessage],
    tools: Sequence[Tool | ToolSchema],
    tool_choice: Tool | Literal["auto", "required", "none"],
    json_output: bool | type[BaseModel] | None,
    sampling: Mapping[str, Any],
) -> ChatRequest:
    """Write down what `create` was asked.

    Raises:
        ValueError: A tool, the choice of tools, a message or an argument is refused.
    """
    if not messages:
        raise ValueError("There are no messages: pass at least one.")
    refused = _OWN_ARGUMENTS & sampling.keys()
    if refused:
        raise ValueError(f"extra_create_args cannot set {', '.join(sorted(refused))}: use the parameters of create.")
    specs, must_call = encode_tools(tools, tool_choice)
    parallel = bool(specs) and sampling.get("parallel_tool_calls") is True
    return ChatRequest(
        messages=encode_messages(messages),
        tools=specs,
        must_call=must_call,
        parallel=parallel,
        output=encode_output(json_output),
        sampling={name: value for name, value in sampling.items() if name != "parallel_tool_calls"},
    )


def encode_tools(
    tools: Sequence[Tool | ToolSchema], tool_choice: Tool | Literal["auto", "required", "none"]
) -> tuple[Sequence[ToolSpec], bool]:
    """Return the tools that may be called, and whether one must be.

    Raises:
        ValueError: A name is not acceptable, or the choice is none that there is.
    """
    specs = tool_specs(tools)
    choice = check_tool_choice(tool_choice, specs)
    if not isinstance(tool_choice, str):
        return [spec for spec in specs if spec.name == choice], True
    if choice == "required" and not specs:
        raise ValueError("tool_choice is 'required', but there are no tools: pass some in `tools`.")
    return ([] if choice == "none" else specs), choice == "required"


def encode_output(json_output: bool | type[BaseModel] | None) -> JsonSchema | None:
    """Return the schema that the answer has to follow, if any."""
    if json_output is None or isinstance(json_output, bool):
        return ANY_JSON if json_output else None
    return strict_json_schema(json_output)


def encode_messages(messages: Sequence[LLMMessage]) -> list[Message]:
    """Return a conversation in OpenAI's form.

    Raises:
        ValueError: It holds an image; local models read text only.
    """
    encoded: list[Message] = []
    for message in messages:
        match message:
            case SystemMessage():
                encoded.append({"role": "system", "content": message.content})
            case UserMessage():
                encoded.append({"role": "user", "content": _user_text(message)})
            case AssistantMessage(content=str(text)):
                encoded.append({"role": "assistant", "content": text})
            case AssistantMessage(content=calls):
                encoded.append({"role": "assistant", "content": None, "tool_calls": [_call(call) for call in calls]})
            case FunctionExecutionResultMessage():
                encoded.extend(
                    {"role": "tool", "tool_call_id": item.call_id, "name": item.name, "content": item.content}
                    for item in message.content
                )
    return encoded


def encode_tool(spec: ToolSpec) -> dict[str, Any]:
    """Return a tool in OpenAI's form."""
    function = {"name": spec.name, "description": spec.description, "parameters": dict(spec.parameters)}
    return {"type": "function", "function": function}


def _user_text(message: UserMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    if any(isinstance(part, Image) for part in message.content):
        raise ValueError("Local models read text only, but a message holds an image: leave it out or describe it.")
    return "\n".join(str(part) for part in message.content)


def _call(call: FunctionCall | str) -> dict[str, Any]:
    assert isinstance(call, FunctionCall)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
