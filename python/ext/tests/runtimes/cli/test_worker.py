"""Hosts and workers as processes: what a fleet's operator sees of their lives."""

import asyncio
import signal
from urllib.error import URLError

import pytest

from autogen_core import AgentId
from autogen_core.exceptions import UndeliverableException

from .conftest import NewClient, Start
from .processes import free_port, probe, until
from .shop import Done, Order

FRONT, BACK = AgentId("front", "1"), AgentId("back", "1")
PROBES = ("--health", "127.0.0.1:0")


async def new_host(start: Start, address: str = "127.0.0.1:0") -> str:
    return await (await start("host", "--listen", address)).listens()


async def test_a_client_calls_agents_of_two_worker_processes(start: Start, new_client: NewClient) -> None:
    address = await new_host(start)
    workers = [await start("worker", f"shop:{name}", "--connect", f"grpc://{address}") for name in ("front", "back")]
    for worker in workers:
        await worker.ready()
    client = await new_client(address)
    for agent, worker in zip((FRONT, BACK), workers, strict=True):
        assert await client.send_message(Order("hi"), agent) == Done("HI", worker.process.pid)


async def test_one_worker_loads_several_functions_also_of_a_class(start: Start, new_client: NewClient) -> None:
    address = await new_host(start)
    several = await start("worker", "shop:front", "shop:back", "--connect", f"grpc://{address}")
    await several.ready()
    client = await new_client(address)
    assert await client.send_message(Order("hi"), FRONT) == await client.send_message(Order("hi"), BACK)
    several.tell(signal.SIGTERM)
    assert await several.ended() == 0
    environment = {"AUTOGEN_CONNECT": f"grpc://{address}"}
    await (await start("worker", "shop:Departments.both", environment=environment)).ready()
    assert await client.send_message(Order("hi"), FRONT) == await client.send_message(Order("hi"), BACK)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_is_told_to_end_answers_what_it_is_at(
    start: Start, new_client: NewClient, number: signal.Signals
) -> None:
    """It is not ready from the signal on, answers, and ends with status 0."""
    address = await new_host(start)
    worker = await start("worker", "shop:front", "--connect", f"grpc://{address}", *PROBES)
    health = await worker.health()
    await until(f"{health}/readyz", lambda status, body: (status, body) == (200, {"status": "ready"}))
    client = await new_client(address)
    request = asyncio.create_task(client.send_message(Order("sleep 1.5"), FRONT))
    await asyncio.sleep(0.3)
    worker.tell(number)
    reason = await until(f"{health}/readyz", lambda status, body: status == 503)
    assert reason == {"status": "not ready", "reason": "draining: it was told to end"}
    assert (await probe(f"{health}/healthz"))[0] == 200
    assert not request.done()
    assert await request == Done("SLEEP 1.5", worker.process.pid)
    assert await worker.ended() == 0
    with pytest.raises(URLError):
        await probe(f"{health}/readyz")
    with pytest.raises(UndeliverableException):
        await client.send_message(Order("hi"), FRONT)


async def test_handlers_get_the_time_for_draining_and_no_more(start: Start, new_client: NewClient) -> None:
    address = await new_host(start)
    worker = await start("worker", "shop:front", "--connect", f"grpc://{address}", "--drain-timeout", "0.2")
    await worker.ready()
    client = await new_client(address)
    request = asyncio.create_task(client.send_message(Order("sleep 600"), FRONT))
    await asyncio.sleep(0.3)
    worker.tell(signal.SIGTERM)
    assert await worker.ended() == 0
    with pytest.raises(UndeliverableException, match="stopped"):
        await request


async def test_a_second_signal_ends_a_worker_at_once(start: Start, new_client: NewClient) -> None:
    address = await new_host(start)
    worker = await (await start("worker", "shop:front", "--connect", f"grpc://{address}")).ready()
    client = await new_client(address)
    request = asyncio.create_task(client.send_message(Order("sleep 600"), FRONT))
    await asyncio.sleep(0.3)
    worker.tell(signal.SIGTERM)
    await worker.says("draining")
    worker.tell(signal.SIGINT)
    assert await worker.ended() == 128 + signal.SIGINT
    with pytest.raises(UndeliverableException):
        await request


async def test_a_second_signal_ends_also_a_worker_whose_loop_is_stuck(start: Start, new_client: NewClient) -> None:
    address = await new_host(start)
    worker = await (await start("worker", "shop:front", "--connect", f"grpc://{address}")).ready()
    client = await new_client(address)
    request = asyncio.create_task(client.send_message(Order("sleep 1 and block"), FRONT))
    await asyncio.sleep(0.3)
    worker.tell(signal.SIGTERM)
    await worker.says("draining")
    await worker.says("blocked now")
    worker.tell(signal.SIGTERM)
    assert await worker.ended() == 128 + signal.SIGTERM
    with pytest.raises(UndeliverableException):
        await request


async def test_a_killed_worker_is_noticed_and_another_takes_its_place(start: Start, new_client: NewClient) -> None:
    address = await new_host(start)
    worker = await (await start("worker", "shop:front", "--connect", f"grpc://{address}")).ready()
    client = await new_client(address)
    request = asyncio.create_task(client.send_message(Order("sleep 600"), FRONT))
    await asyncio.sleep(0.3)
    worker.tell(signal.SIGKILL)
    with pytest.raises(UndeliverableException):
        await request
    assert await worker.ended() == -signal.SIGKILL
    other = await (await start("worker", "shop:front", "--connect", f"grpc://{address}")).ready()
    assert await client.send_message(Order("hi"), FRONT) == Done("HI", other.process.pid)


async def test_a_worker_that_loses_its_host_stays_and_says_so(start: Start, new_client: NewClient) -> None:
    address = f"127.0.0.1:{free_port()}"
    host = await start("host", "--listen", address)
    await host.ready()
    worker = await start("worker", "shop:front", "--connect", f"grpc://{address}", *PROBES)
    await worker.ready()
    health = await worker.health()
    host.tell(signal.SIGKILL)
    reason = await until(f"{health}/readyz", lambda status, body: status == 503)
    assert "not connected" in reason["reason"]
    assert (await probe(f"{health}/healthz"))[0] == 200
    await (await start("host", "--listen", address)).ready()
    await until(f"{health}/readyz", lambda status, body: status == 200)
    client = await new_client(address)
    assert await client.send_message(Order("hi"), FRONT, timeout=20) == Done("HI", worker.process.pid)


async def test_a_worker_waits_for_a_host_that_starts_later(start: Start) -> None:
    address = f"127.0.0.1:{free_port()}"
    worker = await start("worker", "shop:front", "--connect", f"grpc://{address}", *PROBES)
    await worker.says("no connection to .* yet")
    assert await probe(f"{await worker.health()}/readyz") == (503, {"status": "not ready", "reason": "starting"})
    await start("host", "--listen", address)
    await worker.ready()


@pytest.mark.parametrize("function", ["shop:front", "shop:slowly"])
async def test_a_worker_that_still_starts_ends_when_told(start: Start, function: str) -> None:
    """While it waits for its host, and while it registers agents."""
    connect = f"grpc://127.0.0.1:{free_port()}"
    if function == "shop:slowly":
        connect = f"grpc://{await new_host(start)}"
    worker = await start("worker", function, "--connect", connect)
    await worker.says("no connection to .* yet|connected to")
    worker.tell(signal.SIGTERM)
    assert await worker.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_still_loads_its_modules_ends_when_told(start: Start, number: signal.Signals) -> None:
    worker = await start("worker", "slow:front", "--connect", "grpc://127.0.0.1:1")
    await worker.says("importing")
    worker.tell(number)
    assert await worker.ended() == 0


async def test_a_worker_whose_host_is_away_ends_when_told(start: Start) -> None:
    host = await start("host", "--listen", "127.0.0.1:0")
    worker = await (await start("worker", "shop:front", "--connect", f"grpc://{await host.listens()}")).ready()
    host.tell(signal.SIGKILL)
    await worker.says("broke")
    worker.tell(signal.SIGTERM)
    assert await worker.ended() == 0


async def test_a_host_drains_too(start: Start) -> None:
    host = await start("host", "--listen", "127.0.0.1:0", *PROBES)
    await host.ready()
    health = await host.health()
    assert await probe(f"{health}/readyz") == (200, {"status": "ready"})
    worker = await start("worker", "shop:front", "--connect", f"grpc://{await host.listens()}")
    await worker.ready()
    host.tell(signal.SIGTERM)
    assert await host.ended() == 0
    with pytest.raises(URLError):
        await probe(f"{health}/readyz")
