"""What others ask of the agents of this worker: handlers are begun, found again, cancelled, and their answers kept for a while.

Stands on the delivery of autogen_core; knows no connection.
"""

import asyncio
import contextvars
from collections import OrderedDict
from dataclasses import dataclass, field

from autogen_core import AgentId, CancellationToken
from autogen_core.lowlevel import Delivery, Directory, Envelope, Mailbox, Observer, SerializationRegistry
from autogen_ext.runtimes._shared import payloads
from autogen_ext.runtimes._shared.deadlines import deadline

from ._handling import Handling, handling
from ._link import logger
from ._wire import Answer, Message

_REMEMBERED = 10_000
_REMEMBERED_BYTES = 32 * 1024 * 1024
"""How many answers are kept, and how many bytes of them, for requests that are sent again."""

_FORGET_CANCELLED = 1_000

Key = tuple[str, AgentId]
"""A message's id, and who handles it."""


@dataclass
class Parts:
    """The parts of a runtime that handle messages."""

    directory: Directory
    serializers: SerializationRegistry
    mailbox: Mailbox
    observer: Observer
    delivery: Delivery


@dataclass(slots=True, eq=False)
class Begun:
    """A handler that was begun.

    Attributes:
        message: What it handles.
        envelope: The same within this process.
        handling: What it has sent.
        answer_to: Where the answer is wanted; a request that is sent again may want it elsewhere.
        also: Where else it is wanted, by those who sent the same message before.
        begun_at: When it began, on the event loop's clock.
        told: Whether the sender knows that it takes longer.
        stopped: Whether it was cancelled, and may still be about to end.
    """

    message: Message
    envelope: Envelope
    handling: Handling
    answer_to: str
    begun_at: float
    told: bool = False
    stopped: bool = False
    also: set[str] = field(default_factory=set[str])

    @property
    def reply(self) -> "asyncio.Future[object]":
        """How it ended."""
        assert self.envelope.reply is not None
        return self.envelope.reply

    def wanted_by(self, answer_to: str) -> None:
        """Take note that the same message was sent again."""
        if answer_to and answer_to != self.answer_to:
            self.also.add(self.answer_to)
            self.answer_to = answer_to

    @property
    def answers_to(self) -> list[str]:
        """All who want the answer."""
        return [self.answer_to, *self.also]


class Intake:
    """The handlers that others have asked for.

    Args:
        parts: The runtime's parts.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.begun: dict[Key, Begun] = {}
        self._answers: OrderedDict[Key, bytes] = OrderedDict()
        self._answers_bytes = 0
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._context = contextvars.copy_context()

    def begin(self, message: Message, recipient: AgentId) -> Begun:
        """Begin to handle a message.

        Raises:
            UnreadableError: It cannot be read.
        """
        parts = self._parts
        loop = asyncio.get_running_loop()
        decoded = payloads.read(message.payload, parts.serializers)
        to = message.topic or recipient
        envelope = Envelope(decoded, message.sender, to, CancellationToken(), message.id)
        parts.observer.received(envelope, message.carrier)
        envelope.reply = loop.create_future()
        current = Handling(message.id, message.chain)
        begun = Begun(message, envelope, current, message.answer_to, loop.time())
        key = (message.id, recipient)
        self.begun[key] = begun
        envelope.reply.add_done_callback(lambda _: self._ended(key, begun))
        context = envelope.context = self._context.copy()
        context.run(handling.set, current)
        if message.left_ms is not None:
            context.run(deadline.set, loop.time() + message.left_ms / 1000)
        parts.mailbox.begun()
        try:
            context.run(parts.delivery.start_for, envelope, recipient)
        finally:
            parts.mailbox.finished()
        if envelope.reply.done():  # at once, for the next message may come before any callback
            self._ended(key, begun)
        return begun

    def _ended(self, key: Key, begun: Begun) -> None:
        if self.begun.get(key) is begun:
            del self.begun[key]

    def write(self, begun: Begun) -> Answer:
        """Write the answer of a handler that has ended."""
        reply, id = begun.reply, begun.message.id
        if reply.cancelled():
            return Answer.failed(id, asyncio.CancelledError())
        if (error := reply.exception()) is not None:
            return Answer.failed(id, error)
        if begun.message.topic is not None:
            return Answer(id)
        try:
            return Answer(id, payloads.write(reply.result(), self._parts.serializers))
        except Exception as error:  # noqa: BLE001 - serialisers are anybody's code, and the caller waits
            return Answer.failed(id, error)

    # Answers

    def remember(self, key: Key, answer: bytes) -> None:
        """Keep an answer, for the case that it is asked for again."""
        self._answers_bytes += len(answer) - len(self._answers.pop(key, b""))
        self._answers[key] = answer
        while len(self._answers) > _REMEMBERED or self._answers_bytes > _REMEMBERED_BYTES:
            _, forgotten = self._answers.popitem(last=False)
            self._answers_bytes -= len(forgotten)

    def answer_of(self, key: Key) -> bytes | None:
        """Return the answer to a message that was handled here before."""
        return self._answers.get(key)

    # Cancelling

    def cancel(self, message: Message) -> None:
        """Cancel the handlers of a message that nobody waits for any more, also when it comes later.

        The same message may be sent again by a handler that begins anew elsewhere; that one wants its answer somewhere else.
        """
        self._cancelled[message.answer_to] = None
        if len(self._cancelled) > _FORGET_CANCELLED:
            self._cancelled.popitem(last=False)
        for (id, _), begun in list(self.begun.items()):
            if id != message.id:
                continue
            begun.also.discard(message.answer_to)
            if begun.answer_to != message.answer_to:
                continue
            if begun.also:
                begun.answer_to = begun.also.pop()
            else:
                stop(begun)

    def is_cancelled(self, message: Message) -> bool:
        """Tell whether nobody waits for the answer to a message any more."""
        return bool(message.answer_to) and message.answer_to in self._cancelled


def stop(begun: Begun) -> None:
    """Cancel a handler."""
    begun.stopped = True
    envelope = begun.envelope
    if envelope.task is not None and not envelope.task.cancelling():
        envelope.task.cancel()
    try:
        envelope.token.cancel()
    except Exception:
        logger.exception("cancelling the message %s", envelope.id)
