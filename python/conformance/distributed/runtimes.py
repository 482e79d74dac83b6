"""The runtimes that one suite runs on: each is opened as a `World`, closed after the test, and leaves nothing behind.

A system is a kind of runtime and a placement: the agents of a test live at the caller's own worker (`here`), or at another
worker of the same system (`there`). All workers are in this process, so agents can leave notes for the test. While a runtime
is being worked on, `AUTOGEN_CONFORMANCE=grpc,local` restricts the suite to some. Stands on public names; knows no test.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast
from uuid import uuid4

from autogen_core import (
    AgentId,
    AgentRuntime,
    SingleThreadedAgentRuntime,
    try_get_known_serializers_for_type,
)
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsServer

Placement = Literal["here", "there"]

ONLY = "AUTOGEN_CONFORMANCE"
"""The environment variable that restricts the suite to some runtimes, by name, with commas between."""


class Worker(AgentRuntime, Protocol):
    """A started runtime: what all of them offer beside `AgentRuntime`."""

    async def stop(self) -> None:
        """Stop serving."""
        ...

    async def close(self) -> None:
        """Stop if it is started, and close all agents."""
        ...


class NewWorker(Protocol):
    """Makes and starts a runtime of the system; it is closed with the system."""

    def __call__(self, **options: Any) -> Awaitable[Worker]:
        """Make one; `options` are the constructor's."""
        ...


@dataclass
class World:
    """A system that runs.

    Attributes:
        name: `local`, `grpc` or `nats`.
        runtime: Where the test sends and publishes.
        agents: Where the test registers its agents: `runtime` itself, or another worker of the same system.
    """

    name: str
    runtime: Worker
    agents: Worker
    _new: NewWorker
    _workers: list[Worker] = field(default_factory=list[Worker])
    _known: list[type[Any]] = field(default_factory=list[type[Any]])

    @property
    def distributed(self) -> bool:
        """Whether the system has several workers."""
        return self.name != "local"

    @property
    def apart(self) -> bool:
        """Whether the test's agents live at another worker than its caller."""
        return self.agents is not self.runtime

    @property
    def by_wire(self) -> bool:
        """Whether messages from the caller to the test's agents are written and read; else they are handed over.

        In NATS they go through a durable mailbox also within a worker.
        """
        return self.apart or self.name == "nats"

    async def worker(self, **options: Any) -> Worker:
        """Return a further started runtime of the system, which knows the same messages; the local runtime is its only one."""
        if not self.distributed:
            return self.runtime
        worker = await self._new(**options)
        self._workers.append(worker)
        self._teach(worker, self._known)
        return worker

    def knows(self, *kinds: type[Any]) -> None:
        """Make message classes known to all workers, also to those that come later."""
        self._known += kinds
        for worker in {id(one): one for one in (self.runtime, self.agents, *self._workers)}.values():
            self._teach(worker, kinds)

    @staticmethod
    def _teach(worker: Worker, kinds: list[type[Any]] | tuple[type[Any], ...]) -> None:
        for kind in kinds:
            worker.add_message_serializer(try_get_known_serializers_for_type(kind))

    async def ask(self, message: Any, recipient: AgentId, *, timeout: float) -> Any:  # noqa: ASYNC109 - the parameter under test
        """Send with a time limit, which the distributed runtimes take and the local one does not."""
        assert self.distributed
        return await cast("Any", self.runtime).send_message(message, recipient, timeout=timeout)


@asynccontextmanager
async def _local(**options: Any) -> AsyncGenerator[NewWorker]:
    made: list[SingleThreadedAgentRuntime] = []

    async def new(**more: Any) -> Worker:
        runtime = SingleThreadedAgentRuntime(**options, **more)
        runtime.start()
        made.append(runtime)
        return runtime

    try:
        yield new
    finally:
        for runtime in made:
            await runtime.close()


@asynccontextmanager
async def _grpc(**options: Any) -> AsyncGenerator[NewWorker]:
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    host.start()
    made: list[GrpcWorkerAgentRuntime] = []

    async def new(**more: Any) -> Worker:
        settings: dict[str, Any] = {"drain_timeout": 1.0, **options, **more}
        runtime = GrpcWorkerAgentRuntime(f"127.0.0.1:{host.port}", **settings)
        await runtime.start()
        made.append(runtime)
        return runtime

    try:
        yield new
    finally:
        try:
            for runtime in reversed(made):
                await runtime.close()
        finally:
            await host.stop(grace=0)


@asynccontextmanager
async def _nats(**options: Any) -> AsyncGenerator[NewWorker]:
    namespace = f"test{uuid4().hex[:12]}"
    made: list[Any] = []

    async with NatsServer() as server:

        async def new(**more: Any) -> Worker:
            settings: dict[str, Any] = {
                "partitions": 4,
                "namespace": namespace,
                "drain_timeout": 1.0,
                **options,
                **more,
            }
            runtime = NatsAgentRuntime(server.url, **settings)
            await runtime.start()
            made.append(runtime)
            return cast("Worker", runtime)

        try:
            yield new
        finally:
            for runtime in reversed(made):
                await runtime.close()


_KINDS: dict[str, tuple[Callable[..., AbstractAsyncContextManager[NewWorker]], tuple[Placement, ...]]] = {
    "local": (_local, ("here",)),
    "grpc": (_grpc, ("here", "there")),
    "nats": (_nats, ("here", "there")),
}


@dataclass(frozen=True)
class System:
    """A kind of runtime, and where the agents of a test live."""

    name: str
    placement: Placement

    def __str__(self) -> str:
        return self.name if len(_KINDS[self.name][1]) == 1 else f"{self.name}-{self.placement}"

    @asynccontextmanager
    async def world(self, **options: Any) -> AsyncGenerator[World]:
        """Start the system; `options` go to the constructor of each of its runtimes. All is closed at the end."""
        async with _KINDS[self.name][0](**options) as new:
            runtime = await new()
            agents = await new() if self.placement == "there" else runtime
            yield World(self.name, runtime, agents, new)


def systems() -> list[System]:
    """Return the systems to test: those that exist, and that the environment asks for."""
    asked = os.environ.get(ONLY, "")
    names = asked.split(",") if asked else list(_KINDS)
    unknown = set(names) - set(_KINDS)
    if unknown:
        raise ValueError(f"{ONLY} names {', '.join(sorted(unknown))}; there are: {', '.join(_KINDS)}.")
    return [System(name, placement) for name in names for placement in _KINDS[name][1]]


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds that nobody tells of; `TimeoutError` if it does not in so many seconds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.005)
