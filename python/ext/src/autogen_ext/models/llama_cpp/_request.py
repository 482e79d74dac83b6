"""Builds the arguments of one call to the library, for `create` and `create_stream` alike. Stands on `_encode`.

What the library cannot do by itself is done with its grammars: an answer that must be a call follows a JSON schema that
admits nothing else.
"""

from collections.abc import Collection, Mapping
from typing import Any, cast

from pydantic import BaseModel

from autogen_core.models import ModelInfo
from autogen_ext.models._shared._flow import Asked, Request
from autogen_ext.models._shared._references import without_references
from autogen_ext.models._shared._schemas import strict_json_schema
from autogen_ext.models._shared._tools import ToolSpec

from ._calls import CallFinder
from ._encode import ToolsBy, encode_messages, encode_tool

_REFUSED = frozenset({"stream", "messages", "tools", "tool_choice", "functions", "function_call"})


def build(asked: Asked, *, info: ModelInfo, tools_by: ToolsBy, known: Collection[str]) -> Request:
    """Build a request.

    Raises:
        ValueError: The model cannot take it, or an argument is unknown or refused.
    """
    arguments = check_extra_arguments(asked.extra, known)
    tools = [] if asked.choice == "none" else asked.tools
    if asked.named:
        tools = [tool for tool in tools if tool.name == asked.choice]
    forced = bool(tools) and (asked.named or asked.choice == "required")
    by_format = tools_by == "format" and (not forced or len(tools) == 1)
    output = _apply_json_output(arguments, asked, tools, forced=forced, enforced=not by_format)
    if tools and by_format:
        named = {"type": "function", "function": {"name": tools[0].name}}
        arguments["tool_choice"] = named if forced else "auto"
    told = tools if tools_by == "text" or (tools_by == "format" and not by_format) else []
    return Request(
        messages=encode_messages(asked.messages, vision=info["vision"], tools_by=tools_by, told=told),
        tools=[] if told else [encode_tool(tool) for tool in tools],
        arguments=arguments,
        output=output,
        wants_json="response_format" in arguments,
        must_call=forced,
        find_calls=CallFinder([tool.name for tool in tools], forced=forced) if tools and not by_format else None,
    )


def _apply_json_output(
    arguments: dict[str, Any], asked: Asked, tools: list[ToolSpec], *, forced: bool, enforced: bool
) -> type[BaseModel] | None:
    """Set `response_format`; return the class of a structured answer.

    Where the answer may be JSON or a call, the schema admits either.
    """
    output: type[BaseModel] | None = None
    schema: dict[str, Any] | None = None
    if isinstance(asked.json_output, bool):
        arguments.pop("response_format", None)
        schema = {"type": "object"} if asked.json_output else None
    elif asked.json_output is not None:
        output = asked.json_output
        schema = without_references(strict_json_schema(output))
    calls = [_call_schema(tool) for tool in tools] if enforced else []
    if forced and calls:
        arguments["response_format"] = {"type": "json_object", "schema": _either(calls)}
    elif schema is not None:
        form: dict[str, Any] = {"type": "json_object"}
        if calls:
            form["schema"] = _either([*calls, schema])
        elif output is not None:
            form["schema"] = schema
        arguments["response_format"] = form
    return output


def _call_schema(tool: ToolSpec) -> dict[str, Any]:
    parameters = without_references(tool.parameters) or {"type": "object", "properties": {}}
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": parameters},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _either(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def check_extra_arguments(extra: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return the extra arguments of a call if the library takes them.

    Raises:
        ValueError: One is unknown, or refused because the client sets it.
    """
    refused = extra.keys() & _REFUSED
    if refused:
        raise ValueError(f"Disallowed create args are present: {set(refused)}. The client sets these itself.")
    unknown = extra.keys() - set(known)
    if unknown:
        raise ValueError(f"Extra create args are invalid: {set(unknown)}. See Llama.create_chat_completion.")
    arguments = dict(extra)
    form = arguments.get("response_format")
    if isinstance(form, Mapping) and cast("Mapping[str, Any]", form).get("type") == "json_schema":
        fields: Mapping[str, Any] = cast("Mapping[str, Any]", form).get("json_schema") or {}
        schema = without_references(fields.get("schema") or {})
        arguments["response_format"] = {"type": "json_object", "schema": schema}
    elif isinstance(form, Mapping) and cast("Mapping[str, Any]", form).get("type") == "text":
        del arguments["response_format"]
    return arguments
