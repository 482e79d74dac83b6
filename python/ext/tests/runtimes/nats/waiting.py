"""Waiting for what a test is about."""

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true; no test waits for ever."""
    async with asyncio.timeout(20):
        while True:
            if true():
                return
            await asyncio.sleep(0.01)
