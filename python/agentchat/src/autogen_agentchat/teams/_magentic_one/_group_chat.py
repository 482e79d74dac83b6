"""`MagenticOneGroupChat`: a team led by an orchestrator that plans, keeps ledgers, and plans anew when the team stalls."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from autogen_agentchat.base import ChatAgent, TerminationCondition
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams._group_chat import BaseGroupChat
from autogen_agentchat.teams._magentic_one._orchestrator import MagenticOneOrchestrator
from autogen_agentchat.teams._magentic_one._prompts import FINAL_ANSWER_PROMPT
from autogen_agentchat.teams._manager import BaseGroupChatManager
from autogen_agentchat.teams._protocol import ManagerSettings
from autogen_core import AgentRuntime, Component, ComponentModel
from autogen_core.models import ChatCompletionClient


class MagenticOneGroupChatConfig(BaseModel):
    """The declarative form of a `MagenticOneGroupChat`."""

    model_config = ConfigDict(defer_build=True)

    name: str | None = None
    description: str | None = None
    participants: list[ComponentModel]
    model_client: ComponentModel
    termination_condition: ComponentModel | None = None
    max_turns: int | None = None
    max_stalls: int
    final_answer_prompt: str
    emit_team_events: bool = False


class MagenticOneGroupChat(BaseGroupChat, Component[MagenticOneGroupChatConfig]):
    """A team led by an orchestrator: it lists facts, makes a plan, says who does what, and writes the final answer.

    Each task begins afresh: the participants are reset and hear of it in the orchestrator's briefing. A run without a
    task goes on with the last one. A run ends with a reason in any case: the request is satisfied; the rounds are used
    up, or ten new plans brought no progress (the final answer says how far the team came); the model gave no usable
    progress ledger, although it was told ten times what was wrong; or the termination condition, which sees what the
    participants say but not the orchestrator, says stop.

    The method is that of Fourney et al. (2024), "Magentic-One: A Generalist Multi-Agent System for Solving Complex
    Tasks", arXiv:2411.04468.

    Args:
        participants: Agents with different names; their descriptions are what the orchestrator knows of them.
        model_client: The orchestrator's model. Structured output or JSON mode is used where the model has it.
        name: The team's name.
        description: What the team is good at.
        termination_condition: Says when a run ends early.
        max_turns: After how many rounds the orchestrator ends the run; the round after these is the last, as in 0.7.5.
            None for any number.
        runtime: A started runtime for the team to live in; one of its own if not given.
        max_stalls: At how many stalls the orchestrator makes a new plan. A round in which it sees a loop or no
            progress is a stall; each round with progress takes one off.
        final_answer_prompt: Asks for the final answer; `{task}` stands for the task.
        custom_message_types: Message types of your own that the participants use, to be read from saved states.
        emit_team_events: Whether each choice of a speaker, and each ledger that could not be used, is an event.

    Raises:
        ValueError: No participants, or two of one name.
        TypeError: A participant is not an agent.
    """

    component_config_schema = MagenticOneGroupChatConfig
    component_provider_override = "autogen_agentchat.teams.MagenticOneGroupChat"

    DEFAULT_NAME = "MagenticOneGroupChat"
    DEFAULT_DESCRIPTION = "A team of agents."

    def __init__(
        self,
        participants: list[ChatAgent],
        model_client: ChatCompletionClient,
        *,
        name: str | None = None,
        description: str | None = None,
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = 20,
        runtime: AgentRuntime | None = None,
        max_stalls: int = 3,
        final_answer_prompt: str = FINAL_ANSWER_PROMPT,
        custom_message_types: list[type[BaseAgentEvent | BaseChatMessage]] | None = None,
        emit_team_events: bool = False,
    ) -> None:
        for participant in participants:
            if not isinstance(participant, ChatAgent):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass teams
                raise TypeError(
                    f"Participant {participant!r} must be a ChatAgent. A team can take part inside a SocietyOfMindAgent."
                )
        super().__init__(
            name=name or self.DEFAULT_NAME,
            description=description or self.DEFAULT_DESCRIPTION,
            participants=list(participants),
            group_chat_manager_name="MagenticOneOrchestrator",
            group_chat_manager_class=MagenticOneOrchestrator,
            termination_condition=termination_condition,
            max_turns=max_turns,
            runtime=runtime,
            custom_message_types=custom_message_types,
            emit_team_events=emit_team_events,
        )
        self._model_client = model_client
        self._max_stalls = max_stalls
        self._final_answer_prompt = final_answer_prompt

    def _make_manager(self, settings: ManagerSettings) -> BaseGroupChatManager:
        return MagenticOneOrchestrator(settings, self._model_client, self._max_stalls, self._final_answer_prompt)

    def _to_config(self) -> MagenticOneGroupChatConfig:
        condition = self._termination_condition
        return MagenticOneGroupChatConfig(
            name=self._name,
            description=self._description,
            participants=[participant.dump_component() for participant in self._participants],
            model_client=self._model_client.dump_component(),
            termination_condition=None if condition is None else condition.dump_component(),
            max_turns=self._max_turns,
            max_stalls=self._max_stalls,
            final_answer_prompt=self._final_answer_prompt,
            emit_team_events=self._emit_team_events,
        )

    @classmethod
    def _from_config(cls, config: MagenticOneGroupChatConfig) -> Self:
        condition = config.termination_condition
        return cls(
            [ChatAgent.load_component(participant) for participant in config.participants],
            ChatCompletionClient.load_component(config.model_client),
            name=config.name,
            description=config.description,
            termination_condition=None if condition is None else TerminationCondition.load_component(condition),
            max_turns=config.max_turns,
            max_stalls=config.max_stalls,
            final_answer_prompt=config.final_answer_prompt,
            emit_team_events=config.emit_team_events,
        )
