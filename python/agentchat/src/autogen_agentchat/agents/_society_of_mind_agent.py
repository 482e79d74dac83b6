"""`SocietyOfMindAgent`: a team that speaks with one voice.

Stands on `BaseChatAgent` and on the contracts of teams and models. Knows no kind of team.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from autogen_agentchat.agents._base_chat_agent import BaseChatAgent
from autogen_agentchat.agents._responses import collected
from autogen_agentchat.agents._society_turn import SavedTurn, SocietyTurn
from autogen_agentchat.base import Response, TaskResult, Team
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    TextMessage,
)
from autogen_agentchat.state import SocietyOfMindAgentState
from autogen_agentchat.utils import remove_images
from autogen_core import CancellationToken, Component, ComponentModel
from autogen_core.lowlevel import Interrupt
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import AssistantMessage, ChatCompletionClient, LLMMessage, SystemMessage, UserMessage

Event = BaseAgentEvent | BaseChatMessage

NO_RESPONSE = "No response."
"""The answer when nobody in the team said anything."""


class SocietyOfMindAgentConfig(BaseModel):
    """The saved form of a `SocietyOfMindAgent`."""

    model_config = ConfigDict(defer_build=True)

    name: str
    team: ComponentModel
    model_client: ComponentModel
    description: str | None = None
    instruction: str | None = None
    response_prompt: str | None = None
    model_context: ComponentModel | None = None


class SavedSociety(SocietyOfMindAgentState):
    """The state of a `SocietyOfMindAgent`, with what 0.7.5 did not save."""

    additions = frozenset({"llm_context", "unfinished_turn"})

    llm_context: Mapping[str, Any] | None = None
    """The state of its model context."""

    unfinished_turn: SavedTurn | None = None


class SocietyOfMindAgent(BaseChatAgent, Component[SocietyOfMindAgentConfig]):
    """Lets a team discuss what it is told, and answers with what a model makes of the discussion.

    The team's messages and events are in the agent's stream; other agents hear the answer alone. After each turn the team
    is reset: of earlier turns it is told, in a `HandoffMessage` before the new messages, what the agent heard and answered.
    That message counts where the team's termination condition counts messages.

    Args:
        name: A Python identifier that no other member of the same team has.
        team: Discusses. Nobody else should run it.
        model_client: Writes the answer.
        description: What the agent is good at, for whoever chooses the next speaker.
        instruction: Tells the model what it is about to read. It comes before the discussion.
        response_prompt: Tells the model what to write. It comes after the discussion.
        model_context: Keeps what the agent heard and answered, and shows the team a part of it; by default all of it.
    """

    DEFAULT_INSTRUCTION = "Below is a discussion among colleagues about a request. It is yours to answer the request."
    DEFAULT_RESPONSE_PROMPT = (
        "Now write the answer to the request, on the grounds of the discussion above. Whoever asked has not read it, so "
        "leave out who said what, and that there was a discussion at all."
    )
    DEFAULT_DESCRIPTION = "Answers after a discussion among several agents behind the scenes."

    component_config_schema = SocietyOfMindAgentConfig
    component_provider_override = "autogen_agentchat.agents.SocietyOfMindAgent"

    def __init__(
        self,
        name: str,
        team: Team,
        model_client: ChatCompletionClient,
        *,
        description: str = DEFAULT_DESCRIPTION,
        instruction: str = DEFAULT_INSTRUCTION,
        response_prompt: str = DEFAULT_RESPONSE_PROMPT,
        model_context: ChatCompletionContext | None = None,
    ) -> None:
        super().__init__(name=name, description=description)
        self._team = team
        self._model_client = model_client
        self._instruction = instruction
        self._response_prompt = response_prompt
        self._model_context = model_context if model_context is not None else UnboundedChatCompletionContext()
        self._turn = SocietyTurn()
        self._team_runs = False
        self._team_is_paused = False
        self._changing = asyncio.Lock()
        """Held while a turn begins or ends, so that no state is saved in between."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """`TextMessage`."""
        return (TextMessage,)

    @property
    def model_context(self) -> ChatCompletionContext:
        """What the agent heard and answered in the turns that are done."""
        return self._model_context

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Let the team discuss new messages, and answer.

        Raises:
            RunCancelledError: The token was cancelled (an `asyncio.CancelledError`). The team's run is ended. What was
                said is kept: the same messages again go on with the turn.
            RuntimeError: The team failed; the error of its member is the cause. The turn can be gone on with, as above.
        """
        return await collected(self.on_messages_stream(messages, cancellation_token), cancellation_token)

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """Let the team discuss new messages, yield what it says and does, and the response last.

        Errors and cancellation are as in `on_messages`.
        """
        interrupt = Interrupt(cancellation_token)
        interrupt.check()
        turn = self._turn
        async with self._changing:
            if turn.begun:
                turn.catch_up(await self._team.save_state())
            fresh = await turn.begin(messages)
        if fresh or not turn.team_is_done:
            # Whatever part of these messages an interrupted run has taken in, the team knows by their ids.
            task = fresh if turn.team_is_done else [*await self._earlier_turns(), *messages]
            turn.team_is_done = False
            async with aclosing(self._discuss(task, cancellation_token)) as discussion:
                async for item in discussion:
                    yield item
            turn.team_is_done = True
        said = turn.said()
        answer = await self._answer(said, cancellation_token) if said else None
        async with self._changing:
            await self._team.reset()
            await self._end_turn(answer)
        yield Response(chat_message=answer or TextMessage(content=NO_RESPONSE, source=self.name), inner_messages=[])

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget everything, and reset the team."""
        await self._team.reset()
        self._turn = SocietyTurn()
        self._team_is_paused = False
        await self._model_context.clear()

    async def on_pause(self, cancellation_token: CancellationToken) -> None:
        """Hold, and pause the team if it is discussing."""
        await super().on_pause(cancellation_token)
        if self._team_runs and not self._team_is_paused:
            await self._team.pause()
            self._team_is_paused = True

    async def on_resume(self, cancellation_token: CancellationToken) -> None:
        """Go on, and let the team go on."""
        if self._team_is_paused:
            await self._team.resume()
            self._team_is_paused = False
        await super().on_resume(cancellation_token)

    async def save_state(self) -> Mapping[str, Any]:
        """Return the state of the team, what the agent heard and answered, and the turn that is not done, as JSON data."""
        async with self._changing:
            team_state = await self._team.save_state()
            return SavedSociety(
                inner_team_state=team_state,
                llm_context=await self._model_context.save_state(),
                unfinished_turn=await self._turn.save(),
            ).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `save_state` returned, in place of what there is. In a state of 0.7.5 there is only the team's.

        Raises:
            ValueError: The data are no such state, or the team cannot read its part. The agent's own is as before.
        """
        saved = SavedSociety.model_validate(state)
        turn = await SocietyTurn.load(saved.unfinished_turn)
        await self._team.load_state(saved.inner_team_state)
        if saved.llm_context is not None:
            await self._model_context.load_state(saved.llm_context)
        self._turn = turn

    async def _earlier_turns(self) -> list[BaseChatMessage]:
        """Return what the team must know of the turns before this one."""
        earlier = await self._model_context.get_messages()
        if not earlier:
            return []
        text = "This is what was said before."
        return [HandoffMessage(content=text, source=self.name, target="", context=earlier, id=self._turn.id)]

    async def _discuss(self, task: Sequence[BaseChatMessage], token: CancellationToken) -> AsyncGenerator[Event, None]:
        """Run the team, and note what is said.

        Raises:
            RuntimeError: The team ended without a result.
        """
        interrupt = Interrupt(token)
        await self._gate.passed(token)
        result: TaskResult | None = None
        run = self._team.run_stream(task=list(task) or None, cancellation_token=token, output_task_messages=False)
        self._team_runs = True
        try:
            async with aclosing(run) as stream:
                while (item := await interrupt.wait(anext(stream, None))) is not None:
                    if isinstance(item, TaskResult):
                        result = item
                        continue
                    if isinstance(item, BaseChatMessage):
                        self._turn.note(item)
                    yield item
        finally:
            self._team_runs = False
        if result is None:
            raise RuntimeError(
                f"The team in {self.name!r} ended its stream without a TaskResult, which must come last."
            )

    async def _answer(self, said: list[LLMMessage], token: CancellationToken) -> TextMessage:
        """Let the model write the answer. Every model call of the agent itself is made here.

        Raises:
            RuntimeError: The model's answer is no text.
        """
        info = self._model_client.model_info
        if not info["vision"]:
            said = remove_images(said)
        may_direct = bool(info.get("multiple_system_messages"))
        request = [_direction(self._instruction, may_direct), *said, _direction(self._response_prompt, may_direct)]
        await self._gate.passed(token)
        answer = await Interrupt(token).wait(self._model_client.create(request, cancellation_token=token))
        if not isinstance(answer.content, str):
            raise RuntimeError(
                f"The model of {self.name!r} asked for tools, where a text was expected: it was offered none."
            )
        return TextMessage(content=answer.content, source=self.name, models_usage=answer.usage)

    async def _end_turn(self, answer: TextMessage | None) -> None:
        for message in await self._turn.heard():
            await self._model_context.add_message(message)
        if answer is not None:
            await self._model_context.add_message(AssistantMessage(content=answer.content, source=self.name))
        self._turn = SocietyTurn()

    def _to_config(self) -> SocietyOfMindAgentConfig:
        return SocietyOfMindAgentConfig(
            name=self.name,
            team=self._team.dump_component(),
            model_client=self._model_client.dump_component(),
            description=self.description,
            instruction=self._instruction,
            response_prompt=self._response_prompt,
            model_context=self._model_context.dump_component(),
        )

    @classmethod
    def _from_config(cls, config: SocietyOfMindAgentConfig) -> Self:
        return cls(
            name=config.name,
            team=Team.load_component(config.team),
            model_client=ChatCompletionClient.load_component(config.model_client),
            description=_given(config.description, cls.DEFAULT_DESCRIPTION),
            instruction=_given(config.instruction, cls.DEFAULT_INSTRUCTION),
            response_prompt=_given(config.response_prompt, cls.DEFAULT_RESPONSE_PROMPT),
            model_context=(
                ChatCompletionContext.load_component(config.model_context) if config.model_context else None
            ),
        )


def _direction(text: str, may_direct: bool) -> LLMMessage:
    """Tell the model something, in the way it takes: not every one has system messages in the middle."""
    return SystemMessage(content=text) if may_direct else UserMessage(content=text, source="user")


def _given(text: str | None, default: str) -> str:
    return default if text is None else text
