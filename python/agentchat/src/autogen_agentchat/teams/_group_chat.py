"""`BaseGroupChat`: the face of a team. It seats the participants in a runtime, opens a run, and hands its events to the reader.

Who speaks and when to stop is the manager's. Stands on the manager, the participant and the run channel.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from autogen_agentchat.base import ChatAgent, TaskResult, Team, TerminationCondition
from autogen_agentchat.base._task import RunCancelledError, task_messages
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    MessageFactory,
    ModelClientStreamingChunkEvent,
    StopMessage,
)
from autogen_agentchat.messages._opaque import restore_heard
from autogen_agentchat.state import ChatAgentContainerState, TeamState
from autogen_agentchat.teams._manager import BaseGroupChatManager
from autogen_agentchat.teams._participant import ChatAgentContainer
from autogen_agentchat.teams._protocol import (
    GroupChatInject,
    GroupChatPause,
    GroupChatReset,
    GroupChatResume,
    GroupChatStart,
    ManagerSettings,
    Seat,
    StartRefusedError,
)
from autogen_agentchat.teams._run_channel import RunChannel
from autogen_agentchat.teams._sequential import SequentialRoutedAgent
from autogen_core import AgentId, AgentRuntime, CancellationToken, ComponentBase, SingleThreadedAgentRuntime
from autogen_core.lowlevel import RunScope


class GroupChatError(RuntimeError):
    """A run failed. Its cause (`__cause__`) is the exception of the participant or manager, the same object.

    Attributes:
        messages: What was said until then, as it would be in the run's result.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.messages: Sequence[BaseAgentEvent | BaseChatMessage] = ()


class BaseGroupChat(Team, ABC, ComponentBase[BaseModel]):
    """A team: participants that speak one after another, led by a manager. A subclass says which manager.

    Args:
        name: The team's name.
        description: What the team is good at.
        participants: Agents, or teams, with different names.
        group_chat_manager_name: The source of the manager's events, and its key in saved states.
        group_chat_manager_class: The manager's class, which the subclass makes.
        termination_condition: Says when a run ends.
        max_turns: How many turns a run may take.
        runtime: A started runtime for the team to live in; one of its own if not given.
        custom_message_types: Message types of your own that the participants use, to be read from saved states.
        emit_team_events: Whether each choice of a speaker is an event in the stream.

    Raises:
        ValueError: No participants, or two of one name.
    """

    component_type = "team"

    def __init__(
        self,
        name: str,
        description: str,
        participants: list[ChatAgent | Team],
        group_chat_manager_name: str,
        group_chat_manager_class: type[SequentialRoutedAgent],
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = None,
        runtime: AgentRuntime | None = None,
        custom_message_types: list[type[BaseAgentEvent | BaseChatMessage]] | None = None,
        emit_team_events: bool = False,
    ) -> None:
        if not participants:
            raise ValueError("At least one participant is required.")
        if len({participant.name for participant in participants}) != len(participants):
            raise ValueError("The participant names must be unique.")
        if max_turns is not None and max_turns <= 0:
            raise ValueError(f"max_turns must be positive, or None for any number; got {max_turns}.")
        self._name = name
        self._description = description
        self._participants = participants
        self._manager_name = group_chat_manager_name
        self._termination_condition = termination_condition
        self._max_turns = max_turns
        self._emit_team_events = emit_team_events
        self._message_factory = factory_for(participants, custom_message_types or [])

        self._team_id = str(uuid4())
        self._seats = [
            Seat(participant.name, participant.description, self._agent_type(participant.name))
            for participant in participants
        ]
        self._manager_id = AgentId(self._agent_type(group_chat_manager_name), self._team_id)
        self._embedded: SingleThreadedAgentRuntime | None = None
        self._seating = asyncio.Lock()
        self._seated: set[str] = set()
        self._switching = asyncio.Lock()
        self._users = 0
        if runtime is None:
            runtime = self._embedded = SingleThreadedAgentRuntime(ignore_unhandled_exceptions=False)
        self._runtime: AgentRuntime = runtime
        self._manager: BaseGroupChatManager | None = None
        self._channel: RunChannel[BaseAgentEvent | BaseChatMessage] | None = None
        self._running = False
        self._paused = False

    @abstractmethod
    def _make_manager(self, settings: ManagerSettings) -> BaseGroupChatManager:
        """Make the manager, of the class that was given."""
        ...

    @property
    def name(self) -> str:
        """The team's name."""
        return self._name

    @property
    def description(self) -> str:
        """What the team is good at."""
        return self._description

    # What a team asks that this one is in

    @property
    def runs_ended(self) -> int:
        """How many runs came to their end, not counting those that failed or were cancelled."""
        return 0 if self._manager is None else self._manager.runs_ended

    @property
    def last_run(self) -> Sequence[BaseAgentEvent | BaseChatMessage]:
        """What was said in the last run that came to its end, whether or not its result has reached anybody."""
        return () if self._manager is None else self._manager.last_run

    @property
    def unfinished(self) -> Sequence[BaseAgentEvent | BaseChatMessage]:
        """What was said in a run that was cut short, on which the next one goes on; nothing after one that ended."""
        if self._manager is None:
            return ()
        said = list(self._manager.unfinished)
        for participant in self._participants:
            if isinstance(participant, BaseGroupChat) and participant.name in self._manager.active:
                said += participant.unfinished
        return said

    # Running

    async def run(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> TaskResult:
        """Run the team on a task and return everything that was said; promises as `run_stream`."""
        result: TaskResult | None = None
        stream = self.run_stream(
            task=task, cancellation_token=cancellation_token, output_task_messages=output_task_messages
        )
        async with aclosing(stream):
            async for item in stream:  # to its very end, which those who watch the stream wait for
                if isinstance(item, TaskResult):
                    result = item
        if result is None:
            raise AssertionError("run_stream() ended without a result.")
        return result

    async def run_stream(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        """Run the team on a task and yield messages and events as they come, the `TaskResult` last.

        The team keeps its conversation: the next run goes on with it, until `reset`. A run that is cancelled, that fails, or
        whose stream is closed early, ends its work before the stream ends; the next run begins with the speaker whose turn
        it cut short. Without a task it goes on with that run, and its turns and condition count on; with one they count anew.

        Args:
            task: A text, or messages; None to go on with the conversation.
            cancellation_token: Cancels the run.
            output_task_messages: Whether the task's messages are yielded and in the result.

        Raises:
            ValueError: The task is of a wrong or unknown type, the team cannot begin with it, or is running already.
            GroupChatError: A participant or the manager failed (a `RuntimeError`); its exception is the cause, and what
                was said until then is in `messages`.
            RunCancelledError: The token was cancelled (an `asyncio.CancelledError`); `messages` as above.
        """
        messages = task_messages(task)
        self._check_types(messages)
        if self._running:
            raise ValueError("The team is already running, it cannot run again until it is stopped.")
        self._running = True
        left_paused, self._paused = self._paused, False
        channel: RunChannel[BaseAgentEvent | BaseChatMessage] = RunChannel()
        self._channel = channel
        said: list[BaseAgentEvent | BaseChatMessage] = []
        stop: StopMessage | None = None
        try:
            try:
                async with self._live_runtime() as runtime:
                    if left_paused and not self._paused:  # by an earlier run: to start one means to go on
                        await self._tell_all(GroupChatResume())
                    start = GroupChatStart(messages, output_task_messages)
                    work = self._converse(runtime, start, cancellation_token)
                    run = asyncio.create_task(work, name=f"team {self._name}")
                    run.add_done_callback(lambda _: channel.close())
                    try:
                        async for item in channel:
                            if not isinstance(item, ModelClientStreamingChunkEvent):
                                said.append(item)
                            yield item
                        stop = await run
                    finally:
                        run.cancel()
                        await asyncio.wait([run])
            except asyncio.CancelledError as error:
                if cancellation_token is None or not cancellation_token.is_cancelled():
                    raise
                for item in channel.rest():  # what was said while the work ended
                    if not isinstance(item, ModelClientStreamingChunkEvent):
                        said.append(item)
                    yield item
                raise RunCancelledError(said) from error
            except GroupChatError as error:
                error.messages = said
                raise
            self._running = False
            yield TaskResult(messages=said, stop_reason=stop.content)
        finally:
            self._channel = None
            self._running = False

    async def _converse(
        self, runtime: AgentRuntime, start: GroupChatStart, token: CancellationToken | None
    ) -> StopMessage:
        try:
            with RunScope(self._manager_name):  # the task's own: the reader of the stream is not in it
                return await runtime.send_message(start, self._manager_id, cancellation_token=token)
        except StartRefusedError:
            raise
        except GroupChatError as error:  # of an inner team
            raise GroupChatError(str(error)) from error.__cause__
        except Exception as error:
            raise GroupChatError(f"{type(error).__name__}: {error}") from error

    def _check_types(self, messages: Sequence[BaseChatMessage]) -> None:
        for message in messages:
            if not self._message_factory.is_registered(type(message)):
                raise ValueError(
                    f"Message type {type(message).__name__} is not known to the team {self._name!r}. "
                    "Name it in custom_message_types when the team is made."
                )

    # Seating

    def _agent_type(self, name: str) -> str:
        return re.sub(r"[^\w.-]", "_", name) + "_" + self._team_id

    def _agent_id(self, seat: Seat) -> AgentId:
        return AgentId(seat.agent_type, self._team_id)

    def _emit(self, item: BaseAgentEvent | BaseChatMessage) -> None:
        if self._channel is not None:
            self._channel.emit(item)

    async def _seated_manager(self) -> BaseGroupChatManager:
        """Return the manager; it and the participants are registered in the runtime."""
        async with self._seating:
            if self._manager is None:
                self._manager = await self._seat_all()
            return self._manager

    async def _seat_all(self) -> BaseGroupChatManager:
        for participant, seat in zip(self._participants, self._seats, strict=True):
            if seat.name in self._seated:  # before a runtime whose server was away refused the next
                continue
            container = ChatAgentContainer(participant, self._emit, self._message_factory)
            await container.register_instance(
                self._runtime, self._agent_id(seat), skip_direct_message_subscription=True
            )
            self._seated.add(seat.name)
        settings = ManagerSettings(
            name=self._manager_name,
            seats=self._seats,
            key=self._team_id,
            emit=self._emit,
            message_factory=self._message_factory,
            termination_condition=self._termination_condition,
            max_turns=self._max_turns,
            emit_team_events=self._emit_team_events,
        )
        manager = self._make_manager(settings)
        await manager.register_instance(self._runtime, self._manager_id, skip_direct_message_subscription=True)
        return manager

    @asynccontextmanager
    async def _live_runtime(self) -> AsyncGenerator[AgentRuntime, None]:
        """Have the runtime deliver messages; one of the team's own runs only as long as anybody needs it."""
        await self._seated_manager()
        if self._embedded is None:
            yield self._runtime
            return
        async with self._switching:
            if self._users == 0:
                self._embedded.start()
            self._users += 1
        try:
            yield self._embedded
        finally:
            async with self._switching:
                self._users -= 1
                if self._users == 0:
                    await self._embedded.stop()

    async def _tell_all(self, message: object) -> None:
        """Send a control message to the manager and then to all participants."""
        async with self._live_runtime() as runtime:
            for agent_id in [self._manager_id, *(self._agent_id(seat) for seat in self._seats)]:
                await runtime.send_message(message, agent_id)

    # Control and state

    async def reset(self) -> None:
        """Forget the conversation: the manager's, the participants', and the termination condition's.

        Raises:
            RuntimeError: The team is running.
        """
        if self._running:
            raise RuntimeError("The group chat is currently running. It must be stopped before it can be reset.")
        await self._tell_all(GroupChatReset())
        self._paused = False

    async def pause(self) -> None:
        """Hold. When this returns, no turn and no call to a model or tool begins until `resume`, a new run, or `reset`.

        What has begun is finished: a model's answer still streams in, a tool still returns. Agents of your own hold
        between turns, and in a turn as far as their `on_pause` makes them.

        Raises:
            RuntimeError: The team was never run.
        """
        if self._manager is None and not self._running:
            raise RuntimeError("The group chat has not been initialized. It must be run before it can be paused.")
        self._paused = True
        await self._tell_all(GroupChatPause())

    async def resume(self) -> None:
        """Go on after `pause`, from where each participant stood.

        Raises:
            RuntimeError: The team was never run.
        """
        if self._manager is None and not self._running:
            raise RuntimeError("The group chat has not been initialized. It must be run before it can be resumed.")
        await self._tell_all(GroupChatResume())
        self._paused = False

    async def inject(self, message: str | BaseChatMessage | Sequence[BaseChatMessage]) -> None:
        """Say something to the team from outside, while it is running, paused or at rest.

        It joins the conversation at once: the reader of the run sees it, and each participant hears it in its next turn.

        Args:
            message: A text from the user, or chat messages.

        Raises:
            ValueError: It is of a wrong or unknown type.
        """
        messages = task_messages(message)
        self._check_types(messages)
        async with self._live_runtime() as runtime:
            await runtime.send_message(GroupChatInject(messages), self._manager_id)

    async def save_state(self) -> Mapping[str, Any]:
        """Return the state of the team, JSON values only; also in the middle of a run.

        A team that loads it goes on where this one stood: with the speaker whose turn has not ended, and with what its
        termination condition has seen.
        """
        manager = await self._seated_manager()
        states: dict[str, Any] = {}
        async with manager.recording:
            for seat in self._seats:
                saved = await self._runtime.agent_save_state(self._agent_id(seat))
                container = ChatAgentContainerState.model_validate(saved)
                container.message_buffer = [message.dump() for message in seat.heard]
                if container.turns != seat.turns:  # what it said last is recorded
                    container.last_turn = None
                container.turns = seat.turns
                states[seat.name] = container.model_dump()
            states[self._manager_name] = dict(await self._runtime.agent_save_state(self._manager_id))
        return TeamState(agent_states=states).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `save_state` returned, in place of what there is.

        Raises:
            RuntimeError: The team is running.
            ValueError: The state of a participant or of the manager is missing, or not readable.
        """
        if self._running:
            raise RuntimeError("The team cannot be loaded while it is running.")
        await self._seated_manager()
        states = TeamState.model_validate(state).agent_states
        for name in [*(seat.name for seat in self._seats), self._manager_name]:
            if name not in states:
                raise ValueError(f"Agent state for {name} not found in the saved state.")
        for seat in self._seats:
            container = ChatAgentContainerState.model_validate(states[seat.name])
            heard = [restore_heard(self._message_factory, data) for data in container.message_buffer]
            await self._runtime.agent_load_state(self._agent_id(seat), states[seat.name])
            seat.heard, seat.turns = heard, container.turns
        await self._runtime.agent_load_state(self._manager_id, states[self._manager_name])


def factory_for(
    participants: Sequence[ChatAgent | Team], custom: Sequence[type[BaseAgentEvent | BaseChatMessage]]
) -> MessageFactory:
    """Make a factory that knows the built-in messages, the program's own, and what the participants produce."""
    factory = MessageFactory()
    for message_type in custom:
        factory.register(message_type)
    for participant in participants:
        if isinstance(participant, ChatAgent):
            for message_type in participant.produced_message_types:
                if not factory.is_registered(message_type):
                    factory.register(message_type)
    return factory
