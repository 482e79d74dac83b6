"""The host's side of the wire: streams and unary calls on one side, the router on the other.

Stands on the router and on grpc.aio; makes no decision but who may join.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar

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
from ._members import USUAL_MAX_BYTES, Client
from ._outbox import ClosedError, Outbox
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
    """

    def __init__(self, *, security: HostSecurity | None = None, max_message_bytes: int = USUAL_MAX_BYTES) -> None:
        self._security = security or HostSecurity()
        self._max_message_bytes = max_message_bytes
        self._router = Router(lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))

    # Streams

    async def OpenChannel(  # type: ignore[override]  # noqa: N802 - the wire's name; ours is asynchronous only
        self, request_iterator: AsyncIterator[wire.Message], context: _Context
    ) -> AsyncIterator[wire.Message]:
        """Exchange requests, answers and events with one worker, until it leaves."""
        client = await self._admit(context)
        outbox = Outbox[wire.Message](_CAPACITY)
        if client.channel is not None:
            client.channel.close()
        client.channel = outbox
        for agent_type in client.types:
            self._router.registered(agent_type)
        reader = asyncio.create_task(_read(request_iterator, lambda message: self._take(client, message)))
        try:
            async for message in _drain(outbox):
                yield message
        finally:
            outbox.close()
            if client.channel is outbox:
                self._router.lost(client)
            await _stop(reader)

    async def OpenControlChannel(  # type: ignore[override]  # noqa: N802 - as above
        self, request_iterator: AsyncIterator[wire.ControlMessage], context: _Context
    ) -> AsyncIterator[wire.ControlMessage]:
        """Exchange control messages with one worker, until it leaves."""
        client = await self._admit(context)
        outbox = Outbox[wire.ControlMessage](_CAPACITY)
        if client.control is not None:
            client.control.close()
        client.control = outbox

        async def take(message: wire.ControlMessage) -> None:
            self._router.control(client, message)

        reader = asyncio.create_task(_read(request_iterator, take))
        try:
            async for message in _drain(outbox):
                yield message
        finally:
            outbox.close()
            if client.control is outbox:
                client.control = None
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
            self._router.members.subscribe(client, request.subscription)
        except (RegistrationError, NotPermittedError, UnreadableError) as error:
            await _refuse(context, error)
        return wire.AddSubscriptionResponse()

    async def RemoveSubscription(  # type: ignore[override]  # noqa: N802 - as above
        self, request: wire.RemoveSubscriptionRequest, context: _Context
    ) -> wire.RemoveSubscriptionResponse:
        """Remove a subscription, whoever added it."""
        client = await self._admit(context)
        try:
            self._router.members.unsubscribe(client, request.id)
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

    def close(self) -> None:
        """Let all workers go; those who wait for answers are told by their own worker."""
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
                _logger.exception("a message from a worker could not be handled")
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - a broken stream ends the call too, where it is dealt with
        _logger.debug("the stream from a worker broke: %r", error)


async def _drain(outbox: Outbox[T]) -> AsyncIterator[T]:
    while True:
        try:
            yield await outbox.get()
        except ClosedError:
            return


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
