"""The saved state of a `GraphFlow`: what is in it, where a fresh team goes on, and states that AutoGen 0.7.5 wrote."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_agentchat.teams import GroupChatError
from autogen_agentchat.teams._graph import DiGraph, DiGraphEdge, DiGraphNode, GraphFlow
from autogen_agentchat.teams._graph._activations import Activations
from autogen_core import CancellationToken


class Speaker(BaseChatAgent):
    """Says its name, or fails."""

    def __init__(self, name: str, *, fails: bool = False) -> None:
        super().__init__(name, f"{name} speaks")
        self.fails = fails
        self.heard: list[str] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        if self.fails:
            raise KeyError("boom")
        self.heard = [message.to_text() for message in messages]
        return Response(chat_message=TextMessage(content=self.name, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        pass


def edge(target: str, **more: Any) -> DiGraphEdge:
    return DiGraphEdge(target=target, **more)


def graph(**edges: Sequence[str | DiGraphEdge]) -> DiGraph:
    nodes = {
        name: DiGraphNode(name=name, edges=[edge(each) if isinstance(each, str) else each for each in leaving])
        for name, leaving in edges.items()
    }
    return DiGraph(nodes=nodes)


def flow(of: DiGraph, *, fails: str = "", **options: Any) -> GraphFlow:
    return GraphFlow([Speaker(name, fails=name == fails) for name in of.nodes], of, **options)


async def said(team: GraphFlow, task: str | None = None) -> str:
    return " ".join(message.to_text() for message in (await team.run(task=task)).messages)


def manager(state: Mapping[str, Any]) -> dict[str, Any]:
    """The manager's part, without the messages."""
    saved = dict(state["agent_states"]["GraphManager"])
    del saved["message_thread"]
    return saved


async def reloaded(team: GraphFlow, of: DiGraph) -> GraphFlow:
    fresh = flow(of)
    await fresh.load_state(json.loads(json.dumps(await team.save_state())))
    return fresh


CHAIN = graph(a=["b"], b=["c"], c=[])
UNEVEN = graph(a=["b", "c"], b=["d"], c=["e"], e=["d"], d=[])


async def test_the_state_at_rest_is_that_of_0_7_5() -> None:
    team = flow(graph(a=["b", "c"], b=["d"], c=["d"], d=[]))
    await team.run(task="go")
    assert manager(await team.save_state()) == {
        "type": "GraphManagerState",
        "version": "1.0.0",
        "current_turn": 0,
        "remaining": {"b": {"b": 1}, "c": {"c": 1}, "d": {"d": 2}},
        "enqueued_any": {"b": {"b": False}, "c": {"c": False}, "d": {"d": False}},
        "ready": ["a"],
    }


async def test_the_activations_of_a_stopped_run_are_in_the_state() -> None:
    team = flow(UNEVEN, max_turns=2)
    await team.run(task="go")
    state = manager(await team.save_state())
    assert state["ready"] == ["e"]
    assert state["remaining"]["d"] == {"d": 1}
    assert state["arrived"] == {"d": {"d": {"b": 1}}}
    fresh = await reloaded(team, UNEVEN)
    assert await fresh.save_state() == await team.save_state()
    assert await said(fresh) == "e d"


async def test_a_state_that_failed_in_node_2_of_3_resumes_at_node_2() -> None:
    team = flow(CHAIN, fails="b")
    with pytest.raises(GroupChatError):
        await team.run(task="go")
    assert manager(await team.save_state())["active_speakers"] == ["b"]
    assert await said(await reloaded(team, CHAIN)) == "b c"


async def test_a_fresh_team_runs_only_the_branch_that_failed() -> None:
    diamond = graph(a=["b", "c"], b=["d"], c=["d"], d=[])
    team = flow(diamond, fails="b")
    with pytest.raises(GroupChatError):
        await team.run(task="go")
    assert await said(await reloaded(team, diamond)) == "b d"


async def test_a_state_of_another_graph_is_refused_and_changes_nothing() -> None:
    team = flow(CHAIN, max_turns=1)
    await team.run(task="go")
    other = graph(x=["y"], y=[])
    fresh = GraphFlow([*(Speaker(name) for name in "xyabc")], other)
    before = await fresh.save_state()
    loaded = {**before["agent_states"], **(await team.save_state())["agent_states"]}
    with pytest.raises(ValueError, match=r"state is of another graph: it has activations of \['b'\]"):
        await fresh.load_state({**before, "agent_states": loaded})
    assert manager(await fresh.save_state()) == manager(before)


def test_a_token_that_came_too_often_survives_a_save() -> None:
    """`b` leads to `d` twice: the second token is for the next time that `c` does."""
    made = graph(a=["b", "c"], b=["d"], c=["d"], d=[])
    word = TextMessage(content="", source="x")
    first, second = Activations(made), Activations(made)
    first.next_batch()
    first.turn_ended("b", word)
    first.turn_ended("b", word)
    second.load(first.save(), [])
    assert second.save() == first.save()
    for _ in range(2):
        assert second.next_batch() == []
        second.turn_ended("c", word)
        assert second.next_batch() == ["d"]


def test_which_join_let_a_node_run_survives_a_save() -> None:
    """`d` waits to run for its join of all, and then for that of any: a later token is merged with the second."""
    made = graph(
        a=[edge("d", activation_group="one", activation_condition="any")],
        b=[edge("d", activation_group="all")],
        d=[],
    )
    word = TextMessage(content="", source="x")
    first, second = Activations(made), Activations(made)
    first.next_batch()
    first.turn_ended("b", word)
    first.turn_ended("a", word)
    second.load(first.save(), [])
    assert second.next_batch() == ["d"]
    second.turn_ended("a", word)
    assert second.next_batch() == ["d"]
    assert second.next_batch() == []


# Written by 0.7.5


def message(source: str) -> dict[str, Any]:
    return {
        "id": f"id-{source}",
        "source": source,
        "models_usage": None,
        "metadata": {},
        "created_at": "2025-11-22T16:08:12.063758Z",
        "content": source,
        "type": "TextMessage",
    }


def written(buffers: Mapping[str, str], thread: str, **fields: Any) -> dict[str, Any]:
    """A team's state as 0.7.5 writes it: its manager's has neither type nor version."""
    containers = {
        name: {
            "type": "ChatAgentContainerState",
            "version": "1.0.0",
            "agent_state": {"type": "BaseState", "version": "1.0.0"},
            "message_buffer": [message(source) for source in buffer.split()],
        }
        for name, buffer in buffers.items()
    }
    thread_of = [message(source) for source in thread.split()]
    states = {**containers, "GraphManager": {"message_thread": thread_of, "current_turn": 0, **fields}}
    return {"type": "TeamState", "version": "1.0.0", "agent_states": states}


FALSE = {"b": {"b": False}, "c": {"c": False}, "e": {"e": False}, "d": {"d": False}}
ONE = {"b": {"b": 1}, "c": {"c": 1}, "e": {"e": 1}}
HEARD = {"a": "b c", "b": "c", "c": "b", "e": "user a b c", "d": "user a b c"}


async def test_a_state_of_0_7_5_with_a_join_half_full_goes_on() -> None:
    state = written(
        HEARD,
        "user a b c",
        remaining={**ONE, "e": {"e": 0}, "d": {"d": 1}},
        enqueued_any=FALSE,
        ready=["e"],
    )
    team = flow(UNEVEN)
    await team.load_state(state)
    d = team._participants[-1]
    assert isinstance(d, Speaker)
    assert await said(team) == "e d"
    assert d.heard == ["user", "a", "b", "c", "e"]
    assert await said(team, "go") == "go a b c e d"


async def test_a_state_of_0_7_5_with_a_join_of_any_in_the_queue_goes_on() -> None:
    any_edge = edge("d", activation_condition="any")
    uneven = graph(a=["b", "c"], b=["e"], c=[any_edge], e=[any_edge], d=[])
    state = written(
        HEARD,
        "user a b c",
        remaining={**ONE, "e": {"e": 0}, "d": {"d": 2}},
        enqueued_any={**FALSE, "d": {"d": True}},
        ready=["e", "d"],
    )
    team = flow(uneven)
    await team.load_state(state)
    assert await said(team) == "e d d"


async def test_what_is_made_of_a_state_of_0_7_5_can_be_saved_and_loaded() -> None:
    state = written(
        HEARD, "user a b c", remaining={**ONE, "e": {"e": 0}, "d": {"d": 1}}, enqueued_any=FALSE, ready=["e"]
    )
    team = flow(UNEVEN)
    await team.load_state(state)
    fresh = await reloaded(team, UNEVEN)
    assert await fresh.save_state() == await team.save_state()
    assert await said(fresh) == "e d"


LOST: dict[str, Any] = {
    "remaining": {"b": {"b": 1}, "c": {"c": 1}},
    "enqueued_any": {"b": {"b": False}, "c": {"c": False}},
    "ready": [],
}


async def test_who_was_running_is_found_out_for_a_state_of_0_7_5() -> None:
    """It was saved while `b` ran, or after that failed, in the second run: nothing in it says so."""
    state = written({"a": "", "b": "c user a", "c": "user a"}, "user a b c user a", **LOST)
    team = flow(CHAIN)
    await team.load_state(state)
    assert manager(await team.save_state())["active_speakers"] == ["b"]
    assert await said(team) == "b c"


async def test_a_lost_branch_is_found_out_for_a_state_of_0_7_5() -> None:
    """`b` failed, while `c` ended and let `e` be next."""
    state = written(
        {**HEARD, "b": "user a c"},
        "user a c",
        remaining={**ONE, "e": {"e": 0}, "d": {"d": 2}},
        enqueued_any=FALSE,
        ready=["e"],
    )
    team = flow(UNEVEN)
    await team.load_state(state)
    assert await said(team) == "b e d"


async def test_a_state_of_0_7_5_that_does_not_fit_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody knows who was running: `c` spoke before `b`."""
    team = flow(CHAIN)
    await team.load_state(written({"a": "", "b": "", "c": ""}, "user a c", **LOST))
    assert "does not say which node is next" in caplog.text
    assert await said(team, "go") == "go a b c"


async def test_a_condition_that_fails_for_a_saved_message_does_not_keep_a_state_from_loading(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def condition(message: BaseChatMessage) -> bool:
        raise KeyError(message.source)

    team = flow(graph(a=[edge("b", condition=condition)], b=["c"], c=[]))
    await team.load_state(written({"a": "", "b": "", "c": ""}, "user a", **LOST))
    assert "KeyError('a')" in caplog.text
    assert manager(await team.save_state())["ready"] == ["a"]
