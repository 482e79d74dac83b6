"""`SelectorGroupChat`: a model, or a function of yours, says who speaks next.

How the model is asked and how its reply is read is in `_selector_prompt`.
"""

import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from autogen_agentchat._names import TRACE_LOGGER_NAME
from autogen_agentchat.base import ChatAgent, Team, TerminationCondition
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    ModelClientStreamingChunkEvent,
    SelectorEvent,
)
from autogen_agentchat.state import SelectorManagerState
from autogen_agentchat.teams._group_chat import BaseGroupChat
from autogen_agentchat.teams._manager import BaseGroupChatManager
from autogen_agentchat.teams._protocol import ManagerSettings
from autogen_agentchat.teams._round_robin import load_participants
from autogen_agentchat.teams._selector_prompt import (
    SELECTOR_PROMPT,
    check_prompt,
    choice_type,
    chosen_in,
    fill_prompt,
    first_message,
    named_in,
    objection,
    reply_text,
)
from autogen_core import AgentRuntime, CancellationToken, Component, ComponentModel
from autogen_core.lowlevel import Interrupt
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import AssistantMessage, ChatCompletionClient, CreateResult, LLMMessage, UserMessage

_log = logging.getLogger(TRACE_LOGGER_NAME)

T = TypeVar("T")
Thread = Sequence[BaseAgentEvent | BaseChatMessage]
SelectorFunc = Callable[[Thread], str | None] | Callable[[Thread], Awaitable[str | None]]
"""Says who speaks next; None leaves it to the model."""
CandidateFunc = Callable[[Thread], list[str]] | Callable[[Thread], Awaitable[list[str]]]
"""Says among whom the model chooses."""


@dataclass
class SelectorSettings:
    """How a selector manager chooses; the fields are the arguments of `SelectorGroupChat`."""

    model_client: ChatCompletionClient
    selector_prompt: str
    allow_repeated_speaker: bool
    max_selector_attempts: int
    selector_func: SelectorFunc | None
    candidate_func: CandidateFunc | None
    model_client_streaming: bool
    model_context: ChatCompletionContext


class SelectorGroupChatManager(BaseGroupChatManager):
    """Asks the functions, and where these leave a choice, the model."""

    state_type = SelectorManagerState

    def __init__(self, settings: ManagerSettings, selection: SelectorSettings) -> None:
        super().__init__(settings)
        self._selection = selection
        self._previous_speaker: str | None = None
        self._told = 0
        """How much of the thread is in the model context."""
        self._empty_context: Mapping[str, Any] | None = None
        """The model context's state before the team put anything into it."""

    async def select_speaker(self, thread: Thread) -> str:
        """Return the name that the selector function, the only candidate, or the model makes it.

        Raises:
            ValueError: A function returned something else than names of participants.
        """
        chosen = await self._chosen_by_function(thread)
        if chosen is None:
            candidates = await self._candidates(thread)
            # Where there is no choice the model is not asked.
            chosen = candidates[0] if len(candidates) == 1 else await self._ask_model(thread, candidates)
        self._previous_speaker = chosen
        return chosen

    # The functions

    async def _chosen_by_function(self, thread: Thread) -> str | None:
        if self._selection.selector_func is None:
            return None
        chosen = await self._call(self._selection.selector_func, thread)
        if chosen is not None and chosen not in list(self._seats):
            raise ValueError(
                f"selector_func returned {chosen!r}. Expected one of {list(self._seats)}, or None to let the model choose."
            )
        return chosen

    async def _candidates(self, thread: Thread) -> list[str]:
        """Return who may speak next: at least one name."""
        candidates = list(self._seats)
        if self._selection.candidate_func is not None:
            proposed = await self._call(self._selection.candidate_func, thread)
            candidates = [proposed] if isinstance(proposed, str) else list(proposed or ())
            unknown = [name for name in candidates if name not in list(self._seats)]
            if unknown or not candidates:
                raise ValueError(
                    f"candidate_func returned {proposed!r}. Expected a list of at least one of {list(self._seats)}."
                )
            candidates = list(dict.fromkeys(candidates))
        others = [name for name in candidates if name != self._previous_speaker]
        # With nobody else proposed, the program itself wants the same speaker again.
        return candidates if self._selection.allow_repeated_speaker or not others else others

    async def _call(self, function: Callable[[Thread], T | Awaitable[T]], thread: Thread) -> T:
        answer = function(list(thread))  # a copy: what a function does to it is its own affair
        if inspect.isawaitable(answer):
            return await Interrupt(self._token).wait(answer)
        return cast("T", answer)

    # The model

    async def _ask_model(self, thread: Thread, candidates: list[str]) -> str:
        """Ask until the reply names one of the candidates; after too many attempts choose without the model."""
        token = await self.going_on()  # what is said during a pause is in the request
        request = [await Interrupt(token).wait(self._request(thread, candidates))]
        forbidden = None if self._selection.allow_repeated_speaker else self._previous_speaker
        for attempt in range(1, self._selection.max_selector_attempts + 1):
            token = await self.going_on()
            # A model that did not keep to the prompt is held to a schema, if it can be.
            can_be_held = attempt > 1 and self._selection.model_client.model_info.get("structured_output", False)
            reply = await self._reply(list(request), choice_type(candidates) if can_be_held else None, token)
            named = named_in(reply, list(self._seats), candidates)
            possible = [name for name in named if name in candidates]
            if len(possible) == 1:
                return possible[0]
            _log.debug("%s: attempt %d chose no single speaker: %r", self._settings.name, attempt, reply)
            if reply.strip():  # some services refuse an empty message
                request.append(AssistantMessage(content=reply, source="selector"))
            request.append(UserMessage(content=objection(named, candidates, forbidden), source="user"))
        chosen = self._without_model(candidates)
        _log.warning(
            "%s: the model did not choose one of %s in %d attempts; %s speaks next.",
            self._settings.name,
            candidates,
            self._selection.max_selector_attempts,
            chosen,
        )
        return chosen

    async def _request(self, thread: Thread, candidates: Sequence[str]) -> LLMMessage:
        await self._tell_context(thread)
        history = await self._selection.model_context.get_messages()
        roles = [(seat.name, seat.description) for seat in self._seats.values()]
        prompt = fill_prompt(self._selection.selector_prompt, roles, candidates, history)
        return first_message(prompt, self._selection.model_client.model_info["family"])

    async def _reply(
        self, request: Sequence[LLMMessage], form: type[BaseModel] | None, token: CancellationToken
    ) -> str:
        """Make one attempt, and show it to the reader of the run."""
        event_id = str(uuid4())
        client = self._selection.model_client
        if self._selection.model_client_streaming:
            stream = client.create_stream(request, json_output=form, cancellation_token=token)
            result = await self._streamed(stream, token, event_id)
        else:
            result = await Interrupt(token).wait(client.create(request, json_output=form, cancellation_token=token))
        reply = reply_text(result.content)
        if self._settings.emit_team_events:
            self._settings.emit(
                SelectorEvent(id=event_id, content=reply, source=self._settings.name, models_usage=result.usage)
            )
        return reply if form is None else chosen_in(reply)

    async def _streamed(
        self, stream: AsyncGenerator[str | CreateResult, None], token: CancellationToken, event_id: str
    ) -> CreateResult:
        interrupt = Interrupt(token)
        async with aclosing(stream):
            while (chunk := await interrupt.wait(anext(stream, None))) is not None:
                if isinstance(chunk, CreateResult):
                    return chunk
                if self._settings.emit_team_events:
                    event = ModelClientStreamingChunkEvent(
                        content=chunk, source=self._settings.name, full_message_id=event_id
                    )
                    self._settings.emit(event)
        raise RuntimeError("The stream of the selector's model client ended without a CreateResult.")

    def _without_model(self, candidates: Sequence[str]) -> str:
        """Choose for a model that does not: the same speaker goes on if possible, else whoever is next in the team's order."""
        if self._previous_speaker is None or self._previous_speaker in candidates:
            return self._previous_speaker or candidates[0]
        names = list(self._seats)
        after = names.index(self._previous_speaker) + 1
        return next(name for name in names[after:] + names[:after] if name in candidates)

    # The model context

    async def _tell_context(self, thread: Thread) -> None:
        """Put into the model context what it does not hold yet."""
        context = self._selection.model_context
        if self._empty_context is None:
            self._empty_context = await context.save_state()
        for message in thread[self._told :]:
            if isinstance(message, HandoffMessage):
                for each in message.context:
                    await context.add_message(each)
            if isinstance(message, BaseChatMessage):
                await context.add_message(message.to_model_message())
            self._told += 1

    async def _empty(self) -> None:
        self._told = 0
        if self._empty_context is not None:
            await self._selection.model_context.clear()
            await self._selection.model_context.load_state(self._empty_context)

    # State

    async def reset(self) -> None:
        """Forget who spoke last, and what the model was told."""
        self._previous_speaker = None
        await self._empty()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state. The model context is filled from its conversation when a model is next asked."""
        await super().load_state(state)
        await self._empty()

    def own_state(self) -> Mapping[str, Any]:
        """Return who spoke last."""
        return {"previous_speaker": self._previous_speaker}

    def load_own_state(self, state: SelectorManagerState) -> None:
        """Take up who spoke last. Somebody who is not in this team is nobody's repetition."""
        self._previous_speaker = state.previous_speaker if state.previous_speaker in self._seats else None


class SelectorGroupChatConfig(BaseModel):
    """The declarative form of a `SelectorGroupChat`. Functions have none: they are not in it."""

    model_config = ConfigDict(defer_build=True)

    name: str | None = None
    description: str | None = None
    participants: list[ComponentModel]
    model_client: ComponentModel
    termination_condition: ComponentModel | None = None
    max_turns: int | None = None
    selector_prompt: str
    allow_repeated_speaker: bool
    max_selector_attempts: int = 3
    emit_team_events: bool = False
    model_client_streaming: bool = False
    model_context: ComponentModel | None = None


class SelectorGroupChat(BaseGroupChat, Component[SelectorGroupChatConfig]):
    """A team in which a model reads the conversation and chooses who speaks next, each time one participant.

    A function can choose in its place, or narrow its choice. Where only one participant is possible no model is asked.
    If the model names nobody, several, or somebody who may not speak, it is told so and asked again. If that fails, too,
    the next participant in the team's order speaks, and a warning is logged.

    Args:
        participants: At least two agents, or teams, with different names. The model goes by their descriptions.
        model_client: Asks the model that chooses.
        name: The team's name.
        description: What the team is good at.
        termination_condition: Says when a run ends. Without one, and without `max_turns`, a run goes on for ever.
        max_turns: How many turns a run may take.
        runtime: A started runtime for the team to live in; one of its own if not given.
        selector_prompt: What the model is told, with any of the fields `{roles}` (a line for each participant: name and
            description), `{participants}` (the names to choose from) and `{history}` (the conversation).
        allow_repeated_speaker: Whether the model may let a participant speak twice in a row. The functions always may.
        max_selector_attempts: How often the model is asked for one choice.
        selector_func: Given the conversation, says who speaks next, or None to let the model choose.
        candidate_func: Given the conversation, says among whom the model chooses. Asked only if `selector_func` says None.
        custom_message_types: Message types of your own that the participants use, to be read from saved states.
        emit_team_events: Whether the stream has a `SelectorEvent` for each reply of the model, and a `SelectSpeakerEvent`
            for each choice.
        model_client_streaming: Whether the model's replies are streamed; with `emit_team_events` their pieces are events.
        model_context: What the model sees of the conversation; by default all of it. It is the team's own: an object
            that others use, too, would mix conversations.

    Raises:
        ValueError: Fewer than two participants, or two of one name; a prompt with other fields.
    """

    component_config_schema = SelectorGroupChatConfig
    component_provider_override = "autogen_agentchat.teams.SelectorGroupChat"

    DEFAULT_NAME = "SelectorGroupChat"
    DEFAULT_DESCRIPTION = "A team of agents."

    def __init__(
        self,
        participants: list[ChatAgent | Team],
        model_client: ChatCompletionClient,
        *,
        name: str | None = None,
        description: str | None = None,
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = None,
        runtime: AgentRuntime | None = None,
        selector_prompt: str = SELECTOR_PROMPT,
        allow_repeated_speaker: bool = False,
        max_selector_attempts: int = 3,
        selector_func: SelectorFunc | None = None,
        candidate_func: CandidateFunc | None = None,
        custom_message_types: list[type[BaseAgentEvent | BaseChatMessage]] | None = None,
        emit_team_events: bool = False,
        model_client_streaming: bool = False,
        model_context: ChatCompletionContext | None = None,
    ) -> None:
        super().__init__(
            name=name or self.DEFAULT_NAME,
            description=description or self.DEFAULT_DESCRIPTION,
            participants=participants,
            group_chat_manager_name="SelectorGroupChatManager",
            group_chat_manager_class=SelectorGroupChatManager,
            termination_condition=termination_condition,
            max_turns=max_turns,
            runtime=runtime,
            custom_message_types=custom_message_types,
            emit_team_events=emit_team_events,
        )
        if len(participants) < 2:
            raise ValueError("At least two participants are required: with one there is nobody to choose.")
        check_prompt(selector_prompt)
        self._model_context = model_context
        self._selection = SelectorSettings(
            model_client=model_client,
            selector_prompt=selector_prompt,
            allow_repeated_speaker=allow_repeated_speaker,
            max_selector_attempts=max_selector_attempts,
            selector_func=selector_func,
            candidate_func=candidate_func,
            model_client_streaming=model_client_streaming,
            model_context=UnboundedChatCompletionContext() if model_context is None else model_context,
        )

    def _make_manager(self, settings: ManagerSettings) -> BaseGroupChatManager:
        return SelectorGroupChatManager(settings, self._selection)

    def _to_config(self) -> SelectorGroupChatConfig:
        condition, context, selection = self._termination_condition, self._model_context, self._selection
        return SelectorGroupChatConfig(
            name=self._name,
            description=self._description,
            participants=[participant.dump_component() for participant in self._participants],
            model_client=selection.model_client.dump_component(),
            termination_condition=None if condition is None else condition.dump_component(),
            max_turns=self._max_turns,
            selector_prompt=selection.selector_prompt,
            allow_repeated_speaker=selection.allow_repeated_speaker,
            max_selector_attempts=selection.max_selector_attempts,
            emit_team_events=self._emit_team_events,
            model_client_streaming=selection.model_client_streaming,
            model_context=None if context is None else context.dump_component(),
        )

    @classmethod
    def _from_config(cls, config: SelectorGroupChatConfig) -> Self:
        condition, context = config.termination_condition, config.model_context
        return cls(
            load_participants(config.participants),
            ChatCompletionClient.load_component(config.model_client),
            name=config.name,
            description=config.description,
            termination_condition=None if condition is None else TerminationCondition.load_component(condition),
            max_turns=config.max_turns,
            selector_prompt=config.selector_prompt,
            allow_repeated_speaker=config.allow_repeated_speaker,
            max_selector_attempts=config.max_selector_attempts,
            emit_team_events=config.emit_team_events,
            model_client_streaming=config.model_client_streaming,
            model_context=None if context is None else ChatCompletionContext.load_component(context),
        )
