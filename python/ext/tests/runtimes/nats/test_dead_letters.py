"""Messages that cannot be handled are kept, with the reason; requests among them are answered instead."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription, UnknownPayload
from autogen_ext.runtimes.nats import DeadLetter, NatsAgentRuntime

from . import doers
from .doers import Do, Doer, Keeper, Notes, Said, Workers, register, until_so

workers = doers.workers
NEWS = TopicId("news", "a")


async def dead(runtime: NatsAgentRuntime, count: int = 1) -> list[DeadLetter]:
    """Return the dead letters once there are as many."""
    found: list[DeadLetter] = []

    async def enough() -> bool:
        found[:] = await runtime.dead_letters()
        return len(found) >= count

    await until_so(enough)
    assert len(found) == count
    return found


@pytest.mark.parametrize("kind", [Doer, Keeper])
async def test_an_event_whose_handler_fails_is_kept_with_type_text_and_traceback(
    workers: Workers, kind: type[Doer]
) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await register(host, notes, "doer", kind)
    await host.add_subscription(TypeSubscription("news", "doer"))
    await other.publish_message(Do("bad", fail="boom"), NEWS, message_id="m1")
    (letter,) = await dead(other)
    assert (letter.number, letter.reason, letter.error_type) == (1, "boom", "builtins.ValueError")
    assert "raise ValueError(message.fail)" in letter.traceback
    assert (letter.agent, letter.topic, letter.message_id) == (AgentId("doer", "a"), NEWS, "m1")
    assert letter.message.type_name == "Do"
    assert b'"fail":"boom"' in letter.message.payload
    assert abs(datetime.now(UTC) - letter.died_at) < timedelta(minutes=1)
    assert (await other.send_message(Do("next"), AgentId("doer", "a"))).text == "next"


async def test_an_event_for_a_stateless_agent_whose_handler_fails_is_kept(workers: Workers) -> None:
    notes, runtime = Notes(), await workers(stateless_types=["free"])
    await register(runtime, notes, "free", Doer)
    await runtime.add_subscription(TypeSubscription("news", "free"))
    await runtime.publish_message(Do("bad", fail="boom"), NEWS)
    (letter,) = await dead(runtime)
    assert letter.agent == AgentId("free", "a")


async def test_each_hearer_that_fails_has_its_own_dead_letter(workers: Workers) -> None:
    notes, runtime = Notes(), await workers(pool="crew")
    for name in ("one", "two"):
        await register(runtime, notes, name)
        await runtime.add_subscription(TypeSubscription("news", name))
    await runtime.publish_message(Do("bad", fail="boom"), NEWS)
    assert {letter.agent for letter in await dead(runtime, 2)} == {AgentId("one", "a"), AgentId("two", "a")}


async def test_an_event_whose_agent_cannot_be_made_is_kept(workers: Workers) -> None:
    runtime = await workers()

    def make() -> Doer:
        raise KeyError("no model")

    await Doer.register(runtime, "doer", make)
    await runtime.add_subscription(TypeSubscription("news", "doer"))
    await runtime.publish_message(Do("x"), NEWS)
    (letter,) = await dead(runtime)
    assert letter.error_type == "builtins.KeyError"
    assert "no model" in letter.reason


async def test_a_failed_request_is_no_dead_letter(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    with pytest.raises(ValueError, match="boom"):
        await runtime.send_message(Do("bad", fail="boom"), AgentId("keeper", "a"))
    assert await runtime.dead_letters() == []


async def test_what_no_program_of_ours_has_written_is_kept_and_what_comes_after_it_is_handled(
    workers: Workers,
) -> None:
    notes, runtime = Notes(), await workers(partitions=1)
    await register(runtime, notes, "keeper")
    junk = [
        b"\xff no JSON",
        b'{"kind":"request","id":"m"}\nhalf a head',
        b"[1]\n",
        b'{"kind":"request","id":"m","type":"Do"}\nto nobody',
        b'{"kind":"event","id":"m","type":"Do","topic":["news","a"],"hearers":7}\n',
        b'{"kind":"event","id":"m","type":"Do","topic":["news","a"],"hearers":["not a type"]}\n',
        b'{"kind":"request","id":7,"type":"Do","to":["keeper","a"]}\n',
    ]
    for data in junk:
        await runtime._link.ask(runtime._names.stored("keeper", 0, "d"), data)
    async with asyncio.timeout(5):
        assert await runtime.send_message(Do("good"), AgentId("keeper", "a")) == Said("good", 1)
    letters = await dead(runtime, len(junk))
    assert [letter.message for letter in letters] == [UnknownPayload("", "", data) for data in junk]
    assert {(letter.agent, letter.traceback) for letter in letters} == {(None, "")}
    assert all(letter.reason and letter.error_type.endswith("UnreadableError") for letter in letters)


async def test_an_event_with_an_unreadable_payload_is_kept(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await runtime.add_subscription(TypeSubscription("news", "keeper"))
    await runtime.publish_message(UnknownPayload("Do", "application/json", b"{"), NEWS)
    (letter,) = await dead(runtime)
    assert letter.message == UnknownPayload("Do", "application/json", b"{")
    assert letter.agent == AgentId("keeper", "a")
    assert "cannot be read" in letter.reason


async def test_an_event_as_long_as_it_may_be_is_kept_without_its_end(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "doer", Doer)
    await runtime.add_subscription(TypeSubscription("news", "doer"))
    await runtime.publish_message(Do("x" * (runtime._link.max_bytes - 1_000), fail="boom"), NEWS, message_id="m1")
    (letter,) = await dead(runtime)
    assert (letter.reason, letter.message_id, letter.message.type_name) == ("boom", "m1", "Do")
    assert letter.message.payload.endswith(b"xxx")
    assert await runtime.send_message(Do("next"), AgentId("doer", "a")) == Said("next", 2)


async def test_dead_letters_are_read_in_parts_also_after_all_workers_were_gone(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await runtime.add_subscription(TypeSubscription("news", "keeper"))
    for number in range(5):
        await runtime.publish_message(Do("bad", fail=f"boom {number}"), NEWS)
    await dead(runtime, 5)
    await runtime.stop()
    with pytest.raises(ValueError, match="Runtime must be running"):
        await runtime.dead_letters()
    later = await workers()
    first = await later.dead_letters(most=2)
    assert [letter.reason for letter in first] == ["boom 0", "boom 1"]
    rest = await later.dead_letters(after=first[-1].number)
    assert [letter.reason for letter in rest] == ["boom 2", "boom 3", "boom 4"]
    assert await later.dead_letters(after=rest[-1].number) == []
