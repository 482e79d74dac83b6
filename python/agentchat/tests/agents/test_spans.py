"""Spans of agents: there when somebody traces, and free of charge when nobody does."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from .scripted import ADD, Model, add, agent, calls


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Trace for one test only: OpenTelemetry's own setter works once in a process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None


@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_is_a_span_with_model_calls_and_tools_inside(exporter: InMemorySpanExporter, stream: bool) -> None:
    bob = agent(calls(ADD), tools=[add], description="adds")
    if stream:
        async for _ in bob.run_stream(task="go"):
            pass
    else:
        await bob.run(task="go")
    made, asked, tool, run = exporter.get_finished_spans()
    names = [span.name for span in (made, asked, tool, run)]
    assert names == ["create_agent bob", "chat replay", "execute_tool add", "invoke_agent bob"]
    assert run.attributes is not None
    assert run.attributes["gen_ai.agent.description"] == "adds"
    assert run.context is not None
    assert parent(asked) == parent(tool) == run.context.span_id
    assert parent(made) is None


async def test_a_failed_run_marks_its_span(exporter: InMemorySpanExporter) -> None:
    bob = agent(Model())
    with pytest.raises(ValueError, match="No more mock responses"):
        await bob.run(task="go")
    assert exporter.get_finished_spans()[-1].status.status_code is trace.StatusCode.ERROR


def test_without_a_provider_opentelemetry_is_not_even_imported() -> None:
    program = (
        "import asyncio, sys\n"
        "from autogen_agentchat.agents import AssistantAgent\n"
        "from autogen_ext.models.replay import ReplayChatCompletionClient\n"
        "asyncio.run(AssistantAgent('bob', ReplayChatCompletionClient(['x'])).run(task='go'))\n"
        "assert 'opentelemetry' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
