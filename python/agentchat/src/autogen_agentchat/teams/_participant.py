"""`ChatAgentContainer`: an agent or inner team as an actor of the runtime: one request in, one turn out.

Stands on the protocol; knows no manager: what was said so far comes with each request.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from autogen_agentchat.agents._gate import PauseGate
from autogen_agentchat.base import ChatAgent, Response, TaskResult, Team
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MessageFactory
from autogen_agentchat.messages._opaque import restore
from autogen_agentchat.state import ChatAgentContainerState
from autogen_agentchat.teams._protocol import (
    Emit,
    GroupChatPause,
    GroupChatReset,
    GroupChatResume,
    GroupChatTurn,
    GroupChatTurnResult,
)
from autogen_agentchat.teams._sequential import SequentialRoutedAgent
from autogen_core import CancellationToken, MessageContext, rpc
from autogen_core.lowlevel import RunScope


@runtime_checkable
class _InnerTeam(Protocol):
    """What a team of this package tells the team that it is in; one of the program's own need not."""

    @property
    def runs_ended(self) -> int: ...

    @property
    def last_run(self) -> Sequence[BaseAgentEvent | BaseChatMessage]: ...

    @property
    def unfinished(self) -> Sequence[BaseAgentEvent | BaseChatMessage]: ...


class ChatAgentContainer(SequentialRoutedAgent):
    """Lets a participant take its turns.

    Args:
        participant: The agent or inner team.
        emit: Where its events go.
        message_factory: Reads saved messages.
    """

    def __init__(self, participant: ChatAgent | Team, emit: Emit, message_factory: MessageFactory) -> None:
        super().__init__(participant.description, [GroupChatTurn, GroupChatReset])
        self._participant = participant
        self._inner = participant if isinstance(participant, _InnerTeam) else None
        self._emit = emit
        self._message_factory = message_factory
        self._gate = PauseGate()
        self._speaking = False
        self._runs_before = 0
        """How many runs an inner team had ended before the present turn."""
        self._said: list[BaseAgentEvent | BaseChatMessage] | None = None
        """What was said in the present turn, once it is complete."""
        self._ended: tuple[int, GroupChatTurnResult] | None = None
        """The number and the result of the last turn that ended, for a manager that asks for it again."""

    @property
    def ended_turn(self) -> int | None:
        """The number of the last turn, once it has ended."""
        return None if self._ended is None else self._ended[0]

    @rpc
    async def handle_turn(self, message: GroupChatTurn, ctx: MessageContext) -> GroupChatTurnResult:
        """Let the participant speak, and hand on its events as they come."""
        if self._ended is not None and self._ended[0] == message.number:
            for said in self._ended[1].messages:
                self._emit(said)
            return self._ended[1]
        await self._gate.passed(ctx.cancellation_token)
        self._speaking, self._said = True, None
        self._runs_before = self._runs_ended()
        try:
            with RunScope(self._participant.name):
                if isinstance(self._participant, Team):
                    await self._run_team(self._participant, message, ctx)
                else:
                    await self._ask_agent(self._participant, message, ctx)
        finally:
            self._speaking = False
            if self._said is not None:
                # Also if the run is cancelled just now: the turn has ended, and need not be repeated.
                self._ended = (message.number, self._result(self._said))
        assert self._ended is not None
        return self._ended[1]

    def _result(self, said: Sequence[BaseAgentEvent | BaseChatMessage]) -> GroupChatTurnResult:
        """Tell what the others hear: of a team each member's words, of an agent its answer."""
        heard = said if isinstance(self._participant, Team) else said[-1:]
        return GroupChatTurnResult(said, [message for message in heard if isinstance(message, BaseChatMessage)])

    async def _ask_agent(self, agent: ChatAgent, message: GroupChatTurn, ctx: MessageContext) -> None:
        """Let an agent answer, and note what it said.

        Raises:
            RuntimeError: It gave no response.
        """
        stream = agent.on_messages_stream(message.messages, ctx.cancellation_token)
        try:
            async for item in stream:
                if isinstance(item, Response):
                    self._said = [*(item.inner_messages or ()), item.chat_message]
                    self._emit(item.chat_message)
                else:
                    self._emit(item)
        finally:
            await stream.aclose()
        if self._said is None:
            raise RuntimeError(
                f"The agent {agent.name!r} gave no response: on_messages_stream must end by yielding a Response."
            )

    async def _run_team(self, team: Team, message: GroupChatTurn, ctx: MessageContext) -> None:
        """Let a team work, and note what its members said.

        Raises:
            RuntimeError: It gave no result.
        """
        before = [] if self._inner is None else list(self._inner.unfinished)
        stream = team.run_stream(
            task=list(message.messages) or None,
            cancellation_token=ctx.cancellation_token,
            output_task_messages=False,
        )
        try:
            async for item in stream:
                if isinstance(item, TaskResult):
                    self._said = [*before, *item.messages]
                else:
                    self._emit(item)
        finally:
            await stream.aclose()
            if self._said is None and self._inner is not None and self._has_concluded():
                self._said = list(self._inner.last_run)
        if self._said is None:
            raise RuntimeError(f"The team {team.name!r} gave no result: run_stream must end by yielding a TaskResult.")

    # Control

    @rpc
    async def handle_reset(self, message: GroupChatReset, ctx: MessageContext) -> None:
        """Let the participant forget the conversation, and go on if it is paused."""
        self._ended = None
        if isinstance(self._participant, Team):
            await self._participant.reset()
        else:
            await self._participant.on_reset(ctx.cancellation_token)
        await self._resume(ctx.cancellation_token)

    @rpc
    async def handle_pause(self, message: GroupChatPause, ctx: MessageContext) -> None:
        """Let the participant hold: it begins no turn, and in a turn it goes no further than it must."""
        self._gate.close()
        if not isinstance(self._participant, Team):
            await self._participant.on_pause(ctx.cancellation_token)
        elif self._speaking:
            await self._participant.pause()

    @rpc
    async def handle_resume(self, message: GroupChatResume, ctx: MessageContext) -> None:
        """Let the participant go on."""
        await self._resume(ctx.cancellation_token)

    async def _resume(self, token: CancellationToken) -> None:
        if not self._gate.closed:
            return
        if not isinstance(self._participant, Team):
            await self._participant.on_resume(token)
        elif self._speaking:
            await self._participant.resume()
        self._gate.open()

    # State

    async def save_state(self) -> Mapping[str, Any]:
        """Return the participant's state, and the result of its last turn. The team keeps this only if nobody has it yet.

        What it has heard, and how many turns are recorded, the team fills in, from the manager.
        """
        while True:
            # A turn may end while the participant is asked. As long as the team is being saved no further turn begins.
            ended, concluding = self._ended, self._has_concluded()
            state = await self._participant.save_state()
            if ended is self._ended and not (concluding or self._has_concluded()):
                break
            await asyncio.sleep(0)
        number, result = ended or (0, None)
        return ChatAgentContainerState(
            agent_state=state,
            turns=number,
            last_turn=None if result is None else [said.dump() for said in result.messages],
        ).model_dump()

    def _has_concluded(self) -> bool:
        """Whether an inner team has ended its run, which this turn is about to return: it then is neither here nor there."""
        return self._speaking and self._runs_ended() > self._runs_before

    def _runs_ended(self) -> int:
        return 0 if self._inner is None else self._inner.runs_ended

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give the participant its state."""
        saved = ChatAgentContainerState.model_validate(state)
        said = None if saved.last_turn is None else [restore(self._message_factory, data) for data in saved.last_turn]
        await self._participant.load_state(saved.agent_state)
        self._ended = None if said is None else (saved.turns, self._result(said))
