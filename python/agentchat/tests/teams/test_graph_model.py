"""`DiGraph` and `DiGraphBuilder`: what a graph says about itself, its JSON, and which graphs are refused."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, StructuredMessage, TextMessage
from autogen_agentchat.teams._graph import DiGraph, DiGraphBuilder, DiGraphEdge, DiGraphNode
from autogen_core import CancellationToken


class Member(BaseChatAgent):
    def __init__(self, name: str) -> None:
        super().__init__(name, "a member")

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        raise NotImplementedError

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        pass


def says(text: str) -> TextMessage:
    return TextMessage(content=text, source="a")


def graph(edges: dict[str, list[str | DiGraphEdge]], start: str | None = None) -> DiGraph:
    """A graph from targets by node."""
    nodes = {
        name: DiGraphNode(
            name=name, edges=[DiGraphEdge(target=target) if isinstance(target, str) else target for target in targets]
        )
        for name, targets in edges.items()
    }
    return DiGraph(nodes=nodes, default_start_node=start)


def when(condition: str, target: str, **more: Any) -> DiGraphEdge:
    return DiGraphEdge(target=target, condition=condition, **more)


def builder(*names: str) -> DiGraphBuilder:
    made = DiGraphBuilder()
    for name in names:
        made.add_node(Member(name))
    return made


# Edges


def test_a_text_condition_looks_for_its_text_in_what_a_model_reads() -> None:
    class Count(BaseModel):
        number: int

    count = StructuredMessage[Count](content=Count(number=3), source="a", format_string="we have {number}")
    assert when("x", "b").check_condition(says("a x b"))
    assert not when("X", "b").check_condition(says("a x b"))
    assert when("we have 3", "b").check_condition(count)
    assert not when('"number"', "b").check_condition(count)
    assert when("", "b").check_condition(says("anything"))
    assert DiGraphEdge(target="b").check_condition(says("anything"))


def test_a_function_condition_becomes_the_condition_function_and_has_no_json_form() -> None:
    edge = DiGraphEdge(target="b", condition=lambda message: len(message.to_text()) > 3)
    assert edge.condition is None
    assert edge.condition_function is not None
    assert edge.check_condition(says("long"))
    assert not edge.check_condition(says("no"))
    assert edge.model_dump() == {
        "target": "b",
        "condition": None,
        "activation_group": "b",
        "activation_condition": "all",
    }


def test_a_function_comes_before_a_text() -> None:
    edge = DiGraphEdge(target="b", condition="x", condition_function=lambda message: False)
    assert not edge.check_condition(says("x"))


def test_a_condition_of_another_type_is_refused() -> None:
    with pytest.raises(ValidationError):
        DiGraphEdge.model_validate({"target": "b", "condition": 3})


# What a graph says about itself


def test_a_graph_knows_where_it_starts_and_ends_and_who_comes_before_whom() -> None:
    diamond = graph({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []})
    diamond.graph_validate()
    assert diamond.get_start_nodes() == {"a"}
    assert diamond.get_leaf_nodes() == {"d"}
    assert diamond.get_parents() == {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    assert diamond.get_remaining_map() == {"b": {"b": 1}, "c": {"c": 1}, "d": {"d": 2}}
    assert not diamond.get_has_cycles()
    assert not diamond.has_cycles_with_exit()


def test_groups_are_counted_apart_and_two_edges_of_one_node_twice() -> None:
    edges = [DiGraphEdge(target="b", activation_group="g"), DiGraphEdge(target="b", activation_group="h")]
    assert graph({"a": [*edges], "b": []}).get_remaining_map() == {"b": {"g": 1, "h": 1}}
    twice = graph({"a": ["b", "b"], "b": []})
    twice.graph_validate()
    assert twice.get_remaining_map() == {"b": {"b": 2}}
    assert twice.get_parents()["b"] == ["a", "a"]


def test_a_default_start_node_is_the_only_start() -> None:
    chosen = graph({"a": ["b"], "b": ["c"], "c": []}, start="b")
    chosen.graph_validate()
    assert chosen.get_start_nodes() == {"b"}


def test_a_cycle_that_a_condition_can_end_is_allowed() -> None:
    loop = graph({"a": ["b"], "b": [when("again", "a"), when("done", "z")], "z": []}, start="a")
    loop.graph_validate()
    assert loop.get_has_cycles()
    self_loop = graph({"a": [when("again", "a"), when("done", "z")], "z": []}, start="a")
    self_loop.graph_validate()
    assert self_loop.has_cycles_with_exit()


def test_a_graph_survives_json() -> None:
    loop = graph({"a": ["b"], "b": [when("again", "a", activation_group="g", activation_condition="any")]}, start="a")
    assert DiGraph.model_validate_json(loop.model_dump_json()) == loop


def test_a_long_chain_can_be_checked() -> None:
    """More nodes than Python has stack frames."""
    size = 3000
    chain = graph({str(number): [str(number + 1)] if number < size else [] for number in range(size + 1)})
    chain.graph_validate()
    assert not chain.get_has_cycles()


# What is refused

ALL = DiGraphEdge(target="c", activation_group="g", activation_condition="all")
ANY = DiGraphEdge(target="c", activation_group="g", activation_condition="any")


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (graph({}), "Graph has no nodes."),
        (graph({"a": ["b"], "b": ["a"]}), "Graph must have at least one start node: edges lead to each of 'a', 'b'."),
        (
            graph({"s": ["a"], "a": ["s"]}, start="s"),
            "Graph must have at least one leaf node: each of 's', 'a' has edges",
        ),
        (
            graph({"a": [when("x", "b"), "c"], "b": [], "c": []}),
            "Node 'a' has a mix of conditional and unconditional edges.",
        ),
        (
            graph({"s": ["a", "z"], "a": ["b"], "b": ["a"], "z": []}),
            "Cycle detected without exit condition: a -> b -> a",
        ),
        (graph({"s": ["a", "z"], "a": ["a"], "z": []}), "Cycle detected without exit condition: a -> a"),
        (
            graph({"a": [ALL], "b": [ANY], "c": []}),
            "Conflicting activation conditions for target 'c' group 'g': 'all' (from node 'a') and 'any' (from node 'b')",
        ),
        (graph({"a": ["q"], "b": []}), "Node 'a' has an edge to 'q', which is not a node of the graph."),
        (graph({"a": ["b"], "b": []}, start="q"), "The default start node 'q' is not a node of the graph."),
        (DiGraph(nodes={"a": DiGraphNode(name="b")}), "Node 'b' is in the graph under the name 'a'."),
    ],
)
def test_a_graph_that_cannot_run_is_refused_with_the_node_named(refused: DiGraph, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        refused.graph_validate()


def test_a_cycle_is_found_behind_one_that_has_an_exit() -> None:
    hidden = graph({"s": ["a"], "a": [when("x", "s"), when("y", "b")], "b": ["c"], "c": ["b", "z"], "z": []}, start="s")
    with pytest.raises(ValueError, match="b -> c -> b"):
        hidden.graph_validate()


# The builder


def test_the_builder_makes_the_graph_of_its_steps() -> None:
    a, b, c = (Member(name) for name in "abc")
    made = DiGraphBuilder()
    made.add_node(a).add_node(b, activation="any").add_node(c)
    made.add_edge(a, b, "x", activation_group="g", activation_condition="any").add_edge("a", "c", condition="y")
    assert made.set_entry_point(a).build() == DiGraph(
        nodes={
            "a": DiGraphNode(
                name="a",
                edges=[
                    when("x", "b", activation_group="g", activation_condition="any"),
                    when("y", "c", activation_group="c"),
                ],
            ),
            "b": DiGraphNode(name="b", activation="any"),
            "c": DiGraphNode(name="c"),
        },
        default_start_node="a",
    )
    assert made.get_participants() == [a, b, c]


def test_conditional_edges_are_one_edge_for_each_text() -> None:
    built = builder("a", "b", "c").add_conditional_edges("a", {"yes": "b", "no": "c"}).build()
    assert [(edge.condition, edge.target) for edge in built.nodes["a"].edges] == [("yes", "b"), ("no", "c")]


def test_a_graph_that_was_built_does_not_change_with_the_builder() -> None:
    made = builder("a", "b").add_edge("a", "b")
    built = made.build()
    before = built.model_copy(deep=True)
    made.add_node(Member("c")).add_edge("b", "c")
    assert built == before


def test_the_same_agent_may_be_added_twice() -> None:
    a = Member("a")
    assert DiGraphBuilder().add_node(a).add_node(a).get_participants() == [a]


@pytest.mark.parametrize(
    ("misuse", "text"),
    [
        (lambda: builder().build(), "Graph has no nodes."),
        (lambda: builder("a").add_edge("a", "b"), "Target node 'b' must be added before adding an edge."),
        (lambda: builder("b").add_edge(Member("a"), "b"), "Source node 'a' must be added before adding an edge."),
        (lambda: builder("a").add_conditional_edges("a", {"x": "b"}), "Target node 'b' must be added before"),
        (lambda: builder("a").set_entry_point("b"), "Start node 'b' must be added before setting as entry point."),
        (lambda: builder("a").add_node(Member("a")), "Another agent with the name 'a' is in the graph."),
        (lambda: builder("a", "b").add_edge("a", "b").add_edge("b", "a").build(), "at least one start node"),
    ],
)
def test_misuse_of_the_builder_is_refused_with_the_node_named(misuse: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        misuse()


def test_a_node_cannot_be_added_again_with_another_activation() -> None:
    a = Member("a")
    with pytest.raises(ValueError, match="Node 'a' is in the graph already, with activation 'all'"):
        DiGraphBuilder().add_node(a).add_node(a, activation="any")


def test_edges_of_the_default_group_agree_when_the_node_says_any() -> None:
    """The node's activation overrides its edges in the default group, so they cannot conflict."""
    a, b, c = (Member(name) for name in "abc")
    made = DiGraphBuilder().add_node(a).add_node(b).add_node(c, activation="any")
    made.add_edge(a, c, activation_condition="any").add_edge(b, c).build()
