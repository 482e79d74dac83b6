"""What holds when more is sent than can be handled: senders are held back or told so, and no process grows."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from autogen_core import AgentId, TopicId
from autogen_core.exceptions import MailboxFullError
from autogen_ext.runtimes.nats import NatsServer

from .chaos_fleet import Add, Fleet, News, new_runtime, rss, tell

MESSAGES = int(os.environ.get("AUTOGEN_FLOOD_MESSAGES", "20000"))
"""How many events are published; a million by hand."""

MEGABYTE = 1024 * 1024


async def test_a_full_mailbox_is_a_typed_error(nats_server: NatsServer, namespace: str, tmp_path: Path) -> None:
    """Of requests and of events; whoever is told so may send again later, and what was taken is handled."""
    runtime = new_runtime(nats_server.url, namespace)
    async with Fleet(nats_server.url, namespace, tmp_path, "keep hear", mailbox_size=50) as fleet:
        await fleet.add()
        await runtime.start()
        try:
            agent = AgentId("keep", "x")
            calls = [asyncio.create_task(runtime.send_message(Add("me", n, 0.5), agent)) for n in range(1, 101)]
            done, waiting = await asyncio.wait(calls, timeout=12)
            full = [call for call in done if isinstance(call.exception(), MailboxFullError)]
            assert 20 < len(full) < 60
            for call in waiting:
                call.cancel()
            await asyncio.wait(calls)
            await fleet.stop("w1")
            published = 0

            async def publish() -> None:
                nonlocal published
                while published < 100:
                    await runtime.publish_message(News(published + 1), TopicId("news-hear", "x"))
                    published += 1

            with pytest.raises(MailboxFullError):
                await publish()
            await runtime.flush()
            assert 20 <= published <= 50
            await fleet.add()
            async with asyncio.timeout(20):
                await runtime.publish_message(News(100), TopicId("news-hear", "x"))
                await runtime.flush()
                state = await runtime.agent_save_state(AgentId("hear", "x"))  # of the same agent, so in its turn
            assert state == {"count": published + 1, "last": {"news": 100}, "wrong": []}
        finally:
            await runtime.close()
        assert fleet.complaints() == []


@pytest.mark.timeout(60 + MESSAGES // 200)
async def test_memory_stays_flat_in_a_flood(nats_server: NatsServer, namespace: str, tmp_path: Path) -> None:
    """Many publishers are faster than the subscribers; nothing is lost, and no process grows with the messages."""
    runtime = new_runtime(nats_server.url, namespace)
    async with Fleet(nats_server.url, namespace, tmp_path, "hear", mailbox_size=5_000) as fleet:
        await fleet.add()
        await runtime.start()
        sizes: list[dict[str, int]] = []
        numbers = iter(range(1, MESSAGES + 1))
        sent = 0
        refused = 0

        async def publish() -> None:
            nonlocal sent, refused
            for number in numbers:
                while True:
                    try:
                        await runtime.publish_message(News(number), TopicId("news-hear", f"s{number % 100}"))
                    except MailboxFullError:
                        refused += 1
                    else:
                        sent += 1
                        break

        try:
            begin = time.monotonic()
            publishers = [asyncio.create_task(publish()) for _ in range(200)]
            while sent < MESSAGES:
                await asyncio.sleep(0.5)
                if sent > MESSAGES / 10:
                    now = {"publisher": rss(os.getpid()), "server": rss(nats_server.pid), "worker": fleet.rss("w1")}
                    sizes.append(now)
            await asyncio.gather(*publishers)
            await runtime.flush()
            agents = [AgentId("hear", f"s{number}") for number in range(100)]
            async with asyncio.timeout(60):
                while True:
                    states = [await runtime.agent_save_state(agent) for agent in agents]
                    if sum(state["count"] for state in states) >= MESSAGES:
                        break
                    await asyncio.sleep(0.5)
            took = time.monotonic() - begin
            assert sum(state["count"] for state in states) == MESSAGES
        finally:
            await runtime.close()
        grown = {name: (sizes[-1][name] - sizes[0][name]) / MEGABYTE for name in sizes[0]}
        tell(
            MESSAGES,
            "took",
            took,
            "refused",
            refused,
            "first MB",
            {n: s // MEGABYTE for n, s in sizes[0].items()},
            "grown",
            grown,
        )
        assert grown["publisher"] < 30
        assert grown["worker"] < 30
        assert grown["server"] < 60 + MESSAGES / 10_000  # it knows the ids of two minutes
        assert fleet.complaints() == []
