"""What the tests of watching share: a runtime with agents, a tracer provider that keeps its spans, and interventions."""

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from autogen_core import (
    AgentId,
    DefaultInterventionHandler,
    MessageContext,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
)

from .conftest import Worker

A, B = AgentId("worker", "a"), AgentId("other", "b")
JOBS = TopicId("jobs", "a")


async def make(**options: Any) -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime(**options)
    await Worker.register(runtime, "worker", Worker)
    await Worker.register(runtime, "other", Worker)
    await runtime.add_subscription(TypeSubscription("jobs", "worker"))
    return runtime


class Traces:
    """A tracer provider that keeps the spans which have ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans in the order in which they were started."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def one(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.spans if span.name == name]
        return span


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    assert span.parent is not None
    assert span.context is not None
    assert parent.context is not None
    return span.parent.span_id == parent.context.span_id and span.context.trace_id == parent.context.trace_id


def links(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


class Drop(DefaultInterventionHandler):
    """Drops, refuses or holds up every message."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    async def on_send(self, message: Any, *, message_context: MessageContext, recipient: AgentId) -> Any:
        return await self._do()

    async def on_publish(self, message: Any, *, message_context: MessageContext) -> Any:
        return await self._do()

    async def _do(self) -> Any:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if isinstance(self.outcome, float):
            await asyncio.sleep(self.outcome)
        return self.outcome


@pytest.fixture(autouse=True)
def nobody_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests of this process have configured."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", None)
    monkeypatch.delenv("AUTOGEN_DISABLE_RUNTIME_TRACING", raising=False)


@pytest.fixture
def traces() -> Traces:
    return Traces()
