"""`PauseGate`: what an agent passes before each model or tool call, and where a paused agent stands still.

Stands on the token; knows no agent, no model and no team.
"""

import asyncio

from autogen_core import CancellationToken


class PauseGate:
    """Open unless closed. Passing an open gate costs one test."""

    __slots__ = ("_opened",)

    def __init__(self) -> None:
        self._opened: asyncio.Event | None = None

    @property
    def closed(self) -> bool:
        """Whether who comes has to wait."""
        return self._opened is not None

    def close(self) -> None:
        """Let nobody pass until `open`."""
        if self._opened is None:
            self._opened = asyncio.Event()

    def open(self) -> None:
        """Let all pass who wait, and all who come."""
        if self._opened is not None:
            self._opened.set()
            self._opened = None

    async def passed(self, token: CancellationToken) -> None:
        """Return once the gate is open.

        Raises:
            asyncio.CancelledError: The token was cancelled, before or meanwhile.
        """
        if token.is_cancelled():
            raise asyncio.CancelledError("the cancellation token was cancelled")
        while (opened := self._opened) is not None:  # it may be closed again before the waiter runs
            waiter = asyncio.ensure_future(opened.wait())
            token.link_future(waiter)
            try:
                await waiter
            finally:
                waiter.cancel()
