"""What all workers know alike: types, instances, subscriptions, and who is alive."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from autogen_core import AgentId, DefaultTopicId, TopicId, TypePrefixSubscription, TypeSubscription
from autogen_core.exceptions import RegistrationError, UndeliverableException
from autogen_ext.runtimes.nats._registry import AgentTypeEntry

from . import doers
from .doers import Do, Doer, Notes, Said, Workers, register, settled
from .waiting import until

workers = doers.workers


async def test_a_new_worker_learns_everything(workers: Workers) -> None:
    notes = Notes()
    host = await workers(stateless_types=["free"], pool="crew")
    await register(host, notes, "keeper")
    await register(host, notes, "free", Doer)
    await host.register_agent_instance(Doer(notes), AgentId("one", "a"))
    await host.add_subscription(TypeSubscription("news", "keeper"))
    await host.add_subscription(TypePrefixSubscription("logs.", "free"))
    later = await workers()
    for name, hosting, pool in (
        ("keeper", "stateful", "crew"),
        ("free", "stateless", "free"),
        ("one", "instances", ""),
    ):
        assert later._registry.find(AgentId(name, "a")) == AgentTypeEntry(name, hosting, pool)
    for agent in ("keeper/a", "free/a", "one/a"):
        assert (await later.send_message(Do("x"), AgentId.from_str(agent))).text == "x"
    await later.publish_message(Do("event"), TopicId("news", "b"))
    await later.publish_message(Do("log"), TopicId("logs.web", "b"))
    await notes.have("event", "log")
    assert set(later._registry.members) == {host.id, later.id}


async def test_what_one_worker_says_all_know_when_it_has_been_said(workers: Workers) -> None:
    """Also the others that live; so what is sent next, by anybody, follows it."""
    notes = Notes()
    one, two, three = await workers(), await workers(), await workers()
    for number in range(10):
        host, sender, publisher = [(one, two, three), (two, three, one), (three, one, two)][number % 3]
        name = f"keeper{number}"
        await register(host, notes, name)
        assert await sender.send_message(Do("x"), AgentId(name, "a")) == Said("x", 1)
        await host.add_subscription(TypeSubscription(f"news{number}", name))
        await publisher.publish_message(Do(name), TopicId(f"news{number}", "a"))
        await notes.have(name)


async def test_an_agreement_waits_for_all_who_live_and_not_for_the_dead(workers: Workers) -> None:
    notes = Notes()
    one, two = await workers(), await workers()
    gate = asyncio.Event()
    asked = two._registry._asked

    async def slow(message: Any) -> None:
        await gate.wait()
        await asked(message)

    client: Any = two._link._client
    (subscription,) = [one for one in client._subs.values() if one.subject == two._names.everybody()]
    subscription._cb = slow
    adding = asyncio.create_task(register(one, notes, "keeper"))
    await asyncio.sleep(0.3)
    assert not adding.done()
    gate.set()
    await adding
    gate.clear()
    await two._lease.stop()
    await until(lambda: two.id not in one._registry.members)
    async with asyncio.timeout(0.9):
        await one.add_subscription(TypeSubscription("news", "keeper"))
    gate.set()


async def test_the_same_subscription_of_several_workers_and_lives_is_one(workers: Workers) -> None:
    notes = Notes()
    one, two = await workers(), await workers()
    for runtime in (one, two):
        await register(runtime, notes, "keeper")
        await runtime.add_subscription(TypeSubscription("news", "keeper"))
    await settled(one, two)
    await one.publish_message(Do("1"), TopicId("news", "a"))
    await two.publish_message(Do("2"), TopicId("news", "a"))
    await notes.have("1", "2")
    await one.stop()
    await two.stop()
    three = await workers()
    await register(three, notes, "keeper")
    await three.publish_message(Do("3"), TopicId("news", "a"))  # nobody has said anew who hears it
    await three.add_subscription(TypeSubscription("news", "keeper"))
    await three.publish_message(Do("4"), TopicId("news", "a"))
    await notes.have("3", "4")
    assert notes.texts(AgentId("keeper", "a")) == ["1", "2", "3", "4"]


async def test_a_subscription_that_one_worker_removes_is_gone_for_all(workers: Workers) -> None:
    notes = Notes()
    one, two = await workers(), await workers()
    await register(one, notes, "keeper")
    mine, theirs = TypeSubscription("news", "keeper"), TypeSubscription("news", "keeper")
    await one.add_subscription(mine)
    await two.add_subscription(theirs)
    await two.remove_subscription(theirs.id)
    for runtime in (one, two):
        await runtime.publish_message(Do("unheard"), TopicId("news", "a"))
    with pytest.raises(ValueError, match="does not exist"):
        await two.remove_subscription(theirs.id)
    await two.add_subscription(TypeSubscription("news", "keeper"))
    for runtime in (one, two):
        await runtime.publish_message(Do(runtime.id), TopicId("news", "a"))
    await notes.have(one.id, two.id)
    assert "unheard" not in notes.texts()


async def test_a_subscription_of_another_worker_is_removed_by_its_id(workers: Workers) -> None:
    notes = Notes()
    one, two = await workers(), await workers()
    await register(one, notes, "keeper")
    subscription = TypeSubscription("news", "keeper")
    await one.add_subscription(subscription)
    await two.remove_subscription(subscription.id)
    await one.publish_message(Do("unheard"), TopicId("news", "a"))
    await one.send_message(Do("end"), AgentId("keeper", "a"))
    assert notes.texts() == ["end"]


async def test_rules_that_cannot_travel_are_refused(workers: Workers) -> None:
    @dataclass
    class Odd:
        id: str = "odd"

        def is_match(self, topic_id: TopicId) -> bool:
            return True

        def map_to_agent(self, topic_id: TopicId) -> AgentId:
            return AgentId("keeper", "a")

    runtime = await workers()
    with pytest.raises(ValueError, match="cannot be known to other workers"):
        await runtime.add_subscription(Odd())  # pyright: ignore[reportArgumentType] - that is the point
    subscription = TypeSubscription("news", "keeper")
    await runtime.add_subscription(subscription)
    with pytest.raises(ValueError, match="already exists"):
        await runtime.add_subscription(subscription)


async def test_two_workers_that_say_different_things_at_the_same_time_are_not_both_right(workers: Workers) -> None:
    notes = Notes()
    crew = [await workers(pool=f"pool{number}") for number in range(4)]
    outcomes = await asyncio.gather(*(register(runtime, notes, "keeper") for runtime in crew), return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 3
    assert all(isinstance(outcome, RegistrationError) for outcome in refused)
    assert len({runtime._registry.find(AgentId("keeper", "a")).pool for runtime in crew}) == 1
    for runtime in crew:
        assert (await runtime.send_message(Do("x"), AgentId("keeper", "a"))).text == "x"


async def test_who_leaves_and_who_dies_is_forgotten(workers: Workers) -> None:
    one, two, three = [await workers(lease=1.0) for _ in range(3)]
    await until(lambda: set(one._registry.members) == {one.id, two.id, three.id})
    await two.stop()
    await until(lambda: set(one._registry.members) == {one.id, three.id})
    three._lease._stopping = True  # its thread ends without a word
    three._lease._leave = lambda storage: asyncio.sleep(0)  # pyright: ignore[reportAttributeAccessIssue] - as when killed
    await until(lambda: set(one._registry.members) == {one.id})


async def test_the_direct_topic_and_the_default_topic_reach_agents(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await register(host, notes, "keeper")
    await host.add_subscription(TypeSubscription("default", "keeper"))
    await other.publish_message(Do("direct"), TopicId("keeper:", "a"))
    await other.publish_message(Do("default"), DefaultTopicId())
    await notes.have("direct", "default")


async def test_an_unknown_type_is_said_at_once_with_those_that_are_known(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await register(host, notes, "keeper")
    async with asyncio.timeout(1):
        with pytest.raises(UndeliverableException, match="keeper"):
            await other.send_message(Do("x"), AgentId("keper", "a"))
        with pytest.raises(LookupError):
            await other.agent_save_state(AgentId("keper", "a"))
        with pytest.raises(LookupError):
            await other.get("keper", lazy=False)
