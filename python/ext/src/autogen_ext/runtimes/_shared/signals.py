"""Waiting for a signal to the process. Stands on asyncio."""

import asyncio
import signal
from collections.abc import Sequence


async def wait_for_signal(signals: Sequence[signal.Signals]) -> None:
    """Return when the process gets one of the signals; meanwhile they do nothing else."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()

    def wake(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(came.set)

    for one in signals:
        try:
            loop.add_signal_handler(one, came.set)
        except NotImplementedError:  # Windows: the handler runs between two steps of the loop
            signal.signal(one, wake)
    try:
        await came.wait()
    finally:
        for one in signals:
            try:
                loop.remove_signal_handler(one)
            except NotImplementedError:
                signal.signal(one, signal.SIG_DFL)
