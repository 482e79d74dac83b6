"""Messages that are sent later, or again and again, by a server that needs no worker to watch the clock."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import UndeliverableException

from . import doers
from .doers import Do, Doer, Keeper, Notes, Workers, register
from .waiting import until

workers = doers.workers
KEEPER = AgentId("keeper", "a")
SOON = timedelta(seconds=1)


async def test_a_message_is_sent_once_after_a_time(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    sent = datetime.now(UTC)
    await runtime.send_message_later(Do("later"), KEEPER, after=SOON, sender=AgentId("clock", "a"))
    await runtime.send_message(Do("now"), KEEPER)
    await notes.have("later")
    assert datetime.now(UTC) - sent >= SOON * 0.9
    await asyncio.sleep(1.2)
    assert notes.texts() == ["now", "later"]


@pytest.mark.parametrize("aware", [True, False])
async def test_a_message_is_sent_at_a_time_of_the_day(workers: Workers, aware: bool) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    now = datetime.now(UTC).astimezone()
    at = (now if aware else now.replace(tzinfo=None)) + SOON
    await runtime.send_message_later(Do("later"), KEEPER, after=at)
    await notes.have("later")
    assert datetime.now(UTC) >= at.astimezone(UTC) - SOON / 10


async def test_what_should_have_been_sent_already_is_sent_soon(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await runtime.send_message_later(Do("past"), KEEPER, after=datetime(2001, 1, 1, tzinfo=UTC))
    await runtime.send_message_later(Do("at once"), KEEPER, after=timedelta())
    await notes.have("past", "at once")


async def test_a_message_is_repeated_until_its_timer_is_cancelled(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    timer = await runtime.send_message_later(Do("tick"), KEEPER, every=SOON)
    await until(lambda: notes.texts() == ["tick", "tick"])
    assert await runtime.cancel_timer(timer)
    assert not await runtime.cancel_timer(timer)
    await asyncio.sleep(1.5)
    assert len(notes.heard) <= 3  # one may have been on its way
    assert len({one.id for one in notes.heard}) == len(notes.heard)
    assert (await runtime.agent_save_state(KEEPER))["count"] == len(notes.heard)


async def test_a_cancelled_timer_sends_nothing_and_one_of_the_same_name_replaces_the_first(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    timer = await runtime.send_message_later(Do("cancelled"), KEEPER, after=SOON)
    assert await runtime.send_message_later(Do("first"), KEEPER, after=SOON, timer_id="a name: * >") == "a name: * >"
    await runtime.send_message_later(Do("second"), KEEPER, after=SOON, timer_id="a name: * >")
    assert await runtime.cancel_timer(timer)
    await notes.have("second")
    await asyncio.sleep(0.5)
    assert notes.texts() == ["second"]


async def test_a_timer_outlives_who_set_it(workers: Workers) -> None:
    notes = Notes()
    setter, other = await workers(), await workers()
    await register(setter, notes, "keeper")
    await register(other, notes, "keeper")
    await setter.send_message_later(Do("later"), KEEPER, after=SOON)
    await setter.stop()
    await notes.have("later")


async def test_what_comes_due_while_nobody_is_there_is_sent_when_somebody_is(workers: Workers) -> None:
    notes = Notes()
    setter = await workers()
    await register(setter, notes, "keeper")
    await setter.send_message_later(Do("later"), KEEPER, after=SOON)
    await setter.stop()
    await asyncio.sleep(1.5)
    later = await workers()
    await register(later, notes, "keeper")
    await notes.have("later")


async def test_timers_reach_topics_stateless_agents_and_instances(workers: Workers) -> None:
    notes = Notes()
    setter, other = await workers(stateless_types=["free"]), await workers(stateless_types=["free"])
    await register(other, notes, "free", Doer)
    await register(other, notes, "keeper", Keeper)
    await other.register_agent_instance(Doer(notes), AgentId("one", "a"))
    await other.add_subscription(TypeSubscription("news", "keeper"))
    for number, recipient in enumerate((TopicId("news", "a"), AgentId("free", "a"), AgentId("one", "a"))):
        for runtime in (setter, other):
            await runtime.send_message_later(Do(str(number)), recipient, after=SOON)
    await until(lambda: sorted(notes.texts()) == ["0", "0", "1", "1", "2", "2"])
    assert {one.topic for one in notes.heard} == {TopicId("news", "a"), None}


async def test_timers_that_make_no_sense_are_refused(workers: Workers) -> None:
    runtime = await workers()
    wrongs: list[dict[str, Any]] = [{}, {"after": SOON, "every": SOON}, {"every": timedelta(seconds=0.5)}]
    for times in wrongs:
        with pytest.raises(ValueError, match=r"Give `after`|at least"):
            await runtime.send_message_later(Do("x"), KEEPER, **times)
    with pytest.raises(ValueError, match=r"cannot be sent|Unknown type"):
        await runtime.send_message_later(object(), KEEPER, after=SOON)


async def test_a_timer_for_an_agent_that_is_not_there_is_told_in_the_log_and_the_others_go_on(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await runtime.send_message_later(Do("lost"), AgentId("nobody", "a"), after=timedelta(), timer_id="t1")
    await runtime.send_message_later(Do("found"), KEEPER, after=SOON)
    await notes.have("found")
    (record,) = [record for record in caplog.records if "t1" in record.getMessage()]
    assert "nobody" in record.getMessage()
    with pytest.raises(UndeliverableException):
        await runtime.send_message(Do("x"), AgentId("nobody", "a"))
