"""A worker's sign of life, and until when it may count as alive by it.

The sign is a key with a short time to live, written again and again. It has a thread and a connection of its own, so that
neither a handler that blocks the event loop nor a flood of messages makes others believe that this worker is dead. A worker
whose event loop stands still for half a minute does count as dead. Stands on nats-py; knows no agent.
"""

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from autogen_core.exceptions import AutoGenError

from ._link import Link, LinkEvents, ServerAwayError, ServerRefusedError, logger
from ._security import NatsSecurity
from ._storage import Storage
from ._subjects import Names

_BEATS = 3.3
"""How many signs are given in the time of one lease."""

_MARGIN = 0.85
"""The part of a lease for which its holder itself believes in it: the rest is for the way to those who wait for its end."""

_STANDSTILL_S = 30.0


class Lease:
    """The lease of one worker.

    Args:
        servers: Addresses.
        security: How to show who this is.
        names: The system's names.
        id: The worker's id.
        seconds: For how long a sign of life holds.
    """

    def __init__(
        self, servers: list[str], security: NatsSecurity | None, names: Names, id: str, seconds: float
    ) -> None:
        self._connect_to = servers, security, names
        self._bucket = names.leases
        self._id = id
        self._seconds = seconds
        self._says: dict[str, Any] = {}
        self._valid_until = 0.0
        self._lapsed = False
        self._ticked_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hurry: asyncio.Event | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None

    @property
    def valid(self) -> bool:
        """Whether others still count on this worker. Where not, it must not handle what it had alone."""
        return not self._lapsed and time.monotonic() < self._valid_until

    def resume(self) -> None:
        """Count as alive again after a lapse, once everything from before it is given up.

        Without this, a process that was stopped for a while could be alive again before it has noticed that it was dead.
        """
        self._lapsed = False

    def tick(self) -> None:
        """Say that the event loop turns."""
        self._ticked_at = time.monotonic()

    def start(self, says: Mapping[str, Any]) -> None:
        """Begin to give signs of life, with what this worker tells about itself."""
        self._says = dict(says)
        self._stopping = self._lapsed = False
        self.tick()
        self._thread = threading.Thread(target=self._run, name=f"lease of {self._id}", daemon=True)
        self._thread.start()

    def say(self, says: Mapping[str, Any]) -> None:
        """Change what this worker tells about itself, and tell it now."""
        self._says = dict(says)
        self._wake()

    async def stop(self) -> None:
        """Give no more signs; others are told that this worker is gone."""
        self._stopping = True
        self._wake()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.join, 10)
        self._valid_until = 0.0

    def _wake(self) -> None:
        loop, hurry = self._loop, self._hurry
        if loop is not None and hurry is not None:
            _call(loop, hurry.set)

    def _run(self) -> None:
        try:
            asyncio.run(self._beat())
        except Exception:
            logger.exception("the worker %s can give no more signs of life", self._id)

    async def _beat(self) -> None:
        self._loop, self._hurry = asyncio.get_running_loop(), asyncio.Event()
        link = await self._connect()
        if link is None:
            return
        storage = Storage(link, self._connect_to[2], None)
        try:
            while not self._stopping:
                self._hurry.clear()
                await self._sign(storage)
                if self._stopping:
                    break
                try:
                    async with asyncio.timeout(self._seconds / _BEATS):
                        await self._hurry.wait()
                except TimeoutError:
                    continue
            if link.connected:
                await self._leave(storage)
        finally:
            self._loop = None
            await link.stop()

    async def _connect(self) -> Link | None:
        servers, security, names = self._connect_to
        while not self._stopping:
            link = Link(servers, security, names, f"{self._id}-lease", LinkEvents(_nothing, self._wake, _refused))
            try:
                await link.start()
            except (AutoGenError, OSError) as error:
                logger.warning("no connection for signs of life yet: %s", error)
                await asyncio.sleep(self._seconds / _BEATS)
            else:
                return link
        return None

    async def _sign(self, storage: Storage) -> None:
        now = time.monotonic()
        if now - self._ticked_at > _STANDSTILL_S:
            logger.error("the event loop of worker %s stands still; its agents are left to others", self._id)
            return
        try:
            async with asyncio.timeout(self._seconds):
                await storage.put(
                    self._bucket, self._id, json.dumps(self._says).encode(), ttl_s=max(1, math.ceil(self._seconds))
                )
        except (ServerAwayError, ServerRefusedError, TimeoutError) as error:
            logger.debug("no sign of life from %s: %r", self._id, error)
        else:
            if 0 < self._valid_until < time.monotonic():
                self._lapsed = True
            self._valid_until = now + self._seconds * _MARGIN

    async def _leave(self, storage: Storage) -> None:
        try:
            await storage.delete(self._bucket, self._id)
        except (ServerAwayError, ServerRefusedError) as error:
            logger.debug("the server was gone before we left: %r", error)


def _nothing() -> None:
    """The lease itself notices that its signs are not taken."""


def _refused(error: Exception) -> None:
    logger.error("signs of life are refused: %s", error)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:  # it is closed: there is nobody to wake
        logger.debug("the thread of the lease has ended already")
