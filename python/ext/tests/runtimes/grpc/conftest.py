"""A host on a free port of this machine, and workers at it, all closed after the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from . import reference

NewWorker = Callable[..., Awaitable[GrpcWorkerAgentRuntime]]


@pytest.fixture
async def host() -> AsyncIterator[GrpcWorkerAgentRuntimeHost]:
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    host.start()
    yield host
    if host._serving is not None:
        await host.stop(grace=0)


@pytest.fixture
async def new_worker(host: GrpcWorkerAgentRuntimeHost) -> AsyncIterator[NewWorker]:
    """Makes started workers at the host."""
    made: list[GrpcWorkerAgentRuntime] = []

    async def make(address: str = "", **options: Any) -> GrpcWorkerAgentRuntime:
        worker = GrpcWorkerAgentRuntime(address or f"127.0.0.1:{host.port}", **options)
        await worker.start()
        made.append(worker)
        return worker

    yield make
    for worker in made:
        await worker.close()


@pytest.fixture(scope="session")
def reference_python() -> Path:
    """The interpreter that has AutoGen 0.7.5; installed at first use."""
    try:
        return reference.interpreter()
    except reference.MissingError as error:
        pytest.skip(str(error))  # nothing of ours is wrong; the summary says it
