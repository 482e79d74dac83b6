"""Lets a cancellation token end a wait on a provider. Stands on asyncio and the token; must not know any provider."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

from autogen_core import CancellationToken

T = TypeVar("T")


async def cancellable(work: Coroutine[Any, Any, T], token: CancellationToken | None) -> T:
    """Await `work`; when the token is cancelled, cancel it and raise `asyncio.CancelledError`."""
    if token is None:
        return await work
    task = asyncio.ensure_future(work)
    token.link_future(task)
    return await task


async def cancellable_items(stream: AsyncIterator[T], token: CancellationToken | None) -> AsyncGenerator[T, None]:
    """Yield the items of a stream until it ends or the token is cancelled, which raises `asyncio.CancelledError`.

    A stream has thousands of items, so there is no task for each: as with `asyncio.timeout`, the waiting task itself is
    cancelled, and the cancellation is taken back before the error leaves. The stream is not closed here.
    """
    if token is None:
        async for item in stream:
            yield item
        return
    watch = asyncio.get_running_loop().create_future()
    waiting: asyncio.Task[Any] | None = None
    interrupted: asyncio.Task[Any] | None = None

    def interrupt(_: object) -> None:
        nonlocal interrupted
        if waiting is not None:
            interrupted = waiting
            waiting.cancel()

    token.link_future(watch)
    watch.add_done_callback(interrupt)
    try:
        while True:
            if token.is_cancelled():
                raise asyncio.CancelledError
            waiting = asyncio.current_task()
            try:
                item = await anext(stream)
            except StopAsyncIteration:
                return
            finally:
                waiting = None
                if interrupted is not None:
                    interrupted.uncancel()
            yield item
    finally:
        watch.remove_done_callback(interrupt)
        watch.cancel()  # so that the token forgets it
