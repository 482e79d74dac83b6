"""`ChatAgentContainer`: an agent or inner team as an actor of the runtime: one request in, one turn out.

Stands on the protocol; knows no manager: what was said so far comes with each request.
"""

from collections.abc import Mapping
from typing import Any

from autogen_agentchat.base import ChatAgent, Response, TaskResult, Team
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
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
from autogen_core import MessageContext, rpc


class ChatAgentContainer(SequentialRoutedAgent):
    """Lets a participant take its turns.

    Args:
        participant: The agent or inner team.
        emit: Where its events go.
    """

    def __init__(self, participant: ChatAgent | Team, emit: Emit) -> None:
        super().__init__(participant.description, [GroupChatTurn, GroupChatReset])
        self._participant = participant
        self._emit = emit

    @rpc
    async def handle_turn(self, message: GroupChatTurn, ctx: MessageContext) -> GroupChatTurnResult:
        """Let the participant speak, and hand on its events as they come."""
        if isinstance(self._participant, Team):
            return GroupChatTurnResult(await self._run_team(self._participant, message, ctx))
        return GroupChatTurnResult(await self._ask_agent(self._participant, message, ctx))

    async def _ask_agent(
        self, agent: ChatAgent, message: GroupChatTurn, ctx: MessageContext
    ) -> list[BaseAgentEvent | BaseChatMessage]:
        response: Response | None = None
        stream = agent.on_messages_stream(message.messages, ctx.cancellation_token)
        try:
            async for item in stream:
                if isinstance(item, Response):
                    response = item
                    self._emit(item.chat_message)
                else:
                    self._emit(item)
        finally:
            await stream.aclose()
        if response is None:
            raise RuntimeError(
                f"The agent {agent.name!r} gave no response: on_messages_stream must end by yielding a Response."
            )
        return [*(response.inner_messages or ()), response.chat_message]

    async def _run_team(
        self, team: Team, message: GroupChatTurn, ctx: MessageContext
    ) -> list[BaseAgentEvent | BaseChatMessage]:
        result: TaskResult | None = None
        stream = team.run_stream(
            task=list(message.messages) or None,
            cancellation_token=ctx.cancellation_token,
            output_task_messages=False,
        )
        try:
            async for item in stream:
                if isinstance(item, TaskResult):
                    result = item
                else:
                    self._emit(item)
        finally:
            await stream.aclose()
        if result is None:
            raise RuntimeError(f"The team {team.name!r} gave no result: run_stream must end by yielding a TaskResult.")
        return list(result.messages)

    @rpc
    async def handle_reset(self, message: GroupChatReset, ctx: MessageContext) -> None:
        """Let the participant forget the conversation."""
        if isinstance(self._participant, Team):
            await self._participant.reset()
        else:
            await self._participant.on_reset(ctx.cancellation_token)

    @rpc
    async def handle_pause(self, message: GroupChatPause, ctx: MessageContext) -> None:
        """Let the participant hold."""
        if isinstance(self._participant, Team):
            await self._participant.pause()
        else:
            await self._participant.on_pause(ctx.cancellation_token)

    @rpc
    async def handle_resume(self, message: GroupChatResume, ctx: MessageContext) -> None:
        """Let the participant go on."""
        if isinstance(self._participant, Team):
            await self._participant.resume()
        else:
            await self._participant.on_resume(ctx.cancellation_token)

    async def save_state(self) -> Mapping[str, Any]:
        """Return the participant's state; what it has heard is filled in by the team, from the manager."""
        return ChatAgentContainerState(agent_state=await self._participant.save_state()).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give the participant its state."""
        await self._participant.load_state(ChatAgentContainerState.model_validate(state).agent_state)
