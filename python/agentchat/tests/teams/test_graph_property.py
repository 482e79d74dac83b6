"""`GraphFlow` against a small reference interpreter: random graphs, runs that go on, and states saved at random moments."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_agentchat.teams._graph import DiGraph, DiGraphEdge, DiGraphNode, GraphFlow
from autogen_core import CancellationToken

Scripts = Mapping[str, Sequence[str]]
"""What each node says in its first turn, its second and so on; after that, nothing."""

DONE = "Digraph execution is complete"


@dataclass
class Interpreter:
    """Says in which order the nodes of a graph speak. Written to be read, not to be fast.

    - A run begins with the start nodes in the queue, in the order of the graph's nodes, and no token.
    - The next batch is every node in the queue, once, in the order of the queue; what is in the queue twice stays once.
    - The nodes of a batch speak at the same time. As each ends, its edges are looked at in their order; one whose condition
      holds for what the node said gets a token.
    - Edges to one node with the same group are a join. A join of kind `any` puts its node into the queue, unless the queue
      has it there for this join, and uses up the token. A join of kind `all` does when there is a token on each of its
      edges, and uses up one of each. (Edges of one group between the same two nodes share their tokens.)
    - The group named as the node is of kind `any` if the node says so; every group is if its edges say so.
    - When the queue is empty the run is done: the next one begins anew. A run that ended before goes on with its queue.
    """

    graph: DiGraph
    scripts: Scripts
    turns: Counter[str] = field(default_factory=Counter[str])
    tokens: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    queue: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def run(self, max_turns: int | None, order: Callable[[list[str]], list[str]] = list) -> tuple[list[str], str]:
        """Return who speaks, and why the run ends. `order` says in which order the turns of a batch end."""
        if not self.queue:
            self.tokens = []
            targets = {edge.target for node in self.graph.nodes.values() for edge in node.edges}
            start = self.graph.default_start_node
            self.queue = [(n, "") for n in self.graph.nodes if (n == start if start else n not in targets)]
        said: list[str] = []
        batches = 0
        while self.queue and (max_turns is None or batches < max_turns):
            batch = list(dict.fromkeys(name for name, _ in self.queue))
            for name in batch:
                self.queue.remove(next(entry for entry in self.queue if entry[0] == name))
            for name in order(batch):
                said.append(name)
                self.speak(name)
            batches += 1
        return said, f"Maximum number of turns {max_turns} reached." if self.queue else DONE

    def speak(self, name: str) -> None:
        text = line(self.scripts, name, self.turns[name])
        self.turns[name] += 1
        for edge in self.graph.nodes[name].edges:
            if isinstance(edge.condition, str) and edge.condition not in text:
                continue
            join = (edge.target, edge.activation_group)
            node_says = self.graph.nodes[edge.target].activation if edge.activation_group == edge.target else "all"
            if "any" in (edge.activation_condition, node_says):
                if join not in self.queue:
                    self.queue.append(join)
                continue
            self.tokens.append((name, *join))
            needed = [
                (node.name, *join)
                for node in self.graph.nodes.values()
                for each in node.edges
                if (each.target, each.activation_group) == join
            ]
            if not Counter(needed) - Counter(self.tokens):
                for token in needed:
                    self.tokens.remove(token)
                self.queue.append(join)


def line(scripts: Scripts, name: str, turn: int) -> str:
    script = scripts.get(name, ())
    return script[turn] if turn < len(script) else ""


def legal(graph: DiGraph, scripts: Scripts, said: Sequence[str]) -> bool:
    """Whether these turns are whole runs of the interpreter, in any order within a batch."""
    interpreter = Interpreter(graph, scripts)
    rest = list(said)

    def order(batch: list[str]) -> list[str]:
        taken, rest[:] = rest[: len(batch)], rest[len(batch) :]
        assert sorted(taken) == sorted(batch), f"{taken} instead of {batch} in {list(said)}"
        return taken

    while rest:
        interpreter.run(None, order)
    return True


class Actor(BaseChatAgent):
    """Says its lines, each after some steps of the event loop."""

    def __init__(self, name: str, scripts: Scripts, dice: random.Random | None = None) -> None:
        super().__init__(name, "an actor")
        self.scripts = scripts
        self.dice = dice
        self.turns = 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        for _ in range(self.dice.randrange(6) if self.dice else 0):
            await asyncio.sleep(0)
        text = f"{self.turns}:{line(self.scripts, self.name, self.turns)}"
        self.turns += 1
        return Response(chat_message=TextMessage(content=text, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.turns = 0

    async def save_state(self) -> Mapping[str, Any]:
        return {"turns": self.turns}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.turns = state["turns"]


def team(
    graph: DiGraph, scripts: Scripts, dice: random.Random | None = None, max_turns: int | None = None
) -> GraphFlow:
    return GraphFlow([Actor(name, scripts, dice) for name in graph.nodes], graph, max_turns=max_turns)


def texts(names: Sequence[str], scripts: Scripts) -> list[str]:
    """What these nodes say when each has its turn."""
    turns: Counter[str] = Counter()
    said: list[str] = []
    for name in names:
        said.append(f"{name} {turns[name]}:{line(scripts, name, turns[name])}")
        turns[name] += 1
    return said


# Random graphs

KINDS: st.SearchStrategy[Literal["all", "any"]] = st.sampled_from(["all", "any"])


@st.composite
def graphs(draw: st.DrawFn, conditions: Sequence[str] = ("x", "y")) -> DiGraph:
    """Graphs that can run: edges without condition lead on, those with one lead anywhere; the last node is a leaf.

    A run ends, as no script has a condition's text for ever; it may not where the text is empty, which is always found.
    """
    names = [f"n{number}" for number in range(draw(st.integers(2, 6)))]
    kinds: dict[tuple[str, str], Literal["all", "any"]] = {}
    nodes: dict[str, DiGraphNode] = {}
    for index, name in enumerate(names):
        edges: list[DiGraphEdge] = []
        conditional = draw(st.booleans())
        candidates = names if conditional else names[index + 1 :]
        for _ in range(draw(st.integers(0, 3)) if candidates and name != names[-1] else 0):
            target = draw(st.sampled_from(candidates))
            group = draw(st.sampled_from(["", "", "g", "h"]))
            if (target, group) not in kinds:
                kinds[target, group] = draw(KINDS)
            edges.append(
                DiGraphEdge(
                    target=target,
                    condition=draw(st.sampled_from(conditions)) if conditional else None,
                    activation_group=group,
                    activation_condition=kinds[target, group],
                )
            )
        nodes[name] = DiGraphNode(name=name, edges=edges, activation=draw(KINDS))
    graph = DiGraph(nodes=nodes, default_start_node=draw(st.sampled_from([None, *names[:-1]])))
    if not graph.get_start_nodes():
        graph.default_start_node = names[0]
    return graph


SCRIPTS = st.dictionaries(
    st.sampled_from([f"n{number}" for number in range(6)]),
    st.lists(st.sampled_from(["x", "y", "xy", ""]), max_size=4),
)


@settings(max_examples=500, deadline=None)
@given(
    graph=graphs(conditions=("x", "y", "")), scripts=SCRIPTS, limits=st.lists(st.integers(1, 6), min_size=1, max_size=4)
)
def test_random_graphs_run_in_the_order_of_the_reference_interpreter(
    graph: DiGraph, scripts: Scripts, limits: Sequence[int]
) -> None:
    """Over several runs: one that reached its limit goes on in the next, one that was done begins anew."""
    graph.graph_validate()

    async def check() -> None:
        interpreter = Interpreter(graph, scripts)
        flow = team(graph, scripts)
        for number, limit in enumerate(limits):
            flow._max_turns = limit
            if flow._manager is not None:
                flow._manager._settings.max_turns = limit
            result = await flow.run(task=f"task {number}")
            names, reason = interpreter.run(limit)
            assert [message.source for message in result.messages] == ["user", *names]
            assert result.stop_reason == reason

    asyncio.run(check())


# Random moments


async def saved_on_the_way(flow: GraphFlow, dice: random.Random) -> list[Mapping[str, Any]]:
    """Run a team to its end, and return states that were saved meanwhile."""
    run = asyncio.create_task(flow.run(task="go"))
    states: list[Mapping[str, Any]] = []
    while not run.done():
        for _ in range(dice.randrange(9)):
            await asyncio.sleep(0)
        states.append(await flow.save_state())
    await run
    return states


async def said_in(flow: GraphFlow) -> list[tuple[str, str]]:
    thread = (await flow.save_state())["agent_states"]["GraphManager"]["message_thread"]
    return [(message["source"], message["content"]) for message in thread if message["source"] != "user"]


@pytest.mark.timeout(180)
@settings(max_examples=120, deadline=None)
@given(graph=graphs(), scripts=SCRIPTS, seed=st.integers(0, 1000))
def test_a_state_saved_at_any_moment_is_finished_by_a_fresh_team(graph: DiGraph, scripts: Scripts, seed: int) -> None:
    """No turn is lost or doubled, also when several were running; and what is loaded is what was saved."""

    async def check() -> None:
        dice = random.Random(seed)
        states = await saved_on_the_way(team(graph, scripts, dice), dice)
        for state in dice.sample(states, min(len(states), 6)):
            text = json.dumps(state)
            assert json.loads(text) == state
            fresh = team(graph, scripts, dice)
            await fresh.load_state(json.loads(text))
            assert await fresh.save_state() == state
            await fresh.load_state(json.loads(text))
            assert await fresh.save_state() == state
            result = await fresh.run()
            assert result.stop_reason == DONE
            said = await said_in(fresh)
            names = [name for name, _ in said]
            assert [f"{name} {content}" for name, content in said] == texts(names, scripts)
            assert legal(graph, scripts, names)

    asyncio.run(check())


async def test_fifty_moments_of_one_run_with_parallel_turns_in_a_loop() -> None:
    graph = DiGraph(
        nodes={
            "n0": DiGraphNode(
                name="n0", edges=[DiGraphEdge(target=name) for name in ("n1", "n2", "n3")], activation="any"
            ),
            "n1": DiGraphNode(name="n1", edges=[DiGraphEdge(target="n4")]),
            "n2": DiGraphNode(name="n2", edges=[DiGraphEdge(target="n4")]),
            "n3": DiGraphNode(name="n3", edges=[DiGraphEdge(target="n5", activation_condition="any")]),
            "n4": DiGraphNode(
                name="n4",
                edges=[
                    DiGraphEdge(target="n0", condition="x"),
                    DiGraphEdge(target="n5", condition="", activation_condition="any"),
                ],
            ),
            "n5": DiGraphNode(name="n5"),
        },
        default_start_node="n0",
    )
    scripts = {"n4": ["x", "xy", "x", ""]}
    dice = random.Random(4)
    states: list[Mapping[str, Any]] = []
    while len(states) < 50:
        states += await saved_on_the_way(team(graph, scripts, dice), dice)
    active = {len(state["agent_states"]["GraphManager"].get("active_speakers", ())) for state in states}
    assert active >= {1, 2, 3}
    for state in states:
        fresh = team(graph, scripts, dice)
        await fresh.load_state(json.loads(json.dumps(state)))
        await fresh.run()
        said = await said_in(fresh)
        assert [f"{name} {content}" for name, content in said] == texts([name for name, _ in said], scripts)
        assert legal(graph, scripts, [name for name, _ in said])


# Random graphs that may not run


def can_run(graph: DiGraph) -> bool:
    """Whether a graph is valid, by looking at every simple cycle there can be."""
    nodes = graph.nodes
    targets = {edge.target for node in nodes.values() for edge in node.edges}
    if (
        targets - nodes.keys()
        or not graph.get_leaf_nodes()
        or (not graph.default_start_node and targets == nodes.keys())
    ):
        return False
    if any(len({edge.condition is None for edge in node.edges}) > 1 for node in nodes.values()):
        return False
    always = {(n, edge.target) for n, node in nodes.items() for edge in node.edges if edge.condition is None}
    return not any(
        all(step in always for step in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        for length in range(1, len(nodes) + 1)
        for cycle in permutations(nodes, length)
    )


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([None, None, "x"])), max_size=2),
        min_size=1,
    ),
    st.booleans(),
)
def test_exactly_the_graphs_that_cannot_run_are_refused(
    edges: Mapping[str, Sequence[tuple[str, str | None]]], chooses: bool
) -> None:
    nodes = {
        name: DiGraphNode(name=name, edges=[DiGraphEdge(target=target, condition=when) for target, when in leaving])
        for name, leaving in edges.items()
    }
    graph = DiGraph(nodes=nodes, default_start_node=next(iter(nodes)) if chooses else None)
    if can_run(graph):
        graph.graph_validate()
    else:
        with pytest.raises(ValueError, match=r"'[a-e]'|[a-e] -> [a-e]"):
            graph.graph_validate()
