"""Shares loaded engines: equal settings are loaded once, and freed with their last user. Stands on `_engine`, `_weights`.

Must not know what engines are used for.
"""

import asyncio
import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from ._engine import Engine, EngineSettings
from ._weights import Weights


def default_threads() -> int:
    """Return how many threads compute by default: one core is left free.

    The engine's threads wait for each other in busy loops: as many threads as cores, on a machine that also does
    something else, made a call 2.2 times slower.
    """
    return max(1, (os.cpu_count() or 1) - 1)


@dataclass(slots=True)
class _Shared:
    loading: "Future[Engine]" = field(default_factory=Future["Engine"])
    users: int = 0


class _Pool:
    """The engines of this process. May be used from any thread and any event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: dict[EngineSettings, _Shared] = {}

    def acquire(self, settings: EngineSettings, weights: Weights) -> "Future[Engine]":
        """Return the engine of these settings, which may still be loading, and count one more user."""
        with self._lock:
            shared = self._engines.get(settings)
            if shared is None:
                shared = self._engines[settings] = _Shared()
                shared.loading.set_running_or_notify_cancel()  # whoever stops waiting must not stop it for the others
                # A daemon: the exit of the interpreter must not wait for a large file.
                threading.Thread(
                    target=self._load, args=(settings, weights, shared), name="local-model-load", daemon=True
                ).start()
            shared.users += 1
            return shared.loading

    def release(self, settings: EngineSettings, loading: "Future[Engine]") -> None:
        """Count one user less; the engine of the last one is forgotten, and freed when its last request has ended."""
        with self._lock:
            shared = self._engines.get(settings)
            if shared is None or shared.loading is not loading:
                return  # it failed to load, and another was tried since
            shared.users -= 1
            if shared.users == 0:
                del self._engines[settings]

    def _load(self, settings: EngineSettings, weights: Weights, shared: _Shared) -> None:
        try:
            weights.verify()
            engine = Engine.load(settings)
        except BaseException as error:  # noqa: BLE001 - raised in everybody who waits
            with self._lock:
                if self._engines.get(settings) is shared:
                    del self._engines[settings]  # the next use tries again
            shared.loading.set_exception(error)
        else:
            shared.loading.set_result(engine)


_pool = _Pool()


class EngineLease:
    """One user's hold on a shared engine, which is loaded at first use and held until `release`.

    Args:
        weights: The model file.
        settings: How to load it.
    """

    def __init__(self, weights: Weights, settings: EngineSettings) -> None:
        self._weights = weights
        self._settings = settings
        self._lock = threading.Lock()
        self._loading: Future[Engine] | None = None

    async def engine(self) -> Engine:
        """Return the engine; load it meanwhile without blocking the event loop.

        Raises:
            LocalModelError: It cannot be loaded. The next use tries again.
        """
        # The wrapped future cannot cancel the shared one, so that a cancelled wait stops nobody else's.
        return await asyncio.wrap_future(self._acquire())

    def engine_now(self) -> Engine:
        """Return the engine; block while it is loaded.

        Raises:
            LocalModelError: It cannot be loaded. The next use tries again.
        """
        return self._acquire().result()

    def release(self) -> None:
        """Give the engine back. A later use takes it anew."""
        with self._lock:
            loading, self._loading = self._loading, None
        if loading is not None:
            _pool.release(self._settings, loading)

    def _acquire(self) -> "Future[Engine]":
        with self._lock:
            failed = self._loading is not None and self._loading.done() and self._loading.exception() is not None
            if self._loading is None or failed:
                self._loading = _pool.acquire(self._settings, self._weights)
            return self._loading
