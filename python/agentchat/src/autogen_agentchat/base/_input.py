"""Asking a human through a function, plain or async, without blocking the event loop. Knows no agent and no console."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from typing import cast

from autogen_core import CancellationToken

SyncInput = Callable[[str], str]
AsyncInput = Callable[[str, CancellationToken | None], Awaitable[str]]
InputFunc = SyncInput | AsyncInput
"""Takes the prompt, and if it is async the cancellation token, and returns the answer."""


async def ask_human(function: InputFunc, prompt: str, token: CancellationToken | None) -> str:
    """Call the function: an async one with the token, a plain one in a thread of its own, so it may block.

    Cancelled, the answer of a plain one is thrown away when it comes.
    """
    if _is_coroutine_function(function):
        return await cast("AsyncInput", function)(prompt, token)
    return await _in_thread(cast("SyncInput", function), prompt)


def _is_coroutine_function(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - the method is looked at, not whether there is one


def _in_thread(function: SyncInput, prompt: str) -> asyncio.Future[str]:
    """Run a blocking function in a daemon thread.

    A thread that waits for a key cannot be stopped. The executor of the event loop would be waited for when the program
    ends, so that Ctrl+C would hang until the user presses Enter; a daemon is not.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[str] = loop.create_future()
    context = copy_context()

    def deliver(answer: str | None, error: BaseException | None) -> None:
        if result.done():
            return  # cancelled meanwhile
        if error is None:
            result.set_result(cast("str", answer))
        else:
            result.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def ask() -> None:
        answer: str | None = None
        failure: BaseException | None = None
        try:
            answer = context.run(function, prompt)
        except BaseException as error:  # noqa: BLE001 - handed to the waiting agent
            failure = error
        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, answer, failure)

    threading.Thread(target=ask, name="autogen-user-input", daemon=True).start()
    return result
