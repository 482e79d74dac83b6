"""A message that comes again under its id is handled once, and everybody who waits for it is answered."""

import asyncio

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription

from . import doers
from .doers import Do, Doer, Keeper, Notes, Said, Workers, register
from .waiting import until

workers = doers.workers
KINDS = pytest.mark.parametrize("kind", [Doer, Keeper])


@KINDS
async def test_a_request_that_is_sent_again_is_answered_as_the_first_time(workers: Workers, kind: type[Doer]) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await register(host, notes, "doer", kind)
    agent = AgentId("doer", "a")
    for runtime in (other, host, other):
        assert await runtime.send_message(Do("one"), agent, message_id="m") == Said("one", 1)
    assert await other.send_message(Do("two"), agent) == Said("two", 2)
    assert notes.texts() == ["one", "two"]


@KINDS
async def test_requests_of_one_id_at_a_time_are_handled_once_and_all_answered(
    workers: Workers, kind: type[Doer]
) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await register(host, notes, "doer", kind)
    calls = [
        asyncio.create_task(runtime.send_message(Do("one", gate="g"), AgentId("doer", "a"), message_id="m"))
        for runtime in (host, other, other, host)
    ]
    await notes.have("one")
    await asyncio.sleep(0.1)
    notes.gate("g").set()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*calls) == [Said("one", 1)] * 4
    assert notes.texts() == ["one"]


async def test_who_gives_up_does_not_take_the_answer_from_others_who_wait_for_the_same_message(
    workers: Workers,
) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "doer", Doer)
    calls: list[asyncio.Task[Said]] = []
    for _ in range(3):
        send = runtime.send_message(Do("one", gate="g"), AgentId("doer", "a"), message_id="m")
        calls.append(asyncio.create_task(send))
        await notes.have("one")
        await asyncio.sleep(0.1)
    calls[0].cancel()
    calls[2].cancel()
    await asyncio.sleep(0.1)
    assert notes.cancelled == []
    notes.gate("g").set()
    async with asyncio.timeout(5):
        assert await calls[1] == Said("one", 1)


async def test_a_handler_is_cancelled_when_the_last_who_waits_gives_up(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "doer", Doer)
    calls = [
        asyncio.create_task(runtime.send_message(Do("one", gate="g"), AgentId("doer", "a"), message_id="m"))
        for _ in range(2)
    ]
    await notes.have("one")
    await asyncio.sleep(0.1)
    for call in calls:
        call.cancel()
    await until(lambda: notes.cancelled == ["one"])


async def test_one_id_for_several_agents_reaches_each_of_them(workers: Workers) -> None:
    """They may share mailboxes, whose server knows ids, too."""
    notes, runtime = Notes(), await workers(pool="crew", partitions=1)
    await register(runtime, notes, "one")
    await register(runtime, notes, "two", Doer)
    for agent in ("one/a", "one/b", "two/a"):
        async with asyncio.timeout(5):
            assert (await runtime.send_message(Do("x"), AgentId.from_str(agent), message_id="m")).count == 1
    await runtime.add_subscription(TypeSubscription("news", "one"))
    await runtime.add_subscription(TypeSubscription("other", "two"))
    await runtime.publish_message(Do("event"), TopicId("news", "c"), message_id="m")
    await runtime.publish_message(Do("event"), TopicId("news", "d"), message_id="m")
    await runtime.publish_message(Do("event"), TopicId("other", "c"), message_id="m")
    heard = [AgentId.from_str(one) for one in ("one/c", "one/d", "two/c")]
    await until(lambda: sum(one.text == "event" for one in notes.heard) == 3)
    assert sorted(map(str, (one.agent for one in notes.heard if one.text == "event"))) == [str(one) for one in heard]


@KINDS
async def test_an_event_that_is_published_again_is_heard_once(workers: Workers, kind: type[Doer]) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await register(host, notes, "doer", kind)
    await host.add_subscription(TypeSubscription("news", "doer"))
    for runtime in (other, host, other):
        await runtime.publish_message(Do("event"), TopicId("news", "a"), message_id="m")
    await runtime.publish_message(Do("end"), TopicId("news", "a"))
    await notes.have("end")
    assert notes.texts() == ["event", "end"]


async def test_a_stateless_agent_elsewhere_answers_a_request_that_is_sent_again_as_the_first_time(
    workers: Workers,
) -> None:
    notes = Notes()
    host, other = await workers(stateless_types=["free"]), await workers(stateless_types=["free"])
    await register(host, notes, "free", Doer)
    agent = AgentId("free", "a")
    calls = [asyncio.create_task(other.send_message(Do("one", gate="g"), agent, message_id="m")) for _ in range(3)]
    await notes.have("one")
    await asyncio.sleep(0.1)
    notes.gate("g").set()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*calls) == [Said("one", 1)] * 3
        assert await other.send_message(Do("one"), agent, message_id="m") == Said("one", 1)
    assert notes.texts() == ["one"]


async def test_requests_of_one_id_that_arrive_together_are_all_answered_by_a_handler_that_does_not_wait(
    workers: Workers,
) -> None:
    notes = Notes()
    host, other = await workers(stateless_types=["free"]), await workers(stateless_types=["free"])
    await register(host, notes, "free", Doer)
    await host.register_agent_instance(Doer(notes), AgentId("one", "a"))
    for agent in (AgentId("free", "a"), AgentId("one", "a")):
        await other.send_message(Do("first"), agent)
        async with asyncio.timeout(5):
            said = await asyncio.gather(*(other.send_message(Do("x"), agent, message_id="m") for _ in range(20)))
        assert said == [Said("x", 2)] * 20


async def test_an_instance_elsewhere_answers_a_request_that_is_sent_again_as_the_first_time(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    agent = AgentId("one", "a")
    await host.register_agent_instance(Doer(notes), agent)
    for _ in range(2):
        assert await other.send_message(Do("one"), agent, message_id="m") == Said("one", 1)
    assert notes.texts() == ["one"]


@pytest.mark.parametrize("there", [False, True])
async def test_an_instance_hears_an_event_that_is_published_again_once(workers: Workers, there: bool) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await host.register_agent_instance(Doer(notes), AgentId("one", "a"))
    await host.add_subscription(TypeSubscription("news", "one"))
    runtime = other if there else host
    for text, id in (("event", "m"), ("event", "m"), ("end", "n")):
        await runtime.publish_message(Do(text), TopicId("news", "a"), message_id=id)
    await notes.have("end")
    assert notes.texts() == ["event", "end"]
    await until(lambda: len(runtime._calls) == 0)  # each is told that it has arrived


@KINDS
async def test_what_a_handler_sends_counts_once_although_it_runs_again_after_its_worker_was_fenced(
    workers: Workers, kind: type[Doer]
) -> None:
    """What it asks of others, and what it publishes, has the same ids as the first time."""
    notes = Notes()
    one, two = await workers(), await workers()
    await register(one, notes, "outer", kind)
    await register(two, notes, "counter")
    await two.add_subscription(TypeSubscription("news", "counter"))
    asks = Do("asks", ask="counter/a", then=Do("asked"), end="g")
    publishes = Do("publishes", publish="news/a", then=Do("told"), end="g")
    calls = [
        asyncio.create_task(two.send_message(asks, AgentId("outer", "a"))),
        asyncio.create_task(two.send_message(publishes, AgentId("outer", "b"))),
    ]
    await until(lambda: {"asked", "told"} <= set(notes.ended))
    one._lease._lapsed = True  # as after a standstill
    await until(lambda: sorted(notes.texts()).count("publishes") == notes.texts().count("asks") == 2)
    notes.gate("g").set()
    async with asyncio.timeout(10):
        await asyncio.gather(*calls)
    assert (await two.agent_save_state(AgentId("counter", "a")))["count"] == 2
    assert sorted(notes.texts(AgentId("counter", "a"))) == ["asked", "told"]
    assert sorted(notes.cancelled) == ["asks", "publishes"]


async def test_the_same_message_sent_by_handlers_of_different_messages_counts_each_time(workers: Workers) -> None:
    """Also if only the end of a long id is different."""
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await register(runtime, notes, "counter")
    message = Do("outer", ask="counter/a", then=Do("inner"))
    for id in "12":
        await runtime.send_message(message, AgentId("keeper", "a"), message_id="x" * 70 + id)
    assert await runtime.agent_save_state(AgentId("counter", "a")) == {"count": 2, "last": "inner"}


@pytest.mark.parametrize("id", ["with spaces ", "ü\r\nNats-TTL: 1s", "x" * 5_000, ""])
async def test_a_message_may_have_any_id(workers: Workers, id: str) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await runtime.add_subscription(TypeSubscription("news", "keeper"))
    agent = AgentId("keeper", "a")
    async with asyncio.timeout(5):
        for _ in range(2):
            assert await runtime.send_message(Do("one"), agent, message_id=id) == Said("one", 1)
        await runtime.publish_message(Do("event"), TopicId("news", "b"), message_id=id)
        await notes.have("event")
    assert {one.id for one in notes.heard} == {id}
