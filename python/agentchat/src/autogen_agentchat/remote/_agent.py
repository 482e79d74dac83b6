"""`RemoteAgent`: stands in a team for an agent that another worker serves. Stands on `BaseChatAgent` and the switchboard.

What it does not know is where the agent is: that is the runtime's. What it keeps is which turn it waits for.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Self, cast
from uuid import uuid4

from pydantic import BaseModel

from autogen_agentchat.agents._base_chat_agent import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    MessageFactory,
    MultiModalMessage,
    StopMessage,
    TextMessage,
    ToolCallSummaryMessage,
)
from autogen_agentchat.messages._opaque import restore
from autogen_agentchat.remote._protocol import (
    Dumped,
    RemoteAgentAnswer,
    RemoteAgentEvents,
    RemoteAgentHold,
    RemoteAgentLoad,
    RemoteAgentReset,
    RemoteAgentSave,
    RemoteAgentSaved,
    RemoteAgentTurn,
    ServedAgentState,
)
from autogen_agentchat.remote._switchboard import switchboard
from autogen_agentchat.state import ChatAgentContainerState
from autogen_agentchat.teams._run_channel import RunChannel
from autogen_core import AgentId, AgentRuntime, CancellationToken, Component
from autogen_core.exceptions import UndeliverableException

_connected: ContextVar[AgentRuntime | None] = ContextVar("autogen_agentchat_remote_runtime", default=None)

_ANSWERS = (TextMessage, MultiModalMessage, StopMessage, ToolCallSummaryMessage, HandoffMessage)


@contextmanager
def connected_to(runtime: AgentRuntime) -> Generator[None]:
    """Connect the `RemoteAgent`s that are made in this block, also from saved configurations, to a runtime."""
    reset = _connected.set(runtime)
    try:
        yield
    finally:
        _connected.reset(reset)


class RemoteAgentConfig(BaseModel):
    """The saved form of a `RemoteAgent`. What it is connected to is the program's: see `connected_to`."""

    name: str
    description: str
    agent_type: str
    key: str | None = None


class RemoteAgent(BaseChatAgent, Component[RemoteAgentConfig]):
    """A participant that is served by another worker of a runtime, with `serve_agent`; use it as the agent itself.

    Its events and tokens come while it speaks; cancelling, pausing, resetting, saving and loading reach it where it is. What
    it raises arrives as the runtime brings errors over: as a `RemoteError` if it is in another process. If the answer to a
    turn is lost, the turn is asked for again under its id, and a served agent that has ended it repeats its answer.

    Args:
        name: The agent's name, the same as where it is served: it is the source of its messages.
        description: What the agent is good at, for whoever chooses the next speaker.
        runtime: A started runtime; that of `connected_to` if not given.
        agent_type: The agent type under which it is served; the name if not given.
        key: Which conversation it is. By default one of its own; with a key of yours, a program that is started again goes
            on with a conversation that the runtime has kept.
        custom_message_types: Message types of the program's own that the agent answers with or shows. They are not saved
            with the configuration.

    Raises:
        ValueError: The name is no identifier, or there is no runtime.
    """

    component_config_schema = RemoteAgentConfig
    component_provider_override = "autogen_agentchat.remote.RemoteAgent"

    def __init__(
        self,
        name: str,
        *,
        description: str = "An agent that is served by another worker.",
        runtime: AgentRuntime | None = None,
        agent_type: str | None = None,
        key: str | None = None,
        custom_message_types: Sequence[type[BaseAgentEvent | BaseChatMessage]] = (),
    ) -> None:
        super().__init__(name, description)
        runtime = runtime or _connected.get()
        if runtime is None:
            raise ValueError(
                f"The remote agent {name!r} needs a runtime: pass a started one as `runtime`, or make or load it within "
                "`with connected_to(runtime):`."
            )
        self._runtime = runtime
        self._key = key
        self._id = AgentId(agent_type or name, key or uuid4().hex)
        self._factory = MessageFactory()
        for message_type in custom_message_types:
            self._factory.register(message_type)
        own = [one for one in custom_message_types if issubclass(one, BaseChatMessage)]
        self._produced: Sequence[type[BaseChatMessage]] = [*_ANSWERS, *own]
        self._asking: str | None = None
        """The id of the turn whose answer has not arrived."""
        self._shown: dict[str, int] = {}
        """How many items were taken of each attempt at that turn."""
        self._turn: Turn | None = None
        """The turn that is under way."""
        self._paused = False

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """All built-in types, and the program's own."""
        return self._produced

    # Turns

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Let the agent answer; promises as `on_messages_stream`."""
        stream = self.on_messages_stream(messages, cancellation_token)
        try:
            async for item in stream:
                if isinstance(item, Response):
                    return item
        finally:
            await stream.aclose()
        raise AssertionError("on_messages_stream() ended without a Response.")

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """Let the agent answer, and yield what it says and does as it comes, and the response last.

        Whoever closes the stream early, or cancels the token, cancels the turn where it is taken.

        Raises:
            RuntimeError: It is answering already.
            DeliveryError: The turn did not reach the agent, or the agent failed (a `RemoteError`).
            UnknownMessageTypeError: It answered with a type that is not among `custom_message_types`.
        """
        if self._turn is not None:
            raise RuntimeError(f"The agent {self.name!r} is answering already; it takes one turn at a time.")
        self._asking = asking = self._asking or uuid4().hex
        self._turn = turn = Turn(self._factory, self._shown, paused=self._paused)
        try:
            board = await switchboard(self._runtime)
            dumped = [dict(message.dump()) for message in messages]
            request = RemoteAgentTurn(asking, dumped, str(board.id))
            with board.listening(asking, turn):
                sending = self._runtime.send_message(request, self._id, cancellation_token=cancellation_token)
                call = asyncio.create_task(cast("Any", sending), name=f"turn of {self._id}")
                turn.wait_for(call)
                try:
                    async for item in turn.items:
                        yield item
                    answer: RemoteAgentAnswer = await call
                finally:
                    call.cancel()
                    await asyncio.wait([call])
            for item in turn.rest(answer):
                yield item
            response = self._response(answer)
            self._ask_anew(None)
        finally:
            turn.end()
            self._turn = None
        yield response

    def _ask_anew(self, turn: str | None) -> None:
        """Ask for another turn the next time: a new one, or one that was asked for by whom this agent goes on for."""
        self._asking = turn
        self._shown = {}

    def _response(self, answer: RemoteAgentAnswer) -> Response:
        said = [restore(self._factory, data) for data in answer.messages[: answer.answer]]
        said += [restore(self._factory, data) for data in answer.messages[answer.answer + 1 :]]
        message = self._factory.create(answer.messages[answer.answer])
        assert isinstance(message, BaseChatMessage)
        return Response(chat_message=message, inner_messages=said)

    # Control

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Let the agent forget the conversation."""
        await self._ask(RemoteAgentReset(), self._id, cancellation_token)
        self._paused = False
        self._ask_anew(None)

    async def on_pause(self, cancellation_token: CancellationToken) -> None:
        """Let the agent hold, where it is in a turn. Between turns it hears of it when the next one begins."""
        await self._hold(cancellation_token, paused=True)

    async def on_resume(self, cancellation_token: CancellationToken) -> None:
        """Let the agent go on."""
        await self._hold(cancellation_token, paused=False)

    async def _hold(self, token: CancellationToken, *, paused: bool) -> None:
        self._paused = paused
        if (turn := self._turn) is not None:
            turn.paused = paused
            if turn.desk is not None:
                # An agent that has left its worker is told when it begins the turn again.
                with suppress(UndeliverableException):
                    await self._ask(RemoteAgentHold(str(self._id), paused), turn.desk, token)

    async def _ask(self, message: object, recipient: AgentId, token: CancellationToken | None = None) -> Any:
        await switchboard(self._runtime)  # which knows how to write the message
        return await self._runtime.send_message(message, recipient, cancellation_token=token)

    # State

    async def save_state(self) -> Mapping[str, Any]:
        """Return the state of the agent itself: it loads into the agent where that is local, and the reverse.

        Also in the midst of a turn. Only if its turn has ended and the answer was lost, the state is one that no other agent
        can read: it then holds the answer.
        """
        while True:
            turn = self._turn
            if turn is not None and turn.desk is None:
                await turn.begun()
            desk = None if turn is None or turn.over.is_set() else turn.desk
            saved: RemoteAgentSaved = await self._ask(RemoteAgentSave(str(self._id)), desk or self._id)
            if self._asking is None or saved.ended != self._asking:
                seat = ServedAgentState.model_validate(saved.state).seat
                return ChatAgentContainerState.model_validate(seat).agent_state
            if self._turn is None:
                return saved.state
            await self._turn.over.wait()  # the turn has ended, and its answer is on its way

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give the agent a state, one of `save_state` or of the agent itself."""
        if state.get("type") == "ServedAgentState":
            served = ServedAgentState.model_validate(state)
        else:
            served = ServedAgentState(seat=ChatAgentContainerState(agent_state=state).model_dump())
        await self._ask(RemoteAgentLoad(served.model_dump()), self._id)
        self._ask_anew(served.turn or None)

    # Configuration

    def _to_config(self) -> RemoteAgentConfig:
        return RemoteAgentConfig(name=self.name, description=self.description, agent_type=self._id.type, key=self._key)

    @classmethod
    def _from_config(cls, config: RemoteAgentConfig) -> Self:
        return cls(config.name, description=config.description, agent_type=config.agent_type, key=config.key)


class Turn:
    """A turn under way, at the caller's end: what came of it, each item once and in order.

    Args:
        factory: Reads messages.
        shown: How many items were taken of each attempt at the turn, also when it was asked for before; is kept up to date.
        paused: Whether the agent is to hold when it begins.
    """

    def __init__(self, factory: MessageFactory, shown: dict[str, int], *, paused: bool) -> None:
        self._factory = factory
        self._shown = shown
        self.paused = paused
        self.items: RunChannel[BaseAgentEvent | BaseChatMessage] = RunChannel()
        self.desk: AgentId | None = None
        """Where the agent is reached, once it has begun."""
        self.over = asyncio.Event()
        self._begun = asyncio.Event()
        self._attempt = ""

    def wait_for(self, call: "asyncio.Task[Any]") -> None:
        """End the items when the call ends."""
        call.add_done_callback(lambda _: self._end_items())

    def _end_items(self) -> None:
        self._begun.set()
        self.items.close()

    def end(self) -> None:
        """The turn is over, and its answer is taken, if there was one."""
        self._begun.set()
        self.over.set()

    async def begun(self) -> None:
        """Wait until the agent has begun the turn, or the turn is over."""
        await self._begun.wait()

    def take(self, events: RemoteAgentEvents) -> bool:
        """Take events that came while the turn runs, and say whether the agent is to hold.

        Events of an attempt that another has followed, from a worker that had seemed dead, are not taken.
        """
        if events.attempt != self._attempt:
            if events.attempt in self._shown:
                return True
            self._attempt = events.attempt
            self._shown[events.attempt] = 0
        self.desk = AgentId.from_str(events.switchboard)
        self._begun.set()
        for item in self._fresh(events.attempt, events.numbers, events.items):
            self.items.emit(item)
        return self.paused

    def rest(self, answer: RemoteAgentAnswer) -> list[BaseAgentEvent | BaseChatMessage]:
        """Return the items that came with the answer and not before."""
        return self._fresh(answer.attempt, answer.numbers, answer.items)

    def _fresh(self, attempt: str, numbers: list[int], items: list[Dumped]) -> list[BaseAgentEvent | BaseChatMessage]:
        fresh: list[BaseAgentEvent | BaseChatMessage] = []
        for number, item in zip(numbers, items, strict=True):
            if number >= self._shown.get(attempt, 0):
                self._shown[attempt] = number + 1
                fresh.append(restore(self._factory, item))
        return fresh
