"""`DiGraphBuilder`: makes a graph step by step, and says at the step what is wrong with it. Stands on the model."""

from collections.abc import Callable
from typing import Literal, Self

from autogen_agentchat.base import ChatAgent
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams._graph._model import DiGraph, DiGraphEdge, DiGraphNode


class DiGraphBuilder:
    """Makes the graph of a `GraphFlow`. Each step returns the builder, so that steps can be chained.

    Attributes:
        nodes: The nodes so far, by name.
        agents: Their agents, by name.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, DiGraphNode] = {}
        self.agents: dict[str, ChatAgent] = {}
        self._entry_point: str | None = None

    def add_node(self, agent: ChatAgent, activation: Literal["all", "any"] = "all") -> Self:
        """Add an agent as a node. The same agent once more changes nothing.

        Args:
            agent: The agent.
            activation: `all`: it runs when all edges to it were followed. `any`: each time when any was. This is about
                edges without an activation group.

        Raises:
            ValueError: Another agent has this name, or the agent was added with another activation.
        """
        known = self.nodes.get(agent.name)
        if known is None:
            self.nodes[agent.name] = DiGraphNode(name=agent.name, activation=activation)
            self.agents[agent.name] = agent
        elif self.agents[agent.name] is not agent:
            raise ValueError(f"Another agent with the name {agent.name!r} is in the graph. Names must be unique.")
        elif known.activation != activation:
            raise ValueError(f"Node {agent.name!r} is in the graph already, with activation {known.activation!r}.")
        return self

    def add_edge(
        self,
        source: str | ChatAgent,
        target: str | ChatAgent,
        condition: str | Callable[[BaseChatMessage], bool] | None = None,
        activation_group: str | None = None,
        activation_condition: Literal["all", "any"] | None = None,
    ) -> Self:
        """Add an edge: after the source the target runs.

        Args:
            source: An agent that was added, or its name.
            target: The same.
            condition: A text that the source's message must contain, or a function of this message; None for always.
                Only a text can be saved in a component's configuration.
            activation_group: Edges to the target that have the same group are joined; by default those without a group.
            activation_condition: `all` (the default): the target runs when all edges of the group were followed. `any`:
                each time when any was. Edges of one group must agree.

        Raises:
            ValueError: Source or target was not added.
        """
        source_name = self._added(source, "Source node {!r} must be added before adding an edge.")
        target_name = self._added(target, "Target node {!r} must be added before adding an edge.")
        self.nodes[source_name].edges.append(
            DiGraphEdge(
                target=target_name,
                condition=condition,
                activation_group=activation_group or target_name,
                activation_condition=activation_condition or "all",
            )
        )
        return self

    def add_conditional_edges(self, source: str | ChatAgent, condition_to_target: dict[str, str | ChatAgent]) -> Self:
        """Add an edge for each text that the source's message may contain.

        Args:
            source: An agent that was added, or its name.
            condition_to_target: What to look for, and where to go on. Several may hold; then all their targets run.

        Raises:
            ValueError: Source or a target was not added.
        """
        for condition, target in condition_to_target.items():
            self.add_edge(source, target, condition)
        return self

    def set_entry_point(self, name: str | ChatAgent) -> Self:
        """Let runs start at this node, also where edges lead to it.

        Raises:
            ValueError: It was not added.
        """
        self._entry_point = self._added(name, "Start node {!r} must be added before setting as entry point.")
        return self

    def build(self) -> DiGraph:
        """Return the graph. Later steps do not change it.

        Raises:
            ValueError: It cannot be run. The text names the nodes at fault.
        """
        nodes = {
            name: node.model_copy(update={"edges": [edge.model_copy() for edge in node.edges]})
            for name, node in self.nodes.items()
        }
        graph = DiGraph(nodes=nodes, default_start_node=self._entry_point)
        graph.graph_validate()
        return graph

    def get_participants(self) -> list[ChatAgent]:
        """Return the agents, in the order in which they were added: a `GraphFlow` takes them beside the graph."""
        return list(self.agents.values())

    def _added(self, agent: str | ChatAgent, complaint: str) -> str:
        name = agent if isinstance(agent, str) else agent.name
        if name not in self.nodes:
            raise ValueError(complaint.format(name))
        return name
