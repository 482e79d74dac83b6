"""`GraphFlow`: the participants speak in the order of a graph; those of parallel branches at the same time.

Which nodes are next is said by the activations, how a turn is taken by the manager's base.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from autogen_agentchat._names import TRACE_LOGGER_NAME
from autogen_agentchat.base import ChatAgent, TerminationCondition
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StopMessage
from autogen_agentchat.messages._opaque import restore
from autogen_agentchat.state import BaseGroupChatManagerState
from autogen_agentchat.teams._graph._activations import Activations, ActivationsRecord
from autogen_agentchat.teams._graph._model import DiGraph
from autogen_agentchat.teams._group_chat import BaseGroupChat
from autogen_agentchat.teams._manager import BaseGroupChatManager
from autogen_agentchat.teams._protocol import ManagerSettings
from autogen_core import AgentRuntime, Component, ComponentModel

_log = logging.getLogger(TRACE_LOGGER_NAME)


class GraphManagerState(ActivationsRecord, BaseGroupChatManagerState):
    """The state of a `GraphFlow`."""

    type: str = Field(default="GraphManagerState")

    additions = BaseGroupChatManagerState.additions | {"ready_groups", "arrived", "over"}

    over: bool = Field(default=False)
    """Whether all nodes have run, and the run has not yet said so."""


class GraphFlowManager(BaseGroupChatManager):
    """Gives the word to the nodes whose turn it is, a batch at a time."""

    state_type = GraphManagerState

    def __init__(self, settings: ManagerSettings, graph: DiGraph) -> None:
        super().__init__(settings)
        self._activations = Activations(graph)

    async def validate_group_state(self, messages: Sequence[BaseChatMessage]) -> None:
        """Begin at the entry if a run was cut short after its last turn, and there is a new task."""
        if self._over and any(message.id not in self._taken_in.ids for message in messages):
            self._activations.enter()

    async def select_speaker(
        self, thread: Sequence[BaseAgentEvent | BaseChatMessage]
    ) -> Sequence[str] | str | StopMessage:
        """Return the next batch."""
        return self._activations.next_batch() or self._finish()

    def turn_ended(self, speaker: str, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> None:
        """Follow the edges of a node whose turn ended. What a condition raises lets the run fail."""
        answer = next(message for message in reversed(messages) if isinstance(message, BaseChatMessage))
        self._activations.turn_ended(speaker, answer)

    async def _judge(self) -> StopMessage | None:
        """As the base; but that the graph is done is the better reason to stop."""
        stop = await super()._judge()
        return self._finish() if self._over else stop

    @property
    def _over(self) -> bool:
        return not self._active and not self._activations.waiting_to_run

    def _finish(self) -> StopMessage:
        for name, missing in self._activations.starved().items():
            _log.warning("%s is done, but its node %r still waits for %s.", self._settings.name, name, missing)
        self._activations.enter()
        return StopMessage(content="Digraph execution is complete", source=self._settings.name)

    async def reset(self) -> None:
        """Begin at the entry."""
        self._activations.enter()

    def own_state(self) -> Mapping[str, Any]:
        """Return the activations."""
        return {**self._activations.save().model_dump(), "over": self._over}

    def load_own_state(self, state: GraphManagerState) -> None:
        """Take up the activations. In a state of 0.7.5, which has no type, say also who was running."""
        self._activations.load(state, state.active_speakers)
        if "type" not in state.model_fields_set:
            state.active_speakers = self._who_was_running(state)
        if not (state.ready or state.active_speakers or state.over):
            _log.warning("The state of %s does not say which node is next: it begins anew.", self._settings.name)
            self._activations.enter()

    def _who_was_running(self, state: GraphManagerState) -> list[str]:
        thread = [restore(self._settings.message_factory, data) for data in state.message_thread]
        try:
            return self._activations.follow(message for message in thread if isinstance(message, BaseChatMessage))
        except Exception as error:  # noqa: BLE001 - a condition may raise anything, and a state can be loaded without it
            _log.warning("A condition failed for a saved message of %s: %r", self._settings.name, error)
            return []


class GraphFlowConfig(BaseModel):
    """The declarative form of a `GraphFlow`."""

    model_config = ConfigDict(defer_build=True)

    name: str | None = None
    description: str | None = None
    participants: list[ComponentModel]
    termination_condition: ComponentModel | None = None
    max_turns: int | None = None
    graph: DiGraph


class GraphFlow(BaseGroupChat, Component[GraphFlowConfig]):
    """A team whose participants speak in the order of a graph, each hearing everything that was said before.

    A run ends when no node is left to run. The next run begins at the start nodes again, and the conversation goes on; a
    run that was stopped before is continued where it stood.

    Args:
        participants: Agents with different names, at least those of the graph.
        graph: Who follows whom; `DiGraphBuilder` makes one.
        name: The team's name.
        description: What the team is good at.
        termination_condition: Ends a run earlier.
        max_turns: How many turns a run may take; nodes that run at the same time are one turn.
        runtime: A started runtime for the team to live in; one of its own if not given.
        custom_message_types: Message types of your own that the participants use, to be read from saved states.

    Raises:
        TypeError: A participant is not an agent.
        ValueError: No participants, two of one name, or a graph that cannot be run or has a node that is no participant.
    """

    component_config_schema = GraphFlowConfig
    component_provider_override = "autogen_agentchat.teams.GraphFlow"

    DEFAULT_NAME = "GraphFlow"
    DEFAULT_DESCRIPTION = "A team of agents"

    def __init__(
        self,
        participants: list[ChatAgent],
        graph: DiGraph,
        *,
        name: str | None = None,
        description: str | None = None,
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = None,
        runtime: AgentRuntime | None = None,
        custom_message_types: list[type[BaseAgentEvent | BaseChatMessage]] | None = None,
    ) -> None:
        for participant in participants:
            if not isinstance(participant, ChatAgent):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
                raise TypeError(f"Participant {participant} must be a ChatAgent.")
        super().__init__(
            name=name or self.DEFAULT_NAME,
            description=description or self.DEFAULT_DESCRIPTION,
            participants=list(participants),
            group_chat_manager_name="GraphManager",
            group_chat_manager_class=GraphFlowManager,
            termination_condition=termination_condition,
            max_turns=max_turns,
            runtime=runtime,
            custom_message_types=custom_message_types,
        )
        graph.graph_validate()
        names = [participant.name for participant in participants]
        strangers = [node for node in graph.nodes if node not in names]
        if strangers:
            raise ValueError(f"The nodes {strangers} of the graph are not among the participants {names}.")
        self._graph = graph

    def _make_manager(self, settings: ManagerSettings) -> BaseGroupChatManager:
        return GraphFlowManager(settings, self._graph)

    def _to_config(self) -> GraphFlowConfig:
        for node, edge in self._graph.links():
            if edge.condition_function is not None:
                raise ValueError(
                    f"The condition of the edge {node.name!r} -> {edge.target!r} is a function, which has no JSON form: "
                    f"{edge.condition_function!r}. Use a text as condition, or make the team in code."
                )
        condition = self._termination_condition
        return GraphFlowConfig(
            name=self._name,
            description=self._description,
            participants=[participant.dump_component() for participant in self._participants],
            termination_condition=None if condition is None else condition.dump_component(),
            max_turns=self._max_turns,
            graph=self._graph,
        )

    @classmethod
    def _from_config(cls, config: GraphFlowConfig) -> Self:
        condition = config.termination_condition
        return cls(
            [ChatAgent.load_component(participant) for participant in config.participants],
            config.graph,
            name=config.name,
            description=config.description,
            termination_condition=None if condition is None else TerminationCondition.load_component(condition),
            max_turns=config.max_turns,
        )
