"""`GrpcWorkerAgentRuntimeHost`: a gRPC server around the servicer, and its life. Stands on grpc.aio."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from autogen_ext.runtimes._shared.signals import wait_for_signal

from ._gateway_bridge import BackingRuntime
from ._members import USUAL_MAX_BYTES
from ._security import HostSecurity
from ._servicer import GrpcWorkerAgentRuntimeHostServicer
from .protos.agent_worker_pb2_grpc import add_AgentRpcServicer_to_server

_RECEIVE = "grpc.max_receive_message_length"

_OPTIONS: dict[str, Any] = {
    # A worker whose machine is gone says nothing; it is found out in 15 seconds.
    "grpc.keepalive_time_ms": 10_000,
    # The pings time out by themselves. A keepalive that is shorter than that switches both off (grpcio 1.70 to 1.85).
    "grpc.http2.ping_timeout_ms": 5_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_pings_without_data": 0,
    # Workers may look after their host, too.
    "grpc.http2.min_recv_ping_interval_without_data_ms": 5_000,
    "grpc.http2.min_ping_interval_without_data_ms": 5_000,
    # Two hosts on one port would each have half of the workers.
    "grpc.so_reuseport": 0,
}


_GOODBYE_S = 0.2


class GrpcWorkerAgentRuntimeHost:
    """Where workers meet: it passes messages on between them, and keeps none.

    Args:
        address: Where to listen, such as `127.0.0.1:50051`; with port 0 a free one is taken, see `port`.
        extra_grpc_config: Options of the gRPC server, such as `("grpc.max_receive_message_length", 16_000_000)`.
        security: TLS, and who may do what; None: plain text, and everybody may do everything.
        gateway: Makes a runtime of another system, such as `lambda: NatsAgentRuntime(url)`, not started. Workers here then
            reach the agents there, and are reached by them. It is called once for the host, and once for each worker that
            hosts agents. None: the host stands alone.
    """

    def __init__(
        self,
        address: str,
        extra_grpc_config: Sequence[tuple[str, Any]] | None = None,
        *,
        security: HostSecurity | None = None,
        gateway: Callable[[], BackingRuntime] | None = None,
    ) -> None:
        self._address = address
        self._options = _OPTIONS | dict(extra_grpc_config or ())
        self._security = security
        self._gateway = gateway
        self._port: int | None = None
        self._server: grpc.aio.Server | None = None
        self._servicer: GrpcWorkerAgentRuntimeHostServicer | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port on which it listens; raises `RuntimeError` before `start`."""
        if self._port is None:
            raise RuntimeError("The host has no port before it is started.")
        return self._port

    @property
    def ready(self) -> bool:
        """Whether it is started and, as a gateway, has reached the system behind it."""
        return self._servicer is not None and self._servicer.ready

    def start(self) -> None:
        """Begin to serve, in the background, until `stop`.

        Raises:
            RuntimeError: It is started already, no event loop is running, or the address cannot be had.
        """
        if self._serving is not None:
            raise RuntimeError("Host runtime is already started.")
        loop = asyncio.get_running_loop()
        limit = int(self._options.get(_RECEIVE, USUAL_MAX_BYTES))
        servicer = GrpcWorkerAgentRuntimeHostServicer(
            security=self._security,
            max_message_bytes=limit if limit >= 0 else 2**31 - 1,
            gateway=self._gateway,
        )
        server = grpc.aio.server(options=list(self._options.items()))
        add_AgentRpcServicer_to_server(servicer, server)
        credentials = None if self._security is None else self._security.server_credentials()
        if credentials is None:
            port = server.add_insecure_port(self._address)
        else:
            port = server.add_secure_port(self._address, credentials)
        if not port:
            raise RuntimeError(f"Cannot listen on {self._address!r}: not an address of this machine, or in use.")
        self._port, self._server, self._servicer = port, server, servicer
        self._serving = loop.create_task(_serve(server), name="autogen gRPC host")
        servicer.connect()

    async def stop(self, grace: int = 5) -> None:
        """Stop serving: workers get up to `grace` seconds to finish their calls, which are then cancelled.

        Raises:
            RuntimeError: It is not started.
        """
        if self._serving is None or self._server is None or self._servicer is None:
            raise RuntimeError("Host runtime is not started.")
        serving, server, servicer = self._serving, self._server, self._servicer
        self._serving = self._server = self._servicer = None
        await servicer.disconnect(grace)
        servicer.close()  # the streams of workers end by this; else each of them would take the whole grace
        # Unary calls take no time, and a server that stops in a moment's grace says goodbye instead of breaking connections.
        await server.stop(max(grace, _GOODBYE_S))
        serving.cancel()  # if it was stopped before it began, it would begin now
        await asyncio.wait([serving])

    async def stop_when_signal(
        self, grace: int = 5, signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
    ) -> None:
        """Serve until the process gets one of the signals, then stop as `stop` does."""
        await wait_for_signal(signals)
        await self.stop(grace)


async def _serve(server: grpc.aio.Server) -> None:
    try:
        await server.start()
        await server.wait_for_termination()
    finally:
        await server.stop(
            None
        )  # when the event loop ends first: a server outliving its loop cannot be stopped any more
