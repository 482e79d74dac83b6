"""A call is a span `chat MODEL` with what it used, streamed or not; nothing secret and no content is on it.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from autogen_core.models import LLMMessage, UserMessage
from autogen_ext.models.errors import AuthenticationError

from .._shared.server import ProtocolServer, Reply
from .conftest import SECRET, USAGE, MakeClient, completion, sse, update

HI: list[LLMMessage] = [UserMessage(content="a private matter", source="user")]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracers)
    yield exporter
    tracers.shutdown()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_is_a_span_with_what_it_used(
    server: ProtocolServer, make_client: MakeClient, spans: InMemorySpanExporter, streamed: bool
) -> None:
    client = make_client(temperature=0.5, max_tokens=9)
    if streamed:
        server.queue(sse(update({"content": "Yes"}), update(finish="stop", **USAGE)))
        _ = [item async for item in client.create_stream(HI)]
    else:
        server.queue(completion("Yes"))
        await client.create(HI)
    [span] = spans.get_finished_spans()
    facts = dict(span.attributes or {})
    assert span.name == "chat gpt-4o"
    assert "azure.ai.inference" in facts.values()
    assert facts["gen_ai.request.temperature"] == 0.5
    assert facts["gen_ai.request.max_tokens"] == 9
    assert facts["gen_ai.usage.input_tokens"] == 205
    assert facts["gen_ai.usage.output_tokens"] == 5
    assert "private" not in span.to_json()
    assert SECRET not in span.to_json()


async def test_an_error_ends_the_span_without_secrets(
    server: ProtocolServer, make_client: MakeClient, spans: InMemorySpanExporter
) -> None:
    server.queue(Reply(body={"error": {"code": "401", "message": f"bad key {SECRET}"}}, status=401))
    with pytest.raises(AuthenticationError):
        await make_client().create(HI)
    [span] = spans.get_finished_spans()
    assert "AzureAIAuthenticationError" in span.to_json()
    assert SECRET not in span.to_json()
