"""Mailboxes that agent types share, and what workers must say alike about them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import RegistrationError, UndeliverableException
from autogen_ext.runtimes.nats import NatsServer

from . import doers
from .doers import Do, Doer, Keeper, Notes, Said, Workers, register, settled

workers = doers.workers
ONE, TWO = AgentId("one", "a"), AgentId("two", "a")


async def test_types_of_one_pool_share_mailboxes_and_work_as_others(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(pool="crew"), await workers(pool="crew")
    for runtime in (host, other):
        await register(runtime, notes, "one")
        await register(runtime, notes, "two", Doer)
    await settled(host, other)
    caller = await workers()
    assert await caller.send_message(Do("x", ask="two/a", then=Do("y", ask="one/b")), ONE) == Said("x", 1)
    assert notes.texts() == ["x", "y", "y"]
    assert host._ownership._pullers.keys().isdisjoint(other._ownership._pullers)
    assert {pool for pool, _ in {**host._ownership._pullers, **other._ownership._pullers}} == {"crew"}
    streams = await host._link.api("STREAM.NAMES", {"subject": f"{workers.namespace}.mb.>"})
    assert host._names.mailbox("crew") in streams["streams"]
    assert host._names.mailbox("one") not in streams["streams"]


async def test_an_event_that_several_types_of_a_pool_hear_is_stored_once_and_handled_by_each(workers: Workers) -> None:
    notes, runtime = Notes(), await workers(pool="crew")
    for name in ("one", "two"):
        await register(runtime, notes, name)
        await runtime.add_subscription(TypeSubscription("news", name))
    before = await _last(workers)
    await runtime.publish_message(Do("event"), TopicId("news", "a"))
    await runtime.flush()
    assert await _last(workers) == before + 1
    async with asyncio.timeout(5):
        for agent in (ONE, TWO):
            assert await runtime.send_message(Do("look"), agent) == Said("look", 2)


async def _last(workers: Workers) -> int:
    runtime = workers.made[0]
    await settled(runtime)
    return int((await runtime._link.api(f"STREAM.INFO.{runtime._names.mailbox('crew')}"))["state"]["last_seq"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"pool": "crew"}, {}),
        ({}, {"pool": "crew"}),
        ({"pool": "crew"}, {"pool": "other"}),
        ({"stateless_types": ["one"]}, {}),
        ({}, {"stateless_types": ["one"]}),
    ],
)
async def test_a_type_that_is_registered_otherwise_elsewhere_is_refused(
    workers: Workers, first: dict[str, Any], second: dict[str, Any]
) -> None:
    notes = Notes()
    host, other = await workers(**first), await workers(**second)
    await register(host, notes, "one", Doer)
    with pytest.raises(RegistrationError, match="All workers must say the same"):
        await register(other, notes, "one", Doer)
    for runtime in (host, other):
        async with asyncio.timeout(5):
            assert (await runtime.send_message(Do("x"), ONE)).text == "x"
    assert {one.runtime for one in notes.heard} == {host}


async def test_a_worker_whose_registration_was_refused_does_the_rest_of_its_work(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(pool="crew"), await workers()
    await register(host, notes, "one")
    with pytest.raises(RegistrationError):
        await register(other, notes, "one")
    await register(other, notes, "two")
    assert (await host.send_message(Do("x"), TWO)).text == "x"
    assert other._registry.members[other.id].pools == {"two"}
    await host.stop()
    call = asyncio.create_task(other.send_message(Do("later"), ONE))
    await asyncio.sleep(0.3)
    assert not call.done()
    await host.start()
    assert (await call).text == "later"


async def test_a_type_cannot_have_both_instances_and_a_factory(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await register(host, notes, "one")
    await host.register_agent_instance(Doer(notes), TWO)
    with pytest.raises(RegistrationError):
        await other.register_agent_instance(Doer(notes), AgentId("one", "b"))
    with pytest.raises(RegistrationError):
        await register(other, notes, "two")
    with pytest.raises(UndeliverableException, match="one by one"):
        await other.send_message(Do("x"), AgentId("two", "b"))


async def test_the_first_worker_fixes_how_many_partitions_a_pool_has(workers: Workers) -> None:
    notes = Notes()
    first, second = await workers(partitions=3), await workers(partitions=7)
    await register(first, notes, "one")
    await register(second, notes, "one")
    await settled(first, second)
    await first.stop()
    later = await workers(partitions=1)
    await register(later, notes, "one")
    await settled(second, later)
    assert {runtime._registry.partitions("one") for runtime in (second, later)} == {3}
    for number in range(20):
        assert await later.send_message(Do("x"), AgentId("one", str(number))) == Said("x", 1)


async def test_namespaces_do_not_see_each_other(workers: Workers) -> None:
    notes, others = Notes(), Notes()
    here, there = await workers(), await workers(namespace=f"{workers.namespace}-2")
    await register(here, notes, "one")
    with pytest.raises(UndeliverableException):
        await there.send_message(Do("x"), ONE)
    await register(there, others, "one")
    for runtime in (here, there):
        await runtime.add_subscription(TypeSubscription("news", "one"))
    assert await here.send_message(Do("here"), ONE) == Said("here", 1)
    assert await there.send_message(Do("there"), ONE) == Said("there", 1)
    await here.publish_message(Do("event"), TopicId("news", "a"))
    await notes.have("event")
    assert others.texts() == ["there"]
    assert list(here._registry.members) == [here.id]
    assert await there.agent_save_state(ONE) == {"count": 1, "last": "there"}


@pytest.mark.parametrize(
    "options",
    [
        {"pool": "$timers"},
        {"partitions": 0},
        {"mailbox_size": 0},
        {"lease": 0.1},
        {"namespace": "a.b"},
        {"namespace": ""},
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"pool|must be positive|namespace"):
        Workers("nats://127.0.0.1:1", "x").new(**options)


async def test_pools_may_have_any_name(workers: Workers) -> None:
    notes, runtime = Notes(), await workers(pool="a pool: with.dots, > and ünicode")
    await register(runtime, notes, "one", Keeper)
    assert await runtime.send_message(Do("x"), ONE) == Said("x", 1)


async def test_somebody_who_listens_to_everything_does_not_delay_agents(
    workers: Workers, nats_server: NatsServer, new_client: Callable[..., Any]
) -> None:
    """The server takes a listener for the reader of an inbox, also when that has been left."""
    notes = Notes()
    runtime = await workers()
    client = await new_client(nats_server)
    await client.subscribe(f"{runtime._names.namespace}.>")
    await register(runtime, notes, "doer", Doer)
    for key in "abcdefgh":
        assert await runtime.send_message(Do("go"), AgentId("doer", key), timeout=10) == Said("go", 1)
