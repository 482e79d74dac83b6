"""Giving up: the caller is free at once, and the handler, and all it waits for, is told, on whatever worker it runs."""

import asyncio
import contextlib

import pytest

from autogen_core import AgentId, CancellationToken, ClosureAgent, MessageContext, TopicId, TypeSubscription

from .core_agents import DOER, Answer, Order, doers
from .runtimes import World, until

SLOW = Order("slow", sleep=30)


async def test_what_is_published_with_a_token_that_is_cancelled_already_reaches_nobody(world: World) -> None:
    """Nor is it an error: nobody cancelled the publisher."""
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    token = CancellationToken()
    token.cancel()
    await world.runtime.publish_message(Order("given up"), TopicId("news", "a"), cancellation_token=token)
    await world.runtime.publish_message(Order("wanted"), TopicId("news", "a"))
    await until(lambda: "wanted" in notes.texts())
    assert notes.texts() == ["wanted"]


async def test_cancelling_the_callers_task_leaves_its_own_token_alone(world: World) -> None:
    """The token is the caller's, who may have given it to others as well."""
    notes = await doers(world)
    token = CancellationToken()
    call = asyncio.create_task(world.runtime.send_message(SLOW, DOER, cancellation_token=token))
    await until(lambda: notes.texts() == ["slow"])
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: notes.cancelled == ["slow"])
    assert not token.is_cancelled()


async def test_cancelling_the_callers_task_cancels_the_handler_and_its_token(world: World) -> None:
    notes = await doers(world)
    call = asyncio.create_task(world.runtime.send_message(SLOW, DOER))
    await until(lambda: notes.texts() == ["slow"])
    call.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await call
    await until(lambda: notes.cancelled == ["slow"])
    assert notes.contexts[0].cancellation_token.is_cancelled()


async def test_cancelling_the_token_cancels_the_handler_and_its_token(world: World) -> None:
    notes = await doers(world)
    token = CancellationToken()
    call = asyncio.create_task(world.runtime.send_message(SLOW, DOER, cancellation_token=token))
    await until(lambda: notes.texts() == ["slow"])
    token.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await call
    await until(lambda: notes.cancelled == ["slow"])
    assert notes.contexts[0].cancellation_token.is_cancelled()


async def test_a_caller_that_waits_no_longer_than_it_wants_cancels_the_handler(world: World) -> None:
    notes = await doers(world)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await world.runtime.send_message(SLOW, DOER)
    await until(lambda: notes.cancelled == ["slow"])


async def test_cancelling_reaches_everything_that_the_handler_waits_for(world: World) -> None:
    notes = await doers(world)
    other = await doers(world, "other", here=True)
    inner = Order("outer", ask="other/b", then=Order("middle", ask="doer/c", then=SLOW))
    call = asyncio.create_task(world.runtime.send_message(inner, DOER))
    await until(lambda: "slow" in notes.texts())
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: sorted(notes.cancelled) == ["outer", "slow"] and other.cancelled == ["middle"])


async def test_a_message_whose_token_is_cancelled_already_is_not_sent(world: World) -> None:
    notes = await doers(world)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await world.runtime.send_message(Order("never"), DOER, cancellation_token=token)
    await world.runtime.send_message(Order("last"), DOER)
    assert notes.texts() == ["last"]


async def test_one_token_may_serve_many_requests(world: World) -> None:
    notes = await doers(world)
    token = CancellationToken()
    for _ in range(3):
        assert await world.runtime.send_message(Order("x"), DOER, cancellation_token=token) == Answer("x")
    calls = [
        asyncio.create_task(world.runtime.send_message(SLOW, AgentId("doer", key), cancellation_token=token))
        for key in "abc"
    ]
    await until(lambda: notes.texts().count("slow") == 3)
    token.cancel()
    outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 2)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    await until(lambda: len(notes.cancelled) == 3)


async def test_cancelling_one_request_leaves_the_others_alone(world: World) -> None:
    notes = await doers(world)
    slow = asyncio.create_task(world.runtime.send_message(SLOW, DOER))
    other = asyncio.create_task(world.runtime.send_message(Order("other", sleep=0.3), DOER))
    await until(lambda: len(notes.heard) == 2)
    slow.cancel()
    assert await other == Answer("other")
    assert notes.cancelled == ["slow"]


async def test_an_agent_serves_on_after_a_cancelled_request(world: World) -> None:
    notes = await doers(world)
    for _ in range(5):
        call = asyncio.create_task(world.runtime.send_message(SLOW, DOER))
        await until(lambda: len(notes.heard) > len(notes.cancelled))
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await until(lambda: len(notes.heard) == len(notes.cancelled))
    assert await world.runtime.send_message(Order("x"), DOER) == Answer("x")


async def test_a_caller_is_free_although_the_handler_ignores_its_cancellation(world: World) -> None:
    release, begun = asyncio.Event(), asyncio.Event()

    async def stubborn(agent: object, message: Order, ctx: MessageContext) -> None:
        begun.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    world.knows(Order)
    await ClosureAgent.register_closure(world.agents, "stubborn", stubborn)
    call = asyncio.create_task(world.runtime.send_message(Order(), AgentId("stubborn", "k")))
    await asyncio.wait_for(begun.wait(), 5)
    call.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await call
    release.set()


async def test_a_handler_that_catches_its_cancellation_may_clean_up(world: World) -> None:
    done: list[str] = []

    async def careful(agent: object, message: Order, ctx: MessageContext) -> None:
        done.append("begun")
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.01)
            done.append("cleaned up")

    world.knows(Order)
    await ClosureAgent.register_closure(world.agents, "careful", careful)
    call = asyncio.create_task(world.runtime.send_message(Order(), AgentId("careful", "k")))
    await until(lambda: done == ["begun"])
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await until(lambda: done == ["begun", "cleaned up"])


async def test_a_handler_may_cancel_what_it_asks_for(world: World) -> None:
    notes = await doers(world)

    async def impatient(agent: ClosureAgent, message: Order, ctx: MessageContext) -> str:
        token = CancellationToken()
        asyncio.get_running_loop().call_later(0.2, token.cancel)
        try:
            await agent.send_message(SLOW, DOER, cancellation_token=token)
        except asyncio.CancelledError:
            return "gave up"
        return "waited"

    await ClosureAgent.register_closure(world.runtime, "impatient", impatient)  # type: ignore[arg-type]  # it wants the agent itself
    assert await world.runtime.send_message(Order(), AgentId("impatient", "k")) == "gave up"
    await until(lambda: notes.cancelled == ["slow"])


async def test_a_handler_that_is_cancelled_from_within_answers_its_caller(world: World) -> None:
    """Whatever the caller gets, it does not wait for ever."""

    async def cancelled(agent: object, message: Order, ctx: MessageContext) -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError("on purpose")

    world.knows(Order)
    await ClosureAgent.register_closure(world.agents, "cancelled", cancelled)
    async with asyncio.timeout(5):
        with pytest.raises((asyncio.CancelledError, Exception)) as caught:
            await world.runtime.send_message(Order(), AgentId("cancelled", "k"))
    assert not isinstance(caught.value, TimeoutError)


async def test_what_is_published_runs_on_when_its_publisher_is_cancelled(world: World) -> None:
    """Publishing hands over; nobody waits, so nobody can give up."""
    notes = await doers(world)
    relay = await doers(world, "relay", here=True)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    order = Order("publishes", publish="news/a", then=Order("event", sleep=0.3))
    call = asyncio.create_task(world.runtime.send_message(order, AgentId("relay", "r")))
    await until(lambda: notes.texts() == ["event"])
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await until(lambda: notes.ended == ["event"])
    assert relay.texts() == ["publishes"]
    assert notes.cancelled == []


async def test_what_is_published_with_a_cancelled_token_reaches_nobody(world: World) -> None:
    """Whether the publisher is told is up to the runtime."""
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    token = CancellationToken()
    token.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await world.runtime.publish_message(Order("never"), TopicId("news", "a"), cancellation_token=token)
    await world.runtime.publish_message(Order("last"), TopicId("news", "a"))
    await until(lambda: "last" in notes.texts())
    assert notes.texts() == ["last"]
