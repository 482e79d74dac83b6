"""The way into mailboxes: what happens when they are full, when the time runs out, and when the runtime stops."""

import asyncio
import time

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import (
    DeadlineExceededError,
    MailboxFullError,
    MessageTooLargeError,
    UndeliverableException,
)
from autogen_ext.runtimes.nats import NatsAgentRuntime

from . import doers
from .doers import Do, Doer, Keeper, Notes, Said, Workers, register, settled, until_so
from .waiting import until

workers = doers.workers
KEEPER = AgentId("keeper", "a")


async def until_waiting(runtime: NatsAgentRuntime, count: int) -> None:
    """Wait until so many messages are in the mailboxes of the keepers."""

    async def so() -> bool:
        messages, _ = await runtime._storage.pending("keeper")
        return messages == count

    await until_so(so)


async def test_order_is_kept_when_the_mailbox_is_full_and_drains(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(mailbox_size=20), await workers()
    await register(host, notes, "keeper")
    first = asyncio.create_task(caller.send_message(Do("first", gate="g"), KEEPER))
    await notes.have("first")
    calls = [asyncio.create_task(caller.send_message(Do(str(n)), KEEPER)) for n in range(200)]
    await until_waiting(host, 20)
    notes.gate("g").set()
    assert [said.count for said in await asyncio.gather(first, *calls)] == list(range(1, 202))
    assert notes.texts() == ["first", *map(str, range(200))]


async def test_order_of_events_is_kept_when_the_mailbox_is_full_and_drains(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(mailbox_size=20), await workers()
    await register(host, notes, "keeper")
    await host.add_subscription(TypeSubscription("news", "keeper"))
    first = asyncio.create_task(caller.send_message(Do("first", gate="g"), KEEPER))
    await notes.have("first")
    calls = [asyncio.create_task(caller.publish_message(Do(str(n)), TopicId("news", "a"))) for n in range(100)]
    await asyncio.sleep(0.5)
    assert not calls[-1].done()  # the publisher is held back
    notes.gate("g").set()
    await asyncio.gather(first, *calls)
    await notes.have("99")
    assert notes.texts() == ["first", *map(str, range(100))]


async def test_a_full_mailbox_is_told_after_five_seconds_to_all_who_wait_for_space(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(mailbox_size=5), await workers()
    await register(host, notes, "keeper")
    await host.add_subscription(TypeSubscription("news", "keeper"))
    kept = [asyncio.create_task(caller.send_message(Do(str(n), gate="g"), KEEPER)) for n in range(5)]
    await notes.have("0")
    await until_waiting(host, 5)
    began = time.monotonic()
    calls = [asyncio.create_task(caller.send_message(Do("more"), KEEPER)) for _ in range(20)]
    event = asyncio.create_task(caller.publish_message(Do("more"), TopicId("news", "a")))
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*calls, event, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [MailboxFullError] * 21
    assert time.monotonic() - began > 4.5
    notes.gate("g").set()
    assert [said.count for said in await asyncio.gather(*kept)] == [1, 2, 3, 4, 5]
    assert await caller.send_message(Do("again"), KEEPER) == Said("again", 6)


async def test_who_waits_for_space_gives_up_in_time(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(mailbox_size=2), await workers()
    await register(host, notes, "keeper")
    kept = [asyncio.create_task(caller.send_message(Do("kept", gate="g"), KEEPER)) for _ in range(2)]
    await notes.have("kept")
    async with asyncio.timeout(3):
        with pytest.raises(DeadlineExceededError):
            await caller.send_message(Do("late"), KEEPER, timeout=0.3)
        call = asyncio.create_task(caller.send_message(Do("cancelled"), KEEPER))
        await asyncio.sleep(0.2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    notes.gate("g").set()
    await asyncio.gather(*kept)
    assert await caller.send_message(Do("end"), KEEPER) == Said("end", 3)


async def test_stopping_answers_those_who_wait_for_space_too(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(mailbox_size=2), await workers()
    await register(host, notes, "keeper")
    calls = [asyncio.create_task(caller.send_message(Do("x", gate="g"), KEEPER)) for _ in range(20)]
    await notes.have("x")
    await asyncio.sleep(0.2)
    await caller.stop()
    async with asyncio.timeout(3):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {UndeliverableException}
    notes.gate("g").set()
    await caller.start()
    assert (await caller.send_message(Do("end"), KEEPER, timeout=10)).text == "end"


async def test_a_request_that_nobody_waits_for_any_more_is_never_handled(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(), await workers()
    await register(host, notes, "keeper")
    await host.stop()
    with pytest.raises(DeadlineExceededError):
        await caller.send_message(Do("late"), KEEPER, timeout=0.3)
    call = asyncio.create_task(caller.send_message(Do("cancelled"), KEEPER))
    await asyncio.sleep(0.2)
    call.cancel()
    await asyncio.wait([call])
    await until_waiting(caller, 0)
    await host.start()
    assert await caller.send_message(Do("end"), KEEPER) == Said("end", 1)
    assert notes.texts() == ["end"]


async def test_what_waits_without_a_worker_is_handled_when_there_is_one(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(), await workers()
    await register(host, notes, "keeper")
    await host.stop()
    calls = [asyncio.create_task(caller.send_message(Do(str(n)), KEEPER)) for n in range(10)]
    await asyncio.sleep(0.2)
    later = await workers()
    await register(later, notes, "keeper")
    assert [said.count for said in await asyncio.gather(*calls)] == list(range(1, 11))
    assert notes.texts() == [str(n) for n in range(10)]


async def test_callers_of_workers_that_stay_away_are_told(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(), await workers(reconnect_timeout=0.5)
    await register(host, notes, "keeper")
    await host.stop()
    async with asyncio.timeout(5):
        with pytest.raises(UndeliverableException, match="no worker hosts it"):
            await caller.send_message(Do("x"), KEEPER)


@pytest.mark.parametrize("kind", [Doer, Keeper])
@pytest.mark.parametrize("over", [0, 1])
async def test_a_message_is_refused_from_the_byte_on_that_is_too_much(
    workers: Workers, kind: type[Doer], over: int
) -> None:
    """The server would end the connection of who sends more than it takes."""
    notes, runtime = Notes(), await workers()

    class Quiet(kind):
        async def on_message_impl(self, message: object, ctx: object) -> Said:
            return Said("had it", 1)

    await register(runtime, notes, "quiet", Quiet)
    agent, lengths = AgentId("quiet", "a"), list[int]()
    post = runtime._calls._open_call

    def measure(*arguments: object) -> object:
        call = post(*arguments)  # pyright: ignore[reportArgumentType] - passed on as they are
        lengths.append(len(call.data))
        return call

    runtime._calls._open_call = measure  # pyright: ignore[reportAttributeAccessIssue] - to know what is written
    await runtime.send_message(Do(""), agent, message_id="m" * 60 + "0", timeout=10)
    text = "x" * (runtime._link.max_bytes - lengths[0] + over)
    client = runtime._link._client
    if over:
        with pytest.raises(MessageTooLargeError):
            await runtime.send_message(Do(text), agent, message_id="m" * 60 + "1", timeout=10)
    else:
        assert await runtime.send_message(Do(text), agent, message_id="m" * 60 + "1", timeout=10) == Said("had it", 1)
        assert lengths[1] == runtime._link.max_bytes
    assert client is not None
    assert client.stats["reconnects"] == 0


async def test_many_messages_at_a_time_to_many_agents_are_all_answered(workers: Workers) -> None:
    notes = Notes()
    one, two = await workers(), await workers()
    for runtime in (one, two):
        await register(runtime, notes, "keeper")
    await settled(one, two)
    calls = [one.send_message(Do(str(n)), AgentId("keeper", str(n % 40))) for n in range(2_000)]
    said = await asyncio.gather(*calls)
    assert [one.count for one in said] == [n // 40 + 1 for n in range(2_000)]
    await until(lambda: not one._lanes["keeper"]._under_way)
