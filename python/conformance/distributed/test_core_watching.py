"""Traces and log records: one trace for what one call caused on all workers, parents right, and watching disturbs nothing."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from autogen_core import EVENT_LOGGER_NAME, AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import UndeliverableException
from autogen_core.logging import MessageEvent, MessageHandlerExceptionEvent

from .core_agents import DOER, Answer, Order, doers
from .runtimes import System, World, until


class Traces:
    """The spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        """All of them."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Return those of a name."""
        return [span for span in self.spans if span.name == name]

    def above(self, span: ReadableSpan) -> list[str]:
        """Return the names of a span's parent, its parent, and so on."""
        found: list[str] = []
        by_id = {one.context.span_id: one for one in self.spans if one.context is not None}
        while span.parent is not None:
            span = by_id[span.parent.span_id]
            found.append(span.name)
        return found


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Traces:
    """A tracer provider whose spans can be looked at; nothing switches it off."""
    monkeypatch.delenv("AUTOGEN_DISABLE_RUNTIME_TRACING", raising=False)
    return Traces()


@pytest.fixture
async def traced(system: System, traces: Traces) -> AsyncGenerator[World]:
    """The system under test, all of whose runtimes make spans."""
    async with system.world(tracer_provider=traces.provider) as world:
        yield world


async def test_a_request_is_handled_below_the_span_of_its_caller(traced: World, traces: Traces) -> None:
    await doers(traced)
    with traces.provider.get_tracer("program").start_as_current_span("program"):
        await traced.runtime.send_message(Order("x"), DOER, sender=AgentId("me", "1"), message_id="m1")
    name = "autogen process doer.(a)-A"
    await until(lambda: len(traces.named(name)) == 1)
    (span,) = traces.named(name)
    assert traces.above(span)[-1] == "program"
    attributes = span.attributes or {}
    assert attributes["messaging.message.id"] == "m1"
    assert attributes["messaging.destination.name"] == "doer/a"
    assert attributes["autogen.message.type"] == "Order"
    sent = [one.attributes or {} for one in [*traces.named("autogen send doer.(a)-A"), span]]
    assert sent[0]["autogen.sender.id"] == "me/1"  # where sending has a span of its own, that one tells


async def test_a_call_through_three_agents_is_one_trace_with_the_right_parents(traced: World, traces: Traces) -> None:
    await doers(traced)
    await doers(traced, "other", here=True)
    order = Order(ask="other/b", then=Order(ask="doer/c", then=Order("inmost")))
    with traces.provider.get_tracer("program").start_as_current_span("program"):
        await traced.runtime.send_message(order, DOER)
    names = [f"autogen process {agent}-A" for agent in ("doer.(a)", "other.(b)", "doer.(c)")]
    await until(lambda: all(len(traces.named(name)) == 1 for name in names))
    (inmost,) = traces.named(names[2])
    above = [name for name in traces.above(inmost) if " process " in name or name == "program"]
    assert above == [names[1], names[0], "program"]
    assert len({span.context.trace_id for span in traces.spans if span.context is not None}) == 1


async def test_an_event_is_handled_below_the_span_of_its_publisher(traced: World, traces: Traces) -> None:
    await doers(traced)
    notes = await doers(traced, "other", here=True)
    await traced.runtime.add_subscription(TypeSubscription("news", "other"))
    await traced.runtime.send_message(Order("x", publish="news/b"), DOER)
    name = "autogen process other.(b)-A"
    await until(lambda: notes.texts() == ["published"] and len(traces.named(name)) == 1)
    await until(lambda: len(traces.named("autogen publish news.(b)-T")) == 1)
    (span,) = traces.named(name)
    assert traces.above(span)[:2] == ["autogen publish news.(b)-T", "autogen process doer.(a)-A"]


async def test_concurrent_requests_have_each_their_own_trace(traced: World, traces: Traces) -> None:
    await doers(traced)
    await doers(traced, "other", here=True)
    order = Order(ask="other/b", then=Order("x", sleep=0.02))
    await asyncio.gather(*(traced.runtime.send_message(order, AgentId("doer", str(number))) for number in range(5)))
    await until(lambda: len(traces.named("autogen process other.(b)-A")) == 5)
    asked = traces.named("autogen process other.(b)-A")
    outer = {next(name for name in traces.above(span) if " process " in name) for span in asked}
    assert outer == {f"autogen process doer.({number})-A" for number in range(5)}
    assert len({span.context.trace_id for span in asked if span.context is not None}) == 5


@pytest.mark.parametrize("sleep", [0, 0.01])
async def test_the_error_of_a_handler_is_told_by_its_span(traced: World, traces: Traces, sleep: float) -> None:
    await doers(traced)
    with pytest.raises(KeyError):
        await traced.runtime.send_message(Order(fail="key", sleep=sleep), DOER)
    await until(lambda: len(traces.named("autogen process doer.(a)-A")) == 1)
    (span,) = traces.named("autogen process doer.(a)-A")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "KeyError"


async def test_a_request_to_nobody_has_a_span_that_says_so(traced: World, traces: Traces) -> None:
    traced.knows(Order)
    with pytest.raises(UndeliverableException):
        await traced.runtime.send_message(Order(), AgentId("nobody", "k"))
    await until(lambda: len(traces.named("autogen send nobody.(k)-A")) == 1)
    (span,) = traces.named("autogen send nobody.(k)-A")
    assert (span.attributes or {})["error.type"] == "UndeliverableException"


async def test_what_was_cancelled_is_no_error(traced: World, traces: Traces) -> None:
    notes = await doers(traced)
    call = asyncio.create_task(traced.runtime.send_message(Order("slow", sleep=30), DOER))
    await until(lambda: notes.texts() == ["slow"])
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await until(lambda: len(traces.named("autogen process doer.(a)-A")) == 1)
    (span,) = traces.named("autogen process doer.(a)-A")
    assert (span.attributes or {})["autogen.cancelled"] is True
    assert span.status.status_code is StatusCode.UNSET


async def test_the_content_of_messages_is_not_traced(traced: World, traces: Traces) -> None:
    notes = await doers(traced)
    await traced.agents.add_subscription(TypeSubscription("news", "doer"))
    await traced.runtime.send_message(Order("the secret"), DOER)
    await traced.runtime.publish_message(Order("the secret"), TopicId("news", "a"))
    await until(lambda: len(notes.heard) == 2)
    await until(lambda: len(traces.named("autogen process doer.(a)-A")) == 2)
    assert all("secret" not in span.to_json() for span in traces.spans)


# Log records


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Listens to the log of events."""
    caplog.set_level(logging.INFO, EVENT_LOGGER_NAME)
    return caplog


def events(records: pytest.LogCaptureFixture) -> list[MessageEvent]:
    """Return the records of messages, in order."""
    return [record.msg for record in records.records if isinstance(record.msg, MessageEvent)]


async def test_a_request_is_logged_when_it_is_sent_delivered_and_answered(
    world: World, records: pytest.LogCaptureFixture
) -> None:
    await doers(world)
    assert await world.runtime.send_message(Order("x"), DOER, sender=AgentId("me", "1")) == Answer("x")
    told = [
        (e.kwargs["kind"], e.kwargs["delivery_stage"], e.kwargs["sender"], e.kwargs["receiver"])
        for e in events(records)
    ]
    assert ("MessageKind.DIRECT", "DeliveryStage.SEND", "me/1", "doer/a") in told
    assert ("MessageKind.DIRECT", "DeliveryStage.DELIVER", "me/1", "doer/a") in told
    assert [kind for kind, *_ in told].count("MessageKind.RESPOND") >= 1
    assert all("Order" in str(event) or "text" in str(event) for event in events(records))


async def test_an_event_is_logged_when_it_is_published_and_delivered(
    world: World, records: pytest.LogCaptureFixture
) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    await world.runtime.publish_message(Order("x"), TopicId("news", "a"))
    await until(lambda: notes.ended == ["x"])
    told = [(event.kwargs["kind"], event.kwargs["delivery_stage"]) for event in events(records)]
    assert told == [
        ("MessageKind.PUBLISH", "DeliveryStage.SEND"),
        ("MessageKind.PUBLISH", "DeliveryStage.DELIVER"),
    ]


async def test_a_handlers_error_is_logged_with_its_agent(world: World, records: pytest.LogCaptureFixture) -> None:
    await doers(world)
    with pytest.raises(KeyError):
        await world.runtime.send_message(Order("x", fail="key"), DOER)
    (error,) = [record.msg for record in records.records if isinstance(record.msg, MessageHandlerExceptionEvent)]
    assert error.kwargs["handling_agent"] == "doer/a"
    assert "boom" in error.kwargs["exception"]


class BrokenHandler(logging.Handler):
    """Fails at each record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Fail."""
        raise RuntimeError("the log handler is broken")


@pytest.fixture(params=[EVENT_LOGGER_NAME, "autogen_core"], ids=["events", "errors"])
def broken_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """A program's own log handler that raises."""
    log, handler = logging.getLogger(request.param), BrokenHandler()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield
    log.removeHandler(handler)
    log.setLevel(level)


@pytest.mark.usefixtures("broken_log")
async def test_a_broken_log_handler_disturbs_no_message(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    async with asyncio.timeout(10):
        assert await world.runtime.send_message(Order("answered"), DOER) == Answer("answered")
        await world.runtime.publish_message(Order("bad", fail="key"), TopicId("news", "a"))
        await world.runtime.publish_message(Order("next"), TopicId("news", "a"))
        await world.runtime.publish_message(Order("unheard"), TopicId("nothing", "a"))
        await until(lambda: notes.texts() == ["answered", "bad", "next"])
        with pytest.raises(KeyError):
            await world.runtime.send_message(Order("bad", fail="key"), DOER)
        assert await world.runtime.send_message(Order("last"), DOER) == Answer("last")


@pytest.mark.usefixtures("broken_log")
async def test_a_broken_log_handler_leaves_nobody_waiting_who_asks_for_an_unknown_agent(world: World) -> None:
    world.knows(Order)
    async with asyncio.timeout(2):
        with pytest.raises(UndeliverableException):
            await world.runtime.send_message(Order(), AgentId("nobody", "k"))
