"""The requests of a worker that are answered elsewhere: sent, waited for, given up, and sent again after a broken connection.

Every wait ends: by the answer, the deadline, the caller, the runtime's stop, or a host that stays away. Stands on the link.
"""

import asyncio
from typing import Any

from autogen_core import AgentId, CancellationToken
from autogen_core.exceptions import (
    DeadlineExceededError,
    MailboxFullError,
    MessageTooLargeError,
    UndeliverableException,
)
from autogen_core.lowlevel import Envelope, Observer, SerializationRegistry, new_message_id
from autogen_ext.runtimes._shared import errors
from autogen_ext.runtimes._shared.deadlines import too_late

from ._codec import DEADLINE, ECHO, MESSAGE_ID, PATIENCE, decode_payload, encode_into
from ._link import Link
from ._router import FRAME, cancel_request
from .protos import agent_worker_pb2 as wire

_PATIENCE_S = 10.0
"""How long agent types may take to come back after a host did, in seconds."""

_SPACE_S = 5.0
"""How long a sender is held back while too much waits to be written, in seconds."""


class Calls:
    """The open requests of a worker.

    Args:
        link: Where they go.
        registry: How messages are written and read.
        observer: Who is told.
    """

    def __init__(self, link: Link, registry: SerializationRegistry, observer: Observer) -> None:
        self._link = link
        self._registry = registry
        self._observer = observer
        self._open: dict[str, tuple[asyncio.Future[Any], wire.Message, AgentId]] = {}
        self._patient_until = 0.0

    def __len__(self) -> int:
        return len(self._open)

    async def call(self, envelope: Envelope, recipient: AgentId, timeout_s: float | None) -> Any:
        """Send a request and wait for its answer.

        Raises:
            DeadlineExceededError: It did not come in time.
            MessageTooLargeError: The message is too long for the host.
            MailboxFullError: Too much waits to be written.
            UndeliverableException: Nobody there, or nobody any more.
            RemoteError: The handler raised.
        """
        if timeout_s is not None and timeout_s <= 0:
            raise too_late(recipient, timeout_s)
        return await self._call(self._encode(envelope, recipient, timeout_s), envelope, recipient, timeout_s)

    async def echo(self, recipient: AgentId) -> None:
        """Return when the host has sent back a request to an agent of this very worker, and all that it was sent before.

        Raises:
            UndeliverableException: The host is away, or the runtime stopped.
        """
        envelope = Envelope(None, None, recipient, CancellationToken(), new_message_id())
        message = self._encode(envelope, recipient, None)
        message.request.metadata[ECHO] = "1"
        await self._call(message, envelope, recipient, None)

    async def _call(
        self, message: wire.Message, envelope: Envelope, recipient: AgentId, timeout_s: float | None
    ) -> Any:
        loop = asyncio.get_running_loop()
        id = message.request.request_id
        if self._link.outbox.full and not await self._link.outbox.space(_SPACE_S):
            raise MailboxFullError("Too many messages wait to be sent to the host.", recipient=recipient)
        envelope.reply = reply = loop.create_future()
        envelope.token.link_future(reply)
        self._open[id] = reply, message, recipient
        timer = None if timeout_s is None else loop.call_later(timeout_s, _expire, reply, recipient, timeout_s)
        answered = False
        try:
            self._link.outbox.put(message)
            try:
                answer = await reply
                answered = True
            except (asyncio.CancelledError, DeadlineExceededError):
                raise
            except BaseException:
                answered = True
                raise
            return answer
        finally:
            del self._open[id]
            if timer is not None:
                timer.cancel()
            if not answered:
                reply.cancel()
                self._give_up(id, recipient)

    def _encode(self, envelope: Envelope, recipient: AgentId, timeout_s: float | None) -> wire.Message:
        message = wire.Message()
        request = message.request
        request.request_id = new_message_id()
        request.target.type, request.target.key = recipient.type, recipient.key
        encode_into(request.payload, envelope.message, self._registry)
        sender = envelope.sender
        if sender is not None:
            request.source.type, request.source.key = sender.type, sender.key
        metadata = request.metadata
        if envelope.watch is not None:
            metadata.update(self._observer.carrier(envelope))
        metadata[MESSAGE_ID] = envelope.id
        if timeout_s is not None:
            metadata[DEADLINE] = str(int(timeout_s * 1000))
        if asyncio.get_running_loop().time() < self._patient_until:
            metadata[PATIENCE] = str(_PATIENCE_S)
        size = request.ByteSize()
        if size > self._link.host.max_bytes - FRAME:
            text = f"The message for {recipient} has {size} bytes; the host takes {self._link.host.max_bytes}."
            raise MessageTooLargeError(text, recipient=recipient, message_type=envelope.message.__class__)
        return message

    def answered(self, response: wire.RpcResponse) -> None:
        """Take an answer; one that nobody waits for any more is dropped."""
        found = self._open.get(response.request_id)
        if found is None or found[0].done():
            return
        reply, asked, recipient = found
        if response.error or errors.TYPE in response.metadata:
            id = asked.request.metadata[MESSAGE_ID]
            reply.set_exception(errors.revive(response.error, response.metadata, recipient, id))
            return
        try:
            answer = decode_payload(response.payload, self._registry)
        except ValueError as error:
            reply.set_exception(error)
        else:
            reply.set_result(answer)

    def _give_up(self, id: str, recipient: AgentId) -> None:
        """Tell the target that nobody waits any more. A host of 0.7.5 passes it on as well."""
        self._link.outbox.discard(lambda waiting: waiting.request.request_id == id)
        self._link.control_outbox.put(cancel_request(id, recipient))

    # Broken connections

    def send_again(self) -> None:
        """Send all open requests, on a new connection; their targets know which of them they had already."""
        self._patient_until = asyncio.get_running_loop().time() + _PATIENCE_S
        self._link.outbox.discard(lambda waiting: waiting.HasField("request"))
        for reply, message, _ in self._open.values():
            if not reply.done():
                message.request.metadata[PATIENCE] = str(_PATIENCE_S)
                self._link.outbox.put(message)

    def fail(self, why: str) -> None:
        """Let all who wait know that no answer will come, and those who work on it that nobody waits."""
        for id, (reply, _, recipient) in self._open.items():
            if not reply.done():
                self._give_up(id, recipient)
                reply.set_exception(UndeliverableException(f"{recipient} did not answer: {why}", recipient=recipient))


def _expire(reply: asyncio.Future[Any], recipient: AgentId, seconds: float) -> None:
    if not reply.done():
        reply.set_exception(too_late(recipient, seconds))
