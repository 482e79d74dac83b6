"""The NATS server and its workers as processes."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from autogen_core import AgentId, try_get_known_serializers_for_type
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsSecurity

from .certificates import certify
from .conftest import Start
from .processes import probe, until
from .shop import Done, Order

FRONT, BACK = AgentId("front", "1"), AgentId("back", "1")
PROBES = ("--health", "127.0.0.1:0")
SERVER = ("server", "--port", "0")

Join = Callable[..., Awaitable[NatsAgentRuntime]]


@pytest.fixture
async def join(start: Start) -> AsyncIterator[Join]:
    """Connects runtimes of the test's own process that know the messages; they leave before the processes do."""
    made: list[NatsAgentRuntime] = []

    async def join(url: str, **options: Any) -> NatsAgentRuntime:
        client = NatsAgentRuntime(url, **options)
        for kind in (Order, Done):
            client.add_message_serializer(try_get_known_serializers_for_type(kind))
        await client.start()
        made.append(client)
        return client

    yield join
    for client in made:
        await client.close()


async def test_a_client_calls_agents_of_two_worker_processes(start: Start, join: Join) -> None:
    server = await start(*SERVER, *PROBES)
    url = f"nats://{await server.listens()}"
    assert await probe(f"{await server.health()}/readyz") == (200, {"status": "ready"})
    workers = [
        await start("worker", "shop:front", "--connect", url),
        await start("worker", "shop:back", "--connect", url, "--stateless", "back"),
    ]
    for worker in workers:
        await worker.ready()
    client = await join(url, stateless_types=["back"])
    for agent, worker in zip((FRONT, BACK), workers, strict=True):
        assert await client.send_message(Order("hi"), agent, timeout=20) == Done("HI", worker.process.pid)


async def test_a_host_passes_on_between_its_workers_and_those_of_a_server(start: Start, join: Join) -> None:
    url = f"nats://{await (await start(*SERVER)).listens()}"
    host = await start("host", "--listen", "127.0.0.1:0", "--gateway", url)
    address = f"grpc://{await host.listens()}"
    behind = await (await start("worker", "shop:back", "--connect", url)).ready()
    before = await (await start("worker", "shop:front", "--connect", address)).ready()
    client = await join(url)
    assert await client.send_message(Order("hi"), BACK, timeout=20) == Done("HI", behind.process.pid)
    assert await client.send_message(Order("hi"), FRONT, timeout=20) == Done("HI", before.process.pid)


@pytest.mark.parametrize("url", ["grpc://127.0.0.1:1", "127.0.0.1:4222"])
async def test_a_gateway_to_what_is_no_server_is_refused(start: Start, url: str) -> None:
    assert await (await start("host", "--listen", "127.0.0.1:0", "--gateway", url)).ended() == 2


async def test_a_worker_that_is_told_to_end_answers_and_hands_over(start: Start, join: Join) -> None:
    url = f"nats://{await (await start(*SERVER)).listens()}"
    worker = await (await start("worker", "shop:front", "--connect", url, *PROBES)).ready()
    client = await join(url)
    request = asyncio.create_task(client.send_message(Order("sleep 1.5"), FRONT, timeout=30))
    await asyncio.sleep(0.5)
    worker.tell(signal.SIGTERM)
    await until(f"{await worker.health()}/readyz", lambda status, body: status == 503)
    assert not request.done()
    assert await request == Done("SLEEP 1.5", worker.process.pid)
    assert await worker.ended() == 0
    waiting = asyncio.create_task(client.send_message(Order("hi"), FRONT, timeout=30))
    other = await (await start("worker", "shop:front", "--connect", url)).ready()
    assert await waiting == Done("HI", other.process.pid)


@pytest.mark.parametrize("order", ["sleep 600", "sleep 1 and block"])
async def test_a_second_signal_ends_a_worker_at_once(start: Start, join: Join, order: str) -> None:
    """Also one whose event loop is stuck, whichever loop that is."""
    url = f"nats://{await (await start(*SERVER)).listens()}"
    worker = await (await start("worker", "shop:front", "--connect", url)).ready()
    client = await join(url)
    request = asyncio.create_task(client.send_message(Order(order), FRONT))
    await asyncio.sleep(0.5)
    worker.tell(signal.SIGTERM)
    await worker.says("blocked now" if "block" in order else "draining")
    worker.tell(signal.SIGTERM)
    assert await worker.ended() == 128 + signal.SIGTERM
    request.cancel()


async def test_a_worker_that_loses_its_server_stays_and_says_so(start: Start, join: Join, tmp_path: Path) -> None:
    """What a server keeps in a folder of its own is there again, too."""
    store = ("--store", str(tmp_path / "streams"))
    server = await start(*SERVER, *store)
    address = await server.listens()
    worker = await (await start("worker", "shop:front", "--connect", f"nats://{address}", *PROBES)).ready()
    health = await worker.health()
    server.tell(signal.SIGTERM)
    assert await server.ended() == 0
    await until(f"{health}/readyz", lambda status, body: status == 503)
    assert (await probe(f"{health}/healthz"))[0] == 200
    await (await start("server", "--port", address.rpartition(":")[2], *store)).ready()
    await until(f"{health}/readyz", lambda status, body: status == 200)
    client = await join(f"nats://{address}")
    assert await client.send_message(Order("hi"), FRONT, timeout=20) == Done("HI", worker.process.pid)


async def test_a_worker_whose_server_is_away_ends_when_told(start: Start) -> None:
    server = await start(*SERVER)
    worker = await start("worker", "shop:front", "--connect", f"nats://{await server.listens()}")
    await worker.ready()
    server.tell(signal.SIGKILL)
    await worker.says("broke")
    worker.tell(signal.SIGTERM)
    assert await worker.ended() == 0


async def test_tokens_and_tls_of_a_server(start: Start, join: Join, tmp_path: Path) -> None:
    authority = certify(tmp_path, "authority")
    own = certify(tmp_path, "server", authority)
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps({"shop": {"register": ["front"], "call": ["front"]}, "admin": {}}))
    encrypted = ("--host", "localhost", "--certificate", own.path, "--key", own.key, "--tokens", str(tokens))
    url = f"tls://{await (await start(*SERVER, *encrypted)).listens()}"
    join_it = ("--connect", url, "--ca", authority.path)
    worker = await start("worker", "shop:front", *join_it, environment={"AUTOGEN_TOKEN": "shop"})
    await worker.ready()
    client = await join(url, security=NatsSecurity(root_certificates=authority.pem, token="admin"))
    assert await client.send_message(Order("hi"), FRONT, timeout=20) == Done("HI", worker.process.pid)
    refused = await start("worker", "shop:front", *join_it, environment={"AUTOGEN_TOKEN": "stranger"})
    assert await refused.ended() == 4
    assert "stranger" not in refused.text
    beyond = await start("worker", "shop:back", *join_it, environment={"AUTOGEN_TOKEN": "shop"})
    assert await beyond.ended() == 3
    assert "does not permit" in beyond.text


def child_of(process: int) -> int:
    """The one process that another one has started."""
    found = [path.read_text().split() for path in Path(f"/proc/{process}/task").glob("*/children")]
    (child,) = [int(one) for some in found for one in some]
    return child


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of the children of a process")
async def test_a_server_whose_own_process_dies_says_so(start: Start) -> None:
    server = await start(*SERVER, "--log-level", "debug")
    await server.ready()
    os.kill(child_of(server.process.pid), signal.SIGKILL)
    assert await server.ended() == 1
    assert "ended by itself" in server.text
