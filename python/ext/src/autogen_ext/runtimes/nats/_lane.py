"""Messages on their way into the mailboxes of one pool: stored in their order, as many at a time as the way bears.

Nothing counts as sent before the server has stored it. Where a mailbox is nearly full, messages are stored one by one, so that
none overtakes one that was refused. Stands on the link and the storage; knows no agent.
"""

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from nats.aio.msg import Msg

from autogen_core.exceptions import MailboxFullError, NotPermittedError, UndeliverableException

from ._connection import SubjectNotPermittedError
from ._link import Link, ServerAwayError, ServerRefusedError, logger, status_of
from ._storage import FULL, Storage
from ._subjects import token

_WINDOW = 1_000
"""How many messages may be on their way."""

_LOOK_EVERY = 1_000
"""After how many messages at most it is asked how full the mailboxes are."""

_PLAIN_ID = re.compile(r"[A-Za-z0-9_.~:/-]{1,200}")
"""Ids that stand in a header as they are; others are written as tokens, which have a `=` then."""

_NEARLY_FULL = 0.8
_FULL_S = 5.0
"""How long a sender is held back by full mailboxes, in seconds."""

_RETRY_S = 0.02
_LEADER_S = 0.1

_AGAIN_S = 5.0
"""After how many seconds without an answer a message is sent again."""


@dataclass(slots=True)
class _Waiting:
    subject: str
    data: bytes
    headers: dict[str, str]
    stored: "asyncio.Future[int]"
    known: Callable[[], None] | None = None
    reply: str = ""
    sent_at: float = 0.0
    patient_until: float = 0.0


class Lane:
    """The way into a pool's mailboxes.

    Args:
        link, storage: Where they are.
        pool: The pool's name.
    """

    def __init__(self, link: Link, storage: Storage, pool: str) -> None:
        self._link = link
        self._storage = storage
        self._pool = pool
        self._under_way: OrderedDict[str, _Waiting] = OrderedDict()
        self._turn = asyncio.Lock()
        self._in_line = 0
        self._space = asyncio.Event()
        self._space.set()
        self._held = False
        self._resending: asyncio.Task[None] | None = None
        self._careful = False
        self._until_look = 1
        self._failed: str | None = None
        self._held_back: list[_Waiting] = []
        self._retrying: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._under_way)

    async def store(
        self, subject: str, data: bytes, id: str, ttl_s: int | None = None, known: Callable[[], None] | None = None
    ) -> "asyncio.Future[int]":
        """Send a message; return what says when it is stored, and as which message of the stream.

        The server takes a message of an id that it knows already as stored. Where mailboxes are full, the sender is held back
        for up to five seconds.

        Args:
            subject: Where it goes.
            data: The message.
            id: Its id.
            ttl_s: In how many seconds nobody wants it any more; None: never.
            known: Called if the server knew the id already.

        Raises:
            MailboxFullError: There was still no space.
        """
        headers = {"Nats-Msg-Id": id if _PLAIN_ID.fullmatch(id) else token(id)}
        patient_until = asyncio.get_running_loop().time() + _FULL_S
        if ttl_s is not None:
            headers["Nats-TTL"] = f"{ttl_s}s"
        if not self._careful and not self._in_line and len(self._under_way) < _WINDOW:
            self._until_look -= 1
            if self._until_look > 0:
                return await self._send(subject, data, headers, known, patient_until)
        self._in_line += 1
        try:
            async with self._turn:  # whoever waits here keeps his place
                if self._until_look <= 0:
                    await self._look()
                while len(self._under_way) >= _WINDOW:
                    self._space.clear()
                    await self._space.wait()
                stored = await self._send(subject, data, headers, known, patient_until)
                self._until_look -= 1
                if self._careful:
                    await asyncio.wait([stored])
                return stored
        finally:
            self._in_line -= 1

    async def _look(self) -> None:
        self._until_look = _LOOK_EVERY
        try:
            messages, most = await self._storage.pending(self._pool)
        except (ServerAwayError, ServerRefusedError, NotPermittedError) as error:
            logger.debug("how full the mailboxes of %s are is not known: %r", self._pool, error)
            return
        if most <= 0:  # there is no limit
            self._careful = False
            return
        left = int(most * _NEARLY_FULL) - messages - len(self._under_way)
        self._careful = left < 0
        self._until_look = max(1, min(_LOOK_EVERY, most // 100 if self._careful else left // 2))

    async def _send(
        self,
        subject: str,
        data: bytes,
        headers: dict[str, str],
        known: Callable[[], None] | None,
        patient_until: float,
    ) -> "asyncio.Future[int]":
        if self._failed is not None:
            raise UndeliverableException(f"A message was not sent: {self._failed}.")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(subject, data, headers, loop.create_future(), known)
        waiting.reply = self._link.expect(lambda message: self._answered(waiting, message))
        waiting.patient_until = patient_until
        self._under_way[waiting.reply] = waiting
        waiting.stored.add_done_callback(lambda _: self._done(waiting))
        await self._write(waiting)
        return waiting.stored

    async def _write(self, waiting: _Waiting) -> None:
        if self._link.connected and not self._held:  # otherwise it is sent when there is a connection again
            waiting.sent_at = asyncio.get_running_loop().time()
            try:
                await self._link.publish(waiting.subject, waiting.data, waiting.reply, waiting.headers)
            except ServerAwayError as error:
                logger.debug("a message for %s waits for the server: %s", self._pool, error)

    def _done(self, waiting: _Waiting) -> None:
        self._link.forget(waiting.reply)
        self._under_way.pop(waiting.reply, None)
        if len(self._under_way) < _WINDOW:
            self._space.set()
        if not waiting.stored.cancelled():
            waiting.stored.exception()  # seen here: whoever sent it may have gone

    def _answered(self, waiting: _Waiting, message: Msg) -> None:
        stored = waiting.stored
        if stored.done():
            return
        if status_of(message) == "503":
            self._send_soon()
            return
        answer = json.loads(message.data)
        error = answer.get("error")
        if error is None:
            stored.set_result(int(answer["seq"]))
            if waiting.known is not None and answer.get("duplicate"):
                waiting.known()
        elif int(error.get("err_code", 0)) in FULL:
            self._refused(waiting, str(error.get("description")))
        elif int(error.get("code", 0)) == 503:
            logger.debug("a message for %s is sent again: %s", self._pool, error)
            self._send_soon()
        else:
            stored.set_exception(
                ServerRefusedError(str(error.get("description", error)), int(error.get("err_code", 0)))
            )

    def _refused(self, waiting: _Waiting, why: str) -> None:
        self._careful = True
        if asyncio.get_running_loop().time() >= waiting.patient_until:
            text = f"The mailboxes of pool {self._pool!r} are full ({why}). Send again later."
            waiting.stored.set_exception(MailboxFullError(text))
            return
        self._held_back.append(waiting)
        if self._retrying is None or self._retrying.done():
            self._retrying = asyncio.create_task(self._retry(), name=f"mailboxes of {self._pool} are full")

    async def _retry(self) -> None:
        """Send what was refused again and again, in its order; ends with the last of it."""
        while self._held_back:
            await asyncio.sleep(_RETRY_S)
            held_back, self._held_back = self._held_back, []
            for waiting in held_back:
                if not waiting.stored.done():
                    await self._write(waiting)
            await asyncio.sleep(_RETRY_S)

    def hold(self) -> None:
        """Send nothing until `send_again`, since the connection broke: what is new must not overtake what was lost."""
        self._held = True
        for waiting in self._under_way.values():
            waiting.sent_at = 0.0

    async def send_again(self, *, all: bool) -> None:
        """Send again what has had no answer for long, or, after a broken connection, all of it, in its order."""
        if all:
            self.hold()
            try:
                await self._storage.pending(
                    self._pool
                )  # once it answers, it does not take some messages and miss others
            except (ServerRefusedError, NotPermittedError) as error:
                logger.debug("whether the mailboxes of %s are ready is not known: %r", self._pool, error)
            while left := [waiting for waiting in self._under_way.values() if not waiting.sent_at]:
                for waiting in left:
                    waiting.sent_at = asyncio.get_running_loop().time()
                    await self._link.publish(waiting.subject, waiting.data, waiting.reply, waiting.headers)
            self._held = not self._link.connected
        elif not self._held:
            latest = asyncio.get_running_loop().time() - _AGAIN_S
            for waiting in list(self._under_way.values()):
                if waiting.sent_at < latest:
                    await self._write(waiting)

    def _send_soon(self) -> None:
        """Send everything again soon, in its order: the stream has no leader yet."""
        if self._held or (self._resending is not None and not self._resending.done()):
            return
        self._held = True
        self._resending = asyncio.create_task(self._send_late(), name=f"mailboxes of {self._pool} have no leader")

    async def _send_late(self) -> None:
        while self._held and self._link.connected:  # once a broken connection is back, everything is sent again
            await asyncio.sleep(_LEADER_S)
            try:
                await self.send_again(all=True)
            except ServerAwayError as error:
                logger.debug("messages for %s wait for the server: %s", self._pool, error)

    def refused(self, error: SubjectNotPermittedError) -> None:
        """Let those know whose subject the server refuses."""
        for waiting in list(self._under_way.values()):
            if waiting.subject == error.subject and not waiting.stored.done():
                waiting.stored.set_exception(error)

    def fail(self, why: str) -> None:
        """Let all who wait know that their messages will not be stored, also those who wait for their turn."""
        self._failed = why
        for task in (self._retrying, self._resending):
            if task is not None:
                task.cancel()
        for waiting in list(self._under_way.values()):
            if not waiting.stored.done():
                waiting.stored.set_exception(UndeliverableException(f"A message was not sent: {why}."))

    async def empty(self, timeout_s: float) -> bool:
        """Wait until everything is stored; return whether that was so in time."""
        waiting = [one.stored for one in self._under_way.values()]
        if not waiting:
            return True
        _, late = await asyncio.wait(waiting, timeout=timeout_s)
        return not late
