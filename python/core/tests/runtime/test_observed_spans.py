"""The spans that messages leave behind: names, parents, links, attributes, and how they are switched on and off."""

import asyncio
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, StatusCode

from autogen_core import (
    AgentId,
    CancellationToken,
    DropMessage,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    message_handler,
)
from autogen_core.exceptions import MessageDroppedException, UndeliverableException
from autogen_core.lowlevel import Envelope, Observer, new_message_id

from .conftest import Work, Worker
from .watched import JOBS, A, B, Drop, Traces, is_child, links, make, nobody_is_configured, traces

__all__ = ["nobody_is_configured", "traces"]  # fixtures


async def test_a_request_that_is_handled_at_once_is_one_span_below_the_callers(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)
    runtime.start()
    with traces.provider.get_tracer("program").start_as_current_span("program"):
        await runtime.send_message(Work("x"), A, sender=B, message_id="m1")
    await runtime.stop_when_idle()
    assert traces.names == ["program", "autogen process worker.(a)-A"]
    program, process = traces.spans
    assert is_child(process, program)
    assert process.kind is SpanKind.CONSUMER
    assert process.status.status_code is StatusCode.UNSET
    assert process.instrumentation_scope is not None
    assert process.instrumentation_scope.name == "autogen SingleThreadedAgentRuntime"
    assert dict(process.attributes or {}) == {
        "messaging.system": "autogen",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": "worker/a",
        "messaging.message.id": "m1",
        "autogen.message.type": "Work",
        "autogen.sender.id": "other/b",
    }


async def test_a_request_that_waits_has_a_span_for_it_which_its_handling_links_to(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)
    request = asyncio.create_task(runtime.send_message(Work("x"), A, sender=B, message_id="m1"))
    await asyncio.sleep(0)
    assert traces.names == []
    runtime.start()
    await request
    await runtime.stop_when_idle()
    assert traces.names == ["autogen send worker.(a)-A", "autogen process worker.(a)-A"]
    send, process = traces.spans
    assert is_child(process, send)
    assert send.context is not None
    assert links(process) == [send.context.span_id]
    assert send.parent is None
    assert send.kind is SpanKind.PRODUCER
    assert (send.end_time or 0) <= (process.end_time or 0)
    assert dict(send.attributes or {}) == {
        "messaging.system": "autogen",
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
        "messaging.destination.name": "worker/a",
        "messaging.message.id": "m1",
        "autogen.message.type": "Work",
        "autogen.sender.id": "other/b",
    }


async def test_a_published_message_has_a_span_and_below_it_one_for_each_agent_that_handles_it(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)
    await runtime.add_subscription(TypeSubscription("jobs", "other"))
    runtime.start()
    await runtime.publish_message(Work("x", sleep_s=0.001), JOBS, message_id="m1")
    await runtime.stop_when_idle()
    publish = traces.one("autogen publish jobs.(a)-T")
    assert publish.kind is SpanKind.PRODUCER
    assert publish.context is not None
    attributes = publish.attributes or {}
    assert attributes["messaging.operation.name"] == "publish"
    assert attributes["messaging.destination.name"] == "jobs/a"
    assert attributes["autogen.recipients.count"] == 2
    handled = [traces.one(f"autogen process {type}.(a)-A") for type in ("worker", "other")]
    for span in handled:
        assert is_child(span, publish)
        assert links(span) == [publish.context.span_id]
    assert [(span.attributes or {})["autogen.agent.id"] for span in handled] == ["worker/a", "other/a"]
    assert len(traces.spans) == 3


async def test_a_message_that_nobody_hears_has_a_span_that_says_so(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)
    runtime.start()
    await runtime.publish_message(Work(), TopicId("nothing", "a"))
    await runtime.stop_when_idle()
    assert (traces.one("autogen publish nothing.(a)-T").attributes or {})["autogen.recipients.count"] == 0


@pytest.mark.parametrize("sleep_s", [0, 0.001])
async def test_what_a_handler_sends_descends_from_its_own_span_and_all_is_one_trace(
    traces: Traces, sleep_s: float
) -> None:
    class Relay(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> str:
            await asyncio.sleep(sleep_s)
            await self.publish_message(Work(), JOBS)
            with traces.provider.get_tracer("agent").start_as_current_span("thought"):
                return await self.send_message(Work("answer"), B)

    runtime = await make(tracer_provider=traces.provider)
    await Relay.register(runtime, "relay", lambda: Relay("relays"))
    runtime.start()
    assert await runtime.send_message(Work(), AgentId("relay", "r")) == "answer"
    assert not trace.get_current_span().get_span_context().is_valid
    await runtime.stop_when_idle()
    relay = traces.one("autogen process relay.(r)-A")
    publish = traces.one("autogen publish jobs.(a)-T")
    thought, send = traces.one("thought"), traces.one("autogen send other.(b)-A")
    assert is_child(publish, relay)
    assert is_child(traces.one("autogen process worker.(a)-A"), publish)
    assert is_child(thought, relay)
    assert is_child(send, thought)  # it waits behind what was published
    assert is_child(traces.one("autogen process other.(b)-A"), send)
    assert len({span.context.trace_id for span in traces.spans if span.context is not None}) == 1


async def test_concurrent_handlers_each_have_their_own_current_span(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)
    runtime.start()
    asks = [
        runtime.send_message(Work(ask=B, ask_with=Work(sleep_s=0.002), sleep_s=0.001 * n), AgentId("worker", str(n)))
        for n in range(5)
    ]
    await asyncio.gather(*asks)
    await runtime.stop_when_idle()
    asked = [span for span in traces.spans if span.name == "autogen process other.(b)-A"]
    parents = {span.parent.span_id for span in asked if span.parent is not None}
    assert len(asked) == len(parents) == 5
    assert parents == {
        span.context.span_id for span in traces.spans if span.context is not None and "worker" in span.name
    }


@pytest.mark.parametrize("sleep_s", [0, 0.001])
@pytest.mark.parametrize("published", [False, True])
async def test_a_handlers_error_is_told_by_its_span(traces: Traces, published: bool, sleep_s: float) -> None:
    runtime = await make(tracer_provider=traces.provider)
    runtime.start()
    work = Work(error=KeyError("boom"), sleep_s=sleep_s)
    if published:
        await runtime.publish_message(work, JOBS)
    else:
        with pytest.raises(KeyError):
            await runtime.send_message(work, A)
    await runtime.stop_when_idle()
    span = traces.one("autogen process worker.(a)-A")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "KeyError: 'boom'"
    assert (span.attributes or {})["error.type"] == "KeyError"
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize(
    ("outcome", "error"), [(DropMessage, MessageDroppedException), (PermissionError("no"), PermissionError)]
)
async def test_a_message_that_an_intervention_handler_stops_has_a_span_that_says_so(
    traces: Traces, outcome: Any, error: type[Exception]
) -> None:
    runtime = await make(tracer_provider=traces.provider, intervention_handlers=[Drop(outcome)])
    runtime.start()
    with pytest.raises(error):
        await runtime.send_message(Work(), A)
    await runtime.publish_message(Work(), JOBS)
    await runtime.stop_when_idle()
    assert traces.names == ["autogen send worker.(a)-A", "autogen publish jobs.(a)-T"]
    for span in traces.spans:
        assert (span.attributes or {})["error.type"] == error.__name__
        assert [event.name for event in span.events] == ["exception"]


async def test_a_request_to_nobody_and_one_to_a_stopped_runtime_have_a_span_that_says_so(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)
    waiting = asyncio.create_task(runtime.send_message(Work(), A))
    await asyncio.sleep(0)
    with pytest.raises(UndeliverableException):
        await runtime.send_message(Work(), AgentId("nobody", "k"))
    runtime.start()
    await runtime.stop()
    for request in (waiting, runtime.send_message(Work(), A)):
        with pytest.raises(UndeliverableException, match="runtime stopped"):
            await request
    assert [name for name in traces.names if "nobody" in name] == ["autogen send nobody.(k)-A"]
    assert len(traces.spans) == 3
    for span in traces.spans:
        assert (span.attributes or {})["error.type"] == "UndeliverableException"


async def test_work_that_was_cancelled_is_marked_but_no_error(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)
    waits, token = asyncio.create_task(runtime.send_message(Work(), A)), CancellationToken()
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    runtime.start()
    handled = asyncio.create_task(runtime.send_message(Work(sleep_s=30), B, cancellation_token=token))
    await asyncio.sleep(0.01)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handled
    await runtime.stop_when_idle()
    assert traces.names == ["autogen send worker.(a)-A", "autogen process other.(b)-A"]
    for span in traces.spans:
        assert (span.attributes or {})["autogen.cancelled"] is True
        assert span.status.status_code is StatusCode.UNSET


async def test_the_content_of_messages_and_answers_is_not_recorded(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)
    runtime.start()
    await runtime.send_message(Work("the secret"), A)
    await runtime.publish_message(Work("the secret"), JOBS)
    await runtime.stop_when_idle()
    assert len(traces.spans) == 3
    assert all("secret" not in span.to_json() for span in traces.spans)


async def test_tracing_does_not_make_the_sender(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)
    made: list[int] = []

    def factory() -> Worker:
        made.append(1)
        return Worker()

    await Worker.register(runtime, "sender", factory)
    runtime.start()
    await runtime.send_message(Work(), A, sender=AgentId("sender", "s"))
    await runtime.publish_message(Work(), JOBS, sender=AgentId("sender", "s"))
    await runtime.stop_when_idle()
    assert made == []


async def test_a_tracer_provider_that_is_configured_later_counts_too(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = await make()
    runtime.start()
    await runtime.send_message(Work(), A)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", traces.provider)
    await runtime.send_message(Work(), B)
    await runtime.stop_when_idle()
    assert traces.names == ["autogen process other.(b)-A"]


async def test_the_environment_switches_spans_off(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOGEN_DISABLE_RUNTIME_TRACING", "true")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", traces.provider)
    for options in ({}, {"tracer_provider": traces.provider}):
        runtime = await make(**options)
        runtime.start()
        await runtime.send_message(Work(), A)
        await runtime.stop_when_idle()
    assert traces.names == []


async def test_a_provider_that_stands_in_for_none_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", metrics.NoOpMeterProvider())
    assert Observer().watch() is None


def test_a_message_that_nobody_watches_carries_no_watch() -> None:
    assert Observer().watch() is None


async def test_a_trace_goes_on_in_another_process_by_what_travels_with_the_message(traces: Traces) -> None:
    """What two runtimes that exchange messages do, without the wire between them."""
    here, there = Observer(traces.provider), Observer(traces.provider)
    sent = Envelope(Work(), None, A, CancellationToken(), new_message_id(), here.watch())
    here.sent(sent)
    here.on_its_way(sent)
    carrier = here.carrier(sent)
    assert set(carrier) == {"traceparent"}

    async def work() -> str:
        return "done"

    arrived = Envelope(Work(), None, A, CancellationToken(), sent.id)
    there.received(arrived, carrier)
    assert await asyncio.create_task(there.handling(arrived, A, work())) == "done"
    sent.reply = asyncio.get_running_loop().create_future()
    sent.reply.set_result("done")
    here.settled(sent)
    send, process = traces.spans
    assert send.status.status_code is StatusCode.UNSET
    assert "autogen.cancelled" not in (send.attributes or {})
    assert is_child(process, send)
    assert send.context is not None
    assert links(process) == [send.context.span_id]
    assert process.parent is not None
    assert process.parent.is_remote


@pytest.mark.parametrize("error", [RuntimeError("failed there"), UndeliverableException("connection lost")])
async def test_what_went_wrong_in_another_process_is_told_by_the_span_of_sending(
    traces: Traces, error: Exception
) -> None:
    here = Observer(traces.provider)
    sent = Envelope(Work(), None, A, CancellationToken(), new_message_id(), here.watch())
    here.sent(sent)
    here.on_its_way(sent)
    sent.reply = asyncio.get_running_loop().create_future()
    sent.reply.set_exception(error)
    here.settled(sent)
    (send,) = traces.spans
    assert (send.attributes or {})["error.type"] == type(error).__name__


async def test_what_travels_is_empty_where_nobody_traces() -> None:
    observer = Observer()
    envelope = Envelope(Work(), None, A, CancellationToken(), new_message_id(), observer.watch())
    assert observer.carrier(envelope) == {}
    observer.received(envelope, {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"})
    assert envelope.watch is None
