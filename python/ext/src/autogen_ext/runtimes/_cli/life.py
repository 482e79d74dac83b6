"""The life of a command's process: it starts, is ready, is told to end, drains, and ends. Knows no runtime.

Whoever starts the process may look whether it is ready; a first SIGTERM or SIGINT ends it in order, a second one at once.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, TypeVar

from .errors import CommandError
from .health import Address, HealthServer

T = TypeVar("T")

_logger = logging.getLogger("autogen")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PATIENCE_S = 10.0
"""How long ending may take beyond the time for draining, in seconds."""


class EndingError(Exception):
    """The process was told to end while it still started."""


class Life:
    """What is known of the process, and by whom it is told to end.

    Attributes:
        connected: Tells whether the process can work; asked only once it has started.
    """

    def __init__(self) -> None:
        self.connected: Callable[[], bool] = lambda: True
        self._started = False
        self._ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def not_ready(self) -> str | None:
        """Return why the process is not ready; None if it is."""
        if self._ending.is_set():
            return "draining: it was told to end"
        if not self._started:
            return "starting"
        return None if self.connected() else "not connected; it connects again by itself"

    async def starting(self, work: Coroutine[Any, Any, T]) -> T:
        """Do a part of starting; if the process is told to end meanwhile, cancel it and raise `EndingError`."""
        task = asyncio.create_task(work)
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait([task, ending], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise EndingError
        finally:
            for one in (task, ending):
                one.cancel()
            await asyncio.wait([task, ending])

    async def work(self) -> None:
        """Be ready until the process is told to end."""
        self._started = True
        _logger.info("ready")
        await self._ending.wait()

    async def drain(self, ending: Coroutine[Any, Any, None], drain_timeout: float) -> None:
        """End in order what works; raises `CommandError` if it takes longer than it said it would."""
        _logger.info("draining, for up to %g seconds", drain_timeout)
        try:
            async with asyncio.timeout(drain_timeout + _PATIENCE_S):
                await ending
        except TimeoutError as error:
            raise CommandError(f"Draining was not over after {drain_timeout + _PATIENCE_S:g} seconds.") from error
        _logger.info("drained")

    def listen(self) -> None:
        """Take signals from now on."""
        for number in _SIGNALS:
            try:
                self._loop.add_signal_handler(number, self._told, number)
            except NotImplementedError:  # Windows: the handler runs between two steps of the loop
                signal.signal(number, self._told_by_thread)

    def _told_by_thread(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._told, signal.Signals(number))

    def _told(self, number: signal.Signals) -> None:
        if self._ending.is_set():
            _at_once(number, None)
        _logger.info("told to end by %s; a second signal ends the process at once", number.name)
        self._ending.set()
        for (
            one
        ) in _SIGNALS:  # in Python's own handler, so that the second one ends the process even if the loop is stuck
            signal.signal(one, _at_once)


def _at_once(number: int, frame: FrameType | None) -> None:
    """End the process without any order; a handler of its own, since the first process of a container ignores the default."""
    sys.stderr.flush()
    os._exit(128 + number)


@asynccontextmanager
async def living(health: Address | None) -> AsyncGenerator[Life]:
    """Take signals and answer probes around what a command does."""
    life = Life()
    life.listen()
    if health is None:
        yield life
        return
    async with HealthServer(health, life.not_ready):
        yield life
