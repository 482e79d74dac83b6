"""Builds the arguments of one request to the SDK, for `create` and `create_stream` alike. Checks before anything is sent.

Stands on `_encode`; must not know how requests are sent or answers are read.
"""

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from pydantic import BaseModel

from autogen_core import TRACE_LOGGER_NAME
from autogen_core.model_context import heal_history
from autogen_core.models import LLMMessage, ModelInfo
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models._shared._names import normalize_name
from autogen_ext.models._shared._schemas import strict_json_schema
from autogen_ext.models._shared._tools import ToolChoice, check_tool_choice, tool_specs

from ._encode import MessageEncoder, encode_tool
from ._memo import MessageMemo, Prepared, json_of, objects_of

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

_logger = logging.getLogger(TRACE_LOGGER_NAME)

JsonOutput = bool | type[BaseModel] | None
"""Any JSON, JSON of a pydantic class, explicitly text, or whatever the arguments of the client say."""

REFUSED_ARGUMENTS = frozenset({"stream", "messages", "function_call", "functions", "n"})
"""Arguments of the API that a client cannot be configured with: it sets them itself, or could not return the answers."""

_REFUSED_PER_CALL = frozenset({"stream", "messages"})

NAMED = frozenset({"model", "stream", "extra_headers", "extra_query", "timeout", "extra_body"})
"""Arguments that the SDK itself needs to see; the model only where it becomes part of the address."""

_LEFT_OUT = ("NotGiven", "Omit")
"""Classes of the SDK whose instances say that an argument is not given."""

_TRANSPORT_ARGUMENTS = frozenset({"extra_headers", "extra_query", "extra_body", "timeout"})
"""Arguments of the SDK for one request that are not the API's."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent."""

    prepared: Sequence[Prepared]
    """The messages."""
    tools: "list[ChatCompletionToolParam]"
    arguments: dict[str, Any]
    """Everything else."""
    output: type[BaseModel] | None = None
    """The class that the answer must fit."""
    wants_json: bool = False
    """The answer is to be JSON of some kind."""

    @property
    def messages(self) -> "list[ChatCompletionMessageParam]":
        """The messages as objects of the caller's own."""
        return json.loads(self.messages_json)

    @property
    def messages_json(self) -> bytes:
        """The messages as a JSON array."""
        return json_of(self.prepared)

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is asked for the number of tokens."""
        options: Mapping[str, Any] = self.arguments.get("stream_options") or {}
        return bool(options.get("include_usage"))

    @property
    def params(self) -> dict[str, Any]:
        """What `chat.completions.create` of the SDK is called with where others look on: every argument by its name."""
        return {"messages": self.messages, **self.arguments, **({"tools": self.tools} if self.tools else {})}

    def prepared_params(self, *, with_messages: bool, named: frozenset[str] = NAMED) -> dict[str, Any]:
        """What it is called with where nobody does: the SDK hands `extra_body` on without going through it.

        Args:
            with_messages: Put the messages into the body; without, they are left to be put in later.
            named: The arguments that the SDK itself needs to see.
        """
        from openai import NOT_GIVEN

        apart = {name: value for name, value in self.arguments.items() if name in named}
        body = {
            name: value
            for name, value in self.arguments.items()
            if name not in named and type(value).__name__ not in _LEFT_OUT
        }
        if not apart["stream"]:
            body["stream"] = apart.pop("stream")
        if self.tools:
            body["tools"] = self.tools
        if with_messages:
            body["messages"] = objects_of(self.prepared)
        added: Mapping[str, Any] = self.arguments.get("extra_body") or {}
        extra = {**body, **added}
        return {"messages": NOT_GIVEN, "model": NOT_GIVEN, **apart, "extra_body": extra}


@dataclass(frozen=True)
class RequestBuilder:
    """Builds requests from what one client was configured with."""

    info: ModelInfo
    encoder: MessageEncoder
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments of every request."""

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but what is remembered of messages."""
        return {name: value for name, value in vars(self).items() if name != "memo"}

    @cached_property
    def memo(self) -> MessageMemo:
        """The messages that were encoded before."""
        return MessageMemo(self.encoder.encode_message)

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
            ValueError: The model cannot do what is asked for, or an argument is unknown or refused.
        """
        arguments = {**self.defaults, **check_extra_arguments(extra)}
        output = self._apply_json_output(arguments, json_output)
        specs = tool_specs(tools)
        if specs and not self.info["function_calling"]:
            raise ValueError(
                "Model does not support function calling. Call it without tools, or say in model_info that it does."
            )
        choice = check_tool_choice(tool_choice, specs)
        if specs:
            arguments["tool_choice"] = (
                {"type": "function", "function": {"name": choice}} if isinstance(tool_choice, Tool) else choice
            )
        elif not arguments.get("tools"):
            for name in ("tool_choice", "parallel_tool_calls"):
                arguments.pop(name, None)  # refused without tools
        arguments.pop("stream_options", None)  # only for streams, and refused elsewhere
        arguments["stream"] = False
        return Request(
            prepared=self._prepare(messages),
            tools=[encode_tool(spec) for spec in specs],
            arguments=arguments,
            output=output,
            wants_json=_asks_for_json(arguments.get("response_format")),
        )

    def build_stream(self, request: Request, extra: Mapping[str, Any], include_usage: bool | None) -> Request:
        """Make a streamed request of one that is not.

        Raises:
            ValueError: `include_usage` contradicts the argument `stream_options`.
        """
        options: dict[str, Any] | None = {**self.defaults, **extra}.get("stream_options")
        if include_usage is not None:
            if options and options.get("include_usage", include_usage) != include_usage:
                raise ValueError(
                    "include_usage and extra_create_args['stream_options']['include_usage'] are both set, but differ "
                    "in value. Set one of them."
                )
            options = {**(options or {}), "include_usage": True} if include_usage else options
        arguments = {**request.arguments, "stream": True}
        if options is not None:
            arguments["stream_options"] = options
        return Request(request.prepared, request.tools, arguments, request.output, request.wants_json)

    def _prepare(self, messages: Sequence[LLMMessage]) -> list[Prepared]:
        healed = heal_history(messages)
        if healed.count:
            _logger.warning(
                "%d tool calls of the conversation have no result, and got one that says so and is marked as an error.",
                healed.count,
            )
        return self.memo.prepare(self.encoder.arrange(healed.messages))

    def _apply_json_output(self, arguments: dict[str, Any], json_output: JsonOutput) -> type[BaseModel] | None:
        """Set `response_format`; return the class of a structured answer."""
        output: type[BaseModel] | None = None
        configured = arguments.get("response_format")
        if _is_model_class(configured):
            warnings.warn(
                "Using response_format to specify the BaseModel for structured output type will be deprecated. Use "
                "json_output in create and create_stream instead.",
                DeprecationWarning,
                stacklevel=4,
            )
            output = configured
            configured = None
        if _is_model_class(json_output):
            if configured is not None:
                warnings.warn(
                    "response_format is set while json_output is a Pydantic model class: json_output is used.",
                    stacklevel=4,
                )
            output = json_output
        elif isinstance(json_output, bool):
            if json_output and not self.info["json_output"]:
                raise ValueError(
                    "Model does not support JSON output. Ask for it in the prompt, or say in model_info that it does."
                )
            arguments["response_format"] = {"type": "json_object" if json_output else "text"}
            return None
        elif json_output is not None:
            raise ValueError(f"json_output must be a boolean or a Pydantic model class, got {type(json_output)}.")
        if output is None:
            return None
        if not self.info.get("structured_output"):
            raise ValueError(
                "Model does not support structured output. Use json_output=True, or say in model_info that it does."
            )
        arguments["response_format"] = response_format_of(output)
        return output


@lru_cache(maxsize=128)  # bounded, since classes may be made at run time
def response_format_of(output: type[BaseModel]) -> dict[str, Any]:
    """Return the `response_format` that makes a model answer in the form of a class. Not to be changed."""
    return {
        "type": "json_schema",
        "json_schema": {"name": normalize_name(output.__name__), "schema": strict_json_schema(output), "strict": True},
    }


def refuse_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a client's every request.

    Raises:
        ValueError: One of them cannot be set.
    """
    refused = arguments.keys() & REFUSED_ARGUMENTS
    if refused:
        raise ValueError(f"Disallowed create args are present: {set(refused)}. The client sets these itself.")
    response_format = arguments.get("response_format")
    if isinstance(response_format, dict) and cast("dict[str, Any]", response_format).get("json_schema", 0) is None:
        # A saved configuration has this entry even where there is no schema; servers refuse it.
        kept = {key: value for key, value in cast("dict[str, Any]", response_format).items() if key != "json_schema"}
        return {**arguments, "response_format": kept}
    return dict(arguments)


def check_extra_arguments(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the extra arguments of a call if the SDK takes them.

    Raises:
        ValueError: One is unknown, or refused because the client sets it.
    """
    refused = extra.keys() & _REFUSED_PER_CALL
    if refused:
        raise ValueError(f"Disallowed create args are present: {set(refused)}. The client sets these itself.")
    unknown = extra.keys() - request_arguments()
    if unknown:
        raise ValueError(
            f"Extra create args are invalid: {set(unknown)}. What the SDK does not know goes into "
            "extra_create_args={'extra_body': {...}}."
        )
    return extra


@cache
def request_arguments() -> frozenset[str]:
    """Return the names of all arguments that the installed SDK takes for a request."""
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

    return frozenset(CompletionCreateParamsNonStreaming.__annotations__) | _TRANSPORT_ARGUMENTS


def _is_model_class(value: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _asks_for_json(response_format: Any) -> bool:
    if not isinstance(response_format, Mapping):
        return False
    return cast("Mapping[str, Any]", response_format).get("type") in ("json_object", "json_schema")
