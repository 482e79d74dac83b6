"""Agent types without anything to remember: any worker answers, and if it dies, another."""

import asyncio
import logging

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import DeadlineExceededError, MessageTooLargeError, UndeliverableException
from autogen_ext.runtimes.nats import NatsAgentRuntime

from . import doers
from .doers import Do, Doer, Notes, Said, Workers, register
from .waiting import until

workers = doers.workers
FREE = AgentId("free", "a")


async def free(workers: Workers, **options: object) -> NatsAgentRuntime:
    return await workers(stateless_types=["free"], **options)


async def test_requests_are_spread_over_all_workers(workers: Workers) -> None:
    notes = Notes()
    one, two, caller = await free(workers), await free(workers), await free(workers)
    await register(one, notes, "free", Doer)
    await register(two, notes, "free", Doer)
    async with asyncio.timeout(10):
        said = await asyncio.gather(*(caller.send_message(Do(str(n)), FREE) for n in range(50)))
    assert [one.text for one in said] == [str(n) for n in range(50)]
    assert {one.runtime for one in notes.heard} == {one, two}


async def test_a_worker_that_hosts_the_type_answers_its_own_requests(workers: Workers) -> None:
    notes = Notes()
    one, two = await free(workers), await free(workers)
    await register(one, notes, "free", Doer)
    await register(two, notes, "free", Doer)
    for _ in range(10):
        await one.send_message(Do("x"), FREE)
    assert {one.runtime for one in notes.heard} == {one}


async def test_one_agent_handles_many_requests_at_a_time(workers: Workers) -> None:
    notes = Notes()
    host, caller = await free(workers), await free(workers)
    await register(host, notes, "free", Doer)
    calls = [asyncio.create_task(caller.send_message(Do(str(n), gate="g"), FREE)) for n in range(10)]
    await notes.have(*map(str, range(10)))
    notes.gate("g").set()
    await asyncio.gather(*calls)
    assert notes.most_at_once == 10


async def test_what_a_worker_has_begun_it_finishes_when_it_stops_and_others_get_the_rest(workers: Workers) -> None:
    notes = Notes()
    one, two, caller = await free(workers), await free(workers), await free(workers)
    await register(one, notes, "free", Doer)
    call = asyncio.create_task(caller.send_message(Do("begun", gate="g"), FREE))
    await notes.have("begun")
    await register(two, notes, "free", Doer)
    stopping = asyncio.create_task(one.stop())
    await until(lambda: one._hosting.leaving)
    await asyncio.sleep(0.1)
    for number in range(10):
        assert (await caller.send_message(Do(str(number)), FREE)).text == str(number)
    assert not call.done()
    notes.gate("g").set()
    assert (await call).text == "begun"
    await stopping
    assert [heard.runtime for heard in notes.heard] == [one, *[two] * 10]


async def test_a_request_that_its_worker_cannot_finish_goes_to_another(workers: Workers) -> None:
    """It is handled anew there once its worker is gone."""
    notes = Notes()
    one, two, caller = await free(workers), await free(workers), await free(workers)
    await register(one, notes, "free", Doer)
    call = asyncio.create_task(caller.send_message(Do("long", gate="g"), FREE))
    await notes.have("long")
    await register(two, notes, "free", Doer)
    await until(lambda: any(call.worker == one.id for call in caller._calls._open.values()))  # it takes long
    await one._link.unsubscribe(one._hosting.queues[0])
    await one._lease.stop()  # now it is dead to all others
    await until(lambda: [heard.runtime for heard in notes.heard] == [one, two])
    notes.gate("g").set()
    assert (await call).text == "long"


async def test_what_a_worker_that_stops_has_to_cancel_is_handled_by_another(workers: Workers) -> None:
    notes = Notes()
    one, two, caller = await free(workers, drain_timeout=0.1), await free(workers), await free(workers)
    await register(one, notes, "free", Doer)
    call = asyncio.create_task(caller.send_message(Do("long", gate="g"), FREE))
    await notes.have("long")
    await register(two, notes, "free", Doer)
    await one.stop()
    assert notes.cancelled == ["long"]
    await until(lambda: [heard.runtime for heard in notes.heard] == [one, two])
    notes.gate("g").set()
    assert (await call).text == "long"


async def test_a_type_without_any_living_worker_is_told_at_once(workers: Workers) -> None:
    notes = Notes()
    host, caller = await free(workers), await free(workers)
    await register(host, notes, "free", Doer)
    assert await caller.send_message(Do("x"), FREE) == Said("x", 1)
    await host.stop()
    async with asyncio.timeout(1):
        with pytest.raises(UndeliverableException, match="No worker hosts"):
            await caller.send_message(Do("x"), FREE)


async def test_events_are_stored_and_handled_by_one_worker_each(workers: Workers) -> None:
    notes = Notes()
    one, two, caller = await free(workers), await free(workers), await free(workers)
    for runtime in (one, two):
        await register(runtime, notes, "free", Doer)
    await one.add_subscription(TypeSubscription("news", "free"))
    for number in range(50):
        await caller.publish_message(Do(str(number)), TopicId("news", "a"))
    await until(lambda: len(notes.heard) >= 50)
    await asyncio.sleep(0.1)
    assert sorted(notes.texts(), key=int) == [str(number) for number in range(50)]
    await one.stop()
    await two.stop()
    await caller.publish_message(Do("50"), TopicId("news", "a"))
    await caller.flush()
    await one.start()
    await notes.have("50")


async def test_deadlines_cancellation_and_errors_are_as_elsewhere(workers: Workers) -> None:
    notes = Notes()
    host, caller = await free(workers), await free(workers)
    await register(host, notes, "free", Doer)
    with pytest.raises(DeadlineExceededError):
        await caller.send_message(Do("late", gate="never"), FREE, timeout=0.3)
    call = asyncio.create_task(caller.send_message(Do("cancelled", gate="never"), FREE))
    await notes.have("cancelled")
    call.cancel()
    await until(lambda: notes.cancelled == ["late", "cancelled"])
    with pytest.raises(ValueError, match="boom"):
        await caller.send_message(Do("bad", fail="boom"), FREE)
    with pytest.raises(MessageTooLargeError, match="answer"):
        await caller.send_message(Do("much", answer_bytes=caller._link.max_bytes), FREE)
    with pytest.raises(MessageTooLargeError):
        await caller.send_message(Do("x" * caller._link.max_bytes), FREE)
    assert (await caller.agent_metadata(FREE))["type"] == "free"


async def test_a_worker_says_what_it_cannot_read_and_goes_on(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    notes = Notes()
    host, caller = await free(workers), await free(workers)
    await register(host, notes, "free", Doer)
    await caller._link.publish(caller._names.anyone("free"), b"junk")
    assert (await caller.send_message(Do("x"), FREE)).text == "x"
    assert any(one.levelno == logging.ERROR and "cannot be read" in one.getMessage() for one in caplog.records)
