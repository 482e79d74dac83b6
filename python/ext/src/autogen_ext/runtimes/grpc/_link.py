"""A worker's connection to its host: two streams and the unary calls, made again when they break.

What waits to be written survives a broken connection. Stands on grpc.aio and the outbox; knows no agent.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import uuid4

import grpc

from autogen_core import ROOT_LOGGER_NAME
from autogen_core.exceptions import NotPermittedError

from ._codec import CLIENT_ID, MAX_BYTES, PUBLISH, WORKER_ID, header
from ._members import USUAL_MAX_BYTES
from ._outbox import Outbox
from ._security import WorkerSecurity
from .protos import agent_worker_pb2 as wire
from .protos.agent_worker_pb2_grpc import AgentRpcStub

if TYPE_CHECKING:
    from .protos.agent_worker_pb2_grpc import AgentRpcAsyncStub

T = TypeVar("T")

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.grpc")

_RECEIVE, _SEND = "grpc.max_receive_message_length", "grpc.max_send_message_length"

_OPTIONS: dict[str, Any] = {
    # gRPC would open a stream that broke once more by itself, at a host that was started anew and knows nothing of us, and tell
    # nobody. Streams, registrations and requests are made again here, all together.
    "grpc.enable_retries": 0,
    # A connection of our own: workers of one process would share one, and with it gRPC's growing waits between attempts.
    "grpc.use_local_subchannel_pool": 1,
}

_KEEPALIVE: dict[str, Any] = {
    # A host whose machine is gone says nothing; it is found out in 15 seconds.
    "grpc.keepalive_time_ms": 10_000,
    # The pings time out by themselves. A keepalive that is shorter than that switches both off (grpcio 1.70 to 1.85).
    "grpc.http2.ping_timeout_ms": 5_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_pings_without_data": 0,
}
"""For a host of ours. One of 0.7.5 ends a connection on which it is asked that often whether it lives."""

SETTLING_S = 0.05
"""How long gRPC's threads may need to tell an event loop that ends of its last events; later ones are errors in the next."""

_LAST_WORDS_S = 0.5
"""How long a stream that has ended is read on for what came before its end, in seconds."""

_CAPACITY = 10_000
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 3.0
_FLUSH_S = 2.0
_HELLO_S, _HELLO_AGAIN_S = 10.0, 3.0
"""How long a host may take to answer a call, in seconds; less after a break, when one that stops may take the call."""


@dataclass
class Host:
    """What a worker knows of its host.

    Attributes:
        own: Whether it is one of ours.
        max_bytes: The longest message that may be sent there.
        publish: The topic types that this worker may publish to, as patterns.
    """

    own: bool = False
    max_bytes: int = USUAL_MAX_BYTES
    publish: tuple[str, ...] = ("*",)


@dataclass
class Events:
    """What a link calls.

    Attributes:
        message: Takes what comes over the data stream, one at a time; the stream waits for it.
        control: Takes what comes over the control stream.
        joined: After a connection is made again, before anything else is sent on it. If it fails, so does the connection.
        away: When the connection breaks.
    """

    message: Callable[[wire.Message], Awaitable[None]]
    control: Callable[[wire.ControlMessage], None]
    joined: Callable[[], Awaitable[None]]
    away: Callable[[], None]


@dataclass
class _Connection:
    channel: grpc.aio.Channel
    stub: "AgentRpcAsyncStub"
    metadata: tuple[tuple[str, str], ...]
    data: grpc.aio.StreamStreamCall[wire.Message, wire.Message]
    control: grpc.aio.StreamStreamCall[wire.ControlMessage, wire.ControlMessage]
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])


class Link:
    """The connection of one worker.

    Args:
        address: The host's.
        options: Options of the gRPC channel; they replace the usual ones one by one.
        security: How to show who this is.
        events: What to call.
    """

    def __init__(
        self, address: str, options: Sequence[tuple[str, Any]], security: WorkerSecurity | None, events: Events
    ) -> None:
        self._address = address
        self._options: dict[str, Any] = dict(options)
        self._security = security or WorkerSecurity()
        self._events = events
        self._worker = str(uuid4())
        self._connection: _Connection | None = None
        self._running: asyncio.Task[None] | None = None
        self._keep_alive = True  # until the host turns out to be one of 0.7.5
        self._patience_s = _HELLO_S
        self.client_id = ""
        self.host = Host()
        self.outbox = Outbox[wire.Message](_CAPACITY)
        self.control_outbox = Outbox[wire.ControlMessage](_CAPACITY)

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None

    async def start(self) -> None:
        """Connect, and stay connected until `stop`.

        Raises:
            grpc.aio.AioRpcError: There is no host, or it cannot be trusted.
            NotPermittedError: The host does not admit this worker.
        """
        connection = await self._connect()
        self._running = asyncio.create_task(self._run(connection), name="autogen gRPC link")

    async def stop(self) -> None:
        """Disconnect. What waits to be written gets two seconds for it."""
        running, self._running = self._running, None
        if running is None:
            return
        connection = self._connection
        if connection is not None and await self.outbox.written(_FLUSH_S):
            await self.control_outbox.written(_FLUSH_S)
            # Its answer says that the host has what was written before; a stream that is cancelled earlier may lose its end.
            hello = connection.stub.GetSubscriptions(
                wire.GetSubscriptionsRequest(), metadata=connection.metadata, timeout=_FLUSH_S
            )
            await _ended(hello)
        running.cancel()
        await asyncio.wait([running])

    async def unary(self, name: str, request: Any, *headers: tuple[str, str]) -> Any:
        """Make one of the unary calls.

        Raises:
            grpc.aio.AioRpcError: The host refused, or cannot be reached.
        """
        connection = self._connection
        if connection is None:
            raise unavailable("The host is away.")
        call: Any = getattr(connection.stub, name)
        try:
            return await call(request, metadata=(*connection.metadata, *headers), timeout=self._patience_s)
        except asyncio.CancelledError:
            if _is_cancelled_itself():
                raise
            raise unavailable("The connection to the host broke.") from None
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.CANCELLED:  # the same, seen by gRPC first
                raise unavailable("The connection to the host broke.") from error
            raise

    # Connecting

    async def _connect(self) -> _Connection:
        """Open both streams; return when the host has answered."""
        self.client_id = str(uuid4())
        receive = int(self._options.get(_RECEIVE, USUAL_MAX_BYTES))
        metadata = [(CLIENT_ID, self.client_id), (WORKER_ID, self._worker)]
        metadata.append((MAX_BYTES, str(receive if receive >= 0 else 2**31 - 1)))
        if self._security.token is not None:
            metadata.append(("authorization", f"Bearer {self._security.token}"))
        channel = self._open_channel()
        try:
            headers = tuple(metadata)
            self.host = await self._greet(channel, headers)
            if self.host.own != self._keep_alive:
                self._keep_alive = self.host.own
                await channel.close()
                channel = self._open_channel()
            stub = _stub(channel)
            connection = _Connection(
                channel, stub, headers, stub.OpenChannel(metadata=headers), stub.OpenControlChannel(metadata=headers)
            )
            # A second call on the same connection is answered after the streams have arrived there.
            await self._greet(channel, headers)
        except BaseException as error:
            await channel.close()
            refused = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
            if isinstance(error, grpc.aio.AioRpcError) and error.code() in refused:
                raise NotPermittedError(f"The host at {self._address} does not admit us: {error.details()}") from error
            raise
        self._connection = connection
        return connection

    def _open_channel(self) -> grpc.aio.Channel:
        options = list((_OPTIONS | (_KEEPALIVE if self._keep_alive else {}) | self._options).items())
        credentials = self._security.channel_credentials()
        if credentials is None:
            return grpc.aio.insecure_channel(self._address, options=options)
        return grpc.aio.secure_channel(self._address, credentials, options=options)

    async def _greet(self, channel: grpc.aio.Channel, headers: tuple[tuple[str, str], ...]) -> Host:
        request = wire.GetSubscriptionsRequest()
        hello = _stub(channel).GetSubscriptions(request, metadata=headers, timeout=self._patience_s)
        await hello
        return self._read_host(await hello.trailing_metadata())

    def _read_host(self, metadata: Any) -> Host:
        if header(metadata, WORKER_ID) is None:
            return Host()
        limit = int(header(metadata, MAX_BYTES) or USUAL_MAX_BYTES)
        send = int(self._options.get(_SEND, -1))
        publish = tuple(json.loads(header(metadata, PUBLISH) or '["*"]'))
        return Host(own=True, max_bytes=limit if send < 0 else min(limit, send), publish=publish)

    async def _run(self, connection: _Connection) -> None:
        try:
            while True:
                await self._exchange(connection)
                self._patience_s = _HELLO_AGAIN_S
                _tell(logging.WARNING, "the connection to the host at %s broke; it is made again", self._address)
                connection = await self._connect_again()
        finally:
            await self._disconnect(connection)
            if self._running is not None:  # the event loop ends, and nobody called `stop`
                await asyncio.sleep(SETTLING_S)

    async def _connect_again(self) -> _Connection:
        wait_s = _FIRST_WAIT_S
        while True:
            await asyncio.sleep(random.uniform(0, wait_s))  # noqa: S311 - so that workers do not all come at once
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            try:
                connection = await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
                _tell(logging.DEBUG, "no connection to %s yet: %r", self._address, error)
                continue
            try:
                await self._events.joined()
            except Exception as error:  # noqa: BLE001 - as above
                _tell(logging.WARNING, "the host at %s did not take us back: %r; trying again", self._address, error)
                await self._disconnect(connection)
                continue
            self._patience_s = _HELLO_S
            _tell(logging.INFO, "connected to the host at %s again", self._address)
            return connection

    async def _disconnect(self, connection: _Connection) -> None:
        self._connection = None
        for task in connection.tasks:
            task.cancel()
        if connection.tasks:
            await asyncio.wait(connection.tasks)
        await connection.channel.close()

    async def _exchange(self, connection: _Connection) -> None:
        """Read and write until the connection breaks."""
        reader = asyncio.create_task(_read(connection.data, self._events.message))
        writer = asyncio.create_task(_write(connection.data, self.outbox))

        async def take(message: wire.ControlMessage) -> None:
            self._events.control(message)

        listener = asyncio.create_task(_read(connection.control, take))
        controller = asyncio.create_task(_write(connection.control, self.control_outbox))
        connection.tasks = [reader, writer, listener, controller]
        # A reader whose message has to wait does not see that its stream has ended; the other one does.
        watched = [reader, writer, listener] if self.host.own else [reader, writer]
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if listener.done() and not writer.done():
            await asyncio.wait([reader], timeout=_LAST_WORDS_S)
        self._events.away()
        await self._disconnect(connection)


def _stub(channel: grpc.aio.Channel) -> "AgentRpcAsyncStub":
    return cast("AgentRpcAsyncStub", AgentRpcStub(channel))


def unavailable(text: str) -> grpc.aio.AioRpcError:
    """Make the error of a call that cannot reach the host."""
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), text)


def _is_cancelled_itself() -> bool:
    """Tell whether it is the current task that is cancelled, and not the call it awaits: closing a channel does that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _tell(level: int, text: str, *about: object) -> None:
    """Log without harm to the connection, whatever the program's log handlers raise."""
    with suppress(Exception):
        _logger.log(level, text, *about)


async def _ended(call: Awaitable[object]) -> None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        _tell(logging.DEBUG, "the host was gone before we left: %s", error.code())
    except asyncio.CancelledError:
        if _is_cancelled_itself():
            raise
        _tell(logging.DEBUG, "the connection broke before we left")


async def _read(stream: AsyncIterable[T], take: Callable[[T], Awaitable[None]]) -> None:
    try:
        async for message in stream:
            try:
                await take(message)
            except Exception:
                with suppress(Exception):
                    _logger.exception("a message from the host could not be handled")
    except grpc.aio.AioRpcError as error:
        _tell(logging.DEBUG, "a stream from the host ended: %s", error.code())


async def _write(stream: grpc.aio.StreamStreamCall[T, T], outbox: Outbox[T]) -> None:
    try:
        await outbox.write_to(stream.write)
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
        _tell(logging.DEBUG, "a stream to the host ended: %r", error)
