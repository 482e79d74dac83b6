"""`Activations`: which nodes of a graph run next. The rules of the tokens, without a team around them.

A node whose turn ended puts one token on each of its edges whose condition holds. Edges to one node that have the same group
are a join. A join of kind `all` waits for a token from each of its edges, takes one from each, and lets its node run; what
came too often stays for the next time. A join of kind `any` lets its node run for each token; tokens that come while the
node waits to run for an earlier one are merged with it.

What is to run waits in a queue. The next batch is everything in the queue, each node once: a node that two joins let run
runs in this batch and in the next. Stands on the graph's model. The work for a turn that ended is bound by the edges of
its node.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from pydantic import BaseModel, Field

from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams._graph._model import DiGraph, DiGraphEdge

UNKNOWN = ""
"""The source of tokens in states of 0.7.5, which counted tokens but not where they came from."""


class ActivationsRecord(BaseModel):
    """Everything the activations are, as it is saved. The first three fields are those of 0.7.5."""

    remaining: dict[str, dict[str, int]] = Field(default_factory=dict[str, dict[str, int]])
    """For each group of each node, how many tokens it waits for."""

    enqueued_any: dict[str, dict[str, bool]] = Field(default_factory=dict[str, dict[str, bool]])
    """For each group of each node, whether it is a join of kind `any` that waits to run."""

    ready: list[str] = Field(default_factory=list[str])
    """The nodes that are to run."""

    ready_groups: list[str] = Field(default_factory=list[str])
    """The group that let each of them run; empty for start nodes."""

    arrived: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict[str, dict[str, dict[str, int]]])
    """For each group of each node that has tokens, how many from which node."""


class _Join:
    """The edges to one node that have the same group."""

    __slots__ = ("any_of", "group", "missing", "needs", "queued", "target", "tokens")

    def __init__(self, target: str, group: str, *, any_of: bool) -> None:
        self.target = target
        self.group = group
        self.any_of = any_of
        self.needs: dict[str, int] = {}
        """How many edges come from each node."""
        self.tokens: dict[str, int] = {}
        self.missing = 0
        """How many edges have no token."""
        self.queued = False
        """Whether the node waits to run because of this join. Of interest to kind `any` only."""

    def add_edge(self, source: str) -> None:
        self.needs[source] = self.needs.get(source, 0) + 1
        self.missing += 1

    def arrive(self, source: str) -> bool:
        """Take a token from a node; return whether the target is to run."""
        if self.any_of:
            first, self.queued = not self.queued, True
            return first
        held = self.tokens.get(source, 0)
        self.tokens[source] = held + 1
        if held < self.needs[source]:
            self.missing -= 1
        if self.missing > self.tokens.get(UNKNOWN, 0):
            return False
        self.hold(self._left())
        return True

    def hold(self, tokens: Mapping[str, int]) -> None:
        """Have these tokens and no others."""
        self.tokens = {source: count for source, count in tokens.items() if count}
        self.missing = sum(max(0, need - tokens.get(source, 0)) for source, need in self.needs.items())

    def _left(self) -> dict[str, int]:
        """What is left when one token is taken for each edge; those of unknown source stand in where there is none."""
        left = {source: max(0, count - self.needs.get(source, 0)) for source, count in self.tokens.items()}
        if UNKNOWN in left:
            left[UNKNOWN] -= self.missing
        return left

    @property
    def remaining(self) -> int:
        return self.missing - min(self.missing, self.tokens.get(UNKNOWN, 0))

    @property
    def lacking(self) -> list[str]:
        """From which nodes a token is missing."""
        return [source for source, need in self.needs.items() if self.tokens.get(source, 0) < need]


class Activations:
    """The tokens of one run through a graph, and the queue of what is to run.

    Args:
        graph: A graph that was checked. It is read once, here.
    """

    def __init__(self, graph: DiGraph) -> None:
        self._start = graph.start_names()
        self._joins: dict[str, dict[str, _Join]] = {}
        self._edges: dict[str, list[tuple[DiGraphEdge, _Join]]] = {name: [] for name in graph.nodes}
        for node, edge in graph.links():
            groups = self._joins.setdefault(edge.target, {})
            join = groups.get(edge.activation_group)
            if join is None:
                join = _Join(edge.target, edge.activation_group, any_of=graph.joins_any(edge))
                groups[join.group] = join
            join.add_edge(node.name)
            self._edges[node.name].append((edge, join))
        self._queue: list[tuple[str, _Join | None]] = []
        self.enter()

    def enter(self) -> None:
        """Begin at the start nodes, without any token."""
        for join in self._all():
            join.hold({})
            join.queued = False
        self._queue = [(name, None) for name in self._start]

    @property
    def waiting_to_run(self) -> bool:
        """Whether anything is to run."""
        return bool(self._queue)

    def next_batch(self) -> list[str]:
        """Take the nodes that run next, at the same time, from the queue; none if it is empty."""
        batch: dict[str, None] = {}
        later: list[tuple[str, _Join | None]] = []
        for name, join in self._queue:
            if name in batch:
                later.append((name, join))
                continue
            batch[name] = None
            if join is not None:
                join.queued = False
        self._queue = later
        return list(batch)

    def turn_ended(self, name: str, message: BaseChatMessage) -> None:
        """Put tokens on the edges of a node that hold for its message. If a condition raises, nothing is changed."""
        followed = [
            join for edge, join in self._edges.get(name, ()) if not edge.conditional or edge.check_condition(message)
        ]
        for join in followed:
            if join.arrive(name):
                self._queue.append((join.target, join))

    def starved(self) -> dict[str, list[str]]:
        """Return the nodes that have some of their tokens, and from which nodes others are missing."""
        return {join.target: join.lacking for join in self._all() if join.tokens and join.missing}

    # State

    def save(self) -> ActivationsRecord:
        """Return everything, for a saved state."""
        groups = [join.group if join is not None else "" for _, join in self._queue]
        arrived: dict[str, dict[str, dict[str, int]]] = {}
        for join in self._all():
            if join.tokens:
                arrived.setdefault(join.target, {})[join.group] = dict(join.tokens)
        return ActivationsRecord(
            remaining={
                target: {group: join.remaining for group, join in groups.items()}
                for target, groups in self._joins.items()
            },
            enqueued_any={
                target: {group: join.queued for group, join in groups.items()} for target, groups in self._joins.items()
            },
            ready=[name for name, _ in self._queue],
            ready_groups=groups if any(groups) else [],
            arrived=arrived,
        )

    def load(self, record: ActivationsRecord, active: Collection[str]) -> None:
        """Take up what `save` returned, or a state of 0.7.5.

        Args:
            record: What was saved.
            active: Who was running.

        Raises:
            ValueError: It is the state of another graph. Nothing is changed.
        """
        unknown = [name for name in [*record.ready, *active] if name not in self._edges]
        unknown += [
            name for name, groups in record.arrived.items() if not groups.keys() <= self._joins.get(name, {}).keys()
        ]
        if unknown:
            raise ValueError(
                f"The saved state is of another graph: it has activations of {unknown}. "
                f"The nodes of this graph are {list(self._edges)}."
            )
        for join in self._all():
            tokens = record.arrived.get(join.target, {}).get(join.group)
            if tokens is None:
                tokens = {UNKNOWN: self._counted(join, record)}
            elif not tokens.keys() <= {*join.needs, UNKNOWN}:
                tokens = {UNKNOWN: sum(tokens.values())}
            join.hold(tokens)
            join.queued = False
        self._queue = list(self._queued(record))

    def follow(self, thread: Iterable[BaseChatMessage]) -> list[str]:
        """Go the way that a conversation took, over all its runs; return who was running when it was saved.

        States of 0.7.5 do not say that. If the nodes that spoke, and the queue they leave, are not those of this graph and of
        the queue that was loaded, nothing is changed and nobody was running. The same if a condition raises, which is
        passed on.
        """
        loaded = self.save()
        found: list[str] | None = None
        try:
            found = self._followed(thread, loaded.ready)
        finally:
            if found is None:
                self.load(loaded, ())
        return found or []

    def _followed(self, thread: Iterable[BaseChatMessage], ready: list[str]) -> list[str] | None:
        active: list[str] = []
        self._queue = []
        for message in thread:
            name = message.source
            if name not in self._edges:
                continue
            if not active:
                if not self._queue:
                    self.enter()
                active = self.next_batch()
            if name not in active:
                return None
            active.remove(name)
            self.turn_ended(name, message)
        if not active and [name for name, _ in self._queue] != ready:
            active = self.next_batch()
        return active if [name for name, _ in self._queue] == ready else None

    def _all(self) -> Iterable[_Join]:
        return (join for groups in self._joins.values() for join in groups.values())

    @staticmethod
    def _counted(join: _Join, record: ActivationsRecord) -> int:
        """Return how many tokens a state of 0.7.5 has for a join; none if it has let its node run and waits for that."""
        total = sum(join.needs.values())
        remaining = record.remaining.get(join.target, {}).get(join.group, total)
        return total - remaining if 0 < remaining < total and not join.any_of else 0

    def _queued(self, record: ActivationsRecord) -> Iterable[tuple[str, _Join | None]]:
        groups: Sequence[str | None] = record.ready_groups or [None] * len(record.ready)
        for name, group in zip(record.ready, groups, strict=True):
            joins = self._joins.get(name, {})
            if group is None:  # 0.7.5 does not say which, but which joins of kind `any` wait
                flags = record.enqueued_any.get(name, {})
                join = next((each for each in joins.values() if flags.get(each.group) and not each.queued), None)
            else:
                join = joins.get(group)
            if join is not None and join.any_of:
                join.queued = True
            yield name, join
