"""The time, and waiting for it: what a test replaces. Stands on nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Where middleware gets the time from and how it waits.

    Attributes:
        time: Returns seconds that never run backwards.
        sleep: Waits for seconds.
    """

    time: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


SYSTEM_CLOCK = Clock()
"""Real time."""
