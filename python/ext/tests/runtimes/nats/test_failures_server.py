"""What holds when the NATS server goes away and comes back, and when one of three is lost for good."""

import asyncio
import time
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from autogen_core import AgentId, ClosureAgent, ClosureContext, MessageContext, TopicId, TypeSubscription
from autogen_ext.runtimes.nats import NatsServer
from autogen_ext.runtimes.nats._server_cluster import NatsCluster

from .chaos_fleet import Add, Fleet, News, new_runtime, overlaps, tell
from .chaos_load import Load
from .conftest import NewServer
from .test_failures import counted


async def heard_all(fleet: Fleet, topics: int, numbers: int) -> dict[str, list[int]]:
    """Wait until the subscribers have heard all events, and return what each did, in its order."""
    heard: dict[str, list[int]] = {}
    async with asyncio.timeout(45):
        while True:
            heard = defaultdict(list)
            for span in fleet.spans():
                if span.agent.startswith(("hear/", "free/")) and span.sender == "news":
                    heard[span.agent].append(span.number)
            if len(heard) == topics and all(set(got) >= set(range(1, numbers + 1)) for got in heard.values()):
                return heard
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_server_that_comes_back_loses_no_message(
    new_server: NewServer, namespace: str, tmp_path: Path, how: str
) -> None:
    """A thousand numbered messages of each kind while it is stopped or killed: all handled, all answered, none doubled."""
    server = await new_server()
    runtime = new_runtime(server.url, namespace)
    instance_heard: list[int] = []

    async def hear(_: ClosureContext, message: News, ctx: MessageContext) -> None:
        instance_heard.append(message.number)

    async with Fleet(server.url, namespace, tmp_path, "keep plain free hear") as fleet:
        await fleet.add()
        await fleet.add()
        await runtime.start()
        try:
            await ClosureAgent.register_closure(
                runtime, "inbox", hear, subscriptions=lambda: [TypeSubscription("news-hear", "inbox")]
            )
            loads = [
                Load(runtime, [AgentId(type, f"a{number}") for number in range(20)], Add, type)
                for type in ("keep", "plain", "free")
            ]

            async def publish() -> None:
                for number in range(1, 1001):
                    for source in ("one", "two"):
                        await runtime.publish_message(News(number), TopicId("news-hear", source))
                    await asyncio.sleep(0.008)

            publishing = asyncio.create_task(publish())
            running = [asyncio.create_task(load.run(10, 100)) for load in loads]
            await asyncio.sleep(2)
            await (server.kill() if how == "kill" else server.stop())
            await asyncio.sleep(3)
            await server.start()
            back = time.monotonic()
            await asyncio.gather(*running)
            await asyncio.wait_for(publishing, 45)
            for load in loads:
                await load.finish(45)
                assert not load.failures, load.failures[:3]
            assert await counted(runtime, loads[0]) == []
            heard = await heard_all(fleet, 2, 1000)
            states = [await runtime.agent_save_state(AgentId("hear", source)) for source in ("one", "two")]
            assert [(state["count"], state["wrong"]) for state in states] == [(1000, [])] * 2
            await asyncio.sleep(1)
            first = min(one.came for load in loads for many in load.answers.values() for one in many if one.came > back)
        finally:
            await runtime.close()
        twice = Counter(span.id for span in fleet.spans() if span.agent.startswith("hear/one"))
        tell(
            how, "first answer after", first - back, "twice", [c for c in twice.values() if c > 1], len(instance_heard)
        )
        assert all(list(dict.fromkeys(got)) == sorted(set(got)) for got in heard.values())
        assert fleet.complaints() == []


async def test_a_lost_server_of_three_is_not_missed_for_long(namespace: str, tmp_path: Path) -> None:
    async with NatsCluster() as cluster, Fleet(cluster.urls, namespace, tmp_path) as fleet:
        runtime = new_runtime(cluster.urls, namespace)
        await fleet.add()
        await fleet.add()
        await runtime.start()
        try:
            load = Load(runtime, [AgentId("keep", f"a{number}") for number in range(50)], Add)
            await load.run(3, 100)
            await cluster.servers[0].kill()
            await load.run(12, 100)
            await load.finish()
            assert not load.failures
            assert await counted(runtime, load) == []
            came = sorted(one.came for many in load.answers.values() for one in many)
            pause = max(later - earlier for earlier, later in pairwise(came))
        finally:
            await runtime.close()
        tell("pause", pause)
        assert pause < 20
        assert overlaps(fleet.spans()) == []
        assert fleet.complaints() == []


async def test_events_wait_for_a_subscriber_that_is_away(
    nats_server: NatsServer, namespace: str, tmp_path: Path
) -> None:
    """They arrive when it is back, in order, once."""
    runtime = new_runtime(nats_server.url, namespace)
    async with Fleet(nats_server.url, namespace, tmp_path, "hear") as fleet:
        away = await fleet.add()
        await runtime.start()
        try:
            for number in range(1, 11):
                await runtime.publish_message(News(number), TopicId("news-hear", "x"))
            await heard_all(fleet, 1, 10)
            await fleet.stop(away)
            for number in range(11, 501):
                await runtime.publish_message(News(number), TopicId("news-hear", "x"))
            killed = await fleet.add()
            await heard_all(fleet, 1, 500)
            fleet.kill(killed)
            for number in range(501, 1001):
                await runtime.publish_message(News(number), TopicId("news-hear", "x"))
            await fleet.add()
            heard = await heard_all(fleet, 1, 1000)
            assert heard["hear/x"] == list(range(1, 1001))
            state = await runtime.agent_save_state(AgentId("hear", "x"))
            assert state == {"count": 1000, "last": {"news": 1000}, "wrong": []}
        finally:
            await runtime.close()
        assert fleet.complaints() == []
