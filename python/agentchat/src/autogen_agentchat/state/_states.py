"""The state records. Their JSON is that of 0.7.5: a new field must have a default. Stands on nothing but pydantic."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer


class BaseState(BaseModel):
    """The root of all saved states."""

    # Most programs save no state; those that do build the one validator they use.
    model_config = ConfigDict(defer_build=True)

    type: str = Field(default="BaseState")
    """Which record this is."""

    version: str = Field(default="1.0.0")
    """The version of the format."""

    additions: ClassVar[frozenset[str]] = frozenset()
    """The fields that 0.7.5 did not have. They are saved only where they differ from their default."""

    @model_serializer(mode="wrap")
    def _leave_out_empty_additions(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data = dump(self)
        for name in self.additions:
            if data[name] == type(self).model_fields[name].get_default(call_default_factory=True):
                del data[name]
        return data


class AssistantAgentState(BaseState):
    """The state of an assistant agent."""

    type: str = Field(default="AssistantAgentState")
    llm_context: Mapping[str, Any] = Field(default_factory=lambda: {"messages": list[Any]()})
    """The state of its model context."""

    additions = frozenset({"taken_in"})

    taken_in: list[str] = Field(default_factory=list[str])
    """The ids of the messages that a turn which has not ended put into the context."""


class TeamState(BaseState):
    """The state of a team: its manager's and its participants', by name."""

    type: str = Field(default="TeamState")
    agent_states: Mapping[str, Any] = Field(default_factory=dict)


class BaseGroupChatManagerState(BaseState):
    """What every manager saves."""

    type: str = Field(default="BaseGroupChatManagerState")
    message_thread: list[Mapping[str, Any]] = Field(default_factory=list[Mapping[str, Any]])
    """The conversation so far, each message as it was dumped."""

    current_turn: int = Field(default=0)
    """How many turns of the present run are done."""

    additions = frozenset({"active_speakers", "unjudged", "unfinished", "taken_in", "termination"})

    active_speakers: list[str] = Field(default_factory=list[str])
    """Who is speaking, or was when the run was cut short."""

    unjudged: int = Field(default=0, ge=0)
    """How many messages at the end of the thread the termination condition has not seen."""

    unfinished: int | None = Field(default=None, ge=0)
    """How many messages at the end of the thread the present run has said; none if no run was cut short."""

    taken_in: list[str] = Field(default_factory=list[str])
    """The ids of the messages with which the present run began."""

    termination: Mapping[str, Any] | None = Field(default=None)
    """The state of the termination condition."""


class ChatAgentContainerState(BaseState):
    """The state of a participant: its agent or inner team, and what it has heard but not yet answered."""

    type: str = Field(default="ChatAgentContainerState")
    agent_state: Mapping[str, Any] = Field(default_factory=dict)
    message_buffer: list[Mapping[str, Any]] = Field(default_factory=list[Mapping[str, Any]])
    """Messages heard since the last turn of its own, each as it was dumped."""

    additions = frozenset({"turns", "last_turn"})

    turns: int = Field(default=0, ge=0)
    """How many turns of its own the manager has recorded."""

    last_turn: list[Mapping[str, Any]] | None = Field(default=None)
    """What it said in a turn that has ended but is not recorded yet, each message as it was dumped."""


class RoundRobinManagerState(BaseGroupChatManagerState):
    """The state of a `RoundRobinGroupChat`."""

    type: str = Field(default="RoundRobinManagerState")
    next_speaker_index: int = Field(default=0)


class SelectorManagerState(BaseGroupChatManagerState):
    """The state of a `SelectorGroupChat`."""

    type: str = Field(default="SelectorManagerState")
    previous_speaker: str | None = Field(default=None)


class SwarmManagerState(BaseGroupChatManagerState):
    """The state of a `Swarm`."""

    type: str = Field(default="SwarmManagerState")
    current_speaker: str = Field(default="")


class MagenticOneOrchestratorState(BaseGroupChatManagerState):
    """The state of a `MagenticOneGroupChat`."""

    type: str = Field(default="MagenticOneOrchestratorState")
    task: str = Field(default="")
    facts: str = Field(default="")
    plan: str = Field(default="")
    n_rounds: int = Field(default=0)
    n_stalls: int = Field(default=0)


class SocietyOfMindAgentState(BaseState):
    """The state of a `SocietyOfMindAgent`: that of its inner team."""

    type: str = Field(default="SocietyOfMindAgentState")
    inner_team_state: Mapping[str, Any] = Field(default_factory=dict)
