"""Runs a model in a thread of its own, one call after the other, and hands what it yields to the event loop.

A `Llama` can do one thing at a time, and generating blocks. Stands on asyncio and threads; knows the library by its public
calls only.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_END = object()


class TokenCounter:
    """Counts the tokens of one call: as a logits processor it is asked before each token, with all tokens before it."""

    def __init__(self) -> None:
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Take note of a token that is about to be chosen; its scores stay as they are."""
        if not self.completion_tokens:
            self.prompt_tokens = len(input_ids)
        self.completion_tokens += 1
        return scores


class Engine:
    """The thread in which a model works. It begins with the first call and ends with `close`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llama_cpp")

    async def stream(self, make: Callable[[], Iterator[Any]]) -> AsyncGenerator[Any, None]:
        """Yield what an iterator yields that is made and read in the model's thread.

        Closing stops it before its next item. What it is doing then, such as reading a long prompt, is done to its end
        in the background, and the next call waits for that.
        """
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Any] = asyncio.Queue()
        stop = threading.Event()

        def work() -> None:
            if stop.is_set():
                return
            source = make()
            try:
                for item in source:
                    if stop.is_set():
                        break
                    loop.call_soon_threadsafe(items.put_nowait, item)
            finally:
                close = getattr(source, "close", None)
                if close is not None:
                    close()

        future = loop.run_in_executor(self._threads, work)
        future.add_done_callback(lambda _: items.put_nowait(_END))
        try:
            while (item := await items.get()) is not _END:
                yield item
            await future
        finally:
            stop.set()
            if not future.done():
                future.add_done_callback(_take_note)

    async def close(self, free: Callable[[], object]) -> None:
        """Wait for the work to end, then free the model."""
        await asyncio.to_thread(self._threads.shutdown, wait=True)
        free()


def _take_note(future: "asyncio.Future[None]") -> None:
    """Take the error of work that nobody waits for any more: it was told to stop, and fails on its own."""
    if not future.cancelled():
        future.exception()
