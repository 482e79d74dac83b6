"""Workers and hosts that die, in processes of their own where death is to be sudden."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import UndeliverableException
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from .agents import Word, knows_messages, speak, speaker, until
from .processes import worker_process

NewWorker = Callable[..., Awaitable[GrpcWorkerAgentRuntime]]
FAR = AgentId("far", "default")


async def test_callers_of_a_killed_worker_are_told(host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker) -> None:
    near = knows_messages(await new_worker())
    async with worker_process(f"127.0.0.1:{host.port}", "far") as process:
        assert await near.send_message(Word("hi"), FAR) == Word("HI")
        calls = [asyncio.create_task(near.send_message(Word("sleep 60"), FAR)) for _ in range(20)]
        await asyncio.sleep(0.1)
        process.kill()
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, UndeliverableException) for outcome in outcomes)
    with pytest.raises(UndeliverableException, match="no agent type 'far'"):
        await near.send_message(Word("hi"), FAR)


async def test_the_type_of_a_killed_worker_can_be_registered_again(
    host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker
) -> None:
    near = knows_messages(await new_worker())
    async with worker_process(f"127.0.0.1:{host.port}", "far") as process:
        process.kill()
        await process.wait()
    async with worker_process(f"127.0.0.1:{host.port}", "far"):
        assert await near.send_message(Word("hi"), FAR) == Word("HI")


async def test_of_workers_that_share_a_type_the_others_take_over(
    host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker
) -> None:
    near = knows_messages(await new_worker())
    agents = [AgentId("far", str(number)) for number in range(40)]
    async with (
        worker_process(f"127.0.0.1:{host.port}", "far", "--shared") as first,
        worker_process(f"127.0.0.1:{host.port}", "far", "--shared"),
    ):
        assert await asyncio.gather(*(near.send_message(Word("a"), agent) for agent in agents)) == [Word("A")] * 40
        first.kill()
        await first.wait()
        await asyncio.sleep(0.2)
        assert await asyncio.gather(*(near.send_message(Word("b"), agent) for agent in agents)) == [Word("B")] * 40


async def test_a_worker_process_leaves_on_sigterm(host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker) -> None:
    """It finishes what it is at."""
    near = knows_messages(await new_worker())
    async with worker_process(f"127.0.0.1:{host.port}", "far") as process:
        call = asyncio.create_task(near.send_message(Word("sleep 0.5"), FAR))
        await asyncio.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert await call == Word("slept")
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def restart(host: GrpcWorkerAgentRuntimeHost, away_s: float = 0.0) -> GrpcWorkerAgentRuntimeHost:
    """Stop a host, and start another one at its address after a while."""
    port = host.port
    await host.stop(grace=0)
    await asyncio.sleep(away_s)
    again = GrpcWorkerAgentRuntimeHost(f"127.0.0.1:{port}")
    again.start()
    return again


async def test_requests_survive_the_host_and_are_handled_once(
    host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker
) -> None:
    """1,000 numbered requests, 20 at a time, while the host is stopped and started twice."""
    near, far = knows_messages(await new_worker()), await new_worker()
    await speak(far, "far")
    gate = asyncio.Semaphore(20)

    async def ask(number: int) -> None:
        async with gate:
            assert await near.send_message(Word(f"n{number}"), FAR, timeout=30) == Word(f"N{number}")

    asking = asyncio.gather(*(ask(number) for number in range(1000)))
    agent = await speaker(far, "far")
    hosts = [host]
    for share in (200, 600):
        await until(lambda share=share: len(agent.heard) >= share)
        hosts.append(await restart(hosts[-1], away_s=0.2))
    await asking
    assert sorted(agent.heard) == sorted(f"n{number}" for number in range(1000))
    await near.close()
    await far.close()
    await hosts[-1].stop(grace=0)


async def test_a_request_under_way_outlives_the_host(host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker) -> None:
    near, far = knows_messages(await new_worker()), await new_worker()
    await speak(far, "far")
    call = asyncio.create_task(near.send_message(Word("sleep 1"), FAR))
    agent = await speaker(far, "far")
    await agent.under_way.wait()
    again = await restart(host)
    assert await asyncio.wait_for(call, 20) == Word("slept")
    assert agent.heard == ["sleep 1"]
    await near.close()
    await far.close()
    await again.stop(grace=0)


async def test_subscriptions_come_back_with_the_host_and_are_not_doubled(
    host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker
) -> None:
    near, far = knows_messages(await new_worker()), await new_worker()
    await speak(far, "far")
    await far.add_subscription(TypeSubscription("news", "far"))
    again = await restart(host)
    assert await near.send_message(Word("back"), FAR, timeout=20) == Word("BACK")
    await near.publish_message(Word("event"), TopicId("news", "default"))
    await near.publish_message(Word("last"), TopicId("news", "default"))
    agent = await speaker(far, "far")
    await until(lambda: "last" in agent.heard)
    assert agent.heard == ["back", "event", "last"]
    await near.close()
    await far.close()
    await again.stop(grace=0)


async def test_what_is_published_while_the_host_is_away_is_sent_when_it_is_back(
    host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker
) -> None:
    """To those who are there then: here, the publisher's own agents."""
    near = await new_worker()
    await speak(near, "near")
    await near.add_subscription(TypeSubscription("news", "near"))
    port = host.port
    await host.stop(grace=0)
    await until(lambda: not near._link.connected)
    for number in range(10):
        await near.publish_message(Word(str(number)), TopicId("news", "default"))
    again = GrpcWorkerAgentRuntimeHost(f"127.0.0.1:{port}")
    again.start()
    agent = await speaker(near, "near")
    await until(lambda: len(agent.heard) == 10)
    assert agent.heard == [str(number) for number in range(10)]
    await near.close()
    await again.stop(grace=0)


async def test_callers_are_told_if_the_host_stays_away(host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker) -> None:
    near = knows_messages(await new_worker(reconnect_timeout=0.3))
    far = await new_worker(drain_timeout=0.1)
    await speak(far, "far")
    call = asyncio.create_task(near.send_message(Word("sleep 60"), FAR))
    await (await speaker(far, "far")).under_way.wait()
    await host.stop(grace=0)
    with pytest.raises(UndeliverableException, match="the host is away"):
        await asyncio.wait_for(call, 10)
    with pytest.raises(UndeliverableException, match="away"):
        await near.send_message(Word("x"), FAR)
