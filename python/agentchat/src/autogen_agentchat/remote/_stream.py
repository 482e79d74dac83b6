"""`TurnStream`: events of a turn on their way to the caller while the turn runs, in order, each once.

They leave the worker in batches, one at a time: what comes while one is on its way is the next. What the caller has not
acknowledged travels with the answer, so that nothing depends on the batches. Stands on the protocol; knows no agent.
"""

import asyncio
import contextlib
import logging
from uuid import uuid4

from autogen_agentchat._names import TRACE_LOGGER_NAME
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.remote._protocol import Dumped, RemoteAgentEvents, RemoteAgentEventsTaken, RemoteAgentTurn
from autogen_agentchat.remote._switchboard import Switchboard
from autogen_core import AgentId

_log = logging.getLogger(TRACE_LOGGER_NAME)

_ANNOUNCED_S = 10.0
"""How long a turn waits for its caller to take note that it begins, in seconds; then it goes on without a reader."""


class TurnStream:
    """The worker's end of a turn's stream.

    Args:
        turn: The turn.
        switchboard: This process's switchboard.
    """

    def __init__(self, turn: RemoteAgentTurn, switchboard: Switchboard) -> None:
        self._turn = turn.turn
        self._reader = AgentId.from_str(turn.switchboard)
        self._switchboard = switchboard
        self.attempt = uuid4().hex
        self._held: BaseChatMessage | None = None
        self._unsent: list[tuple[int, Dumped]] = []
        self._count = 0
        self._more = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    async def begin(self) -> bool:
        """Tell the caller that the turn begins, and return whether the agent is to hold."""
        try:
            async with asyncio.timeout(_ANNOUNCED_S):
                taken = await self._send([])
        except Exception as error:  # noqa: BLE001 - the turn does not depend on its reader
            _log.warning("The turn %s goes on without a reader: %s", self._turn, error)
            return False
        self._pump = asyncio.create_task(self._send_all(), name=f"events of turn {self._turn}")
        return taken.paused

    def emit(self, item: BaseAgentEvent | BaseChatMessage) -> None:
        """Take an item. A chat message is held back until the next item: the last one is the answer."""
        self._flush()
        if isinstance(item, BaseChatMessage):
            self._held = item
        else:
            self._add(item)

    async def end(self, answer: str = "") -> list[tuple[int, Dumped]]:
        """Stop sending, and return the items that the caller may not have.

        Args:
            answer: The id of the message that is the turn's answer, and no item.
        """
        if self._held is not None and self._held.id != answer:
            self._flush()
        self._held = None
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
        return self._unsent

    def _flush(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self._add(held)

    def _add(self, item: BaseAgentEvent | BaseChatMessage) -> None:
        self._unsent.append((self._count, dict(item.dump())))
        self._count += 1
        self._more.set()

    async def _send_all(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await self._more.wait()
                self._more.clear()
                while batch := list(self._unsent):
                    try:
                        await self._send(batch)
                    except Exception as error:  # noqa: BLE001 - the answer brings what is left
                        _log.warning("The turn %s goes on without a reader: %s", self._turn, error)
                        return
                    del self._unsent[: len(batch)]

    async def _send(self, batch: list[tuple[int, Dumped]]) -> RemoteAgentEventsTaken:
        numbers, items = [number for number, _ in batch], [item for _, item in batch]
        events = RemoteAgentEvents(self._turn, self.attempt, str(self._switchboard.id), numbers, items)
        taken: RemoteAgentEventsTaken = await self._switchboard.send_message(events, self._reader)
        return taken
