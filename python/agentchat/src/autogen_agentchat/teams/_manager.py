"""`BaseGroupChatManager`: the turn loop of a team. The one place that decides who speaks next and whether to stop.

Both depend on what is recorded here alone: the message thread, what each seat has heard, and the subclass's own state.
Stands on the protocol; knows no agent, only seats.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, SelectSpeakerEvent, StopMessage
from autogen_agentchat.teams._protocol import (
    GroupChatPause,
    GroupChatReset,
    GroupChatResume,
    GroupChatStart,
    GroupChatTurn,
    GroupChatTurnResult,
    ManagerSettings,
    Seat,
)
from autogen_agentchat.teams._sequential import SequentialRoutedAgent
from autogen_core import AgentId, CancellationToken, MessageContext, rpc


class BaseGroupChatManager(SequentialRoutedAgent, ABC):
    """Leads the conversation of a team. A subclass says who speaks next, and keeps the state that this takes."""

    def __init__(self, settings: ManagerSettings) -> None:
        super().__init__("Group chat manager", [GroupChatStart, GroupChatReset])
        self._settings = settings
        self._seats: dict[str, Seat] = {seat.name: seat for seat in settings.seats}
        self._message_thread: list[BaseAgentEvent | BaseChatMessage] = []
        self._current_turn = 0
        self._active: list[str] = []
        self._going = asyncio.Event()
        self._going.set()

    # What a subclass says

    @abstractmethod
    async def select_speaker(self, thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> list[str] | str:
        """Say who speaks next: one name, or several that speak at the same time."""
        ...

    async def validate_group_state(self, messages: Sequence[BaseChatMessage]) -> None:
        """Raise `ValueError` if a run cannot begin with these messages."""

    @abstractmethod
    async def reset(self) -> None:
        """Forget the subclass's own state."""
        ...

    # The loop

    @rpc
    async def handle_start(self, message: GroupChatStart, ctx: MessageContext) -> StopMessage:
        """Run the conversation until something says stop, and return what."""
        await self.validate_group_state(message.messages)
        try:
            return await self._converse(message, ctx.cancellation_token)
        finally:
            # However the run ended, the next one counts anew.
            self._current_turn = 0
            if self._settings.termination_condition is not None:
                await self._settings.termination_condition.reset()

    async def _converse(self, start: GroupChatStart, token: CancellationToken) -> StopMessage:
        stop: StopMessage | None = None
        if start.messages:
            if start.output_task_messages:
                for message in start.messages:
                    self._settings.emit(message)
            self._record(start.messages, None)
            stop = await self._should_stop(start.messages)
        while stop is None:
            await self._going.wait()
            # A speaker whose turn did not end, because the run was cancelled or failed, is first in the next one.
            speakers = self._active or await self._choose()
            self._active = speakers
            said = await self._take_turns(speakers, token)
            stop = await self._should_stop(said)
            if stop is None:
                stop = self._count_turn()
        return stop

    async def _choose(self) -> list[str]:
        chosen = await self.select_speaker(self._message_thread)
        speakers = [chosen] if isinstance(chosen, str) else list(chosen)
        unknown = [name for name in speakers if name not in self._seats]
        if unknown or not speakers:
            raise RuntimeError(f"{unknown or 'Nobody'} was chosen to speak. Expected one of {list(self._seats)}.")
        if self._settings.emit_team_events:
            self._settings.emit(SelectSpeakerEvent(content=speakers, source=self._settings.name))
        return speakers

    async def _take_turns(
        self, speakers: Sequence[str], token: CancellationToken
    ) -> list[BaseAgentEvent | BaseChatMessage]:
        """Let speakers take their turns, at the same time, and record each as it ends."""
        if len(speakers) == 1:
            return await self._take_turn(speakers[0], token)
        # All end before an error is raised, so that what one said is kept although another failed.
        turns = await asyncio.gather(*(self._take_turn(name, token) for name in speakers), return_exceptions=True)
        said: list[BaseAgentEvent | BaseChatMessage] = []
        for turn in turns:
            if isinstance(turn, BaseException):
                raise turn
            said.extend(turn)
        return said

    async def _take_turn(self, name: str, token: CancellationToken) -> list[BaseAgentEvent | BaseChatMessage]:
        seat = self._seats[name]
        heard, seat.heard = seat.heard, []
        result: GroupChatTurnResult = await self.send_message(
            GroupChatTurn(heard),
            AgentId(seat.agent_type, self._settings.key),
            cancellation_token=token,
        )
        self._record(result.messages, name)
        self._active = [active for active in self._active if active != name]
        return list(result.messages)

    def _record(self, messages: Sequence[BaseAgentEvent | BaseChatMessage], speaker: str | None) -> None:
        """Add messages to the thread, and to what the others have heard."""
        self._message_thread.extend(messages)
        spoken = [message for message in messages if isinstance(message, BaseChatMessage)]
        for seat in self._seats.values():
            if seat.name != speaker:
                seat.heard.extend(spoken)

    async def _should_stop(self, said: Sequence[BaseAgentEvent | BaseChatMessage]) -> StopMessage | None:
        condition = self._settings.termination_condition
        return None if condition is None else await condition(said)

    def _count_turn(self) -> StopMessage | None:
        self._current_turn += 1
        limit = self._settings.max_turns
        if limit is None or self._current_turn < limit:
            return None
        return StopMessage(content=f"Maximum number of turns {limit} reached.", source=self._settings.name)

    # Control

    @rpc
    async def handle_pause(self, message: GroupChatPause, ctx: MessageContext) -> None:
        """Begin no further turn."""
        self._going.clear()

    @rpc
    async def handle_resume(self, message: GroupChatResume, ctx: MessageContext) -> None:
        """Go on with the turns."""
        self._going.set()

    @rpc
    async def handle_reset(self, message: GroupChatReset, ctx: MessageContext) -> None:
        """Forget the conversation."""
        self._message_thread.clear()
        self._current_turn = 0
        self._active = []
        self._going.set()
        for seat in self._seats.values():
            seat.heard = []
        if self._settings.termination_condition is not None:
            await self._settings.termination_condition.reset()
        await self.reset()

    # State

    def thread_state(self) -> dict[str, Any]:
        """Return the fields that every manager's state has."""
        return {
            "message_thread": [message.dump() for message in self._message_thread],
            "current_turn": self._current_turn,
        }

    def load_thread_state(self, message_thread: Sequence[Mapping[str, Any]], current_turn: int) -> None:
        """Take up the fields that every manager's state has."""
        self._message_thread = [self._settings.message_factory.create(data) for data in message_thread]
        self._current_turn = current_turn
        self._active = []
