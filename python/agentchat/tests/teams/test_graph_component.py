"""Making a `GraphFlow`: which teams are refused, and its configuration."""

import re
from typing import Any

import pytest

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.teams._graph import DiGraph, DiGraphBuilder, DiGraphEdge, DiGraphNode, GraphFlow
from autogen_ext.models.replay import ReplayChatCompletionClient


def agent(name: str, *answers: str) -> AssistantAgent:
    return AssistantAgent(name, ReplayChatCompletionClient([*answers]))


def graph(start: str | None = None, /, **targets: list[str]) -> DiGraph:
    nodes = {
        name: DiGraphNode(name=name, edges=[DiGraphEdge(target=target) for target in leaving])
        for name, leaving in targets.items()
    }
    return DiGraph(nodes=nodes, default_start_node=start)


def texts(result: TaskResult) -> list[str]:
    return [message.to_text() for message in result.messages]


def test_a_team_that_cannot_run_is_refused_with_the_node_named() -> None:
    agents = [agent("a"), agent("b")]
    with pytest.raises(ValueError, match="Cycle detected without exit condition: a -> b -> a"):
        GraphFlow([*agents, agent("z")], graph("a", a=["b"], b=["a"], z=[]))
    with pytest.raises(
        ValueError, match=re.escape("The nodes ['c'] of the graph are not among the participants ['a', 'b']")
    ):
        GraphFlow([*agents], graph(a=["b"], b=["c"], c=[]))
    with pytest.raises(ValueError, match="At least one participant is required"):
        GraphFlow([], graph(a=["b"], b=["c"], c=[]))
    inner: Any = RoundRobinGroupChat([agent("x")], name="a")
    with pytest.raises(TypeError, match="must be a ChatAgent"):
        GraphFlow([inner, agent("b")], graph(a=["b"], b=[]))


def assistants() -> DiGraphBuilder:
    writer, critic = agent("writer", "draft", "better draft"), agent("critic", "REDO", "FINE")
    editor = agent("editor", "printed")
    made = DiGraphBuilder().add_node(writer).add_node(critic).add_node(editor).add_edge(writer, critic)
    return made.add_conditional_edges(critic, {"REDO": writer, "FINE": editor}).set_entry_point(writer)


async def test_a_dumped_team_does_the_same_when_loaded() -> None:
    made = assistants()
    condition = MaxMessageTermination(20)
    team = GraphFlow(made.get_participants(), made.build(), name="press", termination_condition=condition, max_turns=9)
    config = team.dump_component()
    assert config.provider == "autogen_agentchat.teams.GraphFlow"
    assert config.config["graph"]["default_start_node"] == "writer"
    loaded = GraphFlow.load_component(config)
    assert loaded.dump_component() == config
    expected = ["go", "draft", "REDO", "better draft", "FINE", "printed"]
    assert texts(await loaded.run(task="go")) == texts(await team.run(task="go")) == expected


def test_a_function_as_condition_cannot_be_dumped_and_the_edge_is_named() -> None:
    made = assistants().add_edge("critic", "editor", condition=lambda message: False)
    team = GraphFlow(made.get_participants(), made.build())
    with pytest.raises(
        ValueError, match="condition of the edge 'critic' -> 'editor' is a function, which has no JSON form"
    ):
        team.dump_component()
