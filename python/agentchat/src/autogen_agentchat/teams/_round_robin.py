"""`RoundRobinGroupChat`: the participants speak in turn."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel

from autogen_agentchat.base import ChatAgent, Team, TerminationCondition
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.state import RoundRobinManagerState
from autogen_agentchat.teams._group_chat import BaseGroupChat
from autogen_agentchat.teams._manager import BaseGroupChatManager
from autogen_agentchat.teams._protocol import ManagerSettings
from autogen_core import AgentRuntime, Component, ComponentModel


class RoundRobinGroupChatManager(BaseGroupChatManager):
    """Gives the word to the next seat, and begins again after the last."""

    state_type = RoundRobinManagerState

    def __init__(self, settings: ManagerSettings) -> None:
        super().__init__(settings)
        self._next_speaker_index = 0

    async def select_speaker(self, thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
        """Return the next name."""
        names = list(self._seats)
        chosen = names[self._next_speaker_index % len(names)]
        self._next_speaker_index = (self._next_speaker_index + 1) % len(names)
        return chosen

    async def reset(self) -> None:
        """Begin with the first seat."""
        self._next_speaker_index = 0

    def own_state(self) -> Mapping[str, Any]:
        """Return who is next."""
        return {"next_speaker_index": self._next_speaker_index}

    def load_own_state(self, state: RoundRobinManagerState) -> None:
        """Take up who is next."""
        self._next_speaker_index = state.next_speaker_index


class RoundRobinGroupChatConfig(BaseModel):
    """The declarative form of a `RoundRobinGroupChat`."""

    name: str | None = None
    description: str | None = None
    participants: list[ComponentModel]
    termination_condition: ComponentModel | None = None
    max_turns: int | None = None
    emit_team_events: bool = False


class RoundRobinGroupChat(BaseGroupChat, Component[RoundRobinGroupChatConfig]):
    """A team whose participants speak in turn, each hearing what the others said.

    Args:
        participants: Agents, or teams, with different names.
        name: The team's name.
        description: What the team is good at.
        termination_condition: Says when a run ends. Without one, and without `max_turns`, a run goes on for ever.
        max_turns: How many turns a run may take.
        runtime: A started runtime for the team to live in; one of its own if not given.
        custom_message_types: Message types of your own that the participants use, to be read from saved states.
        emit_team_events: Whether each choice of a speaker is an event in the stream.

    Raises:
        ValueError: No participants, or two of one name.
    """

    component_config_schema = RoundRobinGroupChatConfig
    component_provider_override = "autogen_agentchat.teams.RoundRobinGroupChat"

    DEFAULT_NAME = "RoundRobinGroupChat"
    DEFAULT_DESCRIPTION = "A team of agents."

    def __init__(
        self,
        participants: list[ChatAgent | Team],
        *,
        name: str | None = None,
        description: str | None = None,
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = None,
        runtime: AgentRuntime | None = None,
        custom_message_types: list[type[BaseAgentEvent | BaseChatMessage]] | None = None,
        emit_team_events: bool = False,
    ) -> None:
        super().__init__(
            name=name or self.DEFAULT_NAME,
            description=description or self.DEFAULT_DESCRIPTION,
            participants=participants,
            group_chat_manager_name="RoundRobinGroupChatManager",
            group_chat_manager_class=RoundRobinGroupChatManager,
            termination_condition=termination_condition,
            max_turns=max_turns,
            runtime=runtime,
            custom_message_types=custom_message_types,
            emit_team_events=emit_team_events,
        )

    def _make_manager(self, settings: ManagerSettings) -> BaseGroupChatManager:
        return RoundRobinGroupChatManager(settings)

    def _to_config(self) -> RoundRobinGroupChatConfig:
        condition = self._termination_condition
        return RoundRobinGroupChatConfig(
            name=self._name,
            description=self._description,
            participants=[participant.dump_component() for participant in self._participants],
            termination_condition=None if condition is None else condition.dump_component(),
            max_turns=self._max_turns,
            emit_team_events=self._emit_team_events,
        )

    @classmethod
    def _from_config(cls, config: RoundRobinGroupChatConfig) -> Self:
        condition = config.termination_condition
        return cls(
            load_participants(config.participants),
            name=config.name,
            description=config.description,
            termination_condition=None if condition is None else TerminationCondition.load_component(condition),
            max_turns=config.max_turns,
            emit_team_events=config.emit_team_events,
        )


def load_participants(configs: Sequence[ComponentModel]) -> list[ChatAgent | Team]:
    """Make participants, agents or teams, from their configurations."""
    return [
        Team.load_component(config) if config.component_type == "team" else ChatAgent.load_component(config)
        for config in configs
    ]
