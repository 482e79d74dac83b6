"""What keeps a runtime going: looking after its parts, and coming back after a broken connection.

It owns the work that nobody waits for. Stands on the parts that send and host; must not know what messages and agents are.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from autogen_core.exceptions import AutoGenError

from ._hosting import Hosting
from ._link import logger
from ._registry import Registry
from ._sending import Sending
from ._storage import Storage
from ._timers import Timers

_TICK_S = 0.1
_RARELY = 20
"""After how many ticks it is looked after what is not urgent."""

_IDLE_S = 300.0
"""After how many seconds without work an agent is let go of."""


class Upkeep:
    """Looks after the parts of a runtime.

    Args:
        storage, registry: What is taken in anew when the server is there again.
        sending, hosting, timers: What is looked after.

    Attributes:
        running: Whether the runtime is started.
    """

    def __init__(
        self, storage: Storage, registry: Registry, sending: Sending, hosting: Hosting, timers: Timers
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._sending = sending
        self._hosting = hosting
        self._timers = timers
        self.running = False
        self._ticker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to look after the parts."""
        self._ticker = asyncio.create_task(self._tick(), name="NATS runtime")

    async def stop(self) -> None:
        """End all that runs beside the rest."""
        ticker, self._ticker = self._ticker, None
        tasks = [*self._tasks, *([] if ticker is None else [ticker])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_S)
            ticks += 1
            try:
                await self._hosting.look_after()
                await self._sending.calls.look_after()
                if ticks % _RARELY == 0:
                    await self._sending.send_again_unanswered()
                    await self._hosting.evict_idle(_IDLE_S)
            except AutoGenError as error:
                logger.debug("the server is away: %r", error)
            except Exception:
                logger.exception("looking after the runtime failed; it goes on")

    # The link

    def away(self) -> None:
        """Hold back what is to be sent, until the server is there again."""
        if self.running and not self._hosting.leaving:
            logger.warning("the connection to the NATS server broke; it is made again")
        self._sending.hold()

    def back(self) -> None:
        """Begin anew with the server."""
        self.own(self._come_back())

    async def _come_back(self) -> None:
        """Take in what was missed while the server was away, and send what may be lost again."""
        while self.running:
            try:
                await self._storage.open()
                await self._registry.load()
                self._hosting.again()
                self._timers.again()
                await self._sending.send_again()
            except AutoGenError as error:
                logger.debug("the server is not ready yet: %r", error)
                await asyncio.sleep(0.2)
            else:
                logger.info("connected to the NATS server again")
                return

    # Work that nobody waits for

    def own(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the rest; an error becomes a log entry, and the end of the runtime ends it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a part of the runtime failed; it goes on", exc_info=error)
