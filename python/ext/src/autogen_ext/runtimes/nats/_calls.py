"""The messages of this worker that others have to answer: sent, waited for, given up, and sent again where one may be lost.

Every wait ends: by the answer, the deadline, the caller, the runtime's stop, or workers that stay away. Stands on the link and
the lanes.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg

from autogen_core import AgentId, CancellationToken
from autogen_core.exceptions import AutoGenError, MessageTooLargeError, NotPermittedError, UndeliverableException
from autogen_core.lowlevel import new_message_id
from autogen_ext.runtimes._shared.deadlines import too_late
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._connection import SubjectNotPermittedError
from ._lane import Lane
from ._link import Link, logger, status_of
from ._registry import Registry
from ._storage import Storage
from ._subjects import Names
from ._wire import CANCEL, NOTHING, Answer, Message

STORED, ANYONE, DIRECT = "stored", "anyone", "direct"
"""Ways of a message: into a mailbox; to any worker with the agent type; to one worker."""

_UNHEARD_S = 1.5
"""After how many seconds without a word a message that is not stored is sent again."""

_AGAIN_S = 0.2
_MOST_EVENTS = 1_000
"""How many events to instances may be on their way."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message goes.

    Attributes:
        way: How.
        subject: Of the message.
        pool: Of the agent type.
        worker: The only one that can handle it; empty where others can.
    """

    way: str
    subject: str
    pool: str
    worker: str = ""


@dataclass(slots=True, eq=False)
class _Call:
    message: Message
    route: Route
    about: AgentId
    data: bytes
    reply: "asyncio.Future[Answer]"
    sent_at: float
    again_at: float
    worker: str = ""
    stored: "asyncio.Future[int] | None" = None
    lonely_since: float | None = None


class Calls:
    """The open messages of a worker.

    Args:
        parts: The link, what is stored, and the names.
        registry: Who is alive.
        lane: Returns the way into a pool's mailboxes.
        patience_s: How long workers may be away before those who wait for them are told so.
    """

    def __init__(
        self, parts: tuple[Link, Storage, Names], registry: Registry, lane: Callable[[str], Lane], patience_s: float
    ) -> None:
        self._link, self._storage, self._names = parts
        self._registry = registry
        self._lane = lane
        self._patience_s = patience_s
        self._open: dict[str, _Call] = {}
        self._held = self._ending = False
        self._events = asyncio.Semaphore(_MOST_EVENTS)
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def call(
        self, message: Message, route: Route, about: AgentId, timeout_s: float | None, token: CancellationToken
    ) -> Answer:
        """Send a message and wait for its answer.

        Raises:
            DeadlineExceededError: It did not come in time.
            MessageTooLargeError: The message is longer than the server takes.
            MailboxFullError: The mailboxes of its recipient are full.
            NotPermittedError: The server does not let this worker send it.
            UndeliverableException: Nobody is there, or nobody any more.
        """
        if timeout_s is not None and timeout_s <= 0:
            raise too_late(about, timeout_s)
        if timeout_s is not None:
            message.left_ms = int(timeout_s * 1000)
        call = self._open_call(message, route, about)
        loop = asyncio.get_running_loop()
        timer = None
        if timeout_s is not None:
            timer = loop.call_later(timeout_s, lambda: _fail(call, too_late(about, timeout_s)))
        answered = False
        try:
            token.link_future(call.reply)
            try:
                async with asyncio.timeout(timeout_s):
                    await self._send(call, timeout_s)
            except TimeoutError:
                raise too_late(about, timeout_s) from None
            answer = await call.reply
            answered = True
            return answer
        finally:
            if timer is not None:
                timer.cancel()
            self._close(call)
            if not answered:
                self._give_up(call)

    async def tell(self, message: Message, route: Route, about: AgentId) -> None:
        """Send an event to one worker; it is sent again until it has arrived, or the worker is gone."""
        await self._events.acquire()
        try:
            call = self._open_call(message, route, about)
        except BaseException:
            self._events.release()
            raise
        call.reply.add_done_callback(lambda _: self._told(call))
        await self._send(call, None)

    def _told(self, call: _Call) -> None:
        self._events.release()
        self._close(call)
        if not call.reply.cancelled() and (error := call.reply.exception()) is not None:
            logger.error("an event for %s is lost: %s", call.about, error)

    def _open_call(self, message: Message, route: Route, about: AgentId) -> _Call:
        loop = asyncio.get_running_loop()
        now = loop.time()
        reply: asyncio.Future[Answer] = loop.create_future()
        call = _Call(message, route, about, b"", reply, now, now + _UNHEARD_S)
        message.answer_to = self._link.expect(lambda raw: self._answered(call, raw))
        call.data = message.encode()
        if len(call.data) > self._link.max_bytes:
            self._link.forget(message.answer_to)
            text = f"The message for {about} has {len(call.data)} bytes; the server takes {self._link.max_bytes}."
            raise MessageTooLargeError(text, recipient=about)
        self._open[message.answer_to] = call
        self._ending = False
        return call

    def _close(self, call: _Call) -> None:
        self._open.pop(call.message.answer_to, None)
        self._link.forget(call.message.answer_to)

    async def _send(self, call: _Call, timeout_s: float | None) -> None:
        if call.route.way == STORED:
            ttl_s = None if timeout_s is None else math.ceil(timeout_s) + 1
            lane, subject = self._lane(call.route.pool), call.route.subject
            stored = await lane.store(subject, call.data, call.message.id, ttl_s, lambda: self._known(call))
            call.stored = stored
            stored.add_done_callback(lambda done: _not_stored(call, done))
        elif self._link.connected and not self._held:  # otherwise it is sent when there is a connection again
            await self._link.publish(call.route.subject, call.data, reply=call.message.answer_to)

    def _known(self, call: _Call) -> None:
        """The server has had a message of this id before, as when a handler runs again after its worker died.

        Its answer goes to whoever sent it first, so the recipient needs a copy, which is a message of its own to the server.
        """
        if not call.reply.done():
            self._own(self._send_copy(call))

    async def _send_copy(self, call: _Call) -> None:
        lane, id = self._lane(call.route.pool), f"{call.message.id}~{new_message_id()}"
        try:
            stored = await lane.store(call.route.subject, call.data, id)
        except AutoGenError as error:
            _fail(call, error)
        else:
            stored.add_done_callback(lambda done: _not_stored(call, done))

    # Answers

    def _answered(self, call: _Call, raw: Msg) -> None:
        if call.reply.done():
            return
        if status_of(raw) == "503":
            self._nobody(call)
            return
        try:
            answer = Answer.decode(raw.data)
        except UnreadableError as error:
            call.reply.set_exception(error)
            return
        if answer.worker:
            call.worker, call.again_at = answer.worker, math.inf
        else:
            call.reply.set_result(answer)

    def _nobody(self, call: _Call) -> None:
        """Nobody listened. A worker that should may be on its way back; then the message is sent again soon."""
        route = call.route
        alive = route.worker in self._registry.members if route.worker else self._registry.hosts(route.pool)
        if alive:
            call.again_at = asyncio.get_running_loop().time() + _AGAIN_S
        else:
            _fail(call, UndeliverableException(f"No worker hosts {call.about} now.", recipient=call.about))

    # Sending again

    async def look_after(self) -> None:
        """Send again what is due; let go of what nobody will answer. Call it several times a second."""
        now = asyncio.get_running_loop().time()
        for call in list(self._open.values()):
            if call.reply.done():
                continue
            if call.route.way == STORED:
                self._check_workers(call, now)
            elif now >= call.again_at and self._link.connected and not self._held:
                call.again_at = now + _UNHEARD_S
                await self._send(call, None)

    def _check_workers(self, call: _Call, now: float) -> None:
        if self._registry.hosts(call.route.pool) and self._link.connected:
            call.lonely_since = None
        elif call.lonely_since is None:
            call.lonely_since = now
        elif now - call.lonely_since > self._patience_s:
            why = "no worker hosts it" if self._link.connected else "the NATS server is away"
            text = f"{call.about} did not answer: {why}, for {self._patience_s:.0f} seconds now."
            _fail(call, UndeliverableException(text, recipient=call.about))

    def gone(self, worker: str) -> None:
        """Take note that a worker is no longer alive: others get what it had."""
        for call in list(self._open.values()):
            if call.route.worker == worker:
                text = f"The worker of {call.about} is gone."
                _fail(call, UndeliverableException(text, recipient=call.about))
            elif call.worker == worker and call.route.way == ANYONE:
                call.worker, call.again_at = "", 0.0

    def hold(self) -> None:
        """Send nothing directly until `send_again`, since the connection broke: nothing new must overtake what was lost."""
        self._held = True

    async def send_again(self) -> None:
        """Send everything again after a broken connection, in which answers may be lost.

        Whoever has handled a message already answers once more. A copy of a stored message is one of its own to the server.
        """
        self._held = not self._link.connected
        for call in list(self._open.values()):
            if call.reply.done():
                continue
            if call.route.way != STORED:
                await self._send(call, None)
            elif call.stored is not None and call.stored.done():
                await self._send_copy(call)

    def refused(self, error: SubjectNotPermittedError) -> None:
        """Let those know whose subject the server refuses."""
        for call in list(self._open.values()):
            if call.route.subject == error.subject:
                _fail(call, NotPermittedError(str(error), recipient=call.about))

    # Giving up

    def _give_up(self, call: _Call) -> None:
        """Tell whoever handles a message that nobody waits any more, and take it out of the mailbox."""
        call.reply.cancel()
        message = Message(CANCEL, call.message.id, NOTHING, answer_to=call.message.answer_to).encode()
        route = call.route
        to = self._names.worker(route.worker) if route.worker else self._names.pool_talk(route.pool)
        if self._link.connected:
            self._link.post(to, message)
        if call.stored is not None and not self._ending:
            self._own(self._withdraw(call.route.pool, call.stored))

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("looking after a message failed", exc_info=error)

    async def _withdraw(self, pool: str, stored: "asyncio.Future[int]") -> None:
        try:
            await self._storage.delete_message(pool, await asyncio.shield(stored))
        except (AutoGenError, asyncio.CancelledError) as error:  # it is handled already, or was never there
            logger.debug("a message for %s that nobody waits for was not withdrawn: %r", pool, error)

    def fail(self, why: str) -> None:
        """Let all who wait know that no answer will come, as the runtime ends."""
        self._ending = True
        for call in list(self._open.values()):
            _fail(call, UndeliverableException(f"{call.about} did not answer: {why}.", recipient=call.about))

    async def arrived(self, timeout_s: float) -> None:
        """Wait until all events have arrived."""
        telling = [call.reply for call in self._open.values() if call.message.topic is not None]
        if telling:
            await asyncio.wait(telling, timeout=timeout_s)

    async def stop(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=1)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


def _fail(call: _Call, error: Exception) -> None:
    if not call.reply.done():
        call.reply.set_exception(error)


def _not_stored(call: _Call, stored: "asyncio.Future[int]") -> None:
    if not stored.cancelled() and (error := stored.exception()) is not None and isinstance(error, Exception):
        _fail(call, error)
