"""What holds when workers are killed, and when they hang."""

import asyncio
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from autogen_core import AgentId
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsServer

from .chaos_fleet import Add, Fleet, Total, new_runtime, overlaps, tell
from .chaos_load import Load

ROUNDS = int(os.environ.get("AUTOGEN_CHAOS_ROUNDS", "2"))
"""How many workers are killed; `make soak` has fifty killed."""

RATE = 500
AGENTS = [AgentId("keep", f"a{number}") for number in range(200)]

pytestmark = pytest.mark.timeout(60 + 12 * ROUNDS)


async def counted(runtime: NatsAgentRuntime, load: Load) -> list[str]:
    """Return what is wrong with the states of agents after a load that came to its end."""
    wrong: list[str] = []
    for agent, sent in load.sent.items():
        state = await runtime.agent_save_state(agent)
        if state["count"] != sent or state["wrong"] or state["last"] != {load.sender: sent}:
            wrong.append(f"{agent}: {sent} sent, {state}")
    return wrong


async def test_killed_workers_lose_no_message_and_no_state(
    nats_server: NatsServer, namespace: str, tmp_path: Path
) -> None:
    """Kill -9 under 500 messages a second to 200 agents: each counts all its messages once, in order, soon elsewhere."""
    runtime = new_runtime(nats_server.url, namespace)
    slowest: list[float] = []
    first: list[float] = []
    async with Fleet(nats_server.url, namespace, tmp_path) as fleet:
        await fleet.add()
        await fleet.add()
        await runtime.start()
        try:
            load = Load(runtime, AGENTS, Add)
            await load.run(1, RATE)
            for _ in range(ROUNDS):
                await load.run(1, RATE)
                victim = fleet.alive()[0]
                its = load.of_worker(victim)
                fleet.kill(victim)
                at = time.monotonic()
                await load.run(3.5, RATE)
                came = load.first_after(at, its, victim)
                assert len(came) == len(its) > 0
                first.append(came[0])
                slowest.append(came[-1])
                await fleet.add()
            await load.finish()
            assert not load.failures
            assert await counted(runtime, load) == []
        finally:
            await runtime.close()
        assert fleet.complaints() == []
    tell("first answers", first, "of the last agent", slowest)
    assert sorted(slowest)[len(slowest) // 2] < 3


async def test_killed_stateless_workers_are_not_missed(nats_server: NatsServer, namespace: str, tmp_path: Path) -> None:
    """The next request to a stateless type works at once; those that the dead worker had are answered by another."""
    runtime = new_runtime(nats_server.url, namespace)
    async with Fleet(nats_server.url, namespace, tmp_path, "free") as fleet:
        await fleet.add()
        await fleet.add()
        await runtime.start()
        try:
            agent = AgentId("free", "x")
            slow = [asyncio.create_task(runtime.send_message(Add("slow", n, 1.5), agent)) for n in range(40)]
            await asyncio.sleep(0.5)
            victim = fleet.alive()[0]
            had = sum(line["worker"] == victim for line in fleet.lines())
            assert 0 < had < 40
            fleet.kill(victim)
            took: list[float] = []
            for number in range(20):
                begin = time.monotonic()
                total: Total = await runtime.send_message(Add("next", number), agent)
                took.append(time.monotonic() - begin)
                assert total.worker != victim
            async with asyncio.timeout(15):
                answers: list[Total] = await asyncio.gather(*slow)
            assert {answer.worker for answer in answers} == set(fleet.alive())
        finally:
            await runtime.close()
        assert fleet.complaints() == []
    assert sorted(took)[len(took) // 2] < 0.5


async def test_a_worker_that_hung_for_ten_seconds_is_fenced(
    nats_server: NatsServer, namespace: str, tmp_path: Path
) -> None:
    """SIGSTOP, others take its agents; after SIGCONT it begins no handler of theirs, and has no effect on their state."""
    runtime = new_runtime(nats_server.url, namespace)
    types = "keep plain"
    async with Fleet(nats_server.url, namespace, tmp_path, types) as fleet:
        await fleet.add()
        await fleet.add()
        await runtime.start()
        try:
            agents = [AgentId(type, f"a{number}") for number in range(50) for type in types.split()]
            load = Load(runtime, agents, partial(Add, seconds=0.01))
            await load.run(2, 200)
            victim = fleet.alive()[0]
            its = load.of_worker(victim)
            begun_before = time.monotonic()
            fleet.send(victim, signal.SIGSTOP)
            at = time.monotonic()
            await load.run(10, 200)
            fleet.send(victim, signal.SIGCONT)
            woke = time.monotonic()
            await load.run(5, 200)
            await load.finish()
            assert not load.failures
            came = load.first_after(at, its, victim)
            assert len(came) == len(its) > 0
            keepers = Load(
                runtime, (), Add, sent=load.sent.__class__({a: n for a, n in load.sent.items() if a.type == "keep"})
            )
            assert await counted(runtime, keepers) == []
        finally:
            await runtime.close()
        spans = [span for span in fleet.spans() if span.agent.startswith(tuple(types.split()))]
        hung = [span for span in spans if span.worker == victim and span.begin <= at < span.end]
        for span in hung:
            span.end = min(span.end, at)  # a hung handler does nothing; where it ends later, its effect is void
        assert overlaps(spans) == []
        back = [span.begin - woke for span in spans if span.worker == victim and span.begin > begun_before + 0.1]
        assert back, "the worker takes part again"
        assert fleet.complaints() == []
    tell("first answers", came[0], came[-1], "back after", min(back))
    assert came[-1] < 5


async def test_a_handler_that_blocks_its_worker_moves_no_agent(
    nats_server: NatsServer, namespace: str, tmp_path: Path
) -> None:
    """Its worker is alive all the same, and does not take others for dead because it did not listen."""
    runtime = new_runtime(nats_server.url, namespace)
    async with Fleet(nats_server.url, namespace, tmp_path, "plain keep") as fleet:
        await fleet.add()
        await fleet.add()
        await runtime.start()
        try:
            agents = [AgentId(type, f"a{number}") for number in range(50) for type in ("plain", "keep")]
            load = Load(runtime, agents, Add)
            await load.run(1, 200)
            await load.finish()
            before = {agent: answers[-1].worker for agent, answers in load.answers.items()}
            blocked = asyncio.create_task(runtime.send_message(Add("bad", 1, -5.0), AgentId("plain", "bad")))
            await load.run(7, 100)
            await load.finish()
            await blocked
            assert {agent: answers[-1].worker for agent, answers in load.answers.items()} == before
            assert not load.failures
        finally:
            await runtime.close()
        assert overlaps(fleet.spans()) == []
        assert fleet.complaints() == []
        assert "no sign of life" not in fleet.log("w1") + fleet.log("w2")
