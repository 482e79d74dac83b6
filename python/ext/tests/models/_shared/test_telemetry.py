"""The span and the metrics of a model call."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models._shared import _telemetry
from autogen_ext.models._shared._telemetry import model_call_span
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.middleware import RetryClient
from autogen_ext.models.replay import ReplayChatCompletionClient

RESULT = CreateResult(
    finish_reason="function_calls",
    content=[FunctionCall(id="c", name="add", arguments="{}")],
    usage=RequestUsage(prompt_tokens=7, completion_tokens=3),
    cached=False,
    thought="Hm.",
)
TALK: list[LLMMessage] = [
    SystemMessage(content="Be brief."),
    UserMessage(content=["hi", "there"], source="user"),
    AssistantMessage(content=[FunctionCall(id="b", name="add", arguments="{}")], source="a"),
    FunctionExecutionResultMessage(content=[FunctionExecutionResult(content="3", name="add", call_id="b")]),
]


class Watch:
    """What was recorded while both providers were set."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.exporter.get_finished_spans()
        return span

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics if m.name == name]
        return [point for metric in found for point in metric.data.data_points]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: watch.tracers)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: watch.meters)
    yield watch
    watch.meters.shutdown()
    watch.tracers.shutdown()


def test_a_call_is_a_client_span_with_what_it_used(watch: Watch) -> None:
    with model_call_span(
        "openai",
        "gpt-4o",
        messages=TALK,
        arguments={"temperature": 0.5, "stop": "x", "user": "u"},
        url="https://h:8/v1",
    ) as call:
        call.answered(RESULT, model="gpt-4o-2024-08-06", id="cmpl-1")
    assert watch.span.name == "chat gpt-4o"
    assert watch.span.kind == trace.SpanKind.CLIENT
    assert dict(watch.span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.stop_sequences": ("x",),
        "server.address": "h",
        "server.port": 8,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "cmpl-1",
        "gen_ai.response.finish_reasons": ("tool_call",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
    }


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h:99999/v1", {"server.address": "h"}),
        ("http://h:port/v1", {"server.address": "h"}),
        ("http://[::1/v1", {}),
        ("/v1", {}),
        ("https://h/v1", {"server.address": "h", "server.port": 443}),
    ],
)
def test_an_address_that_cannot_be_read_does_not_end_the_call(
    watch: Watch, url: str, address: dict[str, str | int]
) -> None:
    with model_call_span("openai", "gpt-4o", url=url) as call:
        call.answered(RESULT)
    found = watch.span.attributes or {}
    assert {name: value for name, value in found.items() if name.startswith("server.")} == address


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_through_caches_and_middleware_is_one_span_and_an_answer_from_a_cache_none(
    watch: Watch, streamed: bool
) -> None:
    client = RetryClient(ChatCompletionCache(ReplayChatCompletionClient(["Two words."])))
    for _ in range(2):
        if streamed:
            _ = [item async for item in client.create_stream(TALK)]
        else:
            await client.create(TALK)
    assert watch.span.name == "chat replay"
    assert (watch.span.attributes or {})["gen_ai.usage.output_tokens"] == 2
    (duration,) = watch.points("gen_ai.client.operation.duration")
    assert duration.count == 1


def test_an_argument_that_an_sdk_marks_as_not_given_is_not_recorded(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = {"top_p": object(), "seed": 0, "stop": ["a", "b"], "max_tokens": None}
    with model_call_span("openai", "gpt-4o", arguments=arguments):
        pass
    facts = {name: value for name, value in (watch.span.attributes or {}).items() if "request" in name}
    assert facts == {
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.seed": 0,
        "gen_ai.request.stop_sequences": ("a", "b"),
    }
    assert not caplog.records


def test_tokens_and_duration_are_measured(watch: Watch) -> None:
    with model_call_span("openai", "gpt-4o") as call:
        call.answered(RESULT)
    (duration,) = watch.points("gen_ai.client.operation.duration")
    assert duration.count == 1
    tokens = watch.points("gen_ai.client.token.usage")
    assert {p.attributes["gen_ai.token.type"]: p.sum for p in tokens} == {"input": 7, "output": 3}
    assert tokens[0].attributes["gen_ai.request.model"] == "gpt-4o"


def test_an_error_ends_the_span_with_its_class(watch: Watch) -> None:
    with pytest.raises(ValueError, match="no"), model_call_span("openai", "gpt-4o"):
        raise ValueError("no")
    assert (watch.span.attributes or {})["error.type"] == "ValueError"
    assert watch.span.status.status_code == trace.StatusCode.ERROR
    (duration,) = watch.points("gen_ai.client.operation.duration")
    assert duration.attributes["error.type"] == "ValueError"


def test_a_cancelled_call_is_no_error(watch: Watch) -> None:
    with pytest.raises(asyncio.CancelledError), model_call_span("openai", "gpt-4o"):
        raise asyncio.CancelledError
    assert watch.span.status.is_unset
    assert (watch.span.attributes or {})["autogen.cancelled"] is True


def test_the_span_is_the_current_one_only_while_it_is_sent(watch: Watch) -> None:
    with model_call_span("openai", "gpt-4o", streamed=True) as call:
        outside = trace.get_current_span()
        with call.current():
            inside = trace.get_current_span()
        call.first_chunk()
    assert not outside.get_span_context().is_valid
    assert inside.get_span_context().span_id == (watch.span.context and watch.span.context.span_id)
    assert (watch.span.attributes or {})["gen_ai.request.stream"] is True
    assert "gen_ai.response.time_to_first_chunk" in (watch.span.attributes or {})


def test_content_is_recorded_only_where_the_environment_asks_for_it(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_telemetry.CONTENT_VARIABLE, "true")
    with model_call_span("openai", "gpt-4o", messages=TALK) as call:
        call.answered(RESULT)
    attributes: Any = watch.span.attributes
    asked = json.loads(attributes["gen_ai.input.messages"])
    assert [message["role"] for message in asked] == ["system", "user", "assistant", "tool"]
    assert asked[3]["parts"] == [{"type": "tool_call_response", "id": "b", "response": "3"}]
    (said,) = json.loads(attributes["gen_ai.output.messages"])
    assert [part["type"] for part in said["parts"]] == ["reasoning", "tool_call"]


def test_where_nobody_listens_nothing_is_imported() -> None:
    code = (
        "import sys; from autogen_ext.models._shared._telemetry import model_call_span, ModelCallSpan\n"
        "with model_call_span('openai', 'gpt-4o') as call: assert type(call) is ModelCallSpan\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_with_stand_ins_for_providers_nobody_listens() -> None:
    assert model_call_span("openai", "gpt-4o") is model_call_span("openai", "gpt-4o")
