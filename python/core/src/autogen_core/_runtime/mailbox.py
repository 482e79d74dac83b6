"""The intake of a runtime: envelopes in their order, how much work is outstanding, and when there is none left.

Stands on the envelope; knows no agent.
"""

import asyncio
from collections import deque

from autogen_core._runtime.envelope import Envelope


class Mailbox:
    """Envelopes that wait, and a count of all that is not finished: waiting, or being handled.

    Bound to no event loop: it may be filled before one runs.
    """

    def __init__(self) -> None:
        self._waiting: deque[Envelope] = deque()
        self._outstanding = 0
        self._watchers: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether no envelope waits and nothing is being handled."""
        return self._outstanding == 0

    def put(self, envelope: Envelope) -> None:
        """Add an envelope; it is outstanding until `finished` is called for it."""
        self._waiting.append(envelope)
        self._outstanding += 1
        if self._watchers:
            self.wake()

    def take(self) -> Envelope | None:
        """Take the first envelope; None if there is none."""
        return self._waiting.popleft() if self._waiting else None

    def begun(self) -> None:
        """Count a piece of work that came past the queue."""
        self._outstanding += 1

    def finished(self) -> None:
        """Count a piece of work as finished."""
        self._outstanding -= 1
        if self._watchers:
            self.wake()

    async def changed(self, timeout_s: float | None = None) -> None:
        """Wait until an envelope comes, a piece of work is finished, `wake` is called, or `timeout_s` seconds have passed."""
        loop = asyncio.get_running_loop()
        watcher: asyncio.Future[None] = loop.create_future()
        self._watchers.add(watcher)
        timer = None if timeout_s is None else loop.call_later(timeout_s, _release, watcher)
        try:
            await watcher
        finally:
            self._watchers.discard(watcher)
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """Let all who wait for a change look again."""
        watchers, self._watchers = self._watchers, set()
        for watcher in watchers:
            _release(watcher)


def _release(watcher: asyncio.Future[None]) -> None:
    if not watcher.done():
        watcher.set_result(None)
