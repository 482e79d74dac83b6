"""Builds the arguments of one request to the SDK, for `create` and `create_stream` alike. Stands on `_encode`."""

import inspect
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from ollama import AsyncClient, Options
from pydantic import BaseModel

from autogen_core.models import ModelInfo
from autogen_ext.models._shared._flow import Asked, Request, is_model_class
from autogen_ext.models._shared._schemas import strict_json_schema

from ._encode import encode_messages, encode_tool

_REFUSED = frozenset({"stream", "messages"})
_NEWER_OPTIONS = frozenset({"min_p", "draft_num_predict"})
"""Parameters of models that Ollama knows and the SDK's type does not name; it sends them all the same."""


def build(asked: Asked, *, info: ModelInfo, defaults: Mapping[str, Any], thinks: bool, server: str) -> Request:
    """Build a request.

    Ollama has no choice of tools: with `none` it is offered none, with a named tool only that one. `required` cannot be
    enforced; an answer without a call is reported as odd.

    Raises:
        ValueError: The model cannot take it, or an argument is refused.
    """
    arguments = merge(defaults, create_arguments(asked.extra))
    output: type[BaseModel] | None = None
    form = arguments.pop("response_format", None)
    if "format" not in arguments and form is not None:
        arguments["format"] = form
    if asked.json_output is not None:
        arguments.pop("format", None)
    if asked.json_output is True:
        arguments["format"] = "json"
    elif asked.json_output:
        arguments["format"] = asked.json_output
    if is_model_class(arguments.get("format")):
        output = cast("type[BaseModel]", arguments["format"])
    arguments["format"] = _format_of(arguments.get("format"))
    if arguments["format"] is None:
        del arguments["format"]
    tools = [] if asked.choice == "none" else asked.tools
    if asked.named:
        tools = [spec for spec in tools if spec.name == asked.choice]
    own_tools = arguments.pop("tools", None)
    return Request(
        messages=encode_messages(
            asked.messages, vision=info["vision"], thinks=thinks or bool(arguments.get("think")), server=server
        ),
        tools=[encode_tool(spec) for spec in tools] or list(own_tools or []),
        arguments=arguments,
        output=output,
        wants_json="format" in arguments,
        must_call=bool(tools) and (asked.named or asked.choice == "required"),
    )


def _format_of(form: Any) -> Any:
    """Return Ollama's `format` for a response format in any known form: `"json"`, a schema, or `None` for text."""
    if is_model_class(form):
        return strict_json_schema(form)
    if not isinstance(form, Mapping):
        return {"json_object": "json", "text": None, "": None}.get(str(form), form) if isinstance(form, str) else form
    fields = cast("Mapping[str, Any]", form)
    schema = fields.get("json_schema")
    if fields.get("type") == "json_schema" and isinstance(schema, Mapping):
        return cast("Mapping[str, Any]", schema).get("schema")
    if fields.get("type") in ("json_object", "text") and "properties" not in fields:
        return "json" if fields["type"] == "json_object" else None
    return dict(fields)


def create_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a request among those given; parameters of models move to `options`.

    Raises:
        ValueError: One is set by the client itself.
    """
    refused = given.keys() & _REFUSED
    if refused:
        raise ValueError(f"Disallowed create args are present: {set(refused)}. The client sets these itself.")
    options = {name: value for name, value in given.items() if name in option_names()}
    unknown = given.keys() - options.keys() - request_arguments() - {"response_format"}
    if unknown:
        warnings.warn(
            f"Unknown arguments are ignored: {', '.join(sorted(unknown))}. Parameters of the model go into options.",
            stacklevel=5,
        )
    arguments = {name: given[name] for name in given if name not in options and name not in unknown}
    own = _options_of(arguments.pop("options", None))
    if own or options:
        arguments["options"] = {**own, **options}
    return arguments


def merge(defaults: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call on top of those of the client; options are merged one by one."""
    merged = {**defaults, **arguments}
    if "options" in defaults and "options" in arguments:
        merged["options"] = {**defaults["options"], **arguments["options"]}
    return merged


def _options_of(options: Any) -> dict[str, Any]:
    if isinstance(options, Options):
        return options.model_dump(exclude_none=True)
    return dict(cast("Mapping[str, Any]", options or {}))


@cache
def request_arguments() -> frozenset[str]:
    """Return the names of the arguments that the installed SDK takes for a chat."""
    return frozenset(inspect.signature(cast("Any", AsyncClient).chat).parameters) - {"self"}


@cache
def option_names() -> frozenset[str]:
    """Return the names of the parameters of models."""
    return frozenset(Options.model_fields) | _NEWER_OPTIONS
