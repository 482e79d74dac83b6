"""The endpoints for probes."""

import asyncio
import socket
import threading
import time
from urllib.error import URLError
from urllib.parse import urlsplit

import pytest

from autogen_ext.runtimes._cli import health
from autogen_ext.runtimes._cli.errors import CommandError
from autogen_ext.runtimes._cli.health import Address, HealthServer

from .processes import ask, probe


async def test_readiness_is_what_the_process_says_of_itself() -> None:
    reasons: list[str] = []
    async with HealthServer(Address("127.0.0.1", 0), lambda: reasons[-1] if reasons else None) as server:
        url = f"http://{server.address}"
        assert await probe(f"{url}/readyz") == (200, {"status": "ready"})
        reasons.append("not connected")
        assert await probe(f"{url}/readyz?verbose") == (503, {"status": "not ready", "reason": "not connected"})
        assert await probe(f"{url}/healthz") == (200, {"status": "alive"})
        assert (await probe(f"{url}/metrics"))[0] == 404
        assert await asyncio.to_thread(ask, f"{url}/readyz", "HEAD") == (503, None)
        assert (await asyncio.to_thread(ask, f"{url}/readyz", "POST"))[0] == 501
    with pytest.raises(URLError):
        await probe(f"{url}/healthz")


async def test_a_stuck_event_loop_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_LOOP_S", 0.1)
    answers: list[tuple[int, object]] = []

    def note(url: str) -> None:
        answers.append(ask(url))

    async with HealthServer(Address("127.0.0.1", 0), lambda: None) as server:
        for path in ("healthz", "readyz"):
            url = f"http://{server.address}/{path}"
            asking = threading.Thread(target=note, args=(url,))
            asking.start()
            while asking.is_alive():
                time.sleep(0.01)  # noqa: ASYNC251 - the loop has to be stuck
        assert [status for status, _ in answers] == [503, 503]
        assert (await probe(f"http://{server.address}/healthz"))[0] == 200


async def test_clients_that_hold_connections_open_do_not_keep_probes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a number of places; who says nothing loses its place after a while."""
    monkeypatch.setattr(health._Handler, "timeout", 0.3)
    async with HealthServer(Address("127.0.0.1", 0), lambda: None) as server:
        idle = [socket.create_connection((server.address.host, server.address.port)) for _ in range(40)]
        try:
            async with asyncio.timeout(20):
                while True:
                    try:
                        status, _ = await probe(f"http://{server.address}/healthz")
                        break
                    except (OSError, ValueError):
                        await asyncio.sleep(0.05)
            assert status == 200
        finally:
            for connection in idle:
                connection.close()


async def test_what_is_no_http_does_no_harm() -> None:
    async with HealthServer(Address("127.0.0.1", 0), lambda: None) as server:
        reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert b"400" in await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        assert (await probe(f"http://{server.address}/healthz"))[0] == 200


async def test_an_address_in_use_is_an_error_of_the_command() -> None:
    async with HealthServer(Address("127.0.0.1", 0), lambda: None) as server:
        with pytest.raises(CommandError, match="Choose another --health"):
            async with HealthServer(Address("127.0.0.1", server.address.port), lambda: None):
                pass


def test_an_ipv6_address_is_written_with_brackets() -> None:
    assert urlsplit(f"http://{Address('::1', 8080)}").port == 8080
