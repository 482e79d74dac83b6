"""What waits to be written to one stream, in its order, and how much of that there may be.

One stream is attached at a time; any number put. Stands on asyncio; knows no wire format.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Generic, TypeVar

from autogen_core.lowlevel import start_eagerly

T = TypeVar("T")


class Outbox(Generic[T]):
    """Messages on their way into a stream.

    Args:
        capacity: How many may wait before `full` says so. Putting is never refused: answers must get through.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[T] = deque()
        self._stream: Callable[[T], Awaitable[None]] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._busy = False
        self._end: asyncio.Future[None] | None = None
        self._watchers: set[asyncio.Future[None]] = set()
        self._wanted: asyncio.Future[None] | None = None
        self.closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether as many wait as may."""
        return len(self._waiting) >= self._capacity

    def put(self, message: T) -> None:
        """Add a message, and begin to write it if nothing is before it; after `close` it is dropped."""
        if self.closed:
            return
        self._waiting.append(message)
        if self._wanted is not None:
            self._want()
        elif self._stream is not None and not self._busy:
            self._begin()

    def discard(self, unwanted: Callable[[T], bool]) -> None:
        """Drop what waits and is unwanted."""
        if self._waiting:
            self._waiting = deque(message for message in self._waiting if not unwanted(message))

    async def write_to(self, stream: Callable[[T], Awaitable[None]]) -> None:
        """Write what waits and what is put, one by one, until the outbox is closed and all is written.

        When writing fails, so does this. The message that could not be written is then the next again.
        """
        self._stream = stream
        self._end = end = asyncio.get_running_loop().create_future()
        if self._waiting or self.closed:
            self._begin()
        try:
            await end
        finally:
            self._stream = None
            if self._writing is not None and not self._writing.done():
                self._writing.cancel()
                await asyncio.wait([self._writing])

    async def messages(self) -> AsyncGenerator[T]:
        """Return what waits and what is put, one by one, until the outbox is closed and all is taken; for one taker.

        A message counts as written when the next one is asked for.
        """
        while self._waiting or not self.closed:
            if not self._waiting:
                self._wanted = wanted = asyncio.get_running_loop().create_future()
                await wanted
                continue
            self._busy = True
            message = self._waiting.popleft()
            if self._watchers and not self.full:
                self._release()
            try:
                yield message
            finally:
                self._busy = False
                if self._watchers and not self._waiting:
                    self._release()

    def _begin(self) -> None:
        # Its first step runs here: a message that finds the stream idle is on its way without a turn of the event loop.
        self._busy = True
        task = start_eagerly(self._write(), asyncio.get_running_loop())
        self._writing = None if task.done() else task

    async def _write(self) -> None:
        end, stream = self._end, self._stream
        assert end is not None
        assert stream is not None
        message: Any = None
        try:
            while self._waiting:
                message = self._waiting.popleft()
                if self._watchers and not self.full:
                    self._release()
                await stream(message)
        except BaseException as error:
            self._waiting.appendleft(message)
            if not isinstance(error, Exception):
                end.cancel()
                raise
            if not end.done():
                end.set_exception(error)
        else:
            if self.closed and not end.done():
                end.set_result(None)
        finally:
            self._busy = False
            if self._watchers:
                self._release()

    async def space(self, timeout_s: float) -> bool:
        """Wait until it is not full; return whether that was so within the seconds given. A closed one has space."""
        if not self.full or self.closed:
            return True
        return await self._until(lambda: not self.full or self.closed, timeout_s)

    async def written(self, timeout_s: float) -> bool:
        """Wait until the stream has taken all that was put; return whether that was so in time."""
        return await self._until(lambda: not self._busy and not self._waiting, timeout_s)

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while not condition():
            left = end - loop.time()
            if left <= 0:
                return False
            watcher: asyncio.Future[None] = loop.create_future()
            self._watchers.add(watcher)
            try:
                await asyncio.wait([watcher], timeout=left)
            finally:
                self._watchers.discard(watcher)
        return True

    def close(self) -> None:
        """Let nothing more in; what waits is still written, and all who wait here go on."""
        self.closed = True
        if self._wanted is not None:
            self._want()
        elif self._stream is not None and not self._busy:
            self._begin()
        self._release()

    def _want(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.done():
            wanted.set_result(None)

    def _release(self) -> None:
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
