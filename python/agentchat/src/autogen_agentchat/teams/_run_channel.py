"""The event stream of one run: whoever speaks emits into it, the run's one reader takes out. Stands on asyncio only.

A token crosses this one queue and nothing else. The channel ends when it is closed; a reader never waits on a writer that is
gone, because whoever owns the run closes it in all cases.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class RunChannel(Generic[T]):
    """A queue with one reader and an end."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._closed = False
        self._reader: asyncio.Future[None] | None = None

    def emit(self, item: T) -> None:
        """Add an item. After `close` only `rest` gives it out."""
        self._items.append(item)
        self._wake()

    def close(self) -> None:
        """End the stream after the items that are in it."""
        self._closed = True
        self._wake()

    def rest(self) -> list[T]:
        """Take out what is left, for a reader that waits no more."""
        items = list(self._items)
        self._items.clear()
        return items

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield the items until the channel is closed and empty."""
        while True:
            while self._items:
                yield self._items.popleft()
            if self._closed:
                return
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
