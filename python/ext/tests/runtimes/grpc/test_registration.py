"""Registering with a host that is away, or goes away: it waits for the host, but not for ever."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from .agents import Word, knows_messages, speak, speaker, until

NewWorker = Callable[..., Awaitable[GrpcWorkerAgentRuntime]]


async def test_agents_registered_while_the_host_is_away_are_there_when_it_is_back(
    host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker
) -> None:
    near, port = await new_worker(), host.port
    await near.add_subscription(old := TypeSubscription("old", "near"))
    assert near.ready
    await host.stop(grace=0)
    await until(lambda: not near.ready)

    async def register() -> None:
        await speak(near, "near")
        await near.add_subscription(TypeSubscription("news", "near"))
        await near.remove_subscription(old.id)

    registering = asyncio.create_task(register())
    await asyncio.sleep(0.2)
    assert not registering.done()
    again = GrpcWorkerAgentRuntimeHost(f"127.0.0.1:{port}")
    again.start()
    await asyncio.wait_for(registering, 20)
    assert near.ready
    far = knows_messages(await new_worker(f"127.0.0.1:{port}"))
    assert await far.send_message(Word("hi"), AgentId("near", "default"), timeout=10) == Word("HI")
    await far.publish_message(Word("unheard"), TopicId("old", "default"))
    await far.publish_message(Word("event"), TopicId("news", "default"))
    agent = await speaker(near, "near")
    await until(lambda: "event" in agent.heard)
    assert agent.heard == ["hi", "event"]
    await far.close()
    await near.close()
    await again.stop(grace=0)


async def test_registrations_survive_a_host_that_is_stopped_and_started_meanwhile(
    host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker
) -> None:
    """Each is there once, whether the break came before, within or after its call."""
    near, port = await new_worker(), host.port
    types = [f"near{number}" for number in range(60)]

    async def register() -> None:
        for name in types:
            await speak(near, name)
            await near.add_subscription(TypeSubscription("news", name))

    registering = asyncio.create_task(register())
    hosts = [host]
    for share in (10, 30):
        await until(lambda share=share: len(near._directory.types) >= share)
        await hosts[-1].stop(grace=0)
        hosts.append(GrpcWorkerAgentRuntimeHost(f"127.0.0.1:{port}"))
        hosts[-1].start()
    await asyncio.wait_for(registering, 20)
    far = knows_messages(await new_worker(f"127.0.0.1:{port}"))
    answers = [far.send_message(Word("hi"), AgentId(name, "default"), timeout=10) for name in types]
    assert await asyncio.gather(*answers) == [Word("HI")] * 60
    await far.publish_message(Word("event"), TopicId("news", "default"))
    agents = [await speaker(near, name) for name in types]
    await until(lambda: all(agent.heard == ["hi", "event"] for agent in agents))
    await far.close()
    await near.close()
    await hosts[-1].stop(grace=0)


async def test_registering_gives_up_when_the_host_stays_away(
    host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker
) -> None:
    near = await new_worker(reconnect_timeout=0.3)
    await host.stop(grace=0)
    await until(lambda: not near.ready)
    async with asyncio.timeout(10):
        with pytest.raises(grpc.aio.AioRpcError, match="away") as caught:
            await speak(near, "near")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError):
            await near.add_subscription(TypeSubscription("news", "near"))
    assert not list(near._subscriptions)


async def test_stopping_ends_the_wait_of_who_registers(host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker) -> None:
    near = await new_worker()
    await host.stop(grace=0)
    await until(lambda: not near.ready)
    registering = asyncio.create_task(speak(near, "near"))
    await asyncio.sleep(0.1)
    await asyncio.wait_for(near.stop(), 10)
    with pytest.raises(grpc.aio.AioRpcError, match="stopped"):
        await asyncio.wait_for(registering, 5)


async def test_a_worker_is_ready_from_its_start_until_it_stops(new_worker: NewWorker) -> None:
    near = await new_worker()
    await speak(near, "near")
    assert near.ready
    call = asyncio.create_task(near.send_message(Word("sleep 0.2"), AgentId("near", "default")))
    await (await speaker(near, "near")).under_way.wait()
    stopping = asyncio.create_task(near.stop())
    await asyncio.sleep(0.05)
    assert not near.ready
    await stopping
    assert not near.ready
    assert await call == Word("slept")
    await near.start()
    assert near.ready


async def test_a_host_is_ready_from_its_start_until_it_stops() -> None:
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    assert not host.ready
    host.start()
    assert host.ready
    await host.stop(grace=0)
    assert not host.ready
