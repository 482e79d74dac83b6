"""Builds one request to a connector: its history, settings and kernel. Stands on `_encode` and the SDK.

What connectors call their settings differs; the form of an answer is set where a connector has a setting for it, and told
in a system message where it has none.
"""

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai import PromptExecutionSettings
from semantic_kernel.connectors.ai.chat_completion_client_base import ChatCompletionClientBase
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.contents import AuthorRole, ChatHistory, ChatMessageContent

from autogen_core.models import ModelInfo
from autogen_ext.models._shared._flow import Asked, Request
from autogen_ext.models._shared._names import normalize_name
from autogen_ext.models._shared._schemas import strict_json_schema

from ._encode import encode_history, kernel_with, loggable

_SETTINGS = ("prompt_execution_settings", "prompt_settings")
"""Names by which a call may be given settings of its own."""


@dataclass(frozen=True, slots=True)
class Connector:
    """What one adapter was configured with."""

    client: ChatCompletionClientBase
    kernel: Kernel | None
    settings: PromptExecutionSettings | None
    service_id: str | None


def build(asked: Asked, *, info: ModelInfo, connector: Connector) -> Request:
    """Build a request.

    Raises:
        ValueError: The model cannot take it.
    """
    extra = dict(asked.extra)
    kernel: Kernel | None = extra.pop("kernel", None) or connector.kernel
    settings = _settings(connector, extra)
    tools = [] if asked.choice == "none" else asked.tools
    if asked.named:
        tools = [tool for tool in tools if tool.name == asked.choice]
    forced = bool(tools) and (asked.named or asked.choice == "required")
    if tools:
        kernel = kernel_with(tools)
        # No rounds of its own: a connector that found calls and could make them would do so, and return only the end.
        behavior: Any = cast("Any", FunctionChoiceBehavior)
        make: Any = behavior.Required if forced else behavior.Auto
        settings.function_choice_behavior = make(auto_invoke=False)
    elif asked.tools:
        settings.function_choice_behavior = None
    history = encode_history(asked.messages, vision=info["vision"])
    output: type[BaseModel] | None = None
    if asked.json_output:
        output = None if asked.json_output is True else asked.json_output
        instruction = _apply_json_output(settings, output)
        if instruction:
            _instruct(history, instruction)
    return Request(
        messages=loggable(history),
        tools=[{"name": tool.name, "description": tool.description} for tool in tools],
        arguments={"history": history, "settings": settings, "kernel": kernel},
        output=output,
        wants_json=bool(asked.json_output),
        must_call=forced,
    )


def _settings(connector: Connector, extra: dict[str, Any]) -> PromptExecutionSettings:
    """Return a copy of the settings of the call or the adapter, with further arguments of the call set in it."""
    given = [extra.pop(name, None) for name in _SETTINGS]
    chosen: PromptExecutionSettings | None = next((one for one in given if one is not None), connector.settings)
    kind = connector.client.get_prompt_execution_settings_class()
    settings: PromptExecutionSettings
    if chosen is None:
        settings = kind()
    elif isinstance(chosen, kind):
        settings = copy.deepcopy(chosen)
    else:
        settings = kind.from_prompt_execution_settings(copy.deepcopy(chosen))
    if connector.service_id:
        settings.service_id = connector.service_id
    unknown = [name for name in extra if name not in settings.keys]
    if unknown:
        warnings.warn(
            f"Arguments are ignored that {kind.__name__} does not know: {', '.join(sorted(unknown))}.", stacklevel=6
        )
    for name, value in extra.items():
        if name not in unknown:
            setattr(settings, name, value)
    return settings


def _apply_json_output(settings: PromptExecutionSettings, output: type[BaseModel] | None) -> str:
    """Have the answer written in JSON; return what is to be told in words because there is no setting for it."""
    schema = strict_json_schema(output) if output is not None else None
    any_json: dict[str, Any] = {"type": "json_object"}
    exact: dict[str, Any] | None = None
    if output is not None and schema is not None:
        fields = {"name": normalize_name(output.__name__), "schema": schema, "strict": True}
        exact = {"type": "json_schema", "json_schema": fields}
    told = "Answer with JSON and nothing else."
    if schema is not None:
        told = f"Answer with JSON and nothing else, by this JSON schema: {json.dumps(schema)}"
    for name, of_schema, of_any in (
        ("response_format", exact, any_json),
        ("format", schema, "json"),
        ("response_mime_type", None, "application/json"),
    ):
        if name not in settings.keys:
            continue
        if of_schema is not None and _set(settings, name, of_schema):
            return ""
        if _set(settings, name, of_any):
            by_schema = (
                name == "response_mime_type" and schema is not None and _set(settings, "response_schema", schema)
            )
            return "" if by_schema else told  # some models refuse JSON mode unless the conversation speaks of JSON
    return told


def _set(settings: PromptExecutionSettings, name: str, value: Any) -> bool:
    """Set a setting; tell whether the connector takes it."""
    try:
        setattr(settings, name, value)
    except (ValidationError, ValueError):
        return False
    return getattr(settings, name, None) == value


def _instruct(history: ChatHistory, text: str) -> None:
    """Add a sentence to the system message, or make one."""
    first = history.messages[0] if history.messages else None
    if first is not None and first.role == "system":
        first.content = f"{first.content}\n\n{text}"
    else:
        history.messages.insert(0, ChatMessageContent(role=AuthorRole.SYSTEM, content=text))


def span_arguments(settings: PromptExecutionSettings) -> Mapping[str, Any]:
    """Return settings by OpenAI's names, as far as they have the same."""
    return {name: getattr(settings, name) for name in settings.keys if getattr(settings, name, None) is not None}
