"""One NATS server for all tests, with a namespace for each; servers and connections of a test, closed after it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nats.aio.client import Client

from autogen_ext.runtimes.nats._connection import connect
from autogen_ext.runtimes.nats._security import NatsSecurity
from autogen_ext.runtimes.nats._server import NatsServer
from autogen_ext.runtimes.nats._server_config import NatsServerOptions

from .certificates import Certificate, certify

NewServer = Callable[..., Awaitable[NatsServer]]
NewClient = Callable[..., Awaitable[Any]]  # strictly, nats-py's types are unknown in part


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A server that runs for all tests; a test that stops servers makes its own."""
    server = NatsServer(NatsServerOptions(monitoring=True))
    with ThreadPoolExecutor(1) as elsewhere:  # no test's event loop is disturbed
        elsewhere.submit(asyncio.run, server.start()).result()
        try:
            yield server
        finally:
            elsewhere.submit(asyncio.run, server.close()).result()


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def new_server() -> AsyncIterator[NewServer]:
    """Makes started servers."""
    made: list[NatsServer] = []

    async def make(**options: Any) -> NatsServer:
        server = NatsServer(NatsServerOptions(**options))
        made.append(server)
        return await server.start()

    yield make
    for server in made:
        await server.close()


@pytest.fixture
async def new_client() -> AsyncIterator[NewClient]:
    """Makes connections; keywords are those of `NatsSecurity`."""
    made: list[Client] = []

    async def make(server: NatsServer | str, *, options: dict[str, Any] | None = None, **security: Any) -> Any:
        url = server if isinstance(server, str) else server.url
        client = await connect(url, NatsSecurity(**security), **(options or {}))
        made.append(client)
        return client

    yield make
    for client in made:
        await client.close()


@pytest.fixture(scope="session")
def authority() -> Certificate:
    return certify("our authority")
