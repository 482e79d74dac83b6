"""Who watches a client sees its calls: in the log, in spans, and at the SDK's public method."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic.resources.messages import AsyncMessages
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from autogen_core import EVENT_LOGGER_NAME
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent, LLMStreamStartEvent
from autogen_core.models import LLMMessage, SystemMessage, UserMessage
from autogen_ext.models import errors

from .canned import CannedServer, error
from .conftest import KEY, MakeClient, Whole

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracers)
    yield exporter
    tracers.shutdown()


async def test_calls_are_logged_as_events(
    make_client: MakeClient, ask: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=EVENT_LOGGER_NAME)
    await ask(make_client(), [SystemMessage(content="Be brief."), *HI])
    events: list[Any] = [record.msg for record in caplog.records if record.name == EVENT_LOGGER_NAME]
    kinds: list[type[Any]] = [LLMStreamStartEvent, LLMStreamEndEvent] if ask.streams else [LLMCallEvent]
    assert [type(event) for event in events] == kinds
    assert events[0].kwargs["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]
    assert events[-1].kwargs["prompt_tokens"] == 7
    assert KEY not in caplog.text


async def test_requests_go_through_the_sdks_public_method(
    server: CannedServer, make_client: MakeClient, ask: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What instrumentation patches is what is called, with the conversation in its argument."""
    seen: list[dict[str, Any]] = []
    original: Any = AsyncMessages.create

    async def patched(self: Any, **params: Any) -> Any:
        seen.append(params)
        return await original(self, **params)

    monkeypatch.setattr(AsyncMessages, "create", patched)
    await ask(make_client(), HI)
    assert seen[0]["messages"] == [{"role": "user", "content": "hi"}]


async def test_a_call_is_one_span_without_content(
    make_client: MakeClient, ask: Whole, spans: InMemorySpanExporter
) -> None:
    """See https://opentelemetry.io/docs/specs/semconv/gen-ai/anthropic."""
    await ask(make_client(), HI)
    (span,) = spans.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert span.name == "chat claude-opus-5-5"
    assert attributes["gen_ai.request.model"] == "claude-opus-5-5"
    assert attributes["gen_ai.request.max_tokens"] == 4096
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert "Hello!" not in str(attributes)


async def test_a_failed_call_ends_its_span_without_secrets(
    server: CannedServer, make_client: MakeClient, ask: Whole, spans: InMemorySpanExporter
) -> None:
    server.queue(error("invalid_request_error", f"Your key {KEY} is odd.", 400))
    with pytest.raises(errors.ModelClientError):
        await ask(make_client(), HI)
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok
    assert KEY not in span.to_json()
