"""Telemetry: what it costs a program that does not use it, how it is switched on, and the helpers that agents use."""

import json
import subprocess
import sys
import textwrap

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from autogen_core import trace_create_agent_span, trace_invoke_agent_span, trace_tool_span
from autogen_core._telemetry import tracing_enabled
from autogen_core._telemetry.propagation import extract, inject

AGENT = """
    import asyncio, json, sys
    from dataclasses import dataclass
    from autogen_core import (
        AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, TopicId, TypeSubscription, message_handler
    )

    @dataclass
    class Ping:
        text: str

    class Echo(RoutedAgent):
        def __init__(self) -> None:
            super().__init__("echo")

        @message_handler
        async def handle(self, message: Ping, ctx: MessageContext) -> str:
            await asyncio.sleep(0)
            return message.text

    async def serve(runtime: SingleThreadedAgentRuntime) -> None:
        runtime.start()
        await runtime.send_message(Ping("x"), AgentId("echo", "e"))
        await runtime.publish_message(Ping("x"), TopicId("echoes", "e"))
        await runtime.publish_message(Ping("x"), TopicId("nothing", "e"))
        await runtime.stop_when_idle()

    async def make() -> SingleThreadedAgentRuntime:
        runtime = SingleThreadedAgentRuntime()
        await Echo.register(runtime, "echo", Echo)
        await runtime.add_subscription(TypeSubscription("echoes", "echo"))
        return runtime
"""


def run(program: str) -> object:
    """Run a program in a process of its own, with the agent above, and return what it prints as JSON."""
    source = textwrap.dedent(AGENT) + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_where_nobody_configured_opentelemetry_messages_import_nothing_of_it() -> None:
    assert (
        run("""
            async def main() -> None:
                await serve(await make())
            asyncio.run(main())
            print(json.dumps([name for name in sys.modules if name.startswith("opentelemetry")]))
        """)
        == []
    )


def test_the_global_providers_count_also_where_they_are_set_after_the_runtime_was_made() -> None:
    assert run("""
        from opentelemetry import metrics, trace
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()

        async def main() -> None:
            runtime = await make()
            await serve(runtime)
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            trace.set_tracer_provider(provider)
            await serve(runtime)
            metrics.set_meter_provider(MeterProvider([reader]))
            await serve(runtime)

        asyncio.run(main())
        spans = [span.name for span in exporter.get_finished_spans()]
        names = {
            metric.name
            for resource in reader.get_metrics_data().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }
        print(json.dumps([sorted(spans), sorted(names)]))
    """) == [
        sorted(
            2
            * [
                "autogen process echo.(e)-A",
                "autogen publish echoes.(e)-T",
                "autogen process echo.(e)-A",
                "autogen publish nothing.(e)-T",
            ]
        ),
        [
            "autogen.message.queue.duration",
            "autogen.message.undeliverable",
            "messaging.client.consumed.messages",
            "messaging.client.sent.messages",
            "messaging.process.duration",
        ],
    ]


def test_a_provider_that_the_environment_names_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    assert run("""
            import opentelemetry.trace
            from autogen_core._telemetry import tracing_enabled

            async def main() -> None:
                runtime = await make()
                await serve(runtime)
            asyncio.run(main())
            print(json.dumps([tracing_enabled(), type(opentelemetry.trace.get_tracer_provider()).__module__]))
        """) == [True, "opentelemetry.sdk.trace"]


def test_tracing_is_off_until_the_program_configures_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    assert not tracing_enabled()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider())
    assert tracing_enabled()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    assert not tracing_enabled()


# What crosses processes


def test_a_span_that_is_written_into_a_carrier_is_read_out_of_it_as_a_remote_parent() -> None:
    carrier: dict[str, str] = {}
    with TracerProvider().get_tracer("program").start_as_current_span("here") as span:
        inject(carrier)
    here = span.get_span_context()
    assert carrier == {"traceparent": f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"}
    there = trace.get_current_span(extract(carrier)).get_span_context()
    assert (there.trace_id, there.span_id, there.is_remote) == (here.trace_id, here.span_id, True)


def test_the_state_of_other_vendors_travels_along() -> None:
    carrier = {"Traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-00", "tracestate": "vendor=value"}
    onward: dict[str, str] = {}
    inject(onward, extract(carrier))
    assert onward == {"traceparent": carrier["Traceparent"], "tracestate": "vendor=value"}


@pytest.mark.parametrize("carrier", [{}, {"traceparent": ""}, {"traceparent": "00-zz-yy-01"}, {"other": "x"}])
def test_a_carrier_without_a_valid_span_leaves_the_context_as_it_is(carrier: dict[str, str]) -> None:
    token = context.attach(baggage.set_baggage("user", "u"))
    try:
        read = extract(carrier)
    finally:
        context.detach(token)
    assert not trace.get_current_span(read).get_span_context().is_valid
    assert baggage.get_baggage("user", read) == "u"


def test_where_there_is_no_span_nothing_is_written() -> None:
    carrier: dict[str, str] = {}
    inject(carrier)
    assert carrier == {}


# Spans that agents and tools make


def test_spans_of_agents_and_tools_are_named_after_their_operation_and_carry_what_is_known() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("program")
    with tracer.start_as_current_span("program") as program:
        with trace_create_agent_span("writer", tracer=tracer, agent_id="w1", agent_description="writes"):
            pass
        with trace_invoke_agent_span("writer", tracer=tracer), trace_tool_span("search", tracer=tracer):
            pass
        with trace_tool_span("orphan", tracer=tracer, parent=program, tool_call_id="c1"):
            pass
    create, search, invoke, orphan, _ = exporter.get_finished_spans()
    assert [span.name for span in (create, invoke, search, orphan)] == [
        "create_agent writer",
        "invoke_agent writer",
        "execute_tool search",
        "execute_tool orphan",
    ]
    assert dict(create.attributes or {}) == {
        "gen_ai.operation.name": "create_agent",
        "gen_ai.provider.name": "autogen",
        "gen_ai.agent.name": "writer",
        "gen_ai.agent.id": "w1",
        "gen_ai.agent.description": "writes",
    }
    assert search.parent is not None
    assert invoke.context is not None
    assert search.parent.span_id == invoke.context.span_id
    assert (orphan.attributes or {})["gen_ai.tool.call.id"] == "c1"


def test_an_error_within_such_a_span_is_told_by_it_and_goes_on() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.raises(KeyError), trace_tool_span("search", tracer=provider.get_tracer("program")):
        raise KeyError("boom")
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "KeyError"
    assert [event.name for event in span.events] == ["exception"]
