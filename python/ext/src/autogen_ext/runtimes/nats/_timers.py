"""Messages that are sent later, once or again and again: kept by the server, which needs no worker to watch the clock.

Stands on JetStream's message schedules (ADR-51 of NATS) and on a puller.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from nats.aio.msg import Msg

from autogen_core.exceptions import AutoGenError, NotPermittedError
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._link import Link, logger, read_reply
from ._puller import Puller, Work
from ._storage import Storage
from ._subjects import Names, token
from ._wire import Message

POOL = "$timers"

_SHORTEST = timedelta(seconds=1)


class Timers:
    """The timers of a system.

    Args:
        parts: The link, what is stored, and the names.
        send: Sends a message that is due.
        broken: Called with what is no message, and why.
    """

    def __init__(
        self,
        parts: tuple[Link, Storage, Names],
        send: Callable[[Message], Awaitable[None]],
        broken: Callable[[Msg, UnreadableError], None],
    ) -> None:
        self._link, self._storage, self._names = parts
        self._send = send
        self._puller = Puller(parts, POOL, None, self._due, broken)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to send what is due, unless this worker has no right to: then others do."""
        try:
            await self._storage.open_timers(POOL)
        except NotPermittedError as error:
            logger.debug("this worker has no part in timers: %s", error)
        else:
            self._puller.start()

    def again(self) -> None:
        """Ask anew, after a broken connection."""
        self._puller.again()

    async def set(self, id: str, message: Message, first: datetime | timedelta, every: timedelta | None) -> None:
        """Send a message later; a timer of the same id is replaced.

        Args:
            id: The timer's name.
            message: What is sent.
            first: When; ignored with `every`.
            every: The time between two messages, the first after as long.

        Raises:
            ValueError: The time between two messages is shorter than a second.
        """
        if every is not None and every < _SHORTEST:
            raise ValueError(f"A timer repeats after {_SHORTEST.total_seconds():.0f} second at least; got {every}.")
        at = datetime.now(UTC) + first if isinstance(first, timedelta) else first.astimezone(UTC)
        when = f"@at {at.isoformat()}" if every is None else f"@every {every.total_seconds():.3f}s"
        subject = self._subject(id)
        await self._storage.purge(POOL, subject)
        headers = {"Nats-Schedule": when, "Nats-Schedule-Target": self._names.stored(POOL, "q", "e")}
        read_reply((await self._link.ask(subject, message.encode(), headers)).data)

    async def cancel(self, id: str) -> bool:
        """Remove a timer; return whether there was one."""
        return await self._storage.purge(POOL, self._subject(id)) > 0

    def _subject(self, id: str) -> str:
        return self._names.stored(POOL, "at", token(id))

    def _due(self, work: Work) -> None:
        task = asyncio.create_task(self._pass_on(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, work: Work) -> None:
        message = work.message
        message.id = f"{message.id}-{work.sequence}"  # each time is a message of its own; the same if it is sent again
        try:
            await self._send(message)
        except AutoGenError as error:
            logger.error("a timer's message %s could not be sent: %s", message.id, error)  # noqa: TRY400 - its text says all
        self._puller.done(work)

    async def stop(self) -> None:
        """Leave the timers to others."""
        await self._puller.stop()
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=5)
