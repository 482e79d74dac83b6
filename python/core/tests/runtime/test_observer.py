"""Watching a runtime: who hears of failures that nobody waits for, and that watching disturbs nothing."""

import asyncio
import logging
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from autogen_core import (
    EVENT_LOGGER_NAME,
    AgentId,
    MessageContext,
    RoutedAgent,
    TopicId,
    message_handler,
)
from autogen_core.exceptions import UndeliverableException

from .conftest import Work, Worker
from .watched import JOBS, A, B, Drop, Traces, make, nobody_is_configured, traces

__all__ = ["nobody_is_configured", "traces"]  # fixtures

# Failures that nobody waits for


class Heard:
    """A hook that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[BaseException, AgentId | None, Any, MessageContext]] = []

    def __call__(self, error: BaseException, agent: AgentId | None, message: Any, context: MessageContext) -> None:
        self.told.append((error, agent, message, context))


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("sleep_s", [0, 0.001])
async def test_the_hook_is_told_of_a_failing_event_handler(sleep_s: float, ignored: bool) -> None:
    heard, error = Heard(), KeyError("boom")
    runtime = await make(on_unhandled_exception=heard, ignore_unhandled_exceptions=ignored)
    runtime.start()
    work = Work(error=error, sleep_s=sleep_s)
    await runtime.publish_message(work, JOBS, sender=B, message_id="m1")
    if ignored:
        await runtime.stop_when_idle()
    else:
        with pytest.raises(KeyError):
            await runtime.stop_when_idle()
    ((told, agent, message, context),) = heard.told
    assert told is error
    assert agent == A
    assert message is work
    assert (context.sender, context.topic_id, context.is_rpc, context.message_id) == (B, JOBS, False, "m1")


async def test_the_hook_is_not_told_of_an_error_that_its_sender_receives() -> None:
    heard = Heard()
    runtime = await make(on_unhandled_exception=heard)
    runtime.start()
    for sleep_s in (0, 0.001):
        with pytest.raises(KeyError):
            await runtime.send_message(Work(error=KeyError("boom"), sleep_s=sleep_s), A)
    await runtime.stop_when_idle()
    assert heard.told == []


async def test_the_hook_is_told_of_an_error_whose_sender_has_given_up(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> None:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                raise KeyError("could not clean up") from None

    heard = Heard()
    runtime = await make(on_unhandled_exception=heard)
    await Stubborn.register(runtime, "stubborn", lambda: Stubborn("x"))
    runtime.start()
    request = asyncio.create_task(runtime.send_message(Work(), AgentId("stubborn", "s")))
    await asyncio.sleep(0.01)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    await runtime.stop_when_idle()
    ((error, agent, _, context),) = heard.told
    assert isinstance(error, KeyError)
    assert agent == AgentId("stubborn", "s")
    assert context.is_rpc
    assert "whose sender has given up" in caplog.text


async def test_the_hook_is_told_of_a_refused_publish(caplog: pytest.LogCaptureFixture) -> None:
    heard, refusal = Heard(), PermissionError("no")
    runtime = await make(on_unhandled_exception=heard, intervention_handlers=[Drop(refusal)])
    runtime.start()
    await runtime.publish_message(Work(), JOBS)
    await runtime.stop_when_idle()
    ((error, agent, _, _),) = heard.told
    assert error is refusal
    assert agent is None
    assert "Error delivering publish message to jobs/a" in caplog.text


async def test_the_hook_is_told_of_a_published_message_that_is_lost_when_the_runtime_stops() -> None:
    heard = Heard()
    runtime = await make(on_unhandled_exception=heard, intervention_handlers=[Drop(30.0)])
    runtime.start()
    await runtime.publish_message(Work("held up"), JOBS)
    await asyncio.sleep(0.01)
    await runtime.stop()
    ((error, _, message, _),) = heard.told
    assert isinstance(error, UndeliverableException)
    assert message.text == "held up"


async def test_an_error_in_the_hook_is_logged_and_delivery_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the hook is broken")

    runtime = await make(on_unhandled_exception=broken)
    runtime.start()
    await runtime.publish_message(Work(error=KeyError("boom")), JOBS)
    assert await runtime.send_message(Work("goes on"), A) == "goes on"
    await runtime.stop_when_idle()
    assert "the hook is broken" in caplog.text
    assert "Error processing publish message" in caplog.text


# Watching changes nothing


class Broken(SpanProcessor):
    """Fails at one end of each span."""

    def __init__(self, at: str) -> None:
        self.at = at

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if self.at == "start":
            raise RuntimeError("the processor is broken")

    def on_end(self, span: ReadableSpan) -> None:
        if self.at == "end":
            raise RuntimeError("the processor is broken")


@pytest.mark.parametrize("at", ["start", "end"])
async def test_a_broken_span_processor_is_logged_and_disturbs_no_message(
    at: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(Broken(at))
    runtime = await make(tracer_provider=provider)
    waits = asyncio.create_task(runtime.send_message(Work("waited"), A))
    await asyncio.sleep(0)
    runtime.start()
    assert await waits == "waited"
    await runtime.publish_message(Work("published"), JOBS)
    await runtime.publish_message(Work("unheard"), TopicId("nothing", "a"))
    error = KeyError("boom")
    with pytest.raises(KeyError) as caught:
        await runtime.send_message(Work(error=error), A)
    assert caught.value is error
    with pytest.raises(UndeliverableException):
        await runtime.send_message(Work(), AgentId("nobody", "k"))
    await runtime.stop_when_idle()
    assert (await runtime.try_get_underlying_agent_instance(A, Worker)).seen[:2] == ["waited", "published"]
    assert "the processor is broken" in caplog.text


@pytest.mark.parametrize("logger", [EVENT_LOGGER_NAME, "autogen_core"])
async def test_a_broken_log_handler_disturbs_no_message(logger: str) -> None:
    class BrokenHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the log handler is broken")

    log, handler = logging.getLogger(logger), BrokenHandler()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        runtime = await make()
        runtime.start()
        assert await runtime.send_message(Work("answered"), A) == "answered"
        await runtime.publish_message(Work(error=KeyError("boom")), JOBS)
        await runtime.publish_message(Work("next"), JOBS)
        await runtime.publish_message(Work("unheard"), TopicId("nothing", "a"))
        await runtime.stop_when_idle()
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    assert (await runtime.try_get_underlying_agent_instance(A, Worker)).seen == ["answered", "", "next"]


async def test_a_watched_handler_still_cannot_wait_for_the_runtime_to_be_idle(traces: Traces) -> None:
    runtime = await make(tracer_provider=traces.provider)

    class Stopper(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> str:
            with pytest.raises(RuntimeError, match="would wait for itself"):
                await runtime.stop_when_idle()
            return "refused"

    await Stopper.register(runtime, "stopper", lambda: Stopper("x"))
    runtime.start()
    assert await runtime.send_message(Work(), AgentId("stopper", "k")) == "refused"
    await runtime.stop_when_idle()
