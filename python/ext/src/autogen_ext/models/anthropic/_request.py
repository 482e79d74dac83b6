"""Builds the arguments of one request to the SDK, for `create` and `create_stream` alike. Checks before anything is sent.

Stands on `_encode`; must not know how requests are sent or answers are read.
"""

import inspect
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any, TypeGuard, cast

from pydantic import BaseModel

from autogen_core import TRACE_LOGGER_NAME
from autogen_core.models import LLMMessage, ModelInfo
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models._shared._names import normalize_name
from autogen_ext.models._shared._schemas import strict_json_schema
from autogen_ext.models._shared._tools import ToolChoice, check_tool_choice, tool_specs

from ._encode import Conversation, MessageEncoder, encode_tool
from ._schemas import enforceable, is_recursive

JsonOutput = bool | type[BaseModel] | None
"""Any JSON, JSON of a pydantic class, explicitly text, or whatever the arguments of the client say."""

DEFAULT_MAX_TOKENS = 4096
"""Tokens of an answer, which the API wants to be told."""

JSON_INSTRUCTION = "Answer with one JSON object and nothing else: no words before or after it, and no code fence."
"""Asks for JSON, for which the API has no switch."""

SAMPLING = ("temperature", "top_p", "top_k")
"""Arguments that version 2026-10-21 of the API, which newer SDKs speak, does not know any more."""

_VERSION_WITH_SAMPLING = "2023-06-01"
_BEDROCK_VERSION = "bedrock-2023-05-31"
"""The version of the API that all models on Bedrock understand."""

_LATER_ARGUMENTS = frozenset({"output_config", "cache_control", "service_tier", "container", "inference_geo", "speed"})
"""Arguments of the API that some versions of the SDK do not name; for these they go into the body as they are."""

_OWN = frozenset({"response_format"})
_REFUSED = frozenset({"stream", "messages"})

_logger = logging.getLogger(TRACE_LOGGER_NAME)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent."""

    conversation: Conversation
    tools: list[dict[str, Any]]
    arguments: dict[str, Any]
    """Everything else."""
    output: type[BaseModel] | None = None
    """The class that the answer must fit."""
    wants_json: bool = False
    """The answer is to be JSON of some kind."""
    answer_tool: str | None = None
    """The tool by whose call the model gives its answer."""

    @property
    def params(self) -> dict[str, Any]:
        """What `messages.create` of the SDK is called with."""
        params = {**self.arguments, "messages": self.conversation.messages}
        if self.tools:
            params["tools"] = self.tools
        return _split_for_sdk(params)

    @property
    def streamed(self) -> "Request":
        """The same request, to be answered piece by piece."""
        return replace(self, arguments={**self.arguments, "stream": True})


@dataclass(frozen=True, slots=True)
class RequestBuilder:
    """Builds requests from what one client was configured with."""

    info: ModelInfo
    encoder: MessageEncoder
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments of every request."""
    schemas: bool = False
    """The API itself makes this model follow schemas."""
    bedrock: bool = False
    _seen_tools: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]], init=False)
    """Tools of earlier requests, which the API wants defined as long as their calls are in the conversation."""

    def build(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[Tool | ToolSchema],
        tool_choice: ToolChoice,
        json_output: JsonOutput,
        extra: Mapping[str, Any],
    ) -> Request:
        """Build a request that is not streamed.

        Raises:
            ValueError: The model cannot do what is asked for, or an argument is refused.
        """
        arguments = _plain({**self.defaults, **check_extra_arguments(extra)})
        arguments.setdefault("max_tokens", _max_tokens(arguments))
        output, wants_json = self._read_json_output(arguments, json_output)
        conversation = self.encoder.encode(messages)
        encoded = self._encode_tools(arguments, tools, tool_choice, conversation)
        answer_tool: str | None = None
        if output is not None:
            answer_tool = self._ask_for(output, arguments, encoded)
        system = [arguments.pop("system", None), conversation.system]
        if wants_json:
            system.append(JSON_INSTRUCTION)
        elif answer_tool and arguments["tool_choice"] == {"type": "auto"}:
            system.append(f"Give your answer by calling the tool {answer_tool}.")
        if any(system):
            arguments["system"] = _joined([part for part in system if part])
        self._settle_thinking(arguments, conversation)
        if self.bedrock:
            arguments["extra_body"] = {"anthropic_version": _BEDROCK_VERSION, **(arguments.get("extra_body") or {})}
        return Request(conversation, encoded, arguments, output, wants_json or output is not None, answer_tool)

    def _encode_tools(
        self,
        arguments: dict[str, Any],
        tools: Sequence[Tool | ToolSchema],
        tool_choice: ToolChoice,
        conversation: Conversation,
    ) -> list[dict[str, Any]]:
        """Return the tools of a request, and set what the model is to do with them."""
        specs = tool_specs(tools)
        if specs and not self.info["function_calling"]:
            raise ValueError(
                "Model does not support function calling. Call it without tools, or say in model_info that it does."
            )
        choice = check_tool_choice(tool_choice, specs)
        encoded = [encode_tool(spec, enforced=self.schemas) for spec in specs]
        for tool, form in zip(tools, encoded, strict=True):
            if isinstance(tool, dict) and "cache_control" in tool:
                form["cache_control"] = cast("dict[str, Any]", tool)["cache_control"]
        self._seen_tools.update((form["name"], form) for form in encoded)
        configured: list[dict[str, Any]] = arguments.pop("tools", None) or []
        encoded = [*configured, *encoded]
        standing: Any = arguments.pop("tool_choice", None)
        if not encoded:
            if conversation.tools:
                arguments["tool_choice"] = {"type": "none"}
            return [self._seen_tool(name) for name in sorted(conversation.tools)]
        if isinstance(tool_choice, Tool):
            arguments["tool_choice"] = {"type": "tool", "name": choice}
        elif choice != "auto" or not standing:
            arguments["tool_choice"] = {"type": {"required": "any"}.get(choice, choice)}
        else:
            arguments["tool_choice"] = {"type": standing} if isinstance(standing, str) else standing
        return encoded

    def _seen_tool(self, name: str) -> dict[str, Any]:
        return self._seen_tools.get(name) or {"name": name, "description": "", "input_schema": {"type": "object"}}

    def _read_json_output(
        self, arguments: dict[str, Any], json_output: JsonOutput
    ) -> tuple[type[BaseModel] | None, bool]:
        """Return the class of a structured answer, and whether any JSON is wanted."""
        configured = arguments.pop("response_format", None)
        wants_json = _type_of(configured) == "json_object"
        if isinstance(json_output, bool):
            wants_json = json_output
        elif _is_model_class(json_output):
            if not self.info.get("structured_output"):
                raise ValueError(
                    "Model does not support structured output. Use json_output=True, or say in model_info that it does."
                )
            return json_output, False
        elif json_output is not None:
            raise ValueError(f"json_output must be a boolean or a Pydantic model class, got {type(json_output)}.")
        if wants_json and not self.info["json_output"]:
            raise ValueError(
                "Model does not support JSON output. Ask for it in the prompt, or say in model_info that it does."
            )
        return None, wants_json

    def _ask_for(self, output: type[BaseModel], arguments: dict[str, Any], tools: list[dict[str, Any]]) -> str | None:
        """Ask for an answer of a class: by the API's own means, else as a call of a tool whose name is returned."""
        schema = answer_schema(output)
        if self.schemas and not is_recursive(schema):
            settings = {"format": {"type": "json_schema", "schema": enforceable(schema)}}
            arguments["output_config"] = {**(arguments.get("output_config") or {}), **settings}
            return None
        choice: dict[str, Any] = arguments.get("tool_choice") or {"type": "none"}
        if choice["type"] in ("any", "tool"):
            return None  # a call is wanted now, and an answer only after its result
        name = normalize_name(output.__name__)
        while any(tool.get("name") == name for tool in tools):
            name = f"{name[:57]}_answer"
        description = f"Gives the answer. {(output.__doc__ or '').strip()}".strip()
        tools.append({"name": name, "description": description, "input_schema": schema})
        if _type_of(arguments.get("thinking")) == "enabled":
            arguments["tool_choice"] = {"type": "auto"}  # the API refuses to force a call after such thinking
        else:
            arguments["tool_choice"] = {"type": "any"} if choice["type"] == "auto" else {"type": "tool", "name": name}
        return name

    def _settle_thinking(self, arguments: dict[str, Any], conversation: Conversation) -> None:
        """Check that thinking goes with the rest of the request, and leave it out where the API would refuse it."""
        if _type_of(arguments.get("thinking")) != "enabled":
            return
        choice: dict[str, Any] = arguments.get("tool_choice") or {"type": "auto"}
        if choice["type"] in ("any", "tool"):
            raise ValueError(
                "tool_choice cannot make the model call a tool while thinking={'type': 'enabled'}: the API allows "
                "'auto' and 'none' only. Use thinking={'type': 'adaptive'} if the model knows it, or turn it off for "
                "this call by extra_create_args={'thinking': {'type': 'disabled'}}."
            )
        if conversation.lost_thoughts:
            _logger.warning(
                "The thoughts that led to the last tool calls are not known any more, so the model is asked without "
                "thinking until the turn is over."
            )
            del arguments["thinking"]


@lru_cache(maxsize=128)  # bounded, since classes may be made at run time
def answer_schema(output: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a structured answer. Not to be changed."""
    return strict_json_schema(output)


def check_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a client's every request.

    Raises:
        ValueError: One of them cannot be set.
    """
    refused = arguments.keys() & _REFUSED
    if refused:
        raise ValueError(f"Disallowed create args are present: {set(refused)}. The client sets these itself.")
    return dict(arguments)


def check_extra_arguments(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the extra arguments of a call; warn of those that the API does not know, which are left out.

    Raises:
        ValueError: One is refused because the client sets it.
    """
    refused = extra.keys() & _REFUSED
    if refused:
        raise ValueError(f"Disallowed create args are present: {set(refused)}. The client sets these itself.")
    unknown = extra.keys() - request_arguments()
    if not unknown:
        return extra
    warnings.warn(
        f"Extra create args are ignored: {', '.join(sorted(unknown))}. What the SDK does not know goes into "
        "extra_create_args={'extra_body': {...}}.",
        stacklevel=4,
    )
    return {name: value for name, value in extra.items() if name not in unknown}


@cache
def request_arguments() -> frozenset[str]:
    """Return the names of all arguments of a request that a client can be given."""
    return sdk_arguments() | _LATER_ARGUMENTS | frozenset(SAMPLING) | _OWN


@cache
def sdk_arguments() -> frozenset[str]:
    """Return the names of the arguments that the installed SDK's `messages.create` takes."""
    from anthropic.resources.messages import AsyncMessages

    return frozenset(inspect.signature(AsyncMessages.create).parameters) - {"self"}


def _split_for_sdk(params: dict[str, Any]) -> dict[str, Any]:
    """Move what the installed SDK has no argument for into the body."""
    named = sdk_arguments()
    body = {name: value for name, value in params.items() if name not in named}
    if not body:
        return params
    kept = {name: value for name, value in params.items() if name in named}
    if not body.keys().isdisjoint(SAMPLING):
        headers: Mapping[str, str] = kept.get("extra_headers") or {}
        kept["extra_headers"] = {"anthropic-version": _VERSION_WITH_SAMPLING, **headers}
    kept["extra_body"] = {**body, **(kept.get("extra_body") or {})}
    return kept


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: `None`, and a temperature that is the API's own, as 0.7.5 saved it everywhere."""
    kept = {name: value for name, value in arguments.items() if value is not None}
    if kept.get("temperature") == 1:
        del kept["temperature"]
    thinking = kept.get("thinking")
    if isinstance(thinking, Mapping):
        items = cast("Mapping[str, Any]", thinking).items()
        kept["thinking"] = {name: value for name, value in items if value is not None}
    return kept


def _max_tokens(arguments: Mapping[str, Any]) -> int:
    """Return the length of an answer if nobody said it: the budget for thinking counts towards it."""
    thinking: Mapping[str, Any] = arguments.get("thinking") or {}
    return DEFAULT_MAX_TOKENS + int(thinking.get("budget_tokens") or 0)


def _joined(parts: list[Any]) -> Any:
    """Join the parts of a system prompt, each a text or a list of blocks, which may bear marks for the cache."""
    if all(isinstance(part, str) for part in parts):
        return "\n\n".join(parts)
    blocks: list[Any] = []
    for part in parts:
        blocks += [{"type": "text", "text": part}] if isinstance(part, str) else part
    return blocks


def _type_of(setting: Any) -> str | None:
    return cast("Mapping[str, Any]", setting).get("type") if isinstance(setting, Mapping) else None


def _is_model_class(value: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(value, type) and issubclass(value, BaseModel)
