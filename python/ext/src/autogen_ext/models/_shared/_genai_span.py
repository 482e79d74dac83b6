"""A model call that somebody watches: its span and its measurements. Imports opentelemetry-api; see `_telemetry`.

Stands on the model contract; must not know any provider.
"""

import json
import time
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode, TracerProvider, use_span
from opentelemetry.util.types import AttributeValue

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
)

from ._call_span import ModelCallSpan

_SCOPE = "autogen-ext.models"

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""Bounds of the histograms' buckets, as the conventions recommend them."""

_ARGUMENTS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "stop": "gen_ai.request.stop_sequences",
    "stop_sequences": "gen_ai.request.stop_sequences",
}

_FINISH = {"function_calls": "tool_call"}
"""Our words for why an answer ended that are not the conventions'."""


class WatchedCall(ModelCallSpan):
    """One call and who watches it; see `ModelCallSpan`."""

    __slots__ = ("_attributes", "_began", "_first", "_meters", "_model", "_provider", "_result", "_span", "_tracers")

    def __init__(
        self,
        tracers: TracerProvider | None,
        meters: MeterProvider | None,
        provider: str,
        model: str,
        *,
        url: str | None,
    ) -> None:
        self._tracers = tracers
        self._meters = meters
        self._model = model
        self._span: Span = INVALID_SPAN
        self._began = time.perf_counter()
        self._first: float | None = None
        self._result: CreateResult | None = None
        self._attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
        }
        self._attributes |= _address_of(url) if url else {}

    def begin(self, arguments: Mapping[str, Any], *, streamed: bool) -> None:
        """Start the span, below the current one."""
        if self._tracers is None:
            return
        attributes = dict(self._attributes)
        attributes["gen_ai.system"] = attributes["gen_ai.provider.name"]  # the name of before 1.37, still widely read
        if streamed:
            attributes["gen_ai.request.stream"] = True
        for name, attribute in _ARGUMENTS.items():
            value = arguments.get(name)
            if isinstance(value, str | int | float | list | tuple):  # an SDK has objects for what is not given
                attributes[attribute] = [value] if name == "stop" and isinstance(value, str) else value
        tracer = self._tracers.get_tracer(_SCOPE)
        self._span = tracer.start_span(f"chat {self._model}", kind=SpanKind.CLIENT, attributes=attributes)

    def record_content(self, messages: Sequence[LLMMessage]) -> None:
        """Record what is said to the model, and have what it answers recorded, too."""
        if self._span.is_recording():
            asked = [_content_of(message) for message in messages]
            self._span.set_attribute("gen_ai.input.messages", json.dumps(asked, ensure_ascii=False))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took_s = time.perf_counter() - self._began
        try:
            if isinstance(error, CancelledError | GeneratorExit):
                self._span.set_attribute("autogen.cancelled", value=True)
            elif error is not None:
                self._failed(error)
            if self._meters is not None:
                self._measure(self._meters, took_s)
        finally:
            self._span.end()

    def current(self) -> AbstractContextManager[object]:
        """Make the span the current one."""
        return use_span(self._span, record_exception=False, set_status_on_exception=False)

    def first_chunk(self) -> None:
        """Note that the first piece of a stream is there."""
        if self._first is None:
            self._first = time.perf_counter() - self._began
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", self._first)

    def answered(self, result: CreateResult, *, model: str | None = None, id: str | None = None) -> None:
        """Record what came of the call."""
        self._result = result
        if model:
            self._attributes["gen_ai.response.model"] = model
        if not self._span.is_recording():
            return
        if model:
            self._span.set_attribute("gen_ai.response.model", model)
        if id:
            self._span.set_attribute("gen_ai.response.id", id)
        reason = _FINISH.get(result.finish_reason, result.finish_reason)
        self._span.set_attribute("gen_ai.response.finish_reasons", [reason])
        self._span.set_attribute("gen_ai.usage.input_tokens", result.usage.prompt_tokens)
        self._span.set_attribute("gen_ai.usage.output_tokens", result.usage.completion_tokens)
        attributes: Mapping[str, Any] = getattr(self._span, "attributes", None) or {}
        if "gen_ai.input.messages" in attributes:
            said = {"role": "assistant", "parts": _parts_of(result.content, result.thought), "finish_reason": reason}
            self._span.set_attribute("gen_ai.output.messages", json.dumps([said], ensure_ascii=False))

    def _failed(self, error: BaseException) -> None:
        name = type(error).__qualname__
        self._attributes["error.type"] = name
        self._span.set_attribute("error.type", name)
        self._span.set_status(Status(StatusCode.ERROR, f"{name}: {error}"))
        self._span.record_exception(error)

    def _measure(self, meters: MeterProvider, took_s: float) -> None:
        duration, tokens = _histograms(meters)
        duration.record(took_s, self._attributes)
        if self._result is not None:
            usage = self._result.usage
            for kind, count in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
                if count:  # zero means that the provider did not say
                    tokens.record(count, {**self._attributes, "gen_ai.token.type": kind})


_made: "tuple[MeterProvider, tuple[Histogram, Histogram]] | None" = None


def _histograms(meters: MeterProvider) -> tuple[Histogram, Histogram]:
    """Return the instruments for the duration and the tokens of calls, made once for a provider."""
    global _made  # noqa: PLW0603 - a memo of one entry
    if _made is None or _made[0] is not meters:
        meter = meters.get_meter(_SCOPE)
        duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Time that a model call took.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens that a model call used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        _made = (meters, (duration, tokens))
    return _made[1]


def _address_of(url: str) -> dict[str, AttributeValue]:
    """Return where a request goes, as far as it can be read: what is wrong with an address is for the call to say."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return {}
    if not host:
        return {}
    try:
        port = parts.port
    except ValueError:
        return {"server.address": host}
    return {"server.address": host, "server.port": port or (443 if parts.scheme == "https" else 80)}


def _content_of(message: LLMMessage) -> dict[str, Any]:
    """Return a message in the conventions' form of content."""
    if isinstance(message, FunctionExecutionResultMessage):
        parts = [
            {"type": "tool_call_response", "id": result.call_id, "response": result.content}
            for result in message.content
        ]
        return {"role": "tool", "parts": parts}
    if isinstance(message, SystemMessage):
        return {"role": "system", "parts": _parts_of(message.content)}
    if isinstance(message, AssistantMessage):
        return {"role": "assistant", "parts": _parts_of(message.content, message.thought)}
    return {"role": "user", "parts": _parts_of(message.content)}


def _parts_of(
    content: str | Sequence[str | Image] | Sequence[FunctionCall], thought: str | None = None
) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "reasoning", "content": thought}] if thought else []
    for item in [content] if isinstance(content, str) else content:
        if isinstance(item, str):
            parts.append({"type": "text", "content": item})
        elif isinstance(item, FunctionCall):
            parts.append({"type": "tool_call", "id": item.id, "name": item.name, "arguments": item.arguments})
        else:
            parts.append({"type": "image"})  # a picture is too large for a span
    return parts
