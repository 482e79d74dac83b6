"""A host as a gateway: its workers reach the agents of another system, such as NATS, and that system reaches theirs.

To the router, the system behind the host is one more worker: it has all agent types that no worker here has, and hears all
events. What workers ask of it goes out through one runtime; what it asks of a worker comes in through that worker's bridge.
Stands on the router and on the protocol of runtimes; knows no particular one.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from autogen_core import ROOT_LOGGER_NAME, AgentId, TypePrefixSubscription, TypeSubscription, UnknownPayload
from autogen_core.exceptions import MailboxFullError, NotPermittedError, UndeliverableException
from autogen_core.lowlevel import SerializationRegistry
from autogen_ext.runtimes._shared import errors
from autogen_ext.runtimes._shared.deadlines import deadline
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._codec import (
    DEADLINE,
    MESSAGE_ID,
    PATIENCE,
    attribute,
    encode_into,
    event_payload,
    event_sender,
    event_topic,
    from_agent,
    from_subscription,
)
from ._gateway_bridge import BackingRuntime, Bridge, Desk
from ._gateway_state import answer_control
from ._gateway_trace import traced
from ._members import Client
from ._outbox import Outbox
from ._router import Router, control_error, error_answer
from ._security import WorkerRights
from .protos import agent_control_pb2 as control
from .protos import agent_worker_pb2 as wire

T = TypeVar("T")
_Key = tuple[str, bool, WorkerRights]

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.grpc")

_UNLIMITED = 2**31 - 1
_MOST_CALLS = 10_000
"""How many requests of workers may be under way to the system behind."""

_CAPACITY = 1_000
"""How many events of one worker may wait to be published."""

_HOLD_BACK_S = 5.0
"""How long the events of a worker are held back by mailboxes that are full, in seconds, before they are lost."""

_COMING_BACK_S = 5.0
"""How long a worker of ours that was lost may take to come back, in seconds, before it leaves the system."""

_CONNECT_S = 10.0
"""How long a request waits for the system behind to be reached first, in seconds."""

_LONGEST_PATIENCE_S = 30.0
_AGAIN_S = 0.2
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 3.0


class Inlet(Outbox[T]):
    """An outbox whose messages are taken at once."""

    def __init__(self, take: Callable[[T], None]) -> None:
        super().__init__(1)
        self._take = take

    def put(self, message: T) -> None:
        """Take a message; after `close` it is dropped."""
        if not self.closed:
            self._take(message)


class Gateway:
    """What connects a host to the system behind it.

    Args:
        router: The host's.
        make: Makes a runtime of that system, not started: one for all that workers ask of it, and one for each worker that
            has agents.
    """

    def __init__(self, router: Router, make: Callable[[], BackingRuntime]) -> None:
        self.client = Client(str(uuid4()), own=True, max_bytes=_UNLIMITED)
        self.client.channel = Inlet(self._take)
        self.client.control = Inlet(self._take_control)
        self._router = router
        self._make = make
        self._desk = Desk(router, self.client, SerializationRegistry(), {}, {})
        self._bridges: dict[_Key, Bridge] = {}
        self._ending: dict[Bridge, asyncio.Task[None]] = {}
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._publishing: dict[Client, tuple[Outbox[wire.Message], asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._outgoing: BackingRuntime | None = None
        self._connecting: asyncio.Task[BackingRuntime] | None = None
        self._stopping = self._stopped = False
        self._why = ""
        router.gateway = self
        router.members.clients[self.client.id] = self.client  # so that answers to control messages find it

    # Life

    @property
    def connected(self) -> bool:
        """Whether the system behind has been reached, and what stands for the host there is ready, if it can tell."""
        return self._outgoing is not None and bool(getattr(self._outgoing, "ready", True))

    def connect(self) -> "asyncio.Task[BackingRuntime]":
        """Begin to join the system behind; it is tried until it succeeds or the gateway stops."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect(), name="autogen gateway")
        return self._connecting

    async def _connect(self) -> BackingRuntime:
        wait_s = _FIRST_WAIT_S
        while True:
            runtime = self._make()
            try:
                await runtime.start()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
                self._why = f"{type(error).__name__}: {error}"
                _logger.warning("the system behind this host cannot be reached (%s); trying again", self._why)
            else:
                self._outgoing = runtime
                return runtime
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _runtime(self) -> BackingRuntime:
        if self._outgoing is not None:
            return self._outgoing
        if self._stopping:
            raise UndeliverableException("The host is stopping.")
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await asyncio.shield(self.connect())
        except TimeoutError:
            raise UndeliverableException(f"The system behind this host cannot be reached: {self._why}.") from None

    async def stop(self, grace_s: float) -> None:
        """Leave the system behind: agents of workers finish what they have in hand, what workers ask for gets so many seconds.

        Call it while the workers are still connected.
        """
        self._stopping = True
        bridges, self._bridges = list(self._bridges.values()), {}
        for bridge in bridges:
            self._end(bridge)
        await _ended(list(self._ending.values()))
        self._stopped = True
        publishing, self._publishing = self._publishing, {}
        for outbox, task in publishing.values():
            outbox.close()
            self._own(task)
        late = await _ended([*self._calls.values(), *self._tasks], grace_s)
        for task in late:
            task.cancel()
        await _ended(late)
        if self._connecting is not None:
            self._connecting.cancel()
            await _ended([self._connecting])
        outgoing, self._outgoing = self._outgoing, None
        if outgoing is not None:
            await outgoing.close()

    # Workers

    async def register(self, client: Client, agent_type: str) -> None:
        """Let the system behind reach agents of a type at a worker; raises what it has against it."""
        await self._bridge(client).register(agent_type)

    async def subscribe(self, client: Client, subscription: wire.Subscription) -> None:
        """Let a worker's agents hear events of the system behind; raises what it has against it."""
        await self._bridge(client).subscribe(from_subscription(subscription))

    async def unsubscribe(self, id: str, rule: TypeSubscription | TypePrefixSubscription) -> None:
        """Take back a subscription, unless another worker here has the same one."""
        if any(rule == other for _, other in self._router.members.subscriptions()):
            return
        for bridge in list(self._bridges.values()):
            await bridge.unsubscribe(id)

    def opened(self, client: Client) -> None:
        """Take note that a worker can be reached."""
        bridge = self._bridges.get(_key(client))
        if bridge is not None and bridge.client is client:
            bridge.opened()

    def left(self, client: Client) -> None:
        """Take note that a worker is gone; one of ours that comes back soon goes on where it was."""
        publishing = self._publishing.pop(client, None)
        if publishing is not None:
            outbox, task = publishing
            outbox.close()
            self._own(task)
        for ending in self._ending:
            if ending.client is client:
                ending.left()
        key = _key(client)
        bridge = self._bridges.get(key)
        if bridge is None or bridge.client is not client:
            return
        bridge.left()
        if client.own:
            later = asyncio.get_running_loop().call_later
            bridge.ending = later(_COMING_BACK_S, self._gone, key, bridge)
        else:
            self._gone(key, bridge)

    def _bridge(self, client: Client) -> Bridge:
        if self._stopping:
            raise UndeliverableException("The host is stopping.")
        key = _key(client)
        bridge = self._bridges.get(key)
        if bridge is None:
            bridge = self._bridges[key] = Bridge(self._desk, self._make())
        bridge.attach(client)
        return bridge

    def _gone(self, key: _Key, bridge: Bridge) -> None:
        if self._bridges.get(key) is bridge:
            del self._bridges[key]
            self._end(bridge)

    def _end(self, bridge: Bridge) -> None:
        if bridge.ending is not None:
            bridge.ending.cancel()
        task = self._ending[bridge] = asyncio.create_task(bridge.close(), name="autogen gateway: a worker leaves")
        task.add_done_callback(lambda _: self._ending.pop(bridge))

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Requests, and answers of workers

    def _take(self, message: wire.Message) -> None:
        if message.HasField("response"):
            self._answered(message.response)
            return
        id = message.request.request_id
        if len(self._calls) >= _MOST_CALLS:
            text = "As many requests as may be are under way to the system behind this host."
            self._router.response(self.client, error_answer(id, MailboxFullError(text)))
            return
        task = self._calls[id] = asyncio.create_task(self._call(message.request))
        task.add_done_callback(partial(self._ended, id))

    def _ended(self, id: str, task: asyncio.Task[None]) -> None:
        if self._calls.get(id) is task:
            del self._calls[id]
        if task.cancelled():  # before its first step; else it has answered
            self._router.response(self.client, error_answer(id, asyncio.CancelledError()))
        elif (error := task.exception()) is not None:
            _logger.error("a request that went through the gateway failed", exc_info=error)

    async def _call(self, request: wire.RpcRequest) -> None:
        id = request.request_id
        message = wire.Message()
        message.response.request_id = id
        try:
            answer = await self._ask(request)
            encode_into(message.response.payload, answer, self._desk.registry)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is, the worker waits for it
            if self._stopped and isinstance(error, asyncio.CancelledError):
                error = UndeliverableException("The host stopped before the system behind it answered.")
            message = error_answer(id, error)
        self._router.response(self.client, message)

    async def _ask(self, request: wire.RpcRequest) -> Any:
        loop = asyncio.get_running_loop()
        recipient = from_agent(request.target)
        sender = from_agent(request.source) if request.HasField("source") else None
        left_ms = request.metadata.get(DEADLINE)
        deadline.set(None if left_ms is None else loop.time() + int(left_ms) / 1000)
        patient_until = loop.time() + _patience(request)
        id = request.metadata.get(MESSAGE_ID) or request.request_id
        with traced(request.metadata):
            while True:
                runtime = await self._runtime()
                try:
                    return await runtime.send_message(_unread(request.payload), recipient, sender=sender, message_id=id)
                except UndeliverableException:
                    if loop.time() >= patient_until:
                        raise
                await asyncio.sleep(_AGAIN_S)

    def _answered(self, response: wire.RpcResponse) -> None:
        waiting = self._desk.open.get(response.request_id)
        if waiting is None or waiting.reply.done() or waiting.bridge.client is None:
            return  # nobody waits, or it is the router that speaks for a lost worker
        if _is_leaving(response, waiting.recipient):
            self._gone(_key(waiting.bridge.client), waiting.bridge)
            return
        waiting.reply.set_result(response)

    # Events

    async def event(self, publisher: Client, message: wire.Message) -> None:
        """Publish an event in the system behind, after those that the worker has published before."""
        entry = self._publishing.get(publisher)
        if self._stopped:
            _logger.error("event %s on %s is lost: the host stops", message.cloudEvent.id, message.cloudEvent.type)
            return
        if entry is None:
            outbox = Outbox[wire.Message](_CAPACITY)
            task = asyncio.create_task(outbox.write_to(self._publish), name="autogen gateway: events")
            entry = self._publishing[publisher] = outbox, task
        outbox, _ = entry
        if outbox.full and not await outbox.space(_HOLD_BACK_S):
            _logger.error("event %s on %s is lost: too many wait", message.cloudEvent.id, message.cloudEvent.type)
            return
        outbox.put(message)

    async def _publish(self, message: wire.Message) -> None:
        event = message.cloudEvent
        trace = {name: attribute(event, name) or "" for name in ("traceparent", "tracestate")}
        end = asyncio.get_running_loop().time() + _HOLD_BACK_S
        try:
            topic, sender, payload = event_topic(event), event_sender(event), _unread(event_payload(event))
            with traced(trace):
                while True:
                    runtime = await self._runtime()
                    try:
                        await runtime.publish_message(payload, topic, sender=sender, message_id=event.id or None)
                    except MailboxFullError:
                        if asyncio.get_running_loop().time() >= end:
                            raise
                    else:
                        return
                    await asyncio.sleep(_AGAIN_S)
        except UnreadableError as error:
            _logger.error("event %s on %s is lost: %s", event.id, event.type, error)  # noqa: TRY400 - its text says all
        except Exception:
            _logger.exception("event %s on %s is lost", event.id, event.type)

    # Control

    def _take_control(self, message: wire.ControlMessage) -> None:
        if message.HasField("respond_to"):
            # Rights are looked at where an agent is named; only answers come by the gateway's own name.
            if message.destination.startswith("agentid="):
                self._own(asyncio.create_task(self._answer_control(message)))
            else:
                error = NotPermittedError("A question to the system behind this host must name an agent.")
                self._router.control(self.client, control_error(message, error))
            return
        cancel = control.CancelRequest()
        if message.rpcMessage.Unpack(cancel):
            call = self._calls.get(cancel.request_id)
            if call is not None:
                call.cancel()
        elif (waiting := self._desk.asked.get(message.rpc_id)) is not None and not waiting.done():
            waiting.set_result(message)

    async def _answer_control(self, message: wire.ControlMessage) -> None:
        self._router.control(self.client, await answer_control(self._runtime, message))


def _key(client: Client) -> _Key:
    return client.worker, client.own, client.rights


def _unread(payload: wire.Payload) -> UnknownPayload:
    return UnknownPayload(payload.data_type, payload.data_content_type, payload.data)


def _patience(request: wire.RpcRequest) -> float:
    try:
        return min(float(request.metadata.get(PATIENCE) or 0), _LONGEST_PATIENCE_S)
    except ValueError:
        return 0


def _is_leaving(response: wire.RpcResponse, recipient: AgentId) -> bool:
    """Tell whether a worker of ours has not begun a request since it is stopping."""
    said = UndeliverableException.runtime_stopped(recipient)
    metadata = response.metadata
    return metadata.get(errors.TYPE) == errors.type_name(said) and metadata.get(errors.TEXT) == str(said)


async def _ended(tasks: "list[asyncio.Task[Any]]", timeout_s: float | None = None) -> "list[asyncio.Task[Any]]":
    """Wait until tasks have ended; return those that have not in time."""
    if not tasks:
        return []
    _, late = await asyncio.wait(tasks, timeout=timeout_s)
    return list(late)
