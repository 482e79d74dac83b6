"""Delivery promises that only runtimes with a wire make, or make differently; `docs/concepts/delivery.md` has all."""

import asyncio
import logging

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription, UnknownPayload
from autogen_core.exceptions import RemoteError

from .core_agents import DOER, Amount, Answer, Counter, Order, doers
from .runtimes import World, until

UNREADABLE = UnknownPayload("Order", "application/json", b"{")


async def test_a_message_sent_again_under_its_id_counts_again_unless_the_mailbox_is_durable(world: World) -> None:
    """Only a mailbox that remembers ids can tell; the others hand the id to the handler, which may."""
    world.knows(Amount)
    await Counter.register(world.agents, "counter", Counter)
    async with asyncio.timeout(5):
        totals = [
            await world.runtime.send_message(Amount(1), AgentId("counter", "a"), message_id="m1") for _ in range(2)
        ]
    assert totals == ([1, 1] if world.name == "nats" else [1, 2])


@pytest.mark.only(("grpc-there", "nats-there"), "elsewhere a message is not written")
async def test_a_request_that_cannot_be_read_is_told_to_its_sender(world: World) -> None:
    await doers(world)
    async with asyncio.timeout(5):
        with pytest.raises(RemoteError, match="cannot be read"):
            await world.runtime.send_message(UNREADABLE, DOER)
    assert await world.runtime.send_message(Order("goes on"), DOER) == Answer("goes on")


@pytest.mark.only(("grpc",), "the local runtime reads nothing; NATS keeps dead letters, which its own tests look at")
async def test_an_event_that_cannot_be_read_is_told_with_its_id_topic_and_the_reason(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    await world.runtime.publish_message(UNREADABLE, TopicId("news", "a"), message_id="m1")
    await world.runtime.publish_message(Order("next"), TopicId("news", "a"))
    await until(lambda: notes.texts() == ["next"])
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    for part in ("m1", "news", "cannot be read"):
        assert part in record.getMessage()


@pytest.mark.only(("grpc-there", "nats-there"), "elsewhere the error is the handler's own object")
async def test_an_error_that_crosses_several_workers_tells_of_where_it_was_raised_first(world: World) -> None:
    await doers(world)
    await doers(world, "other", here=True)
    order = Order(ask="other/b", then=Order(ask="doer/c", then=Order(fail="value")))
    with pytest.raises(ValueError, match="boom") as caught:
        await world.runtime.send_message(order, DOER)
    assert isinstance(caught.value, RemoteError)
    assert caught.value.type_name == "builtins.ValueError"
    assert caught.value.text == "boom"
    assert "raise error" in caught.value.traceback


async def test_nobody_waits_for_ever_whatever_goes_wrong_among_many_requests(world: World) -> None:
    """Answers, errors, unknown agents and cancelled callers, mixed: each caller gets what is its own."""
    notes = await doers(world)
    calls: list[asyncio.Task[object]] = []
    for number in range(30):
        calls += [
            asyncio.create_task(world.runtime.send_message(Order(str(number), sleep=0.001), DOER)),
            asyncio.create_task(world.runtime.send_message(Order(fail="key"), AgentId("doer", str(number)))),
            asyncio.create_task(world.runtime.send_message(Order(), AgentId("nobody", str(number)))),
            asyncio.create_task(world.runtime.send_message(Order("slow", sleep=30), AgentId("doer", "slow"))),
        ]
    await until(lambda: notes.texts("slow").count("slow") == 30)
    for call in calls[3::4]:
        call.cancel()
    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert outcomes[0::4] == [Answer(str(number)) for number in range(30)]
    assert all(isinstance(outcome, KeyError) for outcome in outcomes[1::4])
    assert all(isinstance(outcome, LookupError) for outcome in outcomes[2::4])
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[3::4])
    await until(lambda: len(notes.cancelled) == 30)
