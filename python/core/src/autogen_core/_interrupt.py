"""Ends what a task is waiting for when a token is cancelled. Stands on the token; knows no agent and no tool."""

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

from autogen_core._cancellation import CancellationToken

T = TypeVar("T")


class Interrupt:
    """Ends an await when the token is cancelled, also where the awaited code does not look at the token.

    The work runs in the caller's own task, so that a model call costs no task and a stream none for each chunk. Like
    `asyncio.timeout`, the interrupt cancels that task and takes its request back once the work has ended.
    """

    __slots__ = ("_token",)

    def __init__(self, token: CancellationToken) -> None:
        self._token = token

    def check(self) -> None:
        """Raise `asyncio.CancelledError` if the token is cancelled. Call it before starting anything."""
        if self._token.is_cancelled():
            raise asyncio.CancelledError("the cancellation token was cancelled")

    def wait(self, work: Awaitable[T]) -> Awaitable[T]:
        """Return what awaits `work`, and cancels it with the token.

        Raises:
            asyncio.CancelledError: When awaited: the token, or the task that waits, was cancelled.
        """
        return _Interruptible(work, self._token)


class _Interruptible(Awaitable[T], Generic[T]):
    """Passes each step of the work on to the event loop, and links the token once there is a step to wait for.

    Work that is done without waiting, such as a cached answer or a chunk that has arrived already, links nothing.
    """

    __slots__ = ("_token", "_work")

    def __init__(self, work: Awaitable[T], token: CancellationToken) -> None:
        self._work = work
        self._token = token

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        try:
            step = next(steps)
        except StopIteration as done:
            return done.value
        signal = _Signal(self._token)
        try:
            while True:  # `yield from`, begun in the middle
                try:
                    yield step
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the work's to handle
                    step = steps.throw(error)
                else:
                    step = next(steps)
        except StopIteration as done:
            return done.value
        finally:
            signal.close()


class _Signal:
    """Cancels the task that made it when the token is cancelled, unless somebody else has done so."""

    __slots__ = ("_future", "_struck", "_task")

    def __init__(self, token: CancellationToken) -> None:
        self._task = asyncio.current_task()
        self._struck = False
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._future.add_done_callback(self._strike)
        token.link_future(self._future)

    def close(self) -> None:
        self._future.remove_done_callback(self._strike)
        self._future.cancel()
        if self._struck and self._task is not None:
            self._task.uncancel()

    def _strike(self, _: object) -> None:
        if self._task is not None and not self._task.cancelling():  # a second request would break into its clean-up
            self._struck = True
            self._task.cancel()
