"""`serve_agent` and `ServedAgent`: a chat agent or team as an agent type of a runtime, one instance for each conversation.

The seat in which a team's own participants sit, `ChatAgentContainer`, takes the turns here, too: so a turn, its repetition,
pause and state are the same. What is added is the wire. Stands on the seat, the stream and the switchboard.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

from autogen_agentchat.base import ChatAgent, Team
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.messages._opaque import restore_heard
from autogen_agentchat.remote._protocol import (
    RemoteAgentAnswer,
    RemoteAgentLoad,
    RemoteAgentReset,
    RemoteAgentSave,
    RemoteAgentSaved,
    RemoteAgentTurn,
    ServedAgentState,
)
from autogen_agentchat.remote._stream import TurnStream
from autogen_agentchat.remote._switchboard import Switchboard, switchboard
from autogen_agentchat.teams._group_chat import factory_for
from autogen_agentchat.teams._participant import ChatAgentContainer
from autogen_agentchat.teams._protocol import (
    GroupChatPause,
    GroupChatReset,
    GroupChatResume,
    GroupChatTurn,
    GroupChatTurnResult,
)
from autogen_agentchat.teams._sequential import SequentialRoutedAgent
from autogen_core import AgentId, AgentRuntime, AgentType, CancellationToken, MessageContext, rpc

Served = ChatAgent | Team
"""What can be served."""


async def serve_agent(
    runtime: AgentRuntime,
    agent_type: str,
    factory: Callable[[], Served | Awaitable[Served]],
    *,
    custom_message_types: Sequence[type[BaseAgentEvent | BaseChatMessage]] = (),
) -> AgentType:
    """Let this worker take the turns of an agent for teams in other processes, where a `RemoteAgent` stands for it.

    Each conversation has an agent of its own, which `factory` makes when its first message comes. Of a team that is served the
    others hear the last message only, as of an agent; they see the rest. On a runtime that keeps the state of its agents, a
    conversation survives its worker; a turn in which the worker died is taken again by the next.

    Args:
        runtime: A started runtime.
        agent_type: The agent type by which `RemoteAgent` finds it: by default the agent's name.
        factory: Makes one agent, or one team; may be async. Its name should be that of the `RemoteAgent`.
        custom_message_types: Message types of your own that it may hear, beside those that it produces.

    Raises:
        ValueError: The type is registered already.
    """
    board = await switchboard(runtime)

    async def make() -> ServedAgent:
        made = factory()
        participant = await made if isawaitable(made) else made
        return ServedAgent(participant, board, custom_message_types)

    return await ServedAgent.register(runtime, agent_type, make, skip_direct_message_subscription=True)


class ServedAgent(SequentialRoutedAgent):
    """One conversation of an agent that is served.

    Args:
        participant: The agent or team.
        board: Where it is reached during a turn.
        custom_message_types: Message types of the program's own that it may hear.
    """

    def __init__(
        self,
        participant: Served,
        board: Switchboard,
        custom_message_types: Sequence[type[BaseAgentEvent | BaseChatMessage]] = (),
    ) -> None:
        one_by_one = [RemoteAgentTurn, RemoteAgentReset, RemoteAgentLoad, RemoteAgentSave]
        super().__init__(participant.description, one_by_one)
        self._participant = participant
        self._board = board
        self._factory = factory_for([participant], custom_message_types)
        self._seat = ChatAgentContainer(participant, self._emit, self._factory)
        self._stream: TurnStream | None = None
        self._paused = False
        self._orders = 0
        """How often it was told to hold or to go on, in the midst of turns."""
        self._turn: str = ""
        """The id of the last turn that was begun."""
        self._number = 0
        """Its number, by which the seat knows it."""
        self._heard: set[str] = set()
        """The ids of the messages that it brought."""

    async def bind_id_and_runtime(self, id: AgentId, runtime: AgentRuntime) -> None:
        """Tell the agent who it is; from now on it can be reached."""
        await super().bind_id_and_runtime(id, runtime)
        self._board.reach(str(id), self)

    # Turns

    @rpc
    async def handle_turn(self, message: RemoteAgentTurn, ctx: MessageContext) -> RemoteAgentAnswer:
        """Take a turn. One that has ended is not taken again: its answer is repeated."""
        messages = self._begin(message.turn, [restore_heard(self._factory, data) for data in message.messages])
        self._stream = stream = TurnStream(message, self._board)
        try:
            await self._begin_held(stream)
            result: GroupChatTurnResult = await self._seat.on_message(GroupChatTurn(messages, self._number), ctx)
            answer = _answer_in(result.messages)
            rest = await stream.end(result.messages[answer].id)
        finally:
            self._stream = None
            await stream.end()
        return RemoteAgentAnswer(
            attempt=stream.attempt,
            messages=[dict(said.dump()) for said in result.messages],
            answer=answer,
            numbers=[number for number, _ in rest],
            items=[item for _, item in rest],
        )

    def _begin(self, turn: str, messages: list[BaseChatMessage]) -> list[BaseChatMessage]:
        """Give a turn its number, and return what the agent hears in it.

        A turn that is asked for again keeps its number; unless it has ended, and its caller has more to say by now.
        """
        ended = self._seat.ended_turn == self._number
        if turn != self._turn:
            self._turn, self._number = turn, self._number + 1
        elif ended and any(message.id not in self._heard for message in messages):
            messages = [message for message in messages if message.id not in self._heard]
            self._number += 1
        self._heard = {message.id for message in messages}
        return messages

    def _emit(self, item: BaseAgentEvent | BaseChatMessage) -> None:
        if self._stream is not None:
            self._stream.emit(item)

    # Control

    async def _begin_held(self, stream: TurnStream) -> None:
        """Tell the caller that the turn begins, and hold if that is wanted."""
        orders = self._orders
        paused = await stream.begin()
        if orders == self._orders:  # otherwise there is a later word than this answer
            await self._obey(paused=paused)

    async def hold(self, *, paused: bool) -> None:
        """Hold, or go on; nothing if that is so already."""
        self._orders += 1
        await self._obey(paused=paused)

    async def _obey(self, *, paused: bool) -> None:
        if paused != self._paused:
            self._paused = paused
            await self._tell_seat(GroupChatPause() if paused else GroupChatResume(), CancellationToken())

    @rpc
    async def handle_reset(self, message: RemoteAgentReset, ctx: MessageContext) -> None:
        """Forget the conversation."""
        self._turn, self._paused = "", False
        self._heard.clear()
        await self._tell_seat(GroupChatReset(), ctx.cancellation_token)

    async def _tell_seat(self, message: object, token: CancellationToken) -> None:
        context = MessageContext(sender=None, topic_id=None, is_rpc=True, cancellation_token=token, message_id="")
        await self._seat.on_message(message, context)

    # State

    @rpc
    async def handle_save(self, message: RemoteAgentSave, ctx: MessageContext) -> RemoteAgentSaved:
        """Say the state, between turns."""
        return await self.saved()

    async def saved(self) -> RemoteAgentSaved:
        """Return the state, also in the midst of a turn."""
        state = dict(await self.save_state())
        return RemoteAgentSaved(state, self._turn if self._seat.ended_turn == self._number else "")

    @rpc
    async def handle_load(self, message: RemoteAgentLoad, ctx: MessageContext) -> None:
        """Take up a state."""
        await self.load_state(message.state)

    async def save_state(self) -> Mapping[str, Any]:
        """Return everything that another worker needs to go on with the conversation."""
        return ServedAgentState(
            seat=dict(await self._seat.save_state()), turn=self._turn, number=self._number, heard=sorted(self._heard)
        ).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with a conversation."""
        saved = ServedAgentState.model_validate(state)
        await self._seat.load_state(saved.seat)
        self._turn, self._number, self._heard = saved.turn, saved.number, set(saved.heard)

    async def close(self) -> None:
        """Close the agent; a team has nothing to close."""
        if isinstance(self._participant, ChatAgent):
            await self._participant.close()


def _answer_in(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> int:
    """Find the last chat message.

    Raises:
        RuntimeError: There is none.
    """
    for index in range(len(messages) - 1, -1, -1):
        if isinstance(messages[index], BaseChatMessage):
            return index
    raise RuntimeError("The team that is served said nothing: its run ended without a chat message to answer with.")
