"""What others ask of the agents of this worker: requests are handled and always answered, events handed to who hears them.

Stands on the delivery of autogen_core and on the link; knows no host.
"""

import asyncio
import contextvars
import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from functools import partial

from autogen_core import ROOT_LOGGER_NAME, AgentId, CancellationToken, TopicId
from autogen_core.exceptions import MailboxFullError, MessageTooLargeError, UndeliverableException
from autogen_core.lowlevel import (
    Delivery,
    Directory,
    Envelope,
    Mailbox,
    Observer,
    SerializationRegistry,
    SubscriptionTable,
)
from autogen_ext.runtimes._shared.deadlines import deadline
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._calls import Calls
from ._codec import (
    DEADLINE,
    ECHO,
    MESSAGE_ID,
    ONLY,
    attribute,
    decode_payload,
    encode_into,
    event_payload,
    event_sender,
    event_topic,
    from_agent,
)
from ._echoes import Echoes
from ._link import Link
from ._router import FRAME, error_answer
from .protos import agent_worker_pb2 as wire
from .protos import cloudevent_pb2 as events

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.grpc")

_REMEMBERED = 1_000
_REMEMBERED_BYTES = 32 * 1024 * 1024
"""How many answers are kept, and how many bytes of them, for requests that are sent again after a broken connection."""

_LATER = 10_000
"""How many events are put by while an agent here waits for an answer."""

_LOOK_AGAIN_S = 0.1
_CANCELLED_S = 1.0


class LocalTable(SubscriptionTable):
    """A subscription table of which only a part may be meant: `only` these agent types; None: all."""

    only: frozenset[str] | None = None

    def recipients(self, topic: TopicId) -> Sequence[AgentId]:
        """Return the agents that hear a topic here."""
        found = super().recipients(topic)
        only = self.only
        return found if only is None else [agent for agent in found if agent.type in only]

    def all_recipients(self, topic: TopicId) -> Sequence[AgentId]:
        """Return the agents that hear a topic here, or would if they lived here."""
        return super().recipients(topic)


class Serving:
    """Hands what comes from the host to agents here.

    Args:
        link: Where answers go.
        calls: The worker's own open requests: while there are some, the stream must be read.
        echoes: Told of the worker's own events that are back.
        directory, table, registry, mailbox, observer: The runtime's parts.
        max_handling: How many messages may be handled at a time.
    """

    def __init__(
        self,
        link: Link,
        calls: Calls,
        echoes: Echoes,
        parts: tuple[Directory, LocalTable, SerializationRegistry, Mailbox, Observer],
        delivery: Delivery,
        max_handling: int,
    ) -> None:
        self._link = link
        self._calls = calls
        self._echoes = echoes
        self._directory, self._table, self._registry, self._mailbox, self._observer = parts
        self._delivery = delivery
        self._max_handling = max_handling
        self._handling: dict[str, Envelope] = {}
        self._answers: OrderedDict[str, wire.Message] = OrderedDict()
        self._answers_bytes = 0
        self._unwanted: OrderedDict[str, None] = OrderedDict()
        self._later: deque[events.CloudEvent] = deque()
        self._beginning: asyncio.Task[None] | None = None
        self.registering: dict[str, asyncio.Future[None]] = {}
        self.stopping = False

    # Requests

    async def request(self, request: wire.RpcRequest) -> None:
        """Begin a request; its answer is sent when it is there."""
        id = request.request_id
        if ECHO in request.metadata:
            self._link.outbox.put(wire.Message(response=wire.RpcResponse(request_id=id)))
            return
        # Callers of 0.7.5 count their ids from 1; a host of ours makes them unique.
        ours = self._link.host.own or MESSAGE_ID in request.metadata
        if ours and id in self._handling:
            return
        if ours and id in self._answers:
            self._link.outbox.put(self._answers[id])
            return
        try:
            envelope = await self._open(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller waits for it
            self._link.outbox.put(error_answer(id, error))
            return
        if ours and id in self._unwanted:
            self._link.outbox.put(error_answer(id, asyncio.CancelledError()))
            return
        if ours:
            self._handling[id] = envelope
        self._mailbox.begun()
        await self._delivery.deliver(envelope)
        reply = envelope.reply
        assert reply is not None
        if reply.done():
            self._answer(id, ours, reply)
        else:
            reply.add_done_callback(partial(self._answer, id, ours))

    async def _open(self, request: wire.RpcRequest) -> Envelope:
        recipient = from_agent(request.target)
        if self.stopping:
            raise UndeliverableException.runtime_stopped(recipient)
        if (registering := self.registering.get(recipient.type)) is not None:
            await asyncio.wait([registering])
        if not self._directory.knows(recipient):
            raise UndeliverableException.unknown_recipient(recipient, self._directory.types)
        if len(self._delivery.tasks) >= self._max_handling:
            raise MailboxFullError(
                f"The worker of {recipient} handles as many messages as it may.", recipient=recipient
            )
        sender = from_agent(request.source) if request.HasField("source") else None
        message = decode_payload(request.payload, self._registry)
        id = request.metadata.get(MESSAGE_ID) or request.request_id
        envelope = Envelope(message, sender, recipient, CancellationToken(), id)
        self._observer.received(envelope, request.metadata)
        envelope.reply = asyncio.get_running_loop().create_future()
        envelope.context = contextvars.copy_context()
        left_ms = request.metadata.get(DEADLINE)
        end = None if left_ms is None else asyncio.get_running_loop().time() + int(left_ms) / 1000
        envelope.context.run(deadline.set, end)
        return envelope

    def _answer(self, id: str, ours: bool, reply: asyncio.Future[object]) -> None:
        envelope = self._handling.pop(id, None) if ours else None
        if reply.cancelled():
            answer = error_answer(id, asyncio.CancelledError())
        elif (error := reply.exception()) is not None:
            answer = error_answer(id, error)
        else:
            answer = self._write(id, reply.result())
        self._link.outbox.put(answer)
        if envelope is not None:
            self._remember(id, answer)

    def _write(self, id: str, result: object) -> wire.Message:
        message = wire.Message()
        message.response.request_id = id
        try:
            encode_into(message.response.payload, result, self._registry)
        except Exception as error:  # noqa: BLE001 - serialisers are anybody's code, and the caller waits
            return error_answer(id, error)
        size = message.response.ByteSize()
        if size > self._link.host.max_bytes - FRAME:
            text = f"The answer has {size} bytes; the host takes {self._link.host.max_bytes}."
            return error_answer(id, MessageTooLargeError(text))
        return message

    def _remember(self, id: str, answer: wire.Message) -> None:
        self._answers[id] = answer
        self._answers_bytes += answer.ByteSize()
        while len(self._answers) > _REMEMBERED or self._answers_bytes > _REMEMBERED_BYTES:
            _, forgotten = self._answers.popitem(last=False)
            self._answers_bytes -= forgotten.ByteSize()

    def cancel(self, id: str) -> None:
        """Cancel the handler of a request whose caller has given up."""
        envelope = self._handling.get(id)
        if envelope is None:
            if id not in self._answers:  # it came by the other stream, and may be here before the request
                self._unwanted[id] = None
                if len(self._unwanted) > _REMEMBERED:
                    self._unwanted.popitem(last=False)
            return
        if envelope.task is not None and not envelope.task.cancelling():
            envelope.task.cancel()
        try:
            envelope.token.cancel()
        except Exception:
            _logger.exception("cancelling the request %s", id)

    # Events

    async def event(self, event: events.CloudEvent) -> None:
        """Begin an event with all agents here that hear it.

        While as many messages are handled as may be, it waits, and with it the stream; but never while an agent here waits
        for an answer, which would come by the same stream. Then a limited number of events is put by, and what is over is lost.
        """
        if not self._later and len(self._delivery.tasks) < self._max_handling:
            await self._begin(event)
            return
        if len(self._later) >= _LATER:
            self._echoes.came(event.id)
            _logger.error("event %s on %s is lost: too many wait to be handled here", event.id, event.type)
            return
        self._later.append(event)
        if self._beginning is None:
            self._beginning = asyncio.create_task(self._begin_later(), name="autogen gRPC events")
        while self._later and not len(self._calls):
            await self._mailbox.changed(timeout_s=_LOOK_AGAIN_S)

    async def _begin_later(self) -> None:
        try:
            while self._later:
                while len(self._delivery.tasks) >= self._max_handling:
                    await self._mailbox.changed(timeout_s=_LOOK_AGAIN_S)
                await self._begin(self._later.popleft())
        finally:
            self._beginning = None

    async def _begin(self, event: events.CloudEvent) -> None:
        try:
            await self._begin_handlers(event)
        finally:
            self._echoes.came(event.id)
        await self._echoes.gone_on()

    async def _begin_handlers(self, event: events.CloudEvent) -> None:
        try:
            topic, sender = event_topic(event), event_sender(event)
            message = decode_payload(event_payload(event), self._registry)
        except UnreadableError as error:
            _logger.error("event %s on %s is lost: %s", event.id, event.type, error)  # noqa: TRY400 - its text says all
            return
        envelope = Envelope(message, sender, topic, CancellationToken(), event.id)
        carrier = {name: attribute(event, name) for name in ("traceparent", "tracestate")}
        self._observer.received(envelope, {name: text for name, text in carrier.items() if text is not None})
        only = attribute(event, ONLY)
        self._table.only = None if only is None else frozenset(only.split(","))
        self._mailbox.begun()
        try:
            await self._delivery.deliver(envelope)  # without interventions it begins all handlers before it suspends
        finally:
            self._table.only = None

    # Stopping

    async def drain(self, patience_s: float) -> None:
        """Let handlers finish; those that take longer are cancelled, and their callers told that the runtime stopped."""
        self.stopping = True
        own = asyncio.current_task()
        handlers = [task for task in self._delivery.tasks if task is not own]
        if not handlers:
            return
        _, late = await asyncio.wait(handlers, timeout=patience_s)
        for task in late:
            envelope, _ = self._delivery.tasks[task]
            stopped = UndeliverableException.runtime_stopped(envelope.to)
            if envelope.reply is None:
                self._observer.undelivered(envelope, stopped)
            elif not envelope.reply.done():
                envelope.reply.set_exception(stopped)
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_CANCELLED_S)

    async def stop(self) -> None:
        """Give up the events that wait."""
        self._later.clear()
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.wait([self._beginning])
