"""The tools for testing, tested; and with them the promise that no public await lasts for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    CancellationToken,
    DefaultInterventionHandler,
    MessageContext,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
)
from autogen_core.logging import MessageEvent
from autogen_core.testing import EventCollector, FaultyAwait, ProbeAgent, run_until_idle

PROBE = AgentId("probe", "k")
TOPIC = TopicId("topic", "k")


@dataclass
class Ping:
    number: int = 0


async def probed(probe: ProbeAgent, **options: Any) -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime(**options)
    await probe.register_instance(runtime, PROBE)
    await runtime.add_subscription(TypeSubscription("topic", "probe"))
    return runtime


async def test_a_probe_keeps_what_it_receives_and_answers_as_it_is_told() -> None:
    async def later(message: Ping, ctx: MessageContext) -> int:
        await asyncio.sleep(0)
        return message.number + 1

    def at_once(message: Ping, ctx: MessageContext) -> int:
        return message.number

    answers: list[tuple[Any, Any]] = [("fixed", "fixed"), (at_once, 7), (later, 8)]
    for answer, expected in answers:
        probe = ProbeAgent(answer)
        runtime = await probed(probe)
        runtime.start()
        assert await runtime.send_message(Ping(7), PROBE) == expected
        assert probe.messages == [Ping(7)]
        assert probe.received[0].ctx.is_rpc
        await runtime.stop()


async def test_a_probe_raises_the_exception_it_is_given() -> None:
    runtime = await probed(ProbeAgent(KeyError("told to")))
    runtime.start()
    with pytest.raises(KeyError, match="told to"):
        await runtime.send_message(Ping(), PROBE)
    await runtime.stop()


async def test_waiting_for_messages_ends_when_they_came_and_says_how_many_did_if_not() -> None:
    probe = ProbeAgent()
    runtime = await probed(probe)
    runtime.start()
    waiting = asyncio.create_task(probe.wait_for(2))
    for number in range(2):
        await runtime.publish_message(Ping(number), TOPIC)
    assert await waiting == [Ping(0), Ping(1)]
    with pytest.raises(TimeoutError, match=r"Expected 3 messages within 0\.01 s, got 2"):
        await probe.wait_for(3, timeout_s=0.01)
    await runtime.stop()


async def test_run_until_idle_steps_a_runtime_that_is_not_started_and_waits_for_one_that_is() -> None:
    async def slow(message: Ping, ctx: MessageContext) -> None:
        await asyncio.sleep(0.01)

    probe = ProbeAgent(slow)
    runtime = await probed(probe)
    await runtime.publish_message(Ping(1), TOPIC)
    await run_until_idle(runtime)
    runtime.start()
    await runtime.publish_message(Ping(2), TOPIC)
    await run_until_idle(runtime)
    assert probe.messages == [Ping(1), Ping(2)]
    await runtime.publish_message(Ping(3), TOPIC)
    with pytest.raises(TimeoutError):
        await run_until_idle(runtime, timeout_s=0.001)
    await runtime.stop()


async def test_run_until_idle_raises_what_a_handler_that_nobody_waited_for_raised() -> None:
    runtime = await probed(ProbeAgent(KeyError("told to")), ignore_unhandled_exceptions=False)
    runtime.start()
    for number in range(2):
        await runtime.publish_message(Ping(number), TOPIC)
    with pytest.raises(KeyError, match="told to"):
        await run_until_idle(runtime)
    await runtime.stop()


async def test_a_collector_hears_events_while_it_is_used_and_not_after() -> None:
    runtime = await probed(ProbeAgent())
    runtime.start()
    with EventCollector() as collector:
        await runtime.send_message(Ping(), PROBE)
    heard = len(collector.events)
    await runtime.send_message(Ping(), PROBE)
    assert len(collector.of(MessageEvent)) == len(collector.events) == heard == 3
    await runtime.stop()


async def test_a_fault_strikes_at_the_given_wait_and_not_beyond_the_last() -> None:
    reached: list[int] = []

    async def work() -> str:
        for number in range(2):
            await asyncio.sleep(0)
            reached.append(number)
        return "done"

    with pytest.raises(KeyError):
        await FaultyAwait(work(), 2, KeyError())
    assert reached == [0]
    beyond = FaultyAwait(work(), 3, KeyError())
    assert await beyond == "done"
    assert not beyond.struck


Operation = Callable[[SingleThreadedAgentRuntime], Awaitable[Any]]


async def send(runtime: SingleThreadedAgentRuntime) -> None:
    await runtime.send_message(Ping(), PROBE)


async def send_with_token(runtime: SingleThreadedAgentRuntime) -> None:
    await runtime.send_message(Ping(), PROBE, cancellation_token=CancellationToken())


async def publish(runtime: SingleThreadedAgentRuntime) -> None:
    await runtime.publish_message(Ping(), TOPIC)
    await asyncio.sleep(0.005)


async def stop(runtime: SingleThreadedAgentRuntime) -> None:
    asking = asyncio.create_task(runtime.send_message(Ping(), PROBE))
    await asyncio.sleep(0)
    try:
        await runtime.stop()
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def stop_when_idle(runtime: SingleThreadedAgentRuntime) -> None:
    await runtime.publish_message(Ping(), TOPIC)
    await runtime.stop_when_idle()


async def stop_when(runtime: SingleThreadedAgentRuntime) -> None:
    await runtime.publish_message(Ping(), TOPIC)
    await runtime.stop_when(lambda: runtime.unprocessed_messages_count == 0)


async def process_next(runtime: SingleThreadedAgentRuntime) -> None:
    await runtime.stop()
    await runtime.publish_message(Ping(), TOPIC)
    await runtime.process_next()


async def close(runtime: SingleThreadedAgentRuntime) -> None:
    await runtime.publish_message(Ping(), TOPIC)
    await runtime.close()


OPERATIONS = [send, send_with_token, publish, stop, stop_when_idle, stop_when, process_next, close]


class Slow(DefaultInterventionHandler):
    async def on_send(self, message: Any, **_: Any) -> Any:
        await asyncio.sleep(0)
        return message

    on_publish = on_response = on_send


@pytest.mark.parametrize("interventions", [[], [Slow()]], ids=["direct", "intercepted"])
@pytest.mark.parametrize("error", [KeyError("fault"), asyncio.CancelledError()], ids=["exception", "cancellation"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_operation_that_fails_at_any_of_its_awaits_ends_and_leaves_nothing_behind(
    operation: Operation, error: BaseException, interventions: list[Any]
) -> None:
    """The fault strikes at each await of the operation in turn; then the runtime must stop, start and serve."""

    async def answer(message: Ping, ctx: MessageContext) -> str:
        await asyncio.sleep(0.001)
        return "served"

    at, struck = 0, True
    while struck:
        at += 1
        runtime = await probed(ProbeAgent(answer), intervention_handlers=interventions)
        runtime.start()
        fault = FaultyAwait(operation(runtime), at, error)
        async with asyncio.timeout(1):
            with suppress(KeyError, asyncio.CancelledError):
                await fault
        struck = fault.struck
        async with asyncio.timeout(3):
            await runtime.close()
            runtime.start()
            assert await runtime.send_message(Ping(), PROBE) == "served"
            await runtime.stop_when_idle()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert at > 1


@pytest.mark.parametrize("at", range(1, 6))
async def test_a_handler_that_fails_at_any_of_its_awaits_answers_its_sender(at: int) -> None:
    async def work() -> str:
        for _ in range(4):
            await asyncio.sleep(0)
        return "done"

    async def answer(message: Ping, ctx: MessageContext) -> str:
        return await FaultyAwait(work(), at, KeyError("fault"))

    runtime = await probed(ProbeAgent(answer))
    runtime.start()
    async with asyncio.timeout(1):
        if at < 5:
            with pytest.raises(KeyError, match="fault"):
                await runtime.send_message(Ping(), PROBE)
        else:
            assert await runtime.send_message(Ping(), PROBE) == "done"
        await runtime.stop_when_idle()
