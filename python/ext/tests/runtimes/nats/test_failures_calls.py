"""What holds for calls between workers: cancelling, deadlines, recursion, and what handlers sent before their worker died."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from autogen_core import AgentId, CancellationToken
from autogen_core.exceptions import DeadlineExceededError, MessageTooLargeError
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsServer

from .chaos_fleet import Add, Fleet, Total, Visit, new_runtime
from .waiting import until


@pytest.fixture
async def runtime(nats_server: NatsServer, namespace: str) -> AsyncIterator[NatsAgentRuntime]:
    made = new_runtime(nats_server.url, namespace)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def fleet(nats_server: NatsServer, namespace: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with Fleet(nats_server.url, namespace, tmp_path) as made:
        yield made
        assert made.complaints() == []


def number_of(fleet: Fleet, what: str, agents: str = "") -> int:
    """Return how many lines of a kind agents have written."""
    return sum(line["what"] == what and line["agent"].startswith(agents) for line in fleet.lines())


@pytest.mark.parametrize("type", ["keep", "plain", "free"])
async def test_a_cancelled_call_ends_at_once_and_its_handler_sees_it(
    runtime: NatsAgentRuntime, fleet: Fleet, type: str
) -> None:
    await fleet.add(types=type)
    token = CancellationToken()
    call = asyncio.create_task(runtime.send_message(Add("me", 1, 60), AgentId(type, "x"), cancellation_token=token))
    await until(lambda: number_of(fleet, "begin") == 1)
    begin = time.monotonic()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert time.monotonic() - begin < 1
    await until(lambda: number_of(fleet, "cancelled") == 1)
    assert [line["token"] for line in fleet.lines() if line["what"] == "cancelled"] == [True]


@pytest.mark.parametrize("type", ["keep", "plain", "free"])
async def test_cancelling_reaches_the_handler_that_a_handler_waits_for(
    runtime: NatsAgentRuntime, fleet: Fleet, type: str
) -> None:
    await fleet.add(types=type)
    await fleet.add(types="ask")
    call = asyncio.create_task(runtime.send_message(Visit([f"{type}/x"], 60), AgentId("ask", "x")))
    await until(lambda: number_of(fleet, "begin") == 2)
    begin = time.monotonic()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert time.monotonic() - begin < 1
    await until(lambda: number_of(fleet, "cancelled", "ask/x") == number_of(fleet, "cancelled", f"{type}/x") == 1)


async def test_agents_of_several_workers_may_call_in_a_circle(runtime: NatsAgentRuntime, fleet: Fleet) -> None:
    """Also those that save state, and one that calls itself."""
    await fleet.add(types="keep plain")
    await fleet.add(types="ask free")
    circle = ["ask/b", "keep/a", "free/c", "plain/d", "ask/b", "keep/a", "keep/a", "plain/d"]
    for _ in range(3):
        async with asyncio.timeout(10):
            await runtime.send_message(Visit(circle), AgentId("keep", "a"))
    assert (await runtime.agent_save_state(AgentId("keep", "a")))["count"] == 12
    assert (await runtime.agent_save_state(AgentId("ask", "b")))["count"] == 6


async def test_a_deadline_holds_for_nested_calls_too(runtime: NatsAgentRuntime, fleet: Fleet) -> None:
    """What a handler waits for is cancelled with it, half a second after the first call."""
    await fleet.add(types="keep")
    await fleet.add(types="ask")
    await runtime.send_message(Visit(["keep/x"]), AgentId("ask", "x"))
    took: list[float] = []
    for number in range(3):
        begin = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            await runtime.send_message(Visit([f"keep/{number}"], 60), AgentId("ask", "x"), timeout=0.5)
        took.append(time.monotonic() - begin)
    assert 0.49 <= sorted(took)[1] <= 0.7
    await until(lambda: number_of(fleet, "cancelled", "keep") == 3)


async def test_a_handler_that_begins_anew_after_its_worker_died_gets_the_answers_to_what_it_sent(
    runtime: NatsAgentRuntime, fleet: Fleet
) -> None:
    """What it asks for has been asked for before, with the same ids; the answers must come all the same."""
    await fleet.add(types="keep free plain")
    asking = await fleet.add(types="ask")
    calls = [
        asyncio.create_task(runtime.send_message(Visit([f"{type}/x"], 1.0), AgentId("ask", type)))
        for type in ("keep", "free", "plain")
    ]
    await until(lambda: number_of(fleet, "begin") == 6)
    fleet.kill(asking)
    await fleet.add(types="ask")
    async with asyncio.timeout(20):
        answers: list[Total] = await asyncio.gather(*calls)
    assert [answer.count for answer in answers] == [1, 1, 1]
    assert (await runtime.agent_save_state(AgentId("keep", "x")))["count"] == 1


async def test_a_handler_that_is_moved_while_it_waits_gets_its_answer_elsewhere(
    runtime: NatsAgentRuntime, nats_server: NatsServer, namespace: str, fleet: Fleet, tmp_path: Path
) -> None:
    """Its worker stops and cancels it; cancelling what it had sent must not hit what it sends when it runs again."""
    await fleet.add(types="keep plain")
    (tmp_path / "more").mkdir()
    async with Fleet(nats_server.url, namespace, tmp_path / "more", "ask", drain_timeout=0.2) as hasty:
        leaving = await hasty.add()
        calls = [
            asyncio.create_task(runtime.send_message(Visit([f"{type}/x"], 1.0), AgentId("ask", type)))
            for type in ("keep", "plain")
        ]
        await until(lambda: number_of(fleet, "begin") == 2)
        await hasty.stop(leaving)
        await hasty.add()
        async with asyncio.timeout(20):
            await asyncio.gather(*calls)
        assert hasty.complaints() == []


async def test_a_state_that_is_too_large_is_an_answer(runtime: NatsAgentRuntime, fleet: Fleet) -> None:
    """And the agent goes on from the state before."""
    await fleet.add(types="keep")
    agent = AgentId("keep", "x")
    await runtime.send_message(Add("x" * 5_000_000, 1), agent)
    for sender in "yz":
        with pytest.raises(MessageTooLargeError):
            await asyncio.wait_for(runtime.send_message(Add(sender * 5_000_000, 1), agent), 10)
    total = await asyncio.wait_for(runtime.send_message(Add("me", 1), agent), 10)
    assert total.count == 2
    assert "cannot be written" in fleet.log("w1")
