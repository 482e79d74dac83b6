"""What waits to be written to one stream, in its order, and how much of that there may be.

One task takes; any number put. Stands on asyncio; knows no wire format.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class ClosedError(Exception):
    """The stream is gone; nothing more is taken or put."""


class Outbox(Generic[T]):
    """Messages on their way into a stream.

    Args:
        capacity: How many may wait before `full` says so. Putting is never refused: answers must get through.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[T] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._writers: set[asyncio.Future[None]] = set()
        self.closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether as many wait as may."""
        return len(self._waiting) >= self._capacity

    def put(self, message: T) -> None:
        """Add a message; after `close` it is dropped."""
        if self.closed:
            return
        self._waiting.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def put_back(self, message: T) -> None:
        """Return a message that was taken and could not be written; it is the next to be taken."""
        self._waiting.appendleft(message)

    def discard(self, unwanted: Callable[[T], bool]) -> None:
        """Drop what waits and is unwanted."""
        self._waiting = deque(message for message in self._waiting if not unwanted(message))

    async def get(self) -> T:
        """Take the first message; waits for one.

        Raises:
            ClosedError: There is none, and there will be none.
        """
        while not self._waiting:
            if self.closed:
                raise ClosedError
            self._reader = asyncio.get_running_loop().create_future()
            self._release()
            try:
                await self._reader
            finally:
                self._reader = None
        message = self._waiting.popleft()
        if self._writers and not self.full:
            self._release()
        return message

    async def space(self, timeout_s: float) -> bool:
        """Wait until it is not full; return whether that was so within the seconds given. A closed one has space."""
        if not self.full or self.closed:
            return True
        return await self._until(lambda: not self.full or self.closed, timeout_s)

    async def written(self, timeout_s: float) -> bool:
        """Wait until all that was put is taken and the reader has come back for more; return whether that was so in time."""
        return await self._until(lambda: self._reader is not None and not self._waiting, timeout_s)

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while not condition():
            left = end - loop.time()
            if left <= 0:
                return False
            writer: asyncio.Future[None] = loop.create_future()
            self._writers.add(writer)
            try:
                await asyncio.wait([writer], timeout=left)
            finally:
                self._writers.discard(writer)
        return True

    def close(self) -> None:
        """Let nothing more in; what waits can still be taken, and all who wait here go on."""
        self.closed = True
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
        self._release()

    def _release(self) -> None:
        for writer in self._writers:
            if not writer.done():
                writer.set_result(None)
