"""Starting and stopping: everybody who waits is answered, agents are closed once, and a runtime serves again."""

import asyncio
import inspect
import os
import signal
from typing import Any

import pytest

from autogen_core import AgentId, ClosureAgent, MessageContext, RoutedAgent, TopicId, TypeSubscription, message_handler
from autogen_core.exceptions import AutoGenError, UndeliverableException

from .core_agents import DOER, Amount, Answer, Counter, Order, doers
from .runtimes import System, Worker, World, until

SLOW = Order("slow", sleep=30)


async def start(runtime: Worker) -> None:
    """Start a runtime; that of the local one is not awaited."""
    started: Any = getattr(runtime, "start")()  # noqa: B009 - no contract has it: one is awaited, another not
    if inspect.isawaitable(started):
        await started


async def test_starting_twice_is_refused_and_disturbs_nothing(world: World) -> None:
    await doers(world)
    for runtime in {world.runtime, world.agents}:
        with pytest.raises((RuntimeError, ValueError), match="already"):
            await start(runtime)
    assert await world.runtime.send_message(Order("x"), DOER) == Answer("x")


async def test_stopping_twice_is_refused(world: World) -> None:
    await world.agents.stop()
    with pytest.raises(RuntimeError):
        await world.agents.stop()


async def test_a_quick_request_under_way_is_answered_although_the_agents_runtime_stops(world: World) -> None:
    notes = await doers(world)
    call = asyncio.create_task(world.runtime.send_message(Order("quick", sleep=0.3), DOER))
    await until(lambda: notes.texts() == ["quick"])
    await world.agents.stop()
    assert await asyncio.wait_for(call, 5) == Answer("quick")


@pytest.mark.only(("local", "grpc", "nats-here"), "in NATS the message waits for the next worker that has its agent")
async def test_a_slow_request_under_way_is_answered_with_a_typed_error_when_the_agents_runtime_stops(
    world: World,
) -> None:
    notes = await doers(world)
    call = asyncio.create_task(world.runtime.send_message(SLOW, DOER))
    await until(lambda: notes.texts() == ["slow"])
    await asyncio.wait_for(world.agents.stop(), 10)
    async with asyncio.timeout(5):
        with pytest.raises(UndeliverableException):
            await call
    await until(lambda: notes.cancelled == ["slow"])


async def test_stopping_the_callers_runtime_answers_all_its_callers(world: World) -> None:
    notes = await doers(world)
    calls = [
        asyncio.create_task(world.runtime.send_message(SLOW, AgentId("doer", str(number)))) for number in range(10)
    ]
    await until(lambda: len(notes.heard) == 10)
    await asyncio.wait_for(world.runtime.stop(), 10)
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UndeliverableException] * 10


async def test_what_is_sent_to_a_stopped_runtime_is_refused_at_once(world: World) -> None:
    await doers(world)
    await world.runtime.stop()
    async with asyncio.timeout(1):
        with pytest.raises((UndeliverableException, ValueError)):
            await world.runtime.send_message(Order("x"), DOER)


@pytest.mark.only(("grpc-there",), "here nobody is left to ask; in NATS the message waits for the next worker")
async def test_agents_of_a_worker_that_has_left_are_not_to_be_had(world: World) -> None:
    await doers(world)
    await world.runtime.send_message(Order("x"), DOER)
    await world.agents.stop()
    async with asyncio.timeout(5):
        with pytest.raises(UndeliverableException):
            await world.runtime.send_message(Order("y"), DOER)


async def test_a_runtime_that_stopped_serves_again_after_a_start(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    for number in range(3):
        await world.agents.stop()
        await start(world.agents)
        assert await world.runtime.send_message(Order(f"sent {number}"), DOER) == Answer(f"sent {number}")
        await world.runtime.publish_message(Order(f"event {number}"), TopicId("news", "a"))
        await until(lambda number=number: f"event {number}" in notes.texts())
    assert notes.texts() == [f"{how} {number}" for number in range(3) for how in ("sent", "event")]


async def test_a_callers_runtime_that_stopped_sends_again_after_a_start(world: World) -> None:
    await doers(world)
    await world.runtime.stop()
    await start(world.runtime)
    assert await world.runtime.send_message(Order("x"), DOER) == Answer("x")


async def test_closing_closes_every_agent_once(world: World) -> None:
    world.knows(Amount)
    await Counter.register(world.agents, "counter", Counter)
    for key in "ab":
        await world.runtime.send_message(Amount(1), AgentId("counter", key))
    counters = [await world.agents.try_get_underlying_agent_instance(AgentId("counter", key), Counter) for key in "ab"]
    await world.agents.close()
    assert all(counter.closed for counter in counters)
    for counter in counters:
        counter.closed = False
    await world.agents.close()
    assert not any(counter.closed for counter in counters)


async def test_closing_closes_the_others_although_one_agent_fails(world: World) -> None:
    closed: list[str] = []

    class Closer(RoutedAgent):
        @message_handler
        async def wake(self, message: Amount, ctx: MessageContext) -> None: ...

        async def close(self) -> None:
            closed.append(self.id.key)
            if self.id.key == "a":
                raise ConnectionError("cannot hang up")

    world.knows(Amount)
    await Closer.register(world.agents, "closer", lambda: Closer("closes"))
    for key in "ab":
        await world.runtime.send_message(Amount(1), AgentId("closer", key))
    with pytest.raises(ExceptionGroup, match="could not be closed"):
        await world.agents.close()
    assert sorted(closed) == ["a", "b"]


async def test_a_handler_may_stop_its_own_runtime(world: World) -> None:
    """Its caller is not left waiting: it gets the answer, or is told that the runtime stopped."""

    async def stopper(agent: object, message: Order, ctx: MessageContext) -> Answer:
        await world.agents.stop()
        return Answer("stopped")

    world.knows(Order, Answer)
    await ClosureAgent.register_closure(world.agents, "stopper", stopper)
    async with asyncio.timeout(10):
        (outcome,) = await asyncio.gather(
            world.runtime.send_message(Order(), AgentId("stopper", "k")), return_exceptions=True
        )
    assert outcome == Answer("stopped") or isinstance(outcome, AutoGenError)


@pytest.mark.only(("grpc", "nats"), "the local runtime, as that of 0.7.5, waits for no signal")
async def test_a_signal_stops_a_runtime_that_waits_for_one(world: World) -> None:
    notes = await doers(world)
    waiting: Any = world.agents
    waiter = asyncio.create_task(waiting.stop_when_signal(signals=(signal.SIGUSR1,)))
    call = asyncio.create_task(world.runtime.send_message(Order("under way", sleep=0.3), DOER))
    await until(lambda: notes.texts() == ["under way"])
    assert not waiter.done()
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(waiter, 10)
    assert await asyncio.wait_for(call, 5) == Answer("under way")
    with pytest.raises(RuntimeError):
        await world.agents.stop()


async def test_two_systems_do_not_hear_of_each_other(world: World, system: System) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    async with system.world() as elsewhere:
        other = await doers(elsewhere)
        await elsewhere.agents.add_subscription(TypeSubscription("news", "doer"))
        await world.runtime.publish_message(Order("one"), TopicId("news", "a"))
        await elsewhere.runtime.publish_message(Order("two"), TopicId("news", "a"))
        await until(lambda: bool(notes.heard and other.heard))
        assert await world.runtime.send_message(Order("three"), DOER) == Answer("three")
        assert (notes.texts(), other.texts()) == (["one", "three"], ["two"])
