"""One worker of a host as a member of the system behind the host: what is sent to its agents there is passed on to it here.

Each worker has a runtime of its own on that system, which joins when the worker registers its first agent type and leaves
when the worker is gone. So the system itself decides what a lost worker means: on one with durable mailboxes its messages
wait, or go to another worker of the type. Stands on the router and on the protocol of runtimes; knows no particular one.
"""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import NAMESPACE_OID, uuid4, uuid5

from google.protobuf.message import Message as Proto

from autogen_core import (
    ROOT_LOGGER_NAME,
    AgentId,
    AgentRuntime,
    ClosureAgent,
    ClosureContext,
    MessageContext,
    Subscription,
    TopicId,
    UnknownPayload,
)
from autogen_core.exceptions import (
    DeadlineExceededError,
    DeliveryError,
    MessageTooLargeError,
    RemoteError,
    UndeliverableException,
)
from autogen_core.lowlevel import SerializationRegistry
from autogen_ext.runtimes._shared import errors
from autogen_ext.runtimes._shared.deadlines import deadline

from ._codec import DEADLINE, MESSAGE_ID, ONLY, encode_event, encode_into, encode_payload, to_agent
from ._gateway_trace import carrier
from ._members import Client
from ._router import FRAME, Router, cancel_request
from .protos import agent_control_pb2 as control
from .protos import agent_worker_pb2 as wire

T = TypeVar("T", bound=Proto)

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.grpc")

_ANSWER_S = 10.0
"""How long the answer to a control message may take, in seconds."""

_IN_HAND = 100
"""How many messages may wait for one worker here; other events wait where they came from, which may keep them better."""

_LOOK_S = 1.0
_REMEMBERED = 10_000


class BackingRuntime(AgentRuntime, Protocol):
    """A runtime that shares its agents with other processes, and can be started and closed."""

    async def start(self) -> None:
        """Join the system; raises whatever keeps it from that."""
        ...

    async def close(self) -> None:
        """Finish what is being handled, as long as the runtime itself allows, and leave the system."""
        ...


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that a worker has to answer.

    Attributes:
        id: As worker and gateway know it.
        bridge: To the worker.
        message: The request.
        recipient: The agent.
        reply: What the worker says.
        end: When it must be answered, on the event loop's clock; None: no limit.
    """

    id: str
    bridge: "Bridge"
    message: wire.Message
    recipient: AgentId
    reply: "asyncio.Future[wire.RpcResponse]"
    end: float | None


@dataclass(slots=True)
class Desk:
    """What all bridges of a host share.

    Attributes:
        router: Moves messages to workers.
        gateway: As whom the system behind is known to the router.
        registry: How plain values are written. It knows no message type, so messages stay as they came.
        open: The requests under way, by id.
        asked: The control messages that wait for an answer, by id.
    """

    router: Router
    gateway: Client
    registry: SerializationRegistry
    open: dict[str, Waiting]
    asked: "dict[str, asyncio.Future[wire.ControlMessage]]"


class Bridge:
    """The way from the system behind a host to one worker.

    While the worker is away, what is sent to it waits, until it is back or the system gives the work to another.

    Args:
        desk: What all bridges share.
        runtime: The worker's place in the system; not started.

    Attributes:
        client: The worker; None while it is away.
        ending: What ends the bridge if the worker does not come back.
    """

    def __init__(self, desk: Desk, runtime: BackingRuntime) -> None:
        self.client: Client | None = None
        self.ending: asyncio.TimerHandle | None = None
        self.runtime = runtime
        self._desk = desk
        self._reachable = asyncio.Event()
        self._turn = asyncio.Lock()
        self._given: OrderedDict[tuple[str, TopicId], None] = OrderedDict()
        self._closing = False
        self._steps: dict[str, asyncio.Task[object]] = {}

    # The worker

    def attach(self, client: Client) -> None:
        """Take note that the worker is there, perhaps again."""
        if self.ending is not None:
            self.ending.cancel()
            self.ending = None
        if client is not self.client:
            self._reachable.clear()
            self.client = client
        self.opened()

    def opened(self) -> None:
        """Send what waits, in its order, if the worker's channel is open."""
        if self._reachable.is_set() or self.client is None or self.client.channel is None:
            return
        self._reachable.set()
        for waiting in list(self._desk.open.values()):
            if waiting.bridge is self and not waiting.reply.done():
                self._send(waiting)

    def left(self) -> None:
        """Take note that the worker is away."""
        self.client = None
        self._reachable.clear()

    # Its place in the system

    async def register(self, agent_type: str) -> None:
        """Let the system send here what is for agents of a type; does nothing if it does already.

        Raises:
            Exception: What the runtime has against it.
        """
        await self._once("start", self.runtime.start)
        await self._once(
            f"type {agent_type}", lambda: self.runtime.register_factory(agent_type, lambda: Forwarder(self))
        )

    async def subscribe(self, subscription: Subscription) -> None:
        """Let the system send here the events that agents of the worker hear; does nothing if it does already."""
        await self._once("start", self.runtime.start)
        await self._once(f"rule {subscription.id}", lambda: self.runtime.add_subscription(subscription))

    async def unsubscribe(self, id: str) -> None:
        """Take back a subscription that was made here."""
        if self._steps.pop(f"rule {id}", None) is not None:
            await self.runtime.remove_subscription(id)

    async def _once(self, name: str, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Do a step once, also if those who ask for it give up and ask again; one that failed may be tried again."""
        step = self._steps.get(name)
        if step is None or (step.done() and (step.cancelled() or step.exception() is not None)):
            step = self._steps[name] = asyncio.create_task(work(), name=f"autogen gateway: {name}")
            step.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(step)

    async def close(self) -> None:
        """Leave the system. What waits here for the worker is not answered: the system knows it as not handled."""
        self._closing = True
        steps = [step for step in self._steps.values() if not step.done()]
        for step in steps:
            step.cancel()
        if steps:
            await asyncio.wait(steps)
        try:
            await self.runtime.close()
        except Exception:
            _logger.exception(
                "the runtime that a lost worker had in the system behind this host is not closed in order"
            )

    # Messages

    async def take(self, agent: ClosureContext, message: Any, ctx: MessageContext) -> Any:
        """Pass a message of the system on to the worker, and return its answer; for an event there is none."""
        if ctx.topic_id is None:
            return await self._request(agent.id, message, ctx)
        return await self._event(agent.id, message, ctx, ctx.topic_id)

    async def _request(self, recipient: AgentId, message: Any, ctx: MessageContext) -> UnknownPayload:
        waiting = self._open(recipient, message, ctx)
        try:
            self._send(waiting)
            response = await waiting.reply
        except asyncio.CancelledError:
            if self._closing and self.client is None:  # who keeps no mailbox tells this to the sender
                text = f"The worker of {recipient} was lost before it answered; it may have done the work."
                raise UndeliverableException(text, recipient=recipient) from None
            raise
        finally:
            del self._desk.open[waiting.id]
            if not waiting.reply.done() or waiting.reply.cancelled():
                self._cancel(waiting)
        if response.error or errors.TYPE in response.metadata:
            raise errors.revive(response.error, response.metadata, recipient, ctx.message_id)
        if not response.HasField("payload"):
            # So workers of 0.7.5 tell of an error without a text.
            raise RemoteError(f"{recipient} failed, and does not say why.", recipient=recipient)
        payload = response.payload
        return UnknownPayload(payload.data_type, payload.data_content_type, payload.data)

    def _open(self, recipient: AgentId, message: Any, ctx: MessageContext) -> Waiting:
        # The same id for the same message: a worker of ours that had it already, by a host that died, answers it again.
        id = str(uuid5(NAMESPACE_OID, f"{ctx.message_id}\0{recipient}"))
        if id in self._desk.open:
            id = str(uuid4())
        written = wire.Message()
        request = written.request
        request.target.type, request.target.key = recipient.type, recipient.key
        encode_into(request.payload, message, self._desk.registry)
        if ctx.sender is not None:
            request.source.type, request.source.key = ctx.sender.type, ctx.sender.key
        request.metadata.update(carrier())
        request.metadata[MESSAGE_ID] = ctx.message_id
        reply: asyncio.Future[wire.RpcResponse] = asyncio.get_running_loop().create_future()
        waiting = self._desk.open[id] = Waiting(id, self, written, recipient, reply, deadline.get())
        return waiting

    def _send(self, waiting: Waiting) -> None:
        """Send a request, if the worker can be reached; else it is sent when that is so."""
        if not self._reachable.is_set() or self.client is None:
            return
        request = waiting.message.request
        request.request_id = waiting.id
        if waiting.end is not None:
            left_s = waiting.end - asyncio.get_running_loop().time()
            request.metadata[DEADLINE] = str(max(int(left_s * 1000), 0))
        try:
            self._desk.router.forward(self._desk.gateway, self.client, waiting.message, waiting.recipient)
        except DeliveryError as error:
            waiting.reply.set_exception(error)

    def _cancel(self, waiting: Waiting) -> None:
        if self.client is not None and self.client.control is not None:
            self.client.control.put(cancel_request(waiting.id, waiting.recipient))

    async def _event(self, hearer: AgentId, message: Any, ctx: MessageContext, topic: TopicId) -> None:
        payload = encode_payload(message, self._desk.registry)
        event = encode_event(payload, topic, ctx.sender, ctx.message_id, carrier())
        async with self._turn:  # whoever waits here keeps his place
            while True:
                await self._reachable.wait()
                client = self.client
                if client is None or client.channel is None:
                    await asyncio.sleep(0)
                elif len(client.channel) < _IN_HAND:
                    break
                else:
                    await client.channel.written(_LOOK_S)
            if event.ByteSize() > client.max_bytes - FRAME:
                text = f"The event has {event.ByteSize()} bytes; the worker of {hearer} takes {client.max_bytes}."
                raise MessageTooLargeError(text, recipient=topic)
            if client.own:
                event.attributes[ONLY].ce_string = hearer.type
            elif not self._first(ctx.message_id, topic):
                return
            client.channel.put(wire.Message(cloudEvent=event))

    def _first(self, id: str, topic: TopicId) -> bool:
        """Tell whether an event is new to the worker; one of 0.7.5 gives it to all its agents that hear it, by itself."""
        key = id, topic
        if key in self._given:
            return False
        self._given[key] = None
        if len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)
        return True

    # State

    async def save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return the state of an agent of the worker."""
        answer = await self._ask(agent, wire.SaveStateRequest(agentId=to_agent(agent)), wire.SaveStateResponse)
        if answer.HasField("error"):
            raise _revive(answer.error, control.ControlError.FromString(answer.SerializeToString()), agent)
        return json.loads(answer.state)

    async def load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give an agent of the worker a state."""
        request = wire.LoadStateRequest(agentId=to_agent(agent), state=json.dumps(dict(state)))
        answer = await self._ask(agent, request, wire.LoadStateResponse)
        if answer.HasField("error"):
            raise _revive(answer.error, control.ControlError.FromString(answer.SerializeToString()), agent)

    async def _ask(self, agent: AgentId, request: Proto, expected: type[T]) -> T:
        channel = None if self.client is None else self.client.control
        if channel is None:
            text = f"No control channel leads to {agent}: its worker is away, or one of AutoGen 0.7.5, which has none."
            raise UndeliverableException(text, recipient=agent)
        id = str(uuid4())
        message = wire.ControlMessage(
            rpc_id=id, destination=f"agentid={agent}", respond_to=f"clientid={self._desk.gateway.id}"
        )
        message.rpcMessage.Pack(request)
        self._desk.asked[id] = asyncio.get_running_loop().create_future()
        channel.put(message)
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = (await self._desk.asked[id]).rpcMessage
        except TimeoutError:
            text = f"The worker of {agent} did not answer within {_ANSWER_S:.0f} seconds."
            raise DeadlineExceededError(text, recipient=agent) from None
        finally:
            del self._desk.asked[id]
        failed = control.ControlError()
        if answer.Unpack(failed):
            raise _revive(failed.text, failed, agent)
        made = expected()
        answer.Unpack(made)
        return made


class Forwarder(ClosureAgent):
    """An agent of a worker, as the system behind the host sees it.

    It is a `ClosureAgent` since these have no state of their own to be kept: the worker has it, and handles messages as they
    come. What is asked for by name is asked from the worker.
    """

    def __init__(self, bridge: Bridge) -> None:
        super().__init__("an agent of a worker at a gRPC host", bridge.take)
        self._bridge = bridge

    async def save_state(self) -> Mapping[str, Any]:
        """Return the agent's state, as its worker has it."""
        return await self._bridge.save_state(self.id)

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give the agent, at its worker, a state."""
        await self._bridge.load_state(self.id, state)


def _revive(text: str, failed: control.ControlError, agent: AgentId) -> Exception:
    told = {errors.TYPE: failed.type_name, errors.TRACEBACK: failed.traceback, errors.TEXT: failed.text or text}
    return errors.revive(text, told, agent, "")
