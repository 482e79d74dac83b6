"""How a worker finds out that its connection is gone, and what it does then."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc
import pytest

from autogen_core import AgentId
from autogen_ext.runtimes.grpc import (
    GrpcWorkerAgentRuntime,
    GrpcWorkerAgentRuntimeHost,
    GrpcWorkerAgentRuntimeHostServicer,
)
from autogen_ext.runtimes.grpc._link import _ended
from autogen_ext.runtimes.grpc.protos import agent_worker_pb2 as wire
from autogen_ext.runtimes.grpc.protos.agent_worker_pb2_grpc import add_AgentRpcServicer_to_server

from .agents import Word, speak, until

FAR = AgentId("far", "default")
RETRIES = (
    '{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "5s",'
    ' "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}'
)


class Breaking(GrpcWorkerAgentRuntimeHostServicer):
    """A host that can end a worker's stream as one that dies does."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.registered: list[str] = []
        self.breaks = asyncio.Event()

    async def OpenChannel(  # type: ignore[override]  # noqa: N802 - the wire's name
        self, request_iterator: AsyncIterator[wire.Message], context: Any
    ) -> AsyncGenerator[wire.Message]:
        self.opened.append(dict(context.invocation_metadata())["client-id"])
        if len(self.opened) > 1:
            async for message in super().OpenChannel(request_iterator, context):
                yield message
            return
        await self.breaks.wait()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "dying")

    async def RegisterAgent(  # type: ignore[override]  # noqa: N802 - as above
        self, request: wire.RegisterAgentTypeRequest, context: Any
    ) -> wire.RegisterAgentTypeResponse:
        self.registered.append(request.type)
        return await super().RegisterAgent(request, context)


@pytest.mark.parametrize("config", [[], [("grpc.service_config", RETRIES)]], ids=["as usual", "with 0.7.5's retries"])
async def test_a_stream_that_breaks_is_never_opened_again_behind_our_back(config: list[tuple[str, Any]]) -> None:
    """GRPC repeats a call that was not answered yet. The host would have a stream of ours, and not know our agents."""
    servicer = Breaking()
    server = grpc.aio.server()
    add_AgentRpcServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    runtime = GrpcWorkerAgentRuntime(f"127.0.0.1:{port}", extra_grpc_config=config)
    await runtime.start()
    await speak(runtime, "far")
    servicer.breaks.set()
    await until(lambda: len(servicer.registered) == 2)
    assert servicer.registered == ["far", "far"]
    assert len(set(servicer.opened)) == 2
    caller = GrpcWorkerAgentRuntime(f"127.0.0.1:{port}")
    await caller.start()
    await speak(caller, "near")
    assert await caller.send_message(Word("hi"), FAR, timeout=10) == Word("HI")
    await caller.close()
    await runtime.close()
    await server.stop(0)


async def test_a_connection_that_breaks_while_the_worker_leaves_does_not_disturb_its_leaving(
    host: GrpcWorkerAgentRuntimeHost,
) -> None:
    """Closing the channel cancels the last call on it, and nobody has cancelled the one who waits for that."""
    runtime = GrpcWorkerAgentRuntime(f"127.0.0.1:{host.port}")
    await runtime.start()
    connection = runtime._link._connection
    assert connection is not None
    stub = connection.stub.GetSubscriptions

    def broken(*args: Any, **options: Any) -> Any:
        call = stub(*args, **options)
        call.cancel()  # as the channel does with its calls when it is closed
        return call

    connection.stub.GetSubscriptions = broken  # type: ignore[method-assign, assignment]  # the call that says goodbye
    await asyncio.wait_for(runtime.stop(), 10)
    assert not runtime.ready


async def test_whoever_stops_a_worker_can_still_be_cancelled(host: GrpcWorkerAgentRuntimeHost) -> None:
    runtime = GrpcWorkerAgentRuntime(f"127.0.0.1:{host.port}")
    await runtime.start()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ending = asyncio.create_task(_ended(never))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    await runtime.close()


class BrokenHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the log handler is broken")


async def test_a_broken_log_handler_does_not_keep_a_worker_from_coming_back(host: GrpcWorkerAgentRuntimeHost) -> None:
    runtime = GrpcWorkerAgentRuntime(f"127.0.0.1:{host.port}")
    await runtime.start()
    await speak(runtime, "far")
    log, handler = logging.getLogger("autogen_core.runtimes.grpc"), BrokenHandler()
    log.addHandler(handler)
    try:
        await host.stop(grace=0)
        again = GrpcWorkerAgentRuntimeHost(f"127.0.0.1:{host.port}")
        again.start()
        await until(lambda: not runtime.ready)
        await until(lambda: runtime.ready)
    finally:
        log.removeHandler(handler)
    await runtime.close()
    await again.stop(grace=0)
