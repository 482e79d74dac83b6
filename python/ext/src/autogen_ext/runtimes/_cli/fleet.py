"""What a worker joins, said so that the command need not know which runtime it is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from autogen_core import AgentRuntime


class Worker(AgentRuntime, Protocol):
    """A runtime that has to be started and ended."""

    async def start(self) -> None:
        """Connect."""
        ...

    async def close(self) -> None:
        """Finish what is being handled, leave, and close the agents."""
        ...


W = TypeVar("W", bound=Worker)


@dataclass(frozen=True, kw_only=True)
class Fleet(Generic[W]):
    """The workers of one host, or of one server.

    Attributes:
        address: Where they meet, as it may be shown: without secrets.
        make: Makes a runtime that is not started.
        connected: Tells whether a runtime that was started can work now.
        may_come: Tells of an error of `start` whether it may go away by itself.
        new_loop: Makes the event loop; None: the usual one.
    """

    address: str
    make: Callable[[], W]
    connected: Callable[[W], bool]
    may_come: Callable[[Exception], bool]
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
