"""Agents that were registered as they are: they live where that was done, and end with their process."""

import asyncio

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import (
    DeadlineExceededError,
    MessageTooLargeError,
    RegistrationError,
    UndeliverableException,
)

from . import doers
from .doers import Do, Doer, Keeper, Notes, Said, Workers, register
from .waiting import until

workers = doers.workers
ONE, TWO = AgentId("one", "a"), AgentId("one", "b")


async def test_instances_of_one_type_at_several_workers_are_each_reached_from_everywhere(workers: Workers) -> None:
    notes = Notes()
    first, second, caller = await workers(), await workers(), await workers()
    await first.register_agent_instance(Doer(notes), ONE)
    await second.register_agent_instance(Doer(notes), TWO)
    for runtime in (first, second, caller):
        for agent in (ONE, TWO):
            assert (await runtime.send_message(Do("x"), agent)).text == "x"
    assert {(one.agent, one.runtime) for one in notes.heard} == {(ONE, first), (TWO, second)}
    assert await first.try_get_underlying_agent_instance(ONE, Doer)


async def test_an_id_can_be_registered_once_as_long_as_its_worker_lives(workers: Workers) -> None:
    notes = Notes()
    first, second = await workers(), await workers()
    await first.register_agent_instance(Doer(notes), ONE)
    with pytest.raises(RegistrationError, match="at another worker"):
        await second.register_agent_instance(Doer(notes), ONE)
    assert ONE not in second._directory.agents
    await first.stop()
    await second.register_agent_instance(Doer(notes), ONE)
    assert await second.send_message(Do("x"), ONE) == Said("x", 1)
    with pytest.raises(RegistrationError):
        await first.start()
    assert not first.ready


async def test_an_instance_of_a_dead_worker_can_be_registered_anew(workers: Workers) -> None:
    notes = Notes()
    first, second = await workers(lease=1.0), await workers(lease=1.0)
    await first.register_agent_instance(Doer(notes), ONE)
    await first._lease.stop()
    await until(lambda: first.id not in second._registry.members)
    async with asyncio.timeout(1):
        with pytest.raises(UndeliverableException, match="gone"):
            await second.send_message(Do("x"), ONE)
    await second.register_agent_instance(Doer(notes), ONE)
    assert await second.send_message(Do("x"), ONE) == Said("x", 1)


async def test_callers_of_an_instance_are_told_when_its_worker_goes(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(drain_timeout=0.1), await workers()
    await host.register_agent_instance(Doer(notes), ONE)
    call = asyncio.create_task(caller.send_message(Do("long", gate="never"), ONE))
    await notes.have("long")
    await host.stop()
    async with asyncio.timeout(5):
        with pytest.raises(UndeliverableException, match="worker of one/a is gone"):
            await call
        with pytest.raises(UndeliverableException):
            await caller.send_message(Do("x"), ONE)
    assert notes.cancelled == ["long"]


async def test_an_instance_that_is_not_there_is_unknown_at_once(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(), await workers()
    await host.register_agent_instance(Doer(notes), ONE)
    for runtime in (host, caller):
        async with asyncio.timeout(1):
            with pytest.raises(UndeliverableException, match="one by one"):
                await runtime.send_message(Do("x"), TWO)


async def test_instances_hear_topics_as_others_do(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await host.register_agent_instance(Doer(notes), ONE)
    await host.add_subscription(TypeSubscription("news", "one"))
    for number in range(10):
        runtime = host if number % 2 else other
        await runtime.publish_message(Do(str(number)), TopicId("news", "a"))
        await runtime.publish_message(Do("nobody's"), TopicId("news", "elsewhere"))
    await notes.have(*map(str, range(10)))
    assert set(notes.texts()) == set(map(str, range(10)))
    assert {one.topic for one in notes.heard} == {TopicId("news", "a")}


async def test_an_instance_does_not_hear_what_it_publishes_itself(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await host.register_agent_instance(Doer(notes), ONE)
    await register(other, notes, "keeper")
    for name in ("one", "keeper"):
        await host.add_subscription(TypeSubscription("news", name))
    await host.send_message(Do("x", publish="news/a", then=Do("told")), ONE)
    await until(lambda: notes.texts(AgentId("keeper", "a")) == ["told"])
    assert notes.texts(ONE) == ["x"]


async def test_a_call_may_come_back_through_an_instance(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await register(host, notes, "keeper")
    await other.register_agent_instance(Doer(notes), ONE)
    await host.register_agent_instance(Doer(notes), TWO)
    for agent in (ONE, TWO):
        back = Do("there", ask="keeper/a", then=Do("back"))
        async with asyncio.timeout(5):
            await other.send_message(Do("out", ask=str(agent), then=back), AgentId("keeper", "a"))
    assert (await other.agent_save_state(AgentId("keeper", "a")))["count"] == 4


async def test_an_instances_state_is_read_and_written_from_elsewhere_and_not_kept(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await host.register_agent_instance(Keeper(notes), ONE)
    for runtime in (host, other):
        await runtime.agent_load_state(ONE, {"count": 5, "last": "x"})
        assert await runtime.send_message(Do("y"), ONE) == Said("y", 6)
        assert await runtime.agent_save_state(ONE) == {"count": 6, "last": "y"}
    assert (await host._residents.states.load(ONE)).state is None


async def test_deadlines_cancellation_and_limits_are_as_elsewhere(workers: Workers) -> None:
    notes = Notes()
    host, caller = await workers(), await workers()
    await host.register_agent_instance(Doer(notes), ONE)
    with pytest.raises(DeadlineExceededError):
        await caller.send_message(Do("late", gate="never"), ONE, timeout=0.3)
    call = asyncio.create_task(caller.send_message(Do("cancelled", gate="never"), ONE))
    await notes.have("cancelled")
    call.cancel()
    await until(lambda: notes.cancelled == ["late", "cancelled"])
    with pytest.raises(MessageTooLargeError, match="answer"):
        await caller.send_message(Do("much", answer_bytes=caller._link.max_bytes), ONE)
    with pytest.raises(ValueError, match="boom"):
        await caller.send_message(Do("bad", fail="boom"), ONE)


async def test_instances_that_were_registered_before_the_start_are_known_after_it(workers: Workers) -> None:
    notes = Notes()
    host, caller = workers.new(), await workers()
    await host.register_agent_instance(Doer(notes), ONE)
    await host.start()
    assert await caller.send_message(Do("x"), ONE) == Said("x", 1)
    await host.stop()
    await host.start()
    assert await caller.send_message(Do("y"), ONE) == Said("y", 2)
