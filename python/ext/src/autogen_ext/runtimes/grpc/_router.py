"""The host's decisions: to whom a message goes, and what its sender is told if it goes nowhere.

Every request is answered, by its target or from here. Stands on the members and on outboxes; knows no gRPC.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID, uuid4

from autogen_core import ROOT_LOGGER_NAME, AgentId
from autogen_core.exceptions import (
    AutoGenError,
    DeliveryError,
    MailboxFullError,
    MessageTooLargeError,
    NotPermittedError,
    UndeliverableException,
)
from autogen_ext.runtimes._shared import errors
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._codec import ONLY, PATIENCE, event_sender, event_topic, from_agent
from ._members import Client, Members
from ._security import allowed
from .protos import agent_control_pb2 as control
from .protos import agent_worker_pb2 as wire

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.grpc")

FRAME = 1024
"""Bytes left for what is around a message, where its size is compared with a limit."""

_HOLD_BACK_S = 5.0
"""How long the events of a worker are held back by a slow one, in seconds, before the slow one misses them."""

_LONGEST_PATIENCE_S = 30.0

_COMING_BACK_S = 5.0
"""How long a worker of ours that was lost may take to ask again for what it waits for, in seconds, before that is cancelled."""


@dataclass(slots=True)
class _Call:
    """A request that is not answered yet."""

    caller: Client
    id: str  # as the caller knows it
    target: Client
    recipient: AgentId


class Beyond(Protocol):
    """The way to the system behind a host that is a gateway.

    Attributes:
        client: As which worker the system is known here.
    """

    client: Client

    async def event(self, publisher: Client, message: wire.Message) -> None:
        """Publish an event there."""
        ...

    def left(self, client: Client) -> None:
        """Take note that a worker is gone."""
        ...


class Router:
    """Moves messages between the workers of a host.

    Args:
        later: Calls a function after so many seconds; the event loop's.

    Attributes:
        gateway: To the system behind this host; None if the host stands alone.
    """

    def __init__(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        self.members = Members()
        self.gateway: Beyond | None = None
        self._later = later
        self._calls: dict[str, _Call] = {}  # by the id that the target knows
        self._patient: dict[str, list[tuple[Client, wire.Message]]] = {}  # by agent type

    # Requests and answers

    def request(self, caller: Client, message: wire.Message) -> None:
        """Send a request to where its target lives, or answer it."""
        request = message.request
        recipient: AgentId | None = None
        try:
            recipient = from_agent(request.target)
            self._check_rights(caller, request, recipient)
            if self._is_resent(caller, request):
                return
            target = self._home(recipient)
            if target is None and self._wait_for(caller, message, recipient.type):
                return
            self.forward(caller, target, message, recipient)
        except (AutoGenError, UnreadableError) as error:
            _answer(caller, request.request_id, error)  # first: a program's log handler may raise
            _logger.info("request %s for %s is refused: %s", request.request_id, recipient, error)

    def response(self, target: Client, message: wire.Message) -> None:
        """Send an answer to the worker that waits for it; one that nobody waits for is dropped."""
        response = message.response
        call = self._calls.get(response.request_id)
        if call is None or call.target is not target:
            _logger.debug("an answer to %s, for which nobody waits", response.request_id)
            return
        del self._calls[response.request_id]
        if response.ByteSize() > call.caller.max_bytes - FRAME:
            text = f"The answer of {call.recipient} has {response.ByteSize()} bytes; its caller takes {call.caller.max_bytes}."
            _answer(call.caller, call.id, MessageTooLargeError(text, recipient=call.recipient))
            return
        response.request_id = call.id
        _send(call.caller, message)

    def _home(self, agent: AgentId) -> Client | None:
        """Return where an agent lives. The system behind the host says where, if workers there may have its type, too."""
        home = self.members.home(agent)
        if self.gateway is not None and (home is None or self.members.is_shared(agent.type)):
            return self.gateway.client
        return home

    def forward(self, caller: Client, target: Client | None, message: wire.Message, recipient: AgentId) -> None:
        """Send a request to a worker, and expect its answer.

        Raises:
            UndeliverableException: The worker cannot be reached.
            MailboxFullError: Too much waits for it.
            MessageTooLargeError: The request is longer than it takes.
        """
        request = message.request
        if target is None or target.channel is None:
            raise UndeliverableException.unknown_recipient(recipient, set(self.members.types))
        if target.channel.full:
            raise MailboxFullError(f"Too many messages wait for the worker of {recipient}.", recipient=recipient)
        size = request.ByteSize()
        if size > target.max_bytes - FRAME:
            text = f"The message has {size} bytes; the worker of {recipient} takes {target.max_bytes}."
            raise MessageTooLargeError(text, recipient=recipient)
        id = request.request_id
        if id in self._calls or not (caller.own or _is_uuid(id)):
            request.request_id = str(uuid4())
        self._calls[request.request_id] = _Call(caller, id, target, recipient)
        if PATIENCE in request.metadata and (self.gateway is None or target is not self.gateway.client):
            del request.metadata[PATIENCE]
        target.channel.put(message)

    def _check_rights(self, caller: Client, request: wire.RpcRequest, recipient: AgentId) -> None:
        if not allowed(recipient.type, caller.rights.call):
            text = f"This worker has no right to call agent type {recipient.type!r}."
            raise NotPermittedError(text, recipient=recipient)
        if request.HasField("source") and not allowed(request.source.type, caller.rights.register):
            text = f"This worker has no right to speak for agent type {request.source.type!r}."
            raise NotPermittedError(text, recipient=recipient)

    def _is_resent(self, caller: Client, request: wire.RpcRequest) -> bool:
        """Tell whether a worker of ours repeats, after a new connection, a request whose target is still at it."""
        call = self._calls.get(request.request_id)
        if call is None or call.caller.worker != caller.worker or not caller.own:
            return False
        call.caller = caller
        return True

    def _wait_for(self, caller: Client, message: wire.Message, agent_type: str) -> bool:
        """Keep a request whose sender knows that workers are coming back, until its agent type is there."""
        text = message.request.metadata.pop(PATIENCE, None)
        if text is None:
            return False
        try:
            seconds = min(float(text), _LONGEST_PATIENCE_S)
        except ValueError:
            return False
        waiting = self._patient.setdefault(agent_type, [])
        entry = caller, message
        waiting.append(entry)

        def give_up() -> None:
            if any(kept is entry for kept in self._patient.get(agent_type, ())):
                waiting.remove(entry)
                self.request(caller, message)

        self._later(seconds, give_up)
        return True

    def registered(self, agent_type: str) -> None:
        """Send on the requests that waited for an agent type, once its worker can be reached."""
        waiting = self._patient.pop(agent_type, [])
        if waiting and self.members.home(AgentId(agent_type, "")) is None:
            self._patient[agent_type] = waiting
            return
        for caller, message in waiting:
            self.request(caller, message)

    # Events

    async def event(self, publisher: Client, message: wire.Message) -> None:
        """Send an event to each worker whose agents hear it; waits while one of them has too much to do."""
        event = message.cloudEvent
        try:
            topic, sender = event_topic(event), event_sender(event)
        except UnreadableError as error:
            _logger.error("an event that cannot be read is dropped: %s", error)  # noqa: TRY400 - its text says all
            return
        if not allowed(topic.type, publisher.rights.publish):
            _logger.error("an event is refused: worker %s has no right to publish to %s", publisher.worker, topic.type)
            return
        if sender is not None and not allowed(sender.type, publisher.rights.register):
            _logger.error("an event is refused: worker %s has no right to speak for %s", publisher.worker, sender.type)
            return
        if self.gateway is not None:  # workers here hear it from there, as all others
            await self.gateway.event(publisher, message)
            return
        size = event.ByteSize()
        lost: list[str] = []
        for client, types in self.members.hearers(topic).items():
            channel = client.channel
            if size > client.max_bytes - FRAME:
                lost.append(f"event {event.id} on {topic} is not sent to worker {client.worker}: {size} bytes")
            elif channel is None or (channel.full and not await channel.space(_HOLD_BACK_S)):
                lost.append(f"event {event.id} on {topic} is lost for worker {client.worker}, which is too slow")
            else:
                channel.put(self._narrowed(client, types, message))
        for text in lost:  # now that the others have it: a program's log handler may raise
            _logger.error("%s", text)

    def _narrowed(self, client: Client, types: list[str], message: wire.Message) -> wire.Message:
        """Say to a worker that shares agent types for which of these the event is."""
        if not any(map(self.members.is_shared, client.types)):
            return message
        own = wire.Message()
        own.CopyFrom(message)
        own.cloudEvent.attributes[ONLY].ce_string = ",".join(types)
        return own

    # Control

    def control(self, sender: Client, message: wire.ControlMessage) -> None:
        """Send a control message to its destination, or answer it."""
        try:
            target = self._destination(sender, message)
        except (DeliveryError, UnreadableError) as error:
            if message.HasField("respond_to") and sender.control is not None:
                sender.control.put(control_error(message, error))
            _logger.info("control message %s for %s is refused: %s", message.rpc_id, message.destination, error)
            return
        assert target.control is not None
        target.control.put(message)

    def _destination(self, sender: Client, message: wire.ControlMessage) -> Client:
        kind, _, name = message.destination.partition("=")
        target = None
        if kind == "clientid":
            target = self.members.clients.get(name)
        elif kind == "agentid":
            agent_type, _, key = name.partition("/")
            agent = from_agent(wire.AgentId(type=agent_type, key=key))
            if not allowed(agent.type, sender.rights.call):
                raise NotPermittedError(f"This worker has no right to call agent type {agent.type!r}.", recipient=agent)
            target = self._home(agent)
            if target is None:
                raise UndeliverableException.unknown_recipient(agent, set(self.members.types))
        if target is None or target.control is None:
            text = f"No control channel leads to {message.destination!r}. Workers of AutoGen 0.7.5 have none."
            raise UndeliverableException(text)
        return target

    # Workers that leave

    def lost(self, client: Client) -> None:
        """Forget a worker, tell all who wait for its answers, and let nobody work in vain on what it asked for."""
        if self.gateway is not None:
            self.gateway.left(client)
        self.members.remove(client)
        for channel in (client.channel, client.control):
            if channel is not None:
                channel.close()
        client.channel = client.control = None
        for waiting in self._patient.values():
            waiting[:] = [entry for entry in waiting if entry[0] is not client]
        orphaned = False
        for id, call in list(self._calls.items()):
            if call.target is client:
                del self._calls[id]
                text = f"The worker of {call.recipient} was lost before it answered; it may have done the work."
                _answer(call.caller, call.id, UndeliverableException(text, recipient=call.recipient))
            else:
                orphaned |= call.caller is client
        if orphaned and client.own:
            self._later(_COMING_BACK_S, partial(self._cancel_calls_of, client))
        elif orphaned:
            self._cancel_calls_of(client)

    def _cancel_calls_of(self, caller: Client) -> None:
        """Cancel what a worker waited for that is gone; if it came back and asked again, the calls are no longer `caller`'s."""
        for id, call in list(self._calls.items()):
            if call.caller is caller:
                del self._calls[id]
                if call.target.control is not None:
                    call.target.control.put(cancel_request(id, call.recipient))

    def close(self) -> None:
        """Let all workers go. No call is answered: its target goes on, and its caller asks the next host."""
        self._calls.clear()
        for client in list(self.members.clients.values()):
            self.lost(client)


def control_error(message: wire.ControlMessage, error: BaseException) -> wire.ControlMessage:
    """Write the answer to a control message that failed."""
    told: dict[str, str] = {}
    text = errors.describe(error, told)
    failed = control.ControlError(type_name=told[errors.TYPE], text=told[errors.TEXT], traceback=told[errors.TRACEBACK])
    answer = wire.ControlMessage(rpc_id=message.rpc_id, destination=message.respond_to)
    if message.rpcMessage.Is(wire.SaveStateRequest.DESCRIPTOR):
        answer.rpcMessage.Pack(wire.SaveStateResponse(error=text))
        answer.rpcMessage.value += failed.SerializeToString()
    elif message.rpcMessage.Is(wire.LoadStateRequest.DESCRIPTOR):
        answer.rpcMessage.Pack(wire.LoadStateResponse(error=text))
        answer.rpcMessage.value += failed.SerializeToString()
    else:
        answer.rpcMessage.Pack(failed)
    return answer


def cancel_request(id: str, recipient: AgentId) -> wire.ControlMessage:
    """Write that nobody waits any more for the answer to a request."""
    message = wire.ControlMessage(rpc_id=id, destination=f"agentid={recipient}")
    message.rpcMessage.Pack(control.CancelRequest(request_id=id))
    return message


def error_answer(id: str, error: BaseException) -> wire.Message:
    """Write the answer to a request that failed."""
    response = wire.RpcResponse(request_id=id)
    response.error = errors.describe(error, response.metadata)
    return wire.Message(response=response)


def _answer(caller: Client, id: str, error: BaseException) -> None:
    _send(caller, error_answer(id, error))


def _send(client: Client, message: wire.Message) -> None:
    if client.channel is not None:
        client.channel.put(message)


def _is_uuid(text: str) -> bool:
    if len(text) != 36:
        return False
    try:
        UUID(text)
    except ValueError:
        return False
    return True
