"""The cancellation token: one signal that travels down a chain of calls. Stands on nothing; knows no agent or runtime."""

import asyncio
import threading
from asyncio import Future
from collections.abc import Callable
from typing import Any


class CancellationToken:
    """A signal to give up pending work, handed from caller to callee.

    A token is cancelled once and stays so. Callbacks run outside of its lock, so they may ask the token anything, also
    cancel it. Links to finished futures are dropped, so a token may live as long as the program.
    """

    # Every message has a token and few are ever used, so an unused one is an empty object; and one lock serves them all.
    _lock = threading.Lock()
    _cancelled = False
    _callbacks: list[Callable[[], None]] | None = None
    _futures: set[Future[Any]] | None = None

    def __init__(self) -> None:
        pass

    def cancel(self) -> None:
        """Cancel every linked future and run every callback, once. A second call does nothing.

        All callbacks run even if one raises; then the errors are raised together.

        Raises:
            ExceptionGroup: Callbacks raised.
        """
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks or [], None
            futures, self._futures = self._futures or set[Future[Any]](), None
        errors: list[Exception] = []
        for future in futures:
            _cancel_future(future)
        for callback in callbacks:
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - collected, so that the others run, and raised below
                errors.append(error)
        if errors:
            raise ExceptionGroup("callbacks of a cancellation token failed", errors)

    def is_cancelled(self) -> bool:
        """Tell whether `cancel` was called."""
        return self._cancelled

    def add_callback(self, callback: Callable[[], None]) -> None:
        """Run `callback` when the token is cancelled; at once if it already is."""
        with self._lock:
            if not self._cancelled:
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(callback)
                return
        callback()

    def link_future(self, future: Future[Any]) -> Future[Any]:
        """Cancel `future` when the token is cancelled; at once if it already is.

        The link ends when the future is done.

        Returns:
            The same future, so that a call can be wrapped: `await token.link_future(asyncio.ensure_future(work()))`.
        """
        with self._lock:
            linked = not self._cancelled
            if linked and not future.done():
                if self._futures is None:
                    self._futures = set()
                self._futures.add(future)
        if linked:
            future.add_done_callback(self._unlink)
        else:
            _cancel_future(future)
        return future

    def _unlink(self, future: Future[Any]) -> None:
        with self._lock:
            if self._futures is not None:
                self._futures.discard(future)


def _cancel_future(future: Future[Any]) -> None:
    """Cancel a future from whatever thread the token is cancelled in."""
    loop = future.get_loop()
    if loop is asyncio._get_running_loop():
        future.cancel()
    elif not loop.is_closed():
        loop.call_soon_threadsafe(future.cancel)
