"""Starting, stopping, stepping, failing: every waiter is answered, and the runtime serves again."""

import asyncio
import logging
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    DefaultInterventionHandler,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    message_handler,
)
from autogen_core.exceptions import UndeliverableException

from .conftest import JOBS, A, Work, Worker, make, seen


async def test_starting_twice_and_stopping_what_is_not_started_are_errors() -> None:
    runtime = await make()
    for stop in (runtime.stop, runtime.stop_when_idle):
        with pytest.raises(RuntimeError, match="not started"):
            await stop()
    runtime.start()
    with pytest.raises(RuntimeError, match="already started"):
        runtime.start()
    await runtime.stop()


async def test_a_runtime_that_stopped_can_be_started_again_and_serves() -> None:
    runtime = await make()
    for _ in range(3):
        runtime.start()
        assert await runtime.send_message(Work("served"), A) == "served"
        await runtime.stop()
        runtime.start()
        await runtime.stop_when_idle()


async def test_stopping_while_a_request_is_handled_answers_its_sender_with_the_result_if_it_is_quick() -> None:
    runtime = await make()
    runtime.start()
    request = asyncio.create_task(runtime.send_message(Work("quick", sleep_s=0.05), A))
    await asyncio.sleep(0.01)
    await runtime.stop()
    assert await asyncio.wait_for(request, 1) == "quick"


async def test_stopping_while_a_request_is_handled_answers_its_sender_with_a_typed_error_if_it_is_slow() -> None:
    runtime = await make()
    runtime.start()
    request = asyncio.create_task(runtime.send_message(Work("slow", sleep_s=30), A))
    await asyncio.sleep(0.01)
    await asyncio.wait_for(runtime.stop(), 5)
    with pytest.raises(UndeliverableException, match="runtime stopped"):
        await asyncio.wait_for(request, 1)


async def test_requests_that_wait_when_the_runtime_stops_are_answered_and_published_messages_wait_on() -> None:
    class Gate(DefaultInterventionHandler):
        def __init__(self) -> None:
            self.entered = asyncio.Event()

        async def on_send(self, message: Any, *, message_context: MessageContext, recipient: AgentId) -> Any:
            self.entered.set()
            await asyncio.sleep(30)

    gate = Gate()
    runtime = await make(intervention_handlers=[gate])
    runtime.start()
    first = asyncio.create_task(runtime.send_message(Work("held in the gate"), A))
    await gate.entered.wait()
    second = asyncio.create_task(runtime.send_message(Work("waits"), A))
    await asyncio.sleep(0)
    await runtime.publish_message(Work("published"), JOBS)
    await asyncio.wait_for(runtime.stop(), 5)
    for request in (first, second):
        with pytest.raises(UndeliverableException, match="runtime stopped"):
            await asyncio.wait_for(request, 1)
    assert runtime.unprocessed_messages_count == 1
    runtime.start()
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["published"]


async def test_a_request_to_a_stopped_runtime_is_refused_at_once() -> None:
    runtime = await make()
    runtime.start()
    await runtime.stop()
    with pytest.raises(UndeliverableException, match="runtime stopped"):
        await runtime.send_message(Work(), A)


async def test_messages_sent_before_the_start_are_handled_after_it_in_their_order() -> None:
    runtime = await make()
    await runtime.publish_message(Work("first"), JOBS)
    request = asyncio.create_task(runtime.send_message(Work("second"), A))
    await asyncio.sleep(0)
    assert runtime.unprocessed_messages_count == 2
    runtime.start()
    assert await request == "second"
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["first", "second"]


async def test_stop_when_idle_waits_for_messages_that_handlers_send() -> None:
    class Relay(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> None:
            await asyncio.sleep(0.01)
            await self.publish_message(Work("relayed", sleep_s=0.01), JOBS)

    runtime = await make()
    await Relay.register(runtime, "relay", lambda: Relay("x"))
    runtime.start()
    await runtime.publish_message(Work(), TopicId("relay:", "k"))
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["relayed"]


async def test_stop_when_stops_once_its_condition_holds() -> None:
    runtime = await make()
    runtime.start()
    done: list[int] = []
    asyncio.get_running_loop().call_later(0.05, done.append, 1)
    await asyncio.wait_for(runtime.stop_when(lambda: bool(done)), 2)
    with pytest.raises(RuntimeError, match="not started"):
        await runtime.stop()


async def test_a_handler_may_stop_the_runtime_but_cannot_wait_for_it_to_be_idle() -> None:
    runtime = await make()
    errors: list[Exception] = []

    class Stopper(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> str:
            try:
                await runtime.stop_when_idle()
            except RuntimeError as error:
                errors.append(error)
            await runtime.stop()
            return "stopped"

    await Stopper.register(runtime, "stopper", lambda: Stopper("x"))
    runtime.start()
    assert await asyncio.wait_for(runtime.send_message(Work(), AgentId("stopper", "k")), 3) == "stopped"
    assert "would wait for itself" in str(errors[0])


async def test_process_next_steps_one_message_and_waits_for_one_if_there_is_none() -> None:
    runtime = await make()
    await runtime.publish_message(Work("first"), JOBS)
    await runtime.publish_message(Work("second"), JOBS)
    await runtime.process_next()
    assert await seen(runtime) == ["first"]
    assert runtime.unprocessed_messages_count == 1
    await runtime.process_next()
    stepping = asyncio.create_task(runtime.process_next())
    request = asyncio.create_task(runtime.send_message(Work("third"), A))
    assert await request == "third"
    await stepping


async def test_the_runtime_serves_in_one_event_loop_after_another() -> None:
    runtime = await make()

    async def serve() -> str:
        runtime.start()
        answer = await runtime.send_message(Work("served", sleep_s=0.001), A)
        await runtime.stop_when_idle()
        return answer

    def other_loop() -> str:
        return asyncio.run(serve())

    assert await serve() == "served"
    assert await asyncio.to_thread(other_loop) == "served"


# Failures of handlers that nobody waits for


async def test_a_failing_event_handler_is_logged_and_counted_and_its_neighbours_are_not_disturbed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = await make()
    await Worker.register(runtime, "neighbour", Worker)
    await runtime.add_subscription(TypeSubscription("jobs", "neighbour"))
    runtime.start()
    await runtime.publish_message(Work("bad", error=KeyError("boom")), JOBS)
    await runtime.publish_message(Work("good"), JOBS)
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["bad", "good"]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert errors[0].name == "autogen_core"
    assert errors[0].exc_info is not None
    assert runtime._observer.failed_count == 2


@pytest.mark.parametrize("sleep_s", [0, 0.01])
async def test_a_failing_event_handler_halts_a_runtime_that_does_not_ignore_it_and_is_raised_by_stop_when_idle(
    sleep_s: float,
) -> None:
    error = KeyError("boom")
    runtime = await make(ignore_unhandled_exceptions=False)
    runtime.start()
    await runtime.publish_message(Work("bad", error=error, sleep_s=sleep_s), JOBS)
    with pytest.raises(KeyError) as caught:
        await asyncio.wait_for(runtime.stop_when_idle(), 3)
    assert caught.value is error
    runtime.start()
    assert await runtime.send_message(Work("serves again"), A) == "serves again"
    await runtime.stop_when_idle()


async def test_a_failing_event_handler_is_raised_by_the_next_step() -> None:
    runtime = await make(ignore_unhandled_exceptions=False)
    await runtime.publish_message(Work(error=KeyError("boom")), JOBS)
    with pytest.raises(KeyError):
        await runtime.process_next()


async def test_requests_that_wait_when_a_failure_halts_the_runtime_are_answered() -> None:
    runtime = await make(ignore_unhandled_exceptions=False)
    await runtime.publish_message(Work(error=KeyError("boom")), JOBS)
    request = asyncio.create_task(runtime.send_message(Work("behind it"), A))
    await asyncio.sleep(0)
    runtime.start()
    with pytest.raises(UndeliverableException, match="runtime stopped"):
        await asyncio.wait_for(request, 1)
    with pytest.raises(KeyError):
        await runtime.stop()


async def test_a_published_message_whose_handler_is_cut_short_by_stopping_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unhandled: list[BaseException] = []

    def hook(error: BaseException, *_: object) -> None:
        unhandled.append(error)

    runtime = await make(on_unhandled_exception=hook)
    runtime.start()
    await runtime.publish_message(Work("slow", sleep_s=30), JOBS)
    await asyncio.sleep(0.01)
    await runtime.stop()
    assert [type(error) for error in unhandled] == [UndeliverableException]
    assert "jobs/a" in caplog.text
