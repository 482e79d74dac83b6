"""`BaseGroupChatManager`: the turn loop of a team. The one place that decides who speaks next and whether to stop.

Both depend on what is recorded here alone: the message thread, what each seat has heard, and the subclass's own state.
All of it is saved, also in the middle of a run. Stands on the protocol; knows no agent, only seats.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from autogen_agentchat._names import TRACE_LOGGER_NAME
from autogen_agentchat.agents._gate import PauseGate
from autogen_agentchat.agents._taken_in import TakenIn
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, SelectSpeakerEvent, StopMessage
from autogen_agentchat.messages._opaque import restore
from autogen_agentchat.state import BaseGroupChatManagerState
from autogen_agentchat.teams._protocol import (
    GroupChatInject,
    GroupChatPause,
    GroupChatReset,
    GroupChatResume,
    GroupChatStart,
    GroupChatTurn,
    GroupChatTurnResult,
    ManagerSettings,
    Seat,
    StartRefusedError,
)
from autogen_agentchat.teams._sequential import SequentialRoutedAgent
from autogen_core import AgentId, CancellationToken, MessageContext, rpc

_log = logging.getLogger(TRACE_LOGGER_NAME)


class BaseGroupChatManager(SequentialRoutedAgent, ABC):
    """Leads the conversation of a team. A subclass says who speaks next, and keeps the state that this takes.

    A subclass that calls a model passes `going_on` before each call, so that a paused team calls none.
    """

    state_type: ClassVar[type[BaseGroupChatManagerState]] = BaseGroupChatManagerState
    """The record of the subclass's state."""

    def __init__(self, settings: ManagerSettings) -> None:
        super().__init__("Group chat manager", [GroupChatStart])
        self._settings = settings
        self._seats: dict[str, Seat] = {seat.name: seat for seat in settings.seats}
        self._message_thread: list[BaseAgentEvent | BaseChatMessage] = []
        self._judged = 0
        """How much of the thread the termination condition has seen."""
        self._run_start: int | None = None
        """Where in the thread the present run begins, after its task, or the one that was cut short; `None` at rest."""
        self._current_turn = 0
        self._active: list[str] = []
        """Who speaks now; after a run that was cut short, whose turn did not end."""
        self._taken_in = TakenIn()
        self._gate = PauseGate()
        self._token = CancellationToken()
        self.runs_ended = 0
        """How many runs came to their end, not counting those that failed or were cancelled."""
        self.last_run: list[BaseAgentEvent | BaseChatMessage] = []
        """What was said in the last of these."""
        self.recording = asyncio.Lock()
        """Held while a turn is recorded; whoever saves the team holds it, so that all its parts are of one moment."""

    # What a subclass says

    @abstractmethod
    async def select_speaker(
        self, thread: Sequence[BaseAgentEvent | BaseChatMessage]
    ) -> Sequence[str] | str | StopMessage:
        """Say who speaks next: one name, or several that speak at the same time; or say why the run ends."""
        ...

    async def validate_group_state(self, messages: Sequence[BaseChatMessage]) -> None:
        """Raise `ValueError` if a run cannot begin with these messages."""

    def turn_ended(self, speaker: str, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> None:
        """Called for each turn that ended, before it is recorded.

        If it raises, the run fails and the turn is not recorded: the next run calls this again, with the same messages.
        """

    @abstractmethod
    async def reset(self) -> None:
        """Forget the subclass's own state."""
        ...

    def own_state(self) -> Mapping[str, Any]:
        """Return the fields that `state_type` adds."""
        return {}

    def load_own_state(self, state: Any) -> None:
        """Take up the fields that `state_type` adds, from a record of this type."""

    # What a subclass may use

    async def going_on(self) -> CancellationToken:
        """Wait while the team is paused; then return the token that cancels the run, for a call to a model.

        Raises:
            asyncio.CancelledError: The run was cancelled.
        """
        await self._gate.passed(self._token)
        return self._token

    def say(self, message: BaseAgentEvent | BaseChatMessage) -> None:
        """Put a message of the manager's own into the conversation: the reader sees it, and all participants hear it."""
        self._settings.emit(message)
        self._record([message], [message] if isinstance(message, BaseChatMessage) else [], None)

    async def reset_participants(self) -> None:
        """Let all participants forget the conversation; the thread is kept."""
        for seat in self._seats.values():
            seat.heard.clear()
            agent_id = AgentId(seat.agent_type, self._settings.key)
            await self.send_message(GroupChatReset(), agent_id, cancellation_token=self._token)

    # What the face asks

    @property
    def active(self) -> Sequence[str]:
        """Who is speaking, or whose turn was cut short."""
        return self._active

    @property
    def unfinished(self) -> Sequence[BaseAgentEvent | BaseChatMessage]:
        """What was said in the present run, or in the one that was cut short; nothing after one that ended."""
        return () if self._run_start is None else self._message_thread[self._run_start :]

    # The loop

    @rpc
    async def handle_start(self, message: GroupChatStart, ctx: MessageContext) -> StopMessage:
        """Run the conversation until something says stop, and return what."""
        condition = self._settings.termination_condition
        if condition is not None and condition.terminated:
            await condition.reset()
            return StopMessage(content="The group chat has already terminated.", source=self._settings.name)
        try:
            await self.validate_group_state(message.messages)
        except ValueError as error:
            raise StartRefusedError(str(error)) from error
        self._token = ctx.cancellation_token
        stop = await self._converse(message)
        self.last_run = list(self.unfinished)
        self.runs_ended += 1
        await self._count_anew()
        return stop

    async def _count_anew(self) -> None:
        """Forget the run, so that the next one is another. One that was cut short is kept: the next run goes on with it."""
        self._taken_in.end()
        self._run_start = None
        self._current_turn = 0
        self._judged = len(self._message_thread)
        if self._settings.termination_condition is not None:
            await self._settings.termination_condition.reset()

    async def _converse(self, start: GroupChatStart) -> StopMessage:
        fresh = await self._take_in(start)
        self._record(fresh, fresh, None)
        return await self._talk()

    async def _take_in(self, start: GroupChatStart) -> Sequence[BaseChatMessage]:
        """Show the task to the reader, and return what of it is new.

        A team inside another is asked again for a turn that did not end, with messages that it has heard already.
        """
        if start.output_task_messages:
            for message in start.messages:
                self._settings.emit(message)
        if self._run_start is not None and start.messages and not self._taken_in.knows(start.messages):
            await self._count_anew()
        return self._taken_in.begin(start.messages)

    async def _talk(self) -> StopMessage:
        if self._run_start is None:
            self._run_start = len(self._message_thread)
        stop = await self._judge() or self._at_limit()
        while stop is None:
            await self._gate.passed(self._token)
            if not self._active:
                chosen = await self._choose()
                if isinstance(chosen, StopMessage):
                    return chosen
                self._active = chosen
            await self._take_turns(self._active)
            self._current_turn += 1
            stop = await self._judge() or self._at_limit()
        return stop

    async def _choose(self) -> list[str] | StopMessage:
        chosen = await self.select_speaker(self._message_thread)
        if isinstance(chosen, StopMessage):
            return chosen
        speakers = [chosen] if isinstance(chosen, str) else list(chosen)
        unknown = [name for name in speakers if name not in self._seats]
        if unknown or not speakers:
            raise RuntimeError(f"{unknown or 'Nobody'} was chosen to speak. Expected one of {list(self._seats)}.")
        if self._settings.emit_team_events:
            self._settings.emit(SelectSpeakerEvent(content=speakers, source=self._settings.name))
        return speakers

    async def _take_turns(self, speakers: Sequence[str]) -> None:
        """Let speakers take their turns, at the same time, and record each as it ends."""
        # What each hears is fixed before any begins: they speak at the same time, however fast one of them ends.
        turns = [self._take_turn(name, list(self._seats[name].heard)) for name in speakers]
        if len(turns) == 1:
            await turns[0]
            return
        # All end before an error is raised, so that what one said is kept although another failed.
        outcomes = await asyncio.gather(*turns, return_exceptions=True)
        for error in outcomes:
            if error is not None:
                raise error

    async def _take_turn(self, name: str, heard: Sequence[BaseChatMessage]) -> None:
        seat = self._seats[name]
        result: GroupChatTurnResult = await self.send_message(
            GroupChatTurn(heard, seat.turns),
            AgentId(seat.agent_type, self._settings.key),
            cancellation_token=self._token,
        )
        async with self.recording:
            self.turn_ended(name, result.messages)
            del seat.heard[: len(heard)]
            seat.turns += 1
            self._record(result.messages, result.spoken, name)
            self._active = [active for active in self._active if active != name]

    def _record(
        self,
        messages: Sequence[BaseAgentEvent | BaseChatMessage],
        spoken: Sequence[BaseChatMessage],
        speaker: str | None,
    ) -> None:
        """Add messages to the thread, and what is spoken of them to what the others have heard."""
        self._message_thread.extend(messages)
        for seat in self._seats.values():
            if seat.name != speaker:
                seat.heard.extend(spoken)

    async def _judge(self) -> StopMessage | None:
        """Show the termination condition what it has not seen, if there is anything."""
        seen, self._judged = self._judged, len(self._message_thread)
        condition = self._settings.termination_condition
        return None if condition is None or seen == self._judged else await condition(self._message_thread[seen:])

    def _at_limit(self) -> StopMessage | None:
        limit = self._settings.max_turns
        if limit is None or self._current_turn < limit:
            return None
        return StopMessage(content=f"Maximum number of turns {limit} reached.", source=self._settings.name)

    # Control

    @rpc
    async def handle_inject(self, message: GroupChatInject, ctx: MessageContext) -> None:
        """Let everybody hear messages from outside. The termination condition sees them when it is next asked."""
        for each in message.messages:
            self.say(each)

    @rpc
    async def handle_pause(self, message: GroupChatPause, ctx: MessageContext) -> None:
        """Begin no further turn."""
        self._gate.close()

    @rpc
    async def handle_resume(self, message: GroupChatResume, ctx: MessageContext) -> None:
        """Go on with the turns."""
        self._gate.open()

    @rpc
    async def handle_reset(self, message: GroupChatReset, ctx: MessageContext) -> None:
        """Forget the conversation."""
        self._message_thread.clear()
        self._active = []
        self._gate.open()
        for seat in self._seats.values():
            seat.heard.clear()
            seat.turns = 0
        await self._count_anew()
        await self.reset()

    # State

    async def save_state(self) -> Mapping[str, Any]:
        """Return everything the loop depends on, so that a run saved in its middle goes on where it stood."""
        condition = self._settings.termination_condition
        return self.state_type(
            message_thread=[message.dump() for message in self._message_thread],
            current_turn=self._current_turn,
            active_speakers=self._active,
            unjudged=len(self._message_thread) - self._judged,
            unfinished=None if self._run_start is None else len(self.unfinished),
            taken_in=self._taken_in.ids,
            termination=None if condition is None else await condition.save_state(),
            **self.own_state(),
        ).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state.

        A saved termination condition of another kind than the team's own is left out, and a warning says so: which
        condition a team has is the program's choice.

        Raises:
            ValueError: The state is not readable. Nothing is changed.
        """
        saved = self.state_type.model_validate(state)
        thread = [restore(self._settings.message_factory, data) for data in saved.message_thread]
        unknown = [name for name in saved.active_speakers if name not in self._seats]
        if unknown:
            raise ValueError(f"The saved state has {unknown} speaking. This team has {list(self._seats)}.")
        if max(saved.unjudged, saved.unfinished or 0) > len(thread):
            raise ValueError("The saved state counts more messages at the end of its thread than there are in it.")
        self.load_own_state(saved)
        self._message_thread = thread
        self._current_turn = saved.current_turn
        self._active = list(saved.active_speakers)
        self._judged = len(thread) - saved.unjudged
        self._run_start = None if saved.unfinished is None else len(thread) - saved.unfinished
        self._taken_in.restore(saved.taken_in)
        condition = self._settings.termination_condition
        if condition is not None:
            await condition.reset()
            if saved.termination is not None:
                try:
                    await condition.load_state(saved.termination)
                except ValueError as error:
                    _log.warning("The termination condition of %s begins anew: %s", self._settings.name, error)
                    await condition.reset()
