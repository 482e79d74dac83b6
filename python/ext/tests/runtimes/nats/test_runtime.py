"""A worker's life: started, stopped, started again, and what it leaves behind."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from autogen_core import AgentId, MessageContext, TopicId, TypeSubscription
from autogen_core.exceptions import NotAccessibleError, UndeliverableException
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsConnectionError, NatsServer

from . import doers
from .doers import Do, Doer, Keeper, Notes, Said, Workers, register
from .waiting import until

workers = doers.workers
KEEPER = AgentId("keeper", "a")
NOWHERE = "nats://127.0.0.1:1"


async def test_what_was_registered_before_the_start_works_after_it(workers: Workers) -> None:
    notes, runtime = Notes(), workers.new(stateless_types=["free"])
    await register(runtime, notes, "keeper")
    await register(runtime, notes, "free", Doer)
    await runtime.add_subscription(TypeSubscription("news", "keeper"))
    assert not runtime.ready
    with pytest.raises(ValueError, match=r"Call start\(\) first"):
        await runtime.send_message(Do("x"), KEEPER)
    with pytest.raises(ValueError, match=r"Call start\(\) first"):
        await runtime.publish_message(Do("x"), TopicId("news", "a"))
    await runtime.start()
    assert runtime.ready
    caller = await workers()
    assert await caller.send_message(Do("x"), KEEPER) == Said("x", 1)
    assert await caller.send_message(Do("x"), AgentId("free", "a")) == Said("x", 1)
    await caller.publish_message(Do("event"), TopicId("news", "b"))
    await notes.have("event")


async def test_without_a_server_starting_fails_soon_and_leaves_nothing(workers: Workers) -> None:
    runtime = workers.new(servers=NOWHERE)
    tasks = asyncio.all_tasks()
    began = time.monotonic()
    with pytest.raises(NatsConnectionError, match="Is one running there"):
        await runtime.start()
    assert time.monotonic() - began < 10
    assert isinstance(NatsConnectionError("x"), ConnectionError)
    assert asyncio.all_tasks() <= tasks
    assert not any(thread.name.startswith("lease") for thread in threading.enumerate())
    assert not runtime.ready
    with pytest.raises(RuntimeError, match="not running"):
        await runtime.stop()


async def test_a_start_that_is_cancelled_leaves_nothing(workers: Workers) -> None:
    runtime = workers.new()
    tasks = asyncio.all_tasks()
    for steps in (1, 5, 20):
        starting = asyncio.create_task(runtime.start())
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        starting.cancel()
        await asyncio.wait([starting])
        if runtime._started:
            await runtime.stop()
        await until(lambda: asyncio.all_tasks() <= tasks)
    await runtime.start()
    assert runtime.ready


async def test_a_worker_is_ready_from_its_start_to_its_stop(workers: Workers) -> None:
    notes, runtime = Notes(), workers.new()
    await register(runtime, notes, "keeper")
    assert not runtime.ready
    await runtime.start()
    assert runtime.ready
    call = asyncio.create_task(runtime.send_message(Do("x", gate="g"), KEEPER))
    await notes.have("x")
    stopping = asyncio.create_task(runtime.stop())
    await until(lambda: not runtime.ready)
    assert not stopping.done()
    notes.gate("g").set()
    await stopping
    assert await call == Said("x", 1)
    assert not runtime.ready


async def test_stopping_answers_all_who_wait_and_cancels_what_takes_too_long(workers: Workers) -> None:
    notes = Notes()
    host = await workers(stateless_types=["free"])
    runtime = await workers(stateless_types=["free"], drain_timeout=0.2)
    await register(runtime, notes, "keeper")
    await register(runtime, notes, "free", Doer)
    await register(host, notes, "far", Doer)
    await runtime.register_agent_instance(Doer(notes), AgentId("one", "a"))
    await host.register_agent_instance(Doer(notes), AgentId("other", "a"))
    agents = [AgentId(name, "a") for name in ("keeper", "free", "far", "one", "other")]
    calls = [
        asyncio.create_task(runtime.send_message(Do(f"{agent} {n}", gate="never"), agent))
        for agent in agents
        for n in range(3)
    ]
    await notes.have(*(f"{agent} 0" for agent in agents))
    async with asyncio.timeout(8):
        await runtime.stop()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {UndeliverableException}
    assert {"keeper/a 0", "free/a 2", "one/a 0"} <= set(notes.cancelled)
    await until(lambda: {"far/a 1", "other/a 1"} <= set(notes.cancelled))


@pytest.mark.parametrize("name", ["keeper", "free", "one"])
async def test_a_handler_may_stop_its_runtime(workers: Workers, name: str) -> None:
    """It goes on to its end, then the runtime has stopped; whoever waits is told something."""
    notes, caller = Notes(), await workers(stateless_types=["free"])
    runtime = await workers(stateless_types=["free"])

    class Stopper(Doer):
        async def on_message_impl(self, message: object, ctx: MessageContext) -> Said:
            await runtime.stop()
            notes.ended.append("stopped")
            return Said("stopped", 1)

    agent = AgentId(name, "a")
    if name == "one":
        await runtime.register_agent_instance(Stopper(notes), agent)
    else:
        await register(runtime, notes, name, Stopper)
    for sender in (caller, runtime):
        if not runtime._started:
            await runtime.start()
        async with asyncio.timeout(8):
            (outcome,) = await asyncio.gather(sender.send_message(Do("x"), agent), return_exceptions=True)
            await until(lambda: not runtime._started and runtime._stopping is None)
        assert outcome == Said("stopped", 1) or isinstance(outcome, UndeliverableException)
        assert "stopped" in notes.ended
        notes.ended.clear()


async def test_a_runtime_starts_again_after_a_stop_with_all_that_it_had(workers: Workers) -> None:
    notes, runtime = Notes(), await workers(stateless_types=["free"])
    await register(runtime, notes, "keeper")
    await register(runtime, notes, "free", Doer)
    await runtime.add_subscription(TypeSubscription("news", "keeper"))
    for number in range(1, 4):
        assert await runtime.send_message(Do("x"), KEEPER) == Said("x", number)
        assert (await runtime.send_message(Do("x"), AgentId("free", "a"))).text == "x"
        await runtime.publish_message(Do(f"event {number}"), TopicId("news", "b"))
        await notes.have(f"event {number}")
        await runtime.stop()
        await runtime.start()
    assert sum(text.startswith("event") for text in notes.texts()) == 3


async def test_closing_closes_each_agent_once(workers: Workers) -> None:
    notes, runtime = Notes(), await workers(stateless_types=["free"])
    await register(runtime, notes, "keeper")
    await register(runtime, notes, "free", Doer)
    await runtime.register_agent_instance(Doer(notes), AgentId("one", "a"))
    agents = {AgentId("keeper", "a"), AgentId("keeper", "b"), AgentId("free", "a"), AgentId("one", "a")}
    for agent in agents:
        await runtime.send_message(Do("x"), agent)
    await runtime.close()
    await runtime.close()
    assert sorted(map(str, notes.closed)) == sorted(map(str, agents))


async def test_an_agent_that_went_to_another_worker_is_closed_here(workers: Workers) -> None:
    notes = Notes()
    one = await workers(partitions=1)
    await register(one, notes, "keeper")
    await one.send_message(Do("x"), KEEPER)
    await one.try_get_underlying_agent_instance(KEEPER, Keeper)
    others: list[NatsAgentRuntime] = []
    while one._ownership._pullers:  # whoever ranks highest has the one partition
        others.append(await workers())
        await register(others[-1], notes, "keeper")
        await asyncio.sleep(0.3)
    assert await one.send_message(Do("y"), KEEPER) == Said("y", 2)
    assert notes.closed[0] == KEEPER
    with pytest.raises(NotAccessibleError):
        await one.try_get_underlying_agent_instance(KEEPER)


async def test_cancelling_stop_does_not_keep_the_runtime_from_stopping(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    call = asyncio.create_task(runtime.send_message(Do("x", gate="g"), KEEPER))
    await notes.have("x")
    stopping = [asyncio.create_task(runtime.stop()) for _ in range(2)]
    await asyncio.sleep(0.05)
    stopping[0].cancel()
    notes.gate("g").set()
    await stopping[1]
    assert await call == Said("x", 1)
    assert stopping[0].cancelled()


def test_one_program_may_use_several_event_loops_one_after_the_other(nats_server: NatsServer, namespace: str) -> None:
    async def run(number: int) -> Any:
        made, notes = Workers(nats_server.url, namespace), Notes()
        try:
            runtime = await made()
            await register(runtime, notes, "keeper")
            return await runtime.send_message(Do(str(number)), KEEPER)
        finally:
            await made.close()

    assert [asyncio.run(run(number)) for number in range(3)] == [Said(str(n), n + 1) for n in range(3)]


UVLOOP = """
import asyncio, sys, uvloop
sys.path.insert(0, sys.argv[3])
from doers_of_uvloop import run
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    print(runner.run(run(sys.argv[1], sys.argv[2])))
"""

PROGRAM = """
import asyncio
from dataclasses import dataclass
from autogen_core import AgentId, ClosureAgent, MessageContext, try_get_known_serializers_for_type
from autogen_ext.runtimes.nats import NatsAgentRuntime


@dataclass
class Word:
    text: str


async def answer(agent, message: Word, ctx: MessageContext) -> Word:
    if message.text == "deep":
        return await agent.send_message(Word("inner"), AgentId("free", "b"))
    await asyncio.sleep(0)
    return Word(f"{message.text} at {type(asyncio.get_running_loop()).__module__}")


async def run(url, namespace):
    one, two = (NatsAgentRuntime(url, namespace=namespace, stateless_types=["free"], partitions=2) for _ in range(2))
    for runtime in (one, two):
        await runtime.start()
        runtime.add_message_serializer(try_get_known_serializers_for_type(Word))
    await ClosureAgent.register_closure(one, "durable", answer)
    await ClosureAgent.register_closure(two, "free", answer)
    try:
        words = await asyncio.gather(*(one.send_message(Word("deep"), AgentId("durable", str(n))) for n in range(50)))
        return {word.text for word in words}
    finally:
        await two.close()
        await one.close()
"""


def test_it_runs_on_uvloop(nats_server: NatsServer, namespace: str, tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    tmp_path.joinpath("doers_of_uvloop.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", UVLOOP, nats_server.url, namespace, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "{'inner at uvloop'}\n"), done.stderr
