"""Deadlines that travel with nested calls: what a handler sends must be answered before its own answer is due.

Stands on asyncio; knows no transport.
"""

import asyncio
from contextvars import ContextVar

from autogen_core import AgentId
from autogen_core.exceptions import DeadlineExceededError

deadline: ContextVar[float | None] = ContextVar("autogen deadline", default=None)
"""When the request that is being handled must be answered, on the event loop's clock; what it sends must be earlier."""


def time_left(timeout: float | None, default: float | None) -> float | None:
    """Return in how many seconds an answer must be there; None if there is no limit."""
    seconds = default if timeout is None else timeout
    end = deadline.get()
    if end is None:
        return seconds
    left = end - asyncio.get_running_loop().time()
    return left if seconds is None else min(left, seconds)


def too_late(recipient: AgentId, seconds: float | None) -> DeadlineExceededError:
    """Say that no answer came in time."""
    said = "" if seconds is None else f" within {seconds:.3g} seconds"
    return DeadlineExceededError(f"No answer from {recipient}{said}.", recipient=recipient)
