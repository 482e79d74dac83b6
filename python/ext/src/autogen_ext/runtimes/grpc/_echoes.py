"""Order within a worker: what it publishes goes by the host, and a request to an agent here shall not overtake that.

Such a request waits until the events that the agent hears, and that were published before it, have come back. Stands on the
calls: when events stay away, an echo of the host tells which of them come no more. Knows no delivery.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from autogen_core import ROOT_LOGGER_NAME, AgentId, CancellationToken
from autogen_core.exceptions import UndeliverableException
from autogen_ext.runtimes._shared.deadlines import too_late

from ._calls import Calls

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.grpc")

_ASK_AFTER_S = 0.05
"""How long an event may be on its way, in seconds, before the host is asked for an echo of what it was sent."""

_MOST = 10_000
"""How many events on their way are known; of older ones the order to later requests is given up."""


class Echoes:
    """The events of a worker that agents of its own will hear, and the requests that wait for them.

    Args:
        calls: How the host is asked for an echo: by a request to this worker itself.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._count = 0
        self._events: dict[str, tuple[int, tuple[AgentId, ...]]] = {}  # by id: when it was published, and who hears it
        self._pending: dict[AgentId, dict[str, int]] = {}  # by who hears them, oldest first
        self._waiting: dict[AgentId, deque[tuple[int, asyncio.Future[None]]]] = {}
        self._let_go: set[asyncio.Future[None]] = set()
        self._asking: asyncio.Task[None] | None = None
        self._needed = self._confirmed = 0  # up to which event an echo is asked for, and had

    @property
    def busy(self) -> bool:
        """Whether an event is on its way, or a request waits."""
        return bool(self._pending or self._waiting)

    def published(self, id: str, hearers: Iterable[AgentId]) -> None:
        """Note that an event goes out which agents here will hear."""
        heard = tuple(hearers)
        if not heard:
            return
        self.came(id)  # an id that is used again
        self._count += 1
        self._events[id] = self._count, heard
        for agent in heard:
            self._pending.setdefault(agent, {})[id] = self._count
        if len(self._events) > _MOST:
            self.came(next(iter(self._events)))

    def came(self, id: str) -> None:
        """Note that an event is back, and its handlers have begun."""
        found = self._events.pop(id, None)
        if found is None:
            return
        for agent in found[1]:
            pending = self._pending[agent]
            pending.pop(id, None)
            if not pending:
                del self._pending[agent]
            self._release(agent)

    def forget(self, until: int | None = None) -> None:
        """Wait no longer for events published so early; None: for any, as when the connection broke."""
        for id, (count, _) in list(self._events.items()):
            if until is None or count <= until:
                self.came(id)

    def holds_back(self, agent: AgentId) -> bool:
        """Tell whether a request to an agent has to wait."""
        return agent in self._pending or agent in self._waiting

    async def wait(self, agent: AgentId, token: CancellationToken, left_s: float | None) -> float | None:
        """Wait until the agent has begun what was published before; return how many seconds are left of `left_s`.

        Requests to one agent go on in the order in which they came here.

        Raises:
            DeadlineExceededError: It has not in that time.
            asyncio.CancelledError: The token was cancelled.
        """
        loop = asyncio.get_running_loop()
        end = None if left_s is None else loop.time() + left_s
        turn: asyncio.Future[None] = loop.create_future()
        entry = self._count, turn
        self._waiting.setdefault(agent, deque()).append(entry)
        self._release(agent)
        token.link_future(turn)
        try:
            await asyncio.wait([turn], timeout=_ASK_AFTER_S if left_s is None else min(_ASK_AFTER_S, left_s))
            if not turn.done() and (end is None or loop.time() < end):
                self._ask_host(agent, entry[0])
                await asyncio.wait([turn], timeout=None if end is None else end - loop.time())
        finally:
            waiting = self._waiting[agent]
            waiting.remove(entry)
            if not waiting:
                del self._waiting[agent]
            self._let_go.discard(turn)
            self._release(agent)
        if turn.cancelled():
            raise asyncio.CancelledError(f"The cancellation token of the message for {agent} was cancelled.")
        left = None if end is None else end - loop.time()
        if not turn.done() or (left is not None and left <= 0):
            raise too_late(agent, left_s)
        return left

    def _release(self, agent: AgentId) -> None:
        """Let the first of those go on who wait for an agent, if all is back that was published before it."""
        waiting = self._waiting.get(agent)
        if not waiting:
            return
        count, turn = waiting[0]
        oldest = next(iter(self._pending.get(agent, {}).values()), None)
        if (oldest is None or count < oldest) and not turn.done():
            turn.set_result(None)
            self._let_go.add(turn)

    async def gone_on(self) -> None:
        """Wait until the requests have begun that an event which is back let go on: the next event was published after them."""
        while self._let_go:  # noqa: ASYNC110 - a few steps of the event loop, which nothing tells of
            await asyncio.sleep(0)

    # The host

    def _ask_host(self, agent: AgentId, count: int) -> None:
        self._needed = max(self._needed, count)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(agent), name="autogen gRPC echo")

    async def _ask(self, agent: AgentId) -> None:
        """Let the host send back a request that follows the events: what is not here when it comes is lost."""
        try:
            while self._confirmed < self._needed:
                count = self._count
                try:
                    await self._calls.echo(agent)
                except UndeliverableException:  # the connection is gone for long, or the runtime stops
                    count = self._count
                except Exception as error:  # noqa: BLE001 - a host may refuse it; it has then answered, after the events
                    _logger.debug("no echo for %s: %r", agent, error)
                self._confirmed = max(self._confirmed, count)
                self.forget(count)
        finally:
            self._asking = None

    async def stop(self) -> None:
        """Let all who wait go on."""
        self.forget()
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
