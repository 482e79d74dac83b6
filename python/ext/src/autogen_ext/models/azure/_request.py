"""Builds the arguments of one request to the SDK, for `create` and `create_stream` alike. Stands on `_encode`."""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from azure.ai.inference.models import JsonSchemaFormat
from pydantic import BaseModel

from autogen_core.models import ModelInfo
from autogen_ext.models._shared._flow import Asked, Request, is_model_class
from autogen_ext.models._shared._names import normalize_name
from autogen_ext.models._shared._schemas import strict_json_schema

from ._encode import encode_messages, encode_tool
from .config import AzureAICreateArguments

_REFUSED = frozenset({"stream", "messages", "body"})


def build(asked: Asked, *, info: ModelInfo, defaults: Mapping[str, Any], server: str) -> Request:
    """Build a request.

    Raises:
        ValueError: The model cannot take it, or an argument is unknown or refused.
    """
    arguments = {**defaults, **check_extra_arguments(asked.extra)}
    output: type[BaseModel] | None = None
    if is_model_class(asked.json_output):
        output = cast("type[BaseModel]", asked.json_output)
        arguments["response_format"] = JsonSchemaFormat(
            name=normalize_name(output.__name__), schema=strict_json_schema(output), strict=True
        )
    elif asked.json_output is True:
        arguments["response_format"] = "json_object"
    elif asked.json_output is False:
        arguments.pop("response_format", None)
    form = arguments.get("response_format")
    if isinstance(form, Mapping) and not isinstance(form, JsonSchemaFormat):
        arguments["response_format"] = _schema_format(cast("Mapping[str, Any]", form))
    tools = [encode_tool(spec) for spec in asked.tools]
    configured = arguments.pop("tools", None)
    if tools:
        arguments["tool_choice"] = (
            {"type": "function", "function": {"name": asked.choice}} if asked.named else asked.choice
        )
    elif configured:
        tools = list(configured)
    else:
        arguments.pop("tool_choice", None)  # refused without tools
    return Request(
        messages=encode_messages(asked.messages, vision=info["vision"], server=server),
        tools=tools,
        arguments=arguments,
        output=output,
        wants_json=arguments.get("response_format") not in (None, "text"),
        must_call=bool(asked.tools) and (asked.named or asked.choice == "required"),
    )


def _schema_format(form: Mapping[str, Any]) -> Any:
    """Return the SDK's response format for one written as OpenAI writes it, or as a `JsonSchemaFormat` of ours."""
    if form.get("type") in ("text", "json_object"):
        return form["type"]
    fields = form.get("json_schema") or form
    return JsonSchemaFormat(
        name=fields.get("name", "answer"),
        schema=fields.get("schema") or {},
        description=fields.get("description"),
        strict=fields.get("strict"),
    )


def check_extra_arguments(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the extra arguments of a call if the SDK takes them.

    Raises:
        ValueError: One is unknown, or refused because the client sets it.
    """
    refused = extra.keys() & _REFUSED
    if refused:
        raise ValueError(f"Disallowed create args are present: {set(refused)}. The client sets these itself.")
    unknown = extra.keys() - CREATE_ARGUMENTS
    if unknown:
        raise ValueError(
            f"Extra create args are invalid: {set(unknown)}. What the SDK does not know goes into "
            "extra_create_args={'model_extras': {...}}."
        )
    return extra


CREATE_ARGUMENTS = frozenset(AzureAICreateArguments.__annotations__)
"""Arguments of requests."""


@cache
def client_arguments() -> frozenset[str]:
    """Return the names of the SDK client's arguments that are worth setting; it swallows any other in silence."""
    from azure.ai.inference.aio import ChatCompletionsClient

    named = set(inspect.signature(ChatCompletionsClient.__init__).parameters) - {"self", "kwargs"}
    pipeline = {"api_version", "authentication_policy", "custom_hook_policy", "credential_scopes", "headers"}
    pipeline |= {"headers_policy", "http_logging_policy", "logging_enable", "logging_policy", "pipeline", "policies"}
    pipeline |= {"per_call_policies", "per_retry_policies", "polling_interval", "proxies", "proxy_policy"}
    pipeline |= {"raw_request_hook", "raw_response_hook", "redirect_policy", "request_id", "transport"}
    pipeline |= {"base_user_agent", "user_agent", "user_agent_policy", "user_agent_overwrite", "user_agent_use_env"}
    pipeline |= {"connection_timeout", "read_timeout", "connection_verify", "connection_cert", "permit_redirects"}
    pipeline |= {"retry_policy", "retry_total", "retry_connect", "retry_read", "retry_status", "retry_mode"}
    pipeline |= {"retry_backoff_factor", "retry_backoff_max", "retry_on_status_codes", "retry_on_methods", "timeout"}
    return frozenset((named - CREATE_ARGUMENTS) | pipeline)
