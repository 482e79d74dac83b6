"""One NATS server for all tests, with a namespace for each; gateways, workers and runtimes of a test, closed after it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsServer


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    server = NatsServer()
    with ThreadPoolExecutor(1) as elsewhere:  # no test's event loop is disturbed
        elsewhere.submit(asyncio.run, server.start()).result()
        try:
            yield server
        finally:
            elsewhere.submit(asyncio.run, server.close()).result()


@dataclass
class Place:
    """A system on NATS with gateways into it, and those who work there."""

    url: str
    namespace: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")
    made: list[Callable[[], Awaitable[Any]]] = field(default_factory=list[Callable[[], Awaitable[Any]]])

    def runtime(self, **options: Any) -> NatsAgentRuntime:
        """Make a runtime on NATS that is not started, as a gateway wants it."""
        options.setdefault("drain_timeout", 1.0)
        return NatsAgentRuntime(self.url, namespace=self.namespace, **options)

    async def nats(self, **options: Any) -> NatsAgentRuntime:
        """Return a started runtime on NATS."""
        runtime = self.runtime(**options)
        await runtime.start()
        self.made.append(runtime.close)
        return runtime

    def gateway(self, address: str = "127.0.0.1:0", **options: Any) -> GrpcWorkerAgentRuntimeHost:
        """Return a started gateway."""
        host = GrpcWorkerAgentRuntimeHost(address, gateway=lambda: self.runtime(**options))
        host.start()

        async def stop() -> None:
            if host._serving is not None:
                await host.stop(grace=0)

        self.made.append(stop)
        self.made.sort(key=_is_of_worker)
        return host

    async def worker(self, host: GrpcWorkerAgentRuntimeHost, **options: Any) -> GrpcWorkerAgentRuntime:
        """Return a started worker at a gateway."""
        return await self.worker_at(host.port, **options)

    async def worker_at(self, port: int, **options: Any) -> GrpcWorkerAgentRuntime:
        """Return a started worker at a gateway of another process."""
        worker = GrpcWorkerAgentRuntime(f"127.0.0.1:{port}", **options)
        await worker.start()
        self.made.append(worker.close)
        self.made.sort(key=_is_of_worker)
        return worker


def _is_of_worker(close: Callable[[], Awaitable[Any]]) -> bool:
    """Workers are closed first, which is what is made last."""
    return isinstance(getattr(close, "__self__", None), GrpcWorkerAgentRuntime)


@pytest.fixture
async def place(nats_server: NatsServer) -> AsyncIterator[Place]:
    place = Place(nats_server.url)
    yield place
    for close in reversed(place.made):
        await close()
