"""A gateway that is killed, and one that comes after it."""

import asyncio

from autogen_core import AgentId, TopicId, TypeSubscription

from .agents import Word, knows_messages, speak, until
from .conftest import Place
from .program import gateway_process


async def test_a_killed_gateway_loses_nothing_and_no_handler_runs_twice(place: Place) -> None:
    """Requests under way in both directions are answered by way of the next gateway, and events go on."""
    runtime = await place.nats()
    at_nats = await speak(runtime, "at-nats")
    async with gateway_process("127.0.0.1:0", place.url, place.namespace) as (process, port):
        worker = await place.worker_at(port)
        at_worker = await speak(worker, "at-worker")
        await worker.add_subscription(TypeSubscription("news", "at-worker"))
        going_in = asyncio.create_task(runtime.send_message(Word("sleep 1"), AgentId("at-worker", "k")))
        going_out = asyncio.create_task(worker.send_message(Word("sleep 1"), AgentId("at-nats", "k")))
        await asyncio.wait_for(asyncio.gather(at_nats.under_way.wait(), at_worker.under_way.wait()), 10)
        process.kill()
        await process.wait()
    waiting = asyncio.create_task(runtime.send_message(Word("meanwhile"), AgentId("at-worker", "k")))
    await runtime.publish_message(Word("news"), TopicId("news", "k"))
    async with gateway_process(f"127.0.0.1:{port}", place.url, place.namespace):
        answers = await asyncio.wait_for(asyncio.gather(going_in, going_out, waiting), 40)
        assert answers == [Word("slept"), Word("slept"), Word("MEANWHILE")]
        await until(lambda: len(at_worker.heard) == 3)
        assert sorted(at_worker.heard) == ["k: meanwhile", "k: news", "k: sleep 1"]
        assert at_nats.heard == ["k: sleep 1"]
        knows_messages(runtime)
        assert await worker.send_message(Word("hello"), AgentId("at-nats", "k")) == Word("HELLO")
        await worker.close()
