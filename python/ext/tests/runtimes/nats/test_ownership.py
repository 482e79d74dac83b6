"""Which worker has which partition: shares, handing over, and what a worker does that no longer counts as alive."""

import asyncio
from collections import Counter

from autogen_core import AgentId

from . import doers
from .doers import Do, Doer, Notes, Said, Workers, at, key_at, register, settled
from .waiting import until

workers = doers.workers


async def test_each_partition_has_one_worker_and_shares_are_even(workers: Workers) -> None:
    notes = Notes()
    crew = [await workers(partitions=16) for _ in range(3)]
    for runtime in crew:
        await register(runtime, notes, "keeper")
    await settled(*crew)
    assert sorted(len(runtime._ownership._pullers) for runtime in crew) == [5, 5, 6]
    agents = [AgentId("keeper", str(number)) for number in range(60)]
    await asyncio.gather(*(crew[0].send_message(Do("x"), agent) for agent in agents))
    for heard in notes.heard:
        assert at(heard.agent, heard.runtime)
    assert set(Counter(heard.agent for heard in notes.heard).values()) == {1}


async def test_agents_move_to_a_worker_that_joins_and_back_when_it_leaves(workers: Workers) -> None:
    notes = Notes()
    first = await workers()
    await register(first, notes, "keeper")
    await settled(first)
    agents = [AgentId("keeper", str(number)) for number in range(30)]

    async def add(expected: int) -> None:
        said = await asyncio.gather(*(first.send_message(Do("x"), agent) for agent in agents))
        assert [one.count for one in said] == [expected] * len(agents)

    await add(1)
    second = await workers()
    await register(second, notes, "keeper")
    await settled(first, second)
    await add(2)
    assert {heard.runtime for heard in notes.heard[30:]} == {first, second}
    await second.stop()
    await settled(first)
    await add(3)
    assert {heard.runtime for heard in notes.heard[60:]} == {first}


async def test_a_partition_moves_when_what_was_begun_has_ended(workers: Workers) -> None:
    """What waits behind it goes along."""
    notes = Notes()
    one = await workers(partitions=8)
    await register(one, notes, "keeper")
    agents = [AgentId("keeper", str(number)) for number in range(40)]
    calls = [asyncio.create_task(one.send_message(Do("begun", gate="g"), agent)) for agent in agents]
    await until(lambda: len(notes.heard) == len(agents))
    calls += [asyncio.create_task(one.send_message(Do("waits"), agent)) for agent in agents]
    two = await workers()
    await register(two, notes, "keeper")
    await until(lambda: bool(one._ownership._leaving))
    await asyncio.sleep(0.3)
    assert len(notes.heard) == len(agents)  # nobody else has them meanwhile
    notes.gate("g").set()
    said = await asyncio.gather(*calls)
    assert [one.count for one in said] == [1] * 40 + [2] * 40
    assert {heard.runtime for heard in notes.heard if heard.text == "begun"} == {one}
    assert {heard.runtime for heard in notes.heard if heard.text == "waits"} == {one, two}
    assert notes.most_at_once == 1


async def test_a_handler_that_takes_too_long_is_cancelled_when_its_agent_moves_and_runs_anew_elsewhere(
    workers: Workers,
) -> None:
    notes = Notes()
    one = await workers(drain_timeout=0.2)
    await register(one, notes, "keeper")
    two = workers.new()
    await register(two, notes, "keeper")
    agent = AgentId("keeper", "a")
    caller = await workers()
    call = asyncio.create_task(caller.send_message(Do("long", gate="g"), agent))
    await notes.have("long")
    await two.start()
    await one.stop()
    assert notes.cancelled == ["long"]
    notes.gate("g").set()
    assert await call == Said("long", 1)
    assert [heard.runtime for heard in notes.heard] == [one, two]
    assert len({heard.id for heard in notes.heard}) == 1


async def test_a_worker_that_counts_as_dead_lets_go_and_is_silent_about_what_it_had(workers: Workers) -> None:
    """Another takes its agents, from the state that was stored; the first one serves again once it counts as alive."""
    notes = Notes()
    one, two = await workers(lease=1.0), await workers(lease=1.0)
    for runtime in (one, two):
        await register(runtime, notes, "keeper")
    await settled(one, two)
    agent = key_at(one, "keeper")
    assert await two.send_message(Do("first"), agent) == Said("first", 1)
    call = asyncio.create_task(two.send_message(Do("second", gate="g"), agent))
    await notes.have("second")
    thread = one._lease
    await thread.stop()
    await until(lambda: notes.cancelled == ["second"])  # by the one that gave no sign of life
    await until(lambda: [heard.runtime for heard in notes.heard] == [one, one, two])
    notes.gate("g").set()
    assert await call == Said("second", 2)
    assert not one.ready
    thread.start(one._hosting.says())
    await until(lambda: one.ready and len(two._registry.members) == 2)
    await settled(one, two)
    back = key_at(one, "keeper")
    assert await two.send_message(Do("third"), back) == Said("third", 3 if back == agent else 1)
    assert notes.heard[-1].runtime is one


async def test_requests_to_a_type_are_answered_while_workers_come_and_go(workers: Workers) -> None:
    notes = Notes()
    base = await workers(partitions=8)
    await register(base, notes, "keeper")
    agents = [AgentId("keeper", str(number)) for number in range(10)]
    sent, stopped = Counter[AgentId](), False

    async def load(agent: AgentId) -> None:
        while not stopped:
            sent[agent] += 1
            said = await base.send_message(Do(str(sent[agent])), agent)
            assert said == Said(str(sent[agent]), sent[agent])

    loads = [asyncio.create_task(load(agent)) for agent in agents]
    other = workers.new()
    await register(other, notes, "keeper")
    for _ in range(3):
        await other.start()
        await settled(base, other)
        await asyncio.sleep(0.1)
        await other.stop()
    stopped = True
    async with asyncio.timeout(10):
        await asyncio.gather(*loads)
    assert {heard.runtime for heard in notes.heard} == {base, other}
    for agent in agents:
        assert (await base.agent_save_state(agent))["count"] == sent[agent]


async def test_agents_without_saved_state_move_too(workers: Workers) -> None:
    notes = Notes()
    one, two = await workers(), workers.new()
    for runtime in (one, two):
        await register(runtime, notes, "doer", Doer)
    agents = [AgentId("doer", str(number)) for number in range(30)]
    await asyncio.gather(*(one.send_message(Do("x"), agent) for agent in agents))
    await two.start()
    await settled(one, two)
    said = await asyncio.gather(*(one.send_message(Do("y"), agent) for agent in agents))
    assert {said.count for said in said} == {1, 2}  # those that stayed know what they knew
    moved = {agent for agent in agents if at(agent, two)}
    assert moved == set(notes.closed)
