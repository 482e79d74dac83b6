"""The graph of a `GraphFlow` as data, and the checks that it can be run. Stands on messages; knows no team."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from autogen_agentchat.messages import BaseChatMessage

Condition = Callable[[BaseChatMessage], bool]


class DiGraphEdge(BaseModel):
    """An edge to another node. It is followed when its condition holds for the message of the node it starts from."""

    model_config = ConfigDict(defer_build=True)

    target: str
    """The name of the node it leads to."""

    condition: str | Callable[[BaseChatMessage], bool] | None = None
    """A text that the message must contain, letter case included; or a function, which becomes `condition_function`.
    None: the edge is always followed."""

    condition_function: Callable[[BaseChatMessage], bool] | None = Field(default=None, exclude=True)
    """Decides in place of a text. It has no JSON form, so a `GraphFlow` that has one cannot be dumped."""

    activation_group: str = ""
    """Edges to one node that have the same group are joined. The default group has the node's name."""

    activation_condition: Literal["all", "any"] = "all"
    """Whether the node runs when all edges of the group were followed, or each time when any was."""

    @model_validator(mode="after")
    def _settle(self) -> Self:
        if callable(self.condition):
            self.condition_function = self.condition
            self.condition = None
        if not self.activation_group:
            self.activation_group = self.target
        return self

    @property
    def conditional(self) -> bool:
        """Whether the edge has a condition."""
        return self.condition is not None or self.condition_function is not None

    def check_condition(self, message: BaseChatMessage) -> bool:
        """Return whether the edge is followed after this message; a text is looked for in what a model reads of it."""
        if self.condition_function is not None:
            return bool(self.condition_function(message))
        return not isinstance(self.condition, str) or self.condition in message.to_model_text()


class DiGraphNode(BaseModel):
    """A node: a participant of the team, by name, and the edges that leave it."""

    model_config = ConfigDict(defer_build=True)

    name: str
    """The participant's name."""

    edges: list[DiGraphEdge] = Field(default_factory=list[DiGraphEdge])
    """Where it goes on, in the order in which targets run."""

    activation: Literal["all", "any"] = "all"
    """`any`: the node's default group is joined by any of its edges, whatever they say themselves."""


class DiGraph(BaseModel):
    """A directed graph of participants. `DiGraphBuilder` makes one; cycles are allowed where a condition can end them."""

    model_config = ConfigDict(defer_build=True)

    nodes: dict[str, DiGraphNode]
    """The nodes by name, in the order in which start nodes run."""

    default_start_node: str | None = None
    """Where a run starts. None: at each node that no edge leads to."""

    def links(self) -> Iterator[tuple[DiGraphNode, DiGraphEdge]]:
        """Yield each edge with the node it starts from."""
        for node in self.nodes.values():
            for edge in node.edges:
                yield node, edge

    def joins_any(self, edge: DiGraphEdge) -> bool:
        """Return whether any edge of this edge's group lets the target run."""
        if edge.activation_condition == "any":
            return True
        target = self.nodes.get(edge.target)
        return target is not None and target.activation == "any" and edge.activation_group == edge.target

    def start_names(self) -> list[str]:
        """Return where a run starts, in the order of the nodes."""
        if self.default_start_node is not None:
            return [self.default_start_node]
        targets = {edge.target for _, edge in self.links()}
        return [name for name in self.nodes if name not in targets]

    def get_parents(self) -> dict[str, list[str]]:
        """Return from which nodes edges lead to each node, once for each edge."""
        parents: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node, edge in self.links():
            self._known(node, edge)
            parents[edge.target].append(node.name)
        return parents

    def get_start_nodes(self) -> set[str]:
        """Return where a run starts."""
        return set(self.start_names())

    def get_leaf_nodes(self) -> set[str]:
        """Return the nodes without edges."""
        return {name for name, node in self.nodes.items() if not node.edges}

    def get_remaining_map(self) -> dict[str, dict[str, int]]:
        """Return how many edges each group of each target has."""
        remaining: dict[str, dict[str, int]] = {}
        for _, edge in self.links():
            groups = remaining.setdefault(edge.target, {})
            groups[edge.activation_group] = groups.get(edge.activation_group, 0) + 1
        return remaining

    def get_has_cycles(self) -> bool:
        """Return whether there is a cycle; raises as `has_cycles_with_exit`."""
        return self.has_cycles_with_exit()

    def has_cycles_with_exit(self) -> bool:
        """Return whether there is a cycle.

        Raises:
            ValueError: There is one that no condition can end.
        """
        endless = _cycle({name: self._targets(node, unconditional=True) for name, node in self.nodes.items()})
        if endless:
            raise ValueError(
                f"Cycle detected without exit condition: {' -> '.join(endless)}. "
                "Give at least one of its edges a condition."
            )
        return _cycle({name: self._targets(node) for name, node in self.nodes.items()}) is not None

    def graph_validate(self) -> None:
        """Check that the graph can be run.

        Raises:
            ValueError: It cannot. The text names the nodes at fault.
        """
        if not self.nodes:
            raise ValueError("Graph has no nodes.")
        self._check_names()
        names = ", ".join(map(repr, self.nodes))
        if not self.start_names():
            raise ValueError(
                f"Graph must have at least one start node: edges lead to each of {names}. Set a default start node."
            )
        if not self.get_leaf_nodes():
            raise ValueError(f"Graph must have at least one leaf node: each of {names} has edges.")
        for name, node in self.nodes.items():
            if len({edge.conditional for edge in node.edges}) > 1:
                raise ValueError(f"Node {name!r} has a mix of conditional and unconditional edges.")
        self._check_groups()
        self.has_cycles_with_exit()

    def _targets(self, node: DiGraphNode, *, unconditional: bool = False) -> list[str]:
        targets: list[str] = []
        for edge in node.edges:
            self._known(node, edge)
            if not (unconditional and edge.conditional):
                targets.append(edge.target)
        return targets

    def _known(self, node: DiGraphNode, edge: DiGraphEdge) -> None:
        if edge.target not in self.nodes:
            raise ValueError(
                f"Node {node.name!r} has an edge to {edge.target!r}, which is not a node of the graph. "
                f"Its nodes are {list(self.nodes)}."
            )

    def _check_names(self) -> None:
        for name, node in self.nodes.items():
            if node.name != name:
                raise ValueError(f"Node {node.name!r} is in the graph under the name {name!r}. Expected its own name.")
        for node, edge in self.links():
            self._known(node, edge)
        if self.default_start_node is not None and self.default_start_node not in self.nodes:
            raise ValueError(
                f"The default start node {self.default_start_node!r} is not a node of the graph. "
                f"Its nodes are {list(self.nodes)}."
            )

    def _check_groups(self) -> None:
        """Edges of one group agree on how they are joined."""
        said: dict[tuple[str, str], tuple[str, str]] = {}
        for node, edge in self.links():
            how = "any" if self.joins_any(edge) else "all"
            before, source = said.setdefault((edge.target, edge.activation_group), (how, node.name))
            if how != before:
                raise ValueError(
                    f"Conflicting activation conditions for target {edge.target!r} group {edge.activation_group!r}: "
                    f"{before!r} (from node {source!r}) and {how!r} (from node {node.name!r})"
                )


def _cycle(targets: Mapping[str, list[str]]) -> list[str] | None:
    """Return a cycle, its first node again at its end, or None."""
    done: set[str] = set()
    for root in targets:
        if root in done:
            continue
        # Walked without recursion, so that a chain of any length can be checked.
        path = {root: iter(targets[root])}
        while path:
            name, rest = next(reversed(path.items()))
            following = next(rest, None)
            if following is None:
                del path[name]
                done.add(name)
            elif following in path:
                names = list(path)
                return [*names[names.index(following) :], following]
            elif following not in done:
                path[following] = iter(targets[following])
    return None
