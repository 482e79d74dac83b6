"""The host's side of the wire: streams and unary calls on one side, the router on the other.

Stands on the router and on grpc.aio; makes no decision but who may join.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn, TypeVar, cast
from uuid import uuid4

import grpc

from autogen_core import ROOT_LOGGER_NAME
from autogen_core.exceptions import NotPermittedError, RegistrationError

from ._codec import (
    CLIENT_ID,
    MAX_BYTES,
    PUBLISH,
    SHARED,
    WORKER_ID,
    UnreadableError,
    client_id_of,
    header,
    to_subscription,
)
from ._gateway import Gateway
from ._gateway_bridge import BackingRuntime
from ._members import USUAL_MAX_BYTES, Client
from ._outbox import Outbox
from ._router import Router
from ._security import HostSecurity
from .protos import agent_worker_pb2 as wire
from .protos.agent_worker_pb2_grpc import AgentRpcServicer

T = TypeVar("T")
_Context = grpc.aio.ServicerContext[Any, Any]

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.grpc")

_CAPACITY = 10_000
"""How many messages may wait for one worker."""


class GrpcWorkerAgentRuntimeHostServicer(AgentRpcServicer):
    """The service `agents.AgentRpc` of a host, for a gRPC server of your own; else use `GrpcWorkerAgentRuntimeHost`.

    Args:
        security: Who may join, and what each worker may do; None: everybody, everything.
        max_message_bytes: The longest message that the server takes; workers are told.
        gateway: Makes runtimes of the system behind this host, not started; None: the host stands alone.
    """

    def __init__(
        self,
        *,
        security: HostSecurity | None = None,
        max_message_bytes: int = USUAL_MAX_BYTES,
        gateway: Callable[[], BackingRuntime] | None = None,
    ) -> None:
        self._security = security or HostSecurity()
        self._max_message_bytes = max_message_bytes
        self._closed = False
        self._router = Router(lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))
        self._gateway = None if gateway is None else Gateway(self._router, gateway)

    # Streams

    async def OpenChannel(  # type: ignore[override]  # noqa: N802 - the wire's name; ours is asynchronous only
        self, request_iterator: AsyncIterator[wire.Message], context: _Context
    ) -> AsyncGenerator[wire.Message]:
        """Exchange requests, answers and events with one worker, until it leaves."""
        client = await self._admit(context)
        outbox = Outbox[wire.Message](_CAPACITY)
        if client.channel is not None:
            client.channel.close()
        client.channel = outbox
        for agent_type in client.types:
            self._router.registered(agent_type)
        if self._gateway is not None:
            self._gateway.opened(client)
        reader = asyncio.create_task(_read(request_iterator, lambda message: self._take(client, message)))

        def ended() -> None:
            outbox.close()
            if client.channel is outbox:
                self._router.lost(client)
            reader.cancel()

        _when_done(context, ended)
        try:
            async for message in outbox.messages():
                yield message
        finally:
            ended()
            await _stop(reader)

    async def OpenControlChannel(  # type: ignore[override]  # noqa: N802 - as above
        self, request_iterator: AsyncIterator[wire.ControlMessage], context: _Context
    ) -> AsyncGenerator[wire.ControlMessage]:
        """Exchange control messages with one worker, until it leaves."""
        client = await self._admit(context)
        outbox = Outbox[wire.ControlMessage](_CAPACITY)
        if client.control is not None:
            client.control.close()
        client.control = outbox

        async def take(message: wire.ControlMessage) -> None:
            self._router.control(client, message)

        reader = asyncio.create_task(_read(request_iterator, take))

        def ended() -> None:
            outbox.close()
            if client.control is outbox:
                client.control = None
            reader.cancel()

        _when_done(context, ended)
        try:
            async for message in outbox.messages():
                yield message
        finally:
            ended()
            await _stop(reader)

    async def _take(self, client: Client, message: wire.Message) -> None:
        kind = message.WhichOneof("message")
        if kind == "request":
            self._router.request(client, message)
        elif kind == "response":
            self._router.response(client, message)
        elif kind == "cloudEvent":
            await self._router.event(client, message)
        else:
            _logger.warning("worker %s sent an empty message", client.worker)

    # Unary calls

    async def RegisterAgent(  # type: ignore[override]  # noqa: N802 - as above
        self, request: wire.RegisterAgentTypeRequest, context: _Context
    ) -> wire.RegisterAgentTypeResponse:
        """Let the calling worker host an agent type."""
        client = await self._admit(context)
        shared = header(context.invocation_metadata(), SHARED) is not None
        try:
            self._router.members.register(client, request.type, shared=shared)
            if self._gateway is not None:
                joining = self._gateway.register(client, request.type)
                undo = partial(self._router.members.unregister, client, request.type)
                await self._tell_behind(joining, undo, context)
        except (RegistrationError, NotPermittedError) as error:
            await _refuse(context, error)
        self._router.registered(request.type)
        return wire.RegisterAgentTypeResponse()

    async def AddSubscription(  # type: ignore[override]  # noqa: N802 - as above
        self, request: wire.AddSubscriptionRequest, context: _Context
    ) -> wire.AddSubscriptionResponse:
        """Add a subscription of the calling worker."""
        client = await self._admit(context)
        try:
            request.subscription.id = request.subscription.id or str(uuid4())
            self._router.members.subscribe(client, request.subscription)
            if self._gateway is not None:
                hearing = self._gateway.subscribe(client, request.subscription)
                undo = partial(self._router.members.unsubscribe, client, request.subscription.id)
                await self._tell_behind(hearing, undo, context)
        except (RegistrationError, NotPermittedError, UnreadableError) as error:
            await _refuse(context, error)
        return wire.AddSubscriptionResponse()

    async def RemoveSubscription(  # type: ignore[override]  # noqa: N802 - as above
        self, request: wire.RemoveSubscriptionRequest, context: _Context
    ) -> wire.RemoveSubscriptionResponse:
        """Remove a subscription, whoever added it."""
        client = await self._admit(context)
        try:
            rule = self._router.members.unsubscribe(client, request.id)
            if self._gateway is not None:
                await self._gateway.unsubscribe(request.id, rule)
        except RegistrationError as error:
            await _abort(context, grpc.StatusCode.UNKNOWN, f"Unexpected <class 'ValueError'>: {error}")
        except NotPermittedError as error:
            await _refuse(context, error)
        return wire.RemoveSubscriptionResponse()

    async def GetSubscriptions(  # type: ignore[override]  # noqa: N802 - as above
        self, request: wire.GetSubscriptionsRequest, context: _Context
    ) -> wire.GetSubscriptionsResponse:
        """Return the subscriptions of all workers; tells workers of ours what they can expect of this host."""
        client = await self._admit(context)
        context.set_trailing_metadata(
            (
                (WORKER_ID, "host"),
                (MAX_BYTES, str(self._max_message_bytes)),
                (PUBLISH, json.dumps(client.rights.publish)),
            )
        )
        held = self._router.members.subscriptions()
        return wire.GetSubscriptionsResponse(subscriptions=[to_subscription(rule) for _, rule in held])

    # Joining

    async def _admit(self, context: _Context) -> Client:
        """Return the worker that calls; it joins with its first call."""
        if self._closed:
            await _abort(context, grpc.StatusCode.UNAVAILABLE, "This host is stopping.")
        metadata = context.invocation_metadata()
        id = client_id_of(metadata)
        if id is None:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, f"{CLIENT_ID} metadata not found.")
        rights = self._security.rights(header(metadata, "authorization"), _identity(context))
        if rights is None:
            text = "This host admits workers with a valid bearer token or a known certificate only."
            await _abort(context, grpc.StatusCode.UNAUTHENTICATED, text)
        client = self._router.members.clients.get(id)
        if client is None:
            worker = header(metadata, WORKER_ID)
            client = Client(id, worker or "", own=worker is not None, rights=rights)
            client.max_bytes = int(header(metadata, MAX_BYTES) or USUAL_MAX_BYTES)
            before = self._router.members.add(client)
            if before is not None:
                self._router.lost(before)
        elif client.rights != rights:
            await _abort(context, grpc.StatusCode.UNAUTHENTICATED, "This client id belongs to another worker.")
        return client

    # The system behind

    @property
    def ready(self) -> bool:
        """Whether it takes workers, and the system behind it, if there is one, is reached."""
        return not self._closed and (self._gateway is None or self._gateway.connected)

    def connect(self) -> None:
        """Begin to join the system behind, if there is one; else that is done when it is first needed."""
        if self._gateway is not None:
            self._gateway.connect()

    async def disconnect(self, grace_s: float) -> None:
        """Leave the system behind, if there is one, while workers can still finish what they have; then `close`."""
        if self._gateway is not None:
            await self._gateway.stop(grace_s)

    async def _tell_behind(self, work: Awaitable[None], undo: Callable[[], object], context: _Context) -> None:
        """Let the system behind know something, too; where that refuses, it is not so here either."""
        try:
            await work
        except BaseException as error:
            undo()
            if isinstance(error, asyncio.CancelledError | RegistrationError | NotPermittedError):
                raise
            if isinstance(error, ValueError):
                raise RegistrationError(str(error)) from error
            text = f"The system behind this host does not take it ({type(error).__name__}: {error}). Try again later."
            await _abort(context, grpc.StatusCode.UNAVAILABLE, text)

    def close(self) -> None:
        """Let all workers go, and no other in; those who wait for answers are told by their own worker."""
        self._closed = True
        self._router.close()


def _identity(context: _Context) -> str | None:
    names = list(context.auth_context().get("x509_common_name") or ())
    return names[0].decode() if names else None


async def _read(messages: AsyncIterator[T], take: Callable[[T], Awaitable[None]]) -> None:
    """Take what a worker sends, in its order. That it sends no more is no disconnect."""
    try:
        async for message in messages:
            try:
                await take(message)
            except Exception:
                with suppress(Exception):  # it may be a log handler of the program that is broken
                    _logger.exception("a message from a worker could not be handled")
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - a broken stream ends the call too, where it is dealt with
        _logger.debug("the stream from a worker broke: %r", error)


def _when_done(context: _Context, call: Callable[[], None]) -> None:
    """Let something be called when the call ends: a worker lost while a message is written leaves its generator behind."""

    def done(_: object) -> None:
        call()

    cast("Any", context).add_done_callback(done)  # for the stubs of gRPC it must be an instance of a class of theirs


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=1)


async def _refuse(context: _Context, error: Exception) -> NoReturn:
    """End a unary call in the way in which workers of 0.7.5 expect it."""
    if isinstance(error, NotPermittedError):
        await _abort(context, grpc.StatusCode.PERMISSION_DENIED, str(error))
    if isinstance(error, UnreadableError):
        await _abort(context, grpc.StatusCode.UNKNOWN, f"Unexpected <class 'ValueError'>: {error}")
    await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))


async def _abort(context: _Context, code: grpc.StatusCode, text: str) -> NoReturn:
    await context.abort(code, text)
    raise AssertionError("abort raises")
