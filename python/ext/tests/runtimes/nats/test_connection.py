"""A connection fails at once at first, with an error that says why; afterwards it never gives up."""

import asyncio
import logging
import socket
from functools import partial
from typing import Any

import pytest
from nats.errors import OutboundBufferLimitError

from autogen_core.exceptions import AutoGenError, NotPermittedError
from autogen_ext.runtimes.nats._connection import (
    ConnectionHooks,
    ConnectionLimits,
    NatsConnectionError,
    SubjectNotPermittedError,
    connect,
)
from autogen_ext.runtimes.nats._server import NatsServer
from autogen_ext.runtimes.nats._server_config import NatsRights, NatsUser

from .conftest import NewClient, NewServer
from .waiting import until


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Heard:
    """Notes what a connection tells."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.errors: list[Exception] = []
        self.hooks = ConnectionHooks(
            error=self._failed,
            refused=self._failed,
            disconnected=partial(self._happened, "disconnected"),
            reconnected=partial(self._happened, "reconnected"),
            closed=partial(self._happened, "closed"),
        )

    async def _failed(self, error: Exception) -> None:
        self.errors.append(error)

    async def _happened(self, what: str) -> None:
        self.events.append(what)


async def test_a_server_that_is_not_there_is_named() -> None:
    port = _free_port()
    before = asyncio.all_tasks()
    async with asyncio.timeout(10):
        with pytest.raises(NatsConnectionError, match=f"127.0.0.1:{port} within 0.3 seconds") as caught:
            await connect(f"nats://user:secret@127.0.0.1:{port}", connect_timeout=0.3)
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value, AutoGenError)
    assert caught.value.servers == (f"nats://127.0.0.1:{port}",)
    assert "secret" not in str(caught.value)
    assert asyncio.all_tasks() == before


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with asyncio.timeout(10):
        with pytest.raises(NatsConnectionError, match="No NATS server answered"):
            await connect(f"nats://127.0.0.1:{port}", connect_timeout=0.5)
    silent.close()
    await silent.wait_closed()


async def test_a_server_that_comes_a_little_later_is_waited_for() -> None:
    server = NatsServer()
    await server.start()
    await server.stop()
    connecting = asyncio.create_task(connect(server.url, connect_timeout=20))
    await asyncio.sleep(0.3)
    await server.start()
    await (await connecting).close()
    await server.close()


async def test_a_cancelled_connection_leaves_nothing() -> None:
    before = asyncio.all_tasks()
    connecting = asyncio.create_task(connect(f"nats://127.0.0.1:{_free_port()}", connect_timeout=20))
    await asyncio.sleep(0.2)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert asyncio.all_tasks() == before


async def test_one_server_of_several_is_enough(nats_server: NatsServer) -> None:
    client = await connect([f"nats://127.0.0.1:{_free_port()}", nats_server.url])
    assert client.is_connected
    await client.close()


@pytest.mark.parametrize("servers", ["", [], "nats://:4222", "127.0.0.1:none"])
async def test_an_unusable_address_is_refused(servers: str | list[str]) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(ValueError, match="address"):
            await connect(servers, connect_timeout=5)


async def test_a_lost_server_is_found_again(
    new_server: NewServer, new_client: NewClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Subscriptions are in place, what was published meanwhile is sent, and nothing is printed but what users need."""
    caplog.set_level(logging.INFO)
    server = await new_server()
    heard = Heard()
    client = await new_client(server, options={"hooks": heard.hooks})
    got: list[bytes] = []

    async def take(message: Any) -> None:
        got.append(message.data)

    await client.subscribe("words", cb=take)
    for end in (server.stop, server.kill):
        await end()
        await until(lambda: client.is_reconnecting)
        await client.publish("words", b"meanwhile")
        await server.start()
        await until(lambda: client.is_connected)
        await client.publish("words", b"after")
        await until(lambda: len(got) == 2)
        assert got == [b"meanwhile", b"after"]
        got.clear()
    assert heard.events == ["disconnected", "reconnected"] * 2
    assert heard.errors == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    await client.close()
    assert heard.events[-1] == "closed"


async def test_a_server_that_hangs_counts_as_lost(new_server: NewServer, new_client: NewClient) -> None:
    server = await new_server()
    proxy_to: list[asyncio.StreamWriter] = []
    cut = asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", server.port)
        proxy_to.extend((writer, there_writer))

        async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                if not cut.is_set():
                    to.write(data)

        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer), return_exceptions=True)

    proxy = await asyncio.start_server(relay, "127.0.0.1", 0)
    heard = Heard()
    port = proxy.sockets[0].getsockname()[1]
    options = {"hooks": heard.hooks, "limits": ConnectionLimits(ping_interval=0.2)}
    client = await new_client(f"nats://127.0.0.1:{port}", options=options)
    cut.set()
    await until(lambda: heard.events == ["disconnected"])
    cut.clear()
    await until(lambda: heard.events == ["disconnected", "reconnected"])
    await client.close()
    for writer in proxy_to:
        writer.close()
    proxy.close()
    await proxy.wait_closed()


async def test_a_user_that_is_let_in_again_comes_back(new_server: NewServer, new_client: NewClient) -> None:
    """A server that refuses us for a while does not end the connection for ever."""
    server = await new_server(users=(NatsUser(token="known"),))
    client = await new_client(server, token="known")
    allowed = server.options
    await server.stop()
    server.options = type(allowed)(users=(NatsUser(token="another"),))
    await server.start()
    await asyncio.sleep(0.5)
    assert not client.is_connected
    await server.stop()
    server.options = allowed
    await server.start()
    await until(lambda: client.is_connected)


async def test_what_waits_for_a_server_is_limited(new_server: NewServer, new_client: NewClient) -> None:
    server = await new_server()
    client = await new_client(server, options={"limits": ConnectionLimits(pending_bytes=10_000)})
    await server.stop()
    await until(lambda: client.is_reconnecting)
    await client.publish("words", b"x" * 8_000)
    with pytest.raises(OutboundBufferLimitError):
        await client.publish("words", b"x" * 8_000)


async def test_a_refused_subject_is_told_as_it_is_written(new_server: NewServer, new_client: NewClient) -> None:
    server = await new_server(users=(NatsUser(token="guest", rights=NatsRights(register=(), call=())),))
    heard = Heard()
    client = await new_client(server, token="guest", options={"hooks": heard.hooks})
    await client.publish("Secret.Words", b"")
    await client.subscribe("Secret.>", queue="Q")
    await client.subscribe("Secret.*")
    await until(lambda: len(heard.errors) == 3)
    told = [(e.operation, e.subject, e.queue) for e in heard.errors if isinstance(e, SubjectNotPermittedError)]
    assert told == [
        ("publish", "Secret.Words", ""),
        ("subscription", "Secret.>", "Q"),
        ("subscription", "Secret.*", ""),
    ]
    assert all(isinstance(error, NotPermittedError) for error in heard.errors)
    assert client.is_connected


async def test_a_hook_that_fails_does_not_end_the_connection(
    new_server: NewServer, new_client: NewClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise KeyError("boom")

    server = await new_server()
    client = await new_client(server, options={"hooks": ConnectionHooks(disconnected=fail, reconnected=fail)})
    await server.stop()
    await server.start()
    await until(lambda: client.is_connected)
    await client.flush()
    assert "A hook of a NATS connection failed" in caplog.text


async def test_a_connection_knows_its_name_and_hears_itself(nats_server: NatsServer, new_client: NewClient) -> None:
    client = await new_client(nats_server, options={"name": "worker of a test"})
    heard = await client.subscribe("echo.*")
    await client.publish("echo.1", b"hi")
    assert (await heard.next_msg(5)).data == b"hi"
    assert client.options["name"] == "worker of a test"
