"""`Swarm`: whoever has the word keeps it until they hand over to somebody else."""

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict

from autogen_agentchat.base import ChatAgent, Team, TerminationCondition
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage
from autogen_agentchat.state import SwarmManagerState
from autogen_agentchat.teams._group_chat import BaseGroupChat
from autogen_agentchat.teams._manager import BaseGroupChatManager
from autogen_agentchat.teams._protocol import ManagerSettings
from autogen_agentchat.teams._round_robin import load_participants
from autogen_core import AgentRuntime, Component, ComponentModel


class SwarmGroupChatManager(BaseGroupChatManager):
    """Gives the word to the target of the last handoff, wherever it came from: a participant, the task, or outside."""

    state_type = SwarmManagerState

    def __init__(self, settings: ManagerSettings) -> None:
        super().__init__(settings)
        self._current_speaker = settings.seats[0].name
        self._handoff: HandoffMessage | None = None
        """The last handoff in the part of the thread that was looked at."""
        self._looked_at = 0

    async def validate_group_state(self, messages: Sequence[BaseChatMessage]) -> None:
        """Refuse a task that hands over to a stranger, and one that leaves the word with a stranger.

        Raises:
            ValueError: As above. A task with a handoff to a participant begins a run in any case.
        """
        handoffs = [message for message in messages if isinstance(message, HandoffMessage)]
        strangers = [handoff.target for handoff in handoffs if handoff.target not in self._seats]
        if strangers:
            raise ValueError(
                f"The task hands over to {strangers[0]!r}. Expected a HandoffMessage to one of {list(self._seats)}."
            )
        last = self._last_handoff(self._message_thread)
        if not handoffs and last is not None and last.target not in self._seats:
            raise ValueError(
                f"The conversation was handed over to {last.target!r}, who is not a participant. To go on, let the task "
                f"be, or contain, a HandoffMessage to one of {list(self._seats)}."
            )
        if handoffs:  # the task says who goes on, which need not be the one who was interrupted
            self._active = []

    async def select_speaker(self, thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
        """Return the target of the last handoff; without any, whoever spoke last, or the first participant.

        Raises:
            ValueError: The target is not a participant.
        """
        handoff = self._last_handoff(thread)
        if handoff is not None:
            if handoff.target not in self._seats:
                raise ValueError(
                    f"{handoff.source} handed over to {handoff.target!r}, who is none of {list(self._seats)}. Make them a "
                    f"participant, or end the run at this point: HandoffTermination({handoff.target!r})."
                )
            self._current_speaker = handoff.target
        return self._current_speaker

    def _last_handoff(self, thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> HandoffMessage | None:
        """Look at what is new only: a turn costs the same however long the conversation is."""
        for message in thread[self._looked_at :]:
            # A handoff among strangers is of somebody's inner team, whose conversation is part of theirs.
            if isinstance(message, HandoffMessage) and not self._seats.keys().isdisjoint(
                (message.source, message.target)
            ):
                self._handoff = message
        self._looked_at = len(thread)
        return self._handoff

    async def reset(self) -> None:
        """Give the word to the first participant."""
        self._current_speaker = next(iter(self._seats))
        self._handoff, self._looked_at = None, 0

    def own_state(self) -> Mapping[str, Any]:
        """Return who has the word."""
        return {"current_speaker": self._current_speaker}

    def load_own_state(self, state: SwarmManagerState) -> None:
        """Take up who has the word."""
        speaker = state.current_speaker or next(iter(self._seats))
        if speaker not in self._seats:
            raise ValueError(f"The saved state has {speaker!r} speaking. This team has {list(self._seats)}.")
        self._current_speaker = speaker
        self._handoff, self._looked_at = None, 0


class SwarmConfig(BaseModel):
    """The declarative form of a `Swarm`."""

    model_config = ConfigDict(defer_build=True)

    name: str | None = None
    description: str | None = None
    participants: list[ComponentModel]
    termination_condition: ComponentModel | None = None
    max_turns: int | None = None
    emit_team_events: bool = False


class Swarm(BaseGroupChat, Component[SwarmConfig]):
    """A team whose participants hand the conversation over to each other. The first in the list begins.

    The last `HandoffMessage` says who has the word, until the next one; so a participant that answers without a handoff
    speaks again. A handoff to somebody who is not in the team, such as a human, is an error unless a condition ends
    the run there (`HandoffTermination`); then the next task has to be a `HandoffMessage` back to a participant.

    Args:
        participants: Agents with different names; no teams. The first must be able to hand over.
        name: The team's name.
        description: What the team is good at.
        termination_condition: Says when a run ends. Without one, and without `max_turns`, a run goes on for ever.
        max_turns: How many turns a run may take.
        runtime: A started runtime for the team to live in; one of its own if not given.
        custom_message_types: Message types of your own that the participants use, to be read from saved states.
        emit_team_events: Whether each choice of a speaker is an event in the stream.

    Raises:
        TypeError: A participant is not a `ChatAgent`.
        ValueError: No participants, two of one name, or the first produces no `HandoffMessage`.
    """

    component_config_schema = SwarmConfig
    component_provider_override = "autogen_agentchat.teams.Swarm"

    DEFAULT_NAME = "Swarm"
    DEFAULT_DESCRIPTION = "A team of agents."

    def __init__(
        self,
        participants: list[ChatAgent],
        *,
        name: str | None = None,
        description: str | None = None,
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = None,
        runtime: AgentRuntime | None = None,
        custom_message_types: list[type[BaseAgentEvent | BaseChatMessage]] | None = None,
        emit_team_events: bool = False,
    ) -> None:
        for participant in cast("list[ChatAgent | Team]", participants):
            if not isinstance(participant, ChatAgent):
                raise TypeError(
                    f"Participant {participant!r} must be a ChatAgent: only agents can hand over. Put a team into an agent, "
                    "such as a SocietyOfMindAgent."
                )
        super().__init__(
            name=name or self.DEFAULT_NAME,
            description=description or self.DEFAULT_DESCRIPTION,
            participants=list[ChatAgent | Team](participants),
            group_chat_manager_name="SwarmGroupChatManager",
            group_chat_manager_class=SwarmGroupChatManager,
            termination_condition=termination_condition,
            max_turns=max_turns,
            runtime=runtime,
            custom_message_types=custom_message_types,
            emit_team_events=emit_team_events,
        )
        first = participants[0]
        if HandoffMessage not in first.produced_message_types:
            raise ValueError(
                f"The first participant, {first.name!r}, must be able to hand over: "
                "expected HandoffMessage among its produced_message_types."
            )

    def _make_manager(self, settings: ManagerSettings) -> BaseGroupChatManager:
        return SwarmGroupChatManager(settings)

    def _to_config(self) -> SwarmConfig:
        condition = self._termination_condition
        return SwarmConfig(
            name=self._name,
            description=self._description,
            participants=[participant.dump_component() for participant in self._participants],
            termination_condition=None if condition is None else condition.dump_component(),
            max_turns=self._max_turns,
            emit_team_events=self._emit_team_events,
        )

    @classmethod
    def _from_config(cls, config: SwarmConfig) -> Self:
        condition = config.termination_condition
        return cls(
            cast("list[ChatAgent]", load_participants(config.participants)),  # the constructor checks
            name=config.name,
            description=config.description,
            termination_condition=None if condition is None else TerminationCondition.load_component(condition),
            max_turns=config.max_turns,
            emit_team_events=config.emit_team_events,
        )
