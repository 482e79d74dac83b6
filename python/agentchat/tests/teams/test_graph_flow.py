"""`GraphFlow`: who speaks after whom and at the same time, what each hears, how runs end and how they go on."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import BaseChatMessage, TextMessage, ToolCallSummaryMessage
from autogen_agentchat.teams import GroupChatError, RoundRobinGroupChat
from autogen_agentchat.teams._graph import DiGraph, DiGraphBuilder, DiGraphEdge, DiGraphNode, GraphFlow
from autogen_core import CancellationToken

DONE = "Digraph execution is complete"


class Speaker(BaseChatAgent):
    """Says its name, the number of its turn and a line; can fail once, and can wait for others to speak too."""

    def __init__(self, name: str, *lines: str, fails: bool = False, meet: asyncio.Barrier | None = None) -> None:
        super().__init__(name, f"{name} speaks")
        self.lines = lines
        self.fails = fails
        self.meet = meet
        self.heard: list[list[str]] = []
        self.speaking = asyncio.Event()

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        self.speaking.set()
        self.heard.append([message.to_text() for message in messages])
        if self.meet is not None:
            await self.meet.wait()
        if self.fails:
            self.fails = False
            raise KeyError(f"{self.name} failed")
        turn = len(self.heard)
        line = self.lines[turn - 1] if turn <= len(self.lines) else ""
        return Response(chat_message=TextMessage(content=f"{self.name}{turn}{line}", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.heard.clear()

    async def save_state(self) -> Mapping[str, Any]:
        return {"turns": len(self.heard)}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.heard = [[]] * state["turns"]


def edge(target: str, **more: Any) -> DiGraphEdge:
    return DiGraphEdge(target=target, **more)


def any_of(target: str, **more: Any) -> DiGraphEdge:
    return edge(target, activation_condition="any", **more)


def graph(start: str | None = None, /, **edges: Sequence[str | DiGraphEdge]) -> DiGraph:
    nodes = {
        name: DiGraphNode(name=name, edges=[edge(each) if isinstance(each, str) else each for each in leaving])
        for name, leaving in edges.items()
    }
    return DiGraph(nodes=nodes, default_start_node=start)


def flow(of: DiGraph, *speakers: Speaker, **options: Any) -> GraphFlow:
    """A team of these speakers, and plain ones for the nodes that have none."""
    given = {speaker.name: speaker for speaker in speakers}
    return GraphFlow([given.get(name) or Speaker(name) for name in of.nodes], of, **options)


def texts(result: TaskResult) -> list[str]:
    return [message.to_text() for message in result.messages]


async def said(team: GraphFlow, task: str | None = "go") -> str:
    return " ".join(texts(await team.run(task=task)))


CHAIN = graph(a=["b"], b=["c"], c=[])
DIAMOND = graph(a=["b", "c"], b=["d"], c=["d"], d=[])


# Order


async def test_a_chain_speaks_in_its_order_and_each_hears_everything_before() -> None:
    c = Speaker("c")
    result = await flow(CHAIN, c).run(task="go")
    assert texts(result) == ["go", "a1", "b1", "c1"]
    assert result.stop_reason == DONE
    assert c.heard == [["go", "a1", "b1"]]


async def test_a_second_task_starts_at_the_entry_with_the_history_kept() -> None:
    a = Speaker("a")
    team = flow(CHAIN, a)
    await team.run(task="go")
    assert await said(team, "more") == "more a2 b2 c2"
    assert await said(team, None) == "a3 b3 c3"
    assert a.heard == [["go"], ["b1", "c1", "more"], ["b2", "c2"]]


async def test_parallel_branches_run_at_the_same_time() -> None:
    """Each waits for the other: if they ran one after the other, neither would end."""
    meet = asyncio.Barrier(2)
    d = Speaker("d")
    team = flow(DIAMOND, Speaker("b", meet=meet), Speaker("c", meet=meet), d)
    result = await asyncio.wait_for(team.run(task="go"), 20)
    assert sorted(texts(result)[2:4]) == ["b1", "c1"]
    assert texts(result)[4:] == ["d1"]
    assert d.heard == [texts(result)[:4]]


async def test_branches_hear_one_another_only_afterwards() -> None:
    b, c = Speaker("b"), Speaker("c")
    team = flow(DIAMOND, b, c)
    await team.run(task="go")
    assert (b.heard, c.heard) == ([["go", "a1"]], [["go", "a1"]])


async def test_several_start_nodes_speak_in_the_order_of_the_graph() -> None:
    assert await said(flow(graph(x=["c"], a=["b"], b=["c"], c=[]))) == "go x1 a1 b1 c1"


async def test_a_default_start_node_leaves_out_what_is_before_it() -> None:
    assert await said(flow(graph("b", a=["b"], b=["c"], c=[]))) == "go b1 c1"


# Joins


async def test_a_join_of_all_waits_for_the_longest_branch() -> None:
    assert await said(flow(graph(a=["b", "c"], b=["d"], c=["e"], e=["d"], d=[]))) == "go a1 b1 c1 e1 d1"


async def test_a_join_of_any_runs_for_each_that_comes_later_and_once_for_those_that_come_together() -> None:
    uneven = graph(a=["b", "c"], b=[any_of("d")], c=["e"], e=[any_of("d")], d=[])
    assert await said(flow(uneven)) == "go a1 b1 c1 d1 e1 d2"
    even = graph(a=["b", "c"], b=[any_of("d")], c=[any_of("d")], d=[])
    assert await said(flow(even)) == "go a1 b1 c1 d1"


async def test_a_node_of_activation_any_is_a_join_of_any() -> None:
    """As the entry of a loop it would wait for ever for the edge that leads back."""
    agents = [Speaker("s"), Speaker("a"), Speaker("b", " again", " done"), Speaker("z")]
    s, a, b, z = agents
    made = DiGraphBuilder().add_node(s).add_node(a, activation="any").add_node(b).add_node(z)
    made.add_edge(s, a).add_edge(a, b).add_edge(b, a, condition="again").add_edge(b, z, condition="done")
    team = GraphFlow(made.get_participants(), made.build())
    assert await said(team) == "go s1 a1 b1 again a2 b2 done z1"


async def test_activation_groups_are_joins_of_their_own() -> None:
    """`d` runs once for `b` and `c` together, and once for `x`; the second time in a batch of its own."""
    grouped = graph(
        a=["b", "c", "x"],
        b=[edge("d", activation_group="both")],
        c=[edge("d", activation_group="both")],
        x=[any_of("d", activation_group="one")],
        d=[],
    )
    d = Speaker("d")
    assert await said(flow(grouped, d)) == "go a1 b1 c1 x1 d1 d2"
    assert d.heard == [["go", "a1", "b1", "c1", "x1"], []]


async def test_a_join_of_all_does_not_take_two_tokens_of_one_source_for_those_of_two() -> None:
    """`b` leads to `d` twice before `f` does once."""
    twice = graph(
        a=[any_of("b"), "c"],
        b=[any_of("b", condition="again"), edge("d", condition="b")],
        c=["e"],
        e=["f"],
        f=["d"],
        d=[],
    )
    assert await said(flow(twice, Speaker("b", " again"))) == "go a1 b1 again c1 b2 e1 f1 d1"


async def test_a_node_that_still_waits_when_the_graph_is_done_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    choice = graph(a=[edge("b", condition="yes"), edge("c", condition="no")], b=["d"], c=["d"], d=[])
    with caplog.at_level(logging.WARNING, "autogen_agentchat.trace"):
        assert await said(flow(choice, Speaker("a", " yes"))) == "go a1 yes b1"
    assert "node 'd' still waits for ['c']" in caplog.text


# Conditions and cycles


async def test_the_edges_whose_condition_holds_are_followed() -> None:
    choice = graph(a=[edge("b", condition="yes"), edge("c", condition="no")], b=[], c=[])
    team = flow(choice, Speaker("a", " yes", " no", " yes no", " neither"))
    assert [await said(team, None) for _ in range(4)] == ["a1 yes b1", "a2 no c1", "a3 yes no b2 c2", "a4 neither"]


async def test_a_function_sees_the_answer_of_its_node() -> None:
    seen: list[str] = []

    def short(message: BaseChatMessage) -> bool:
        seen.append(message.to_text())
        return False

    assert await said(flow(graph(a=["b", "c"], b=[edge("d", condition=short)], c=[], d=[]))) == "go a1 b1 c1"
    assert seen == ["b1"]


async def test_a_loop_runs_until_its_exit() -> None:
    loop = graph("a", a=["b"], b=[edge("a", condition="again"), edge("z", condition="done")], z=[])
    b = Speaker("b", " again", " again", " done", " done")
    team = flow(loop, b)
    assert await said(team) == "go a1 b1 again a2 b2 again a3 b3 done z1"
    assert await said(team) == "go a4 b4 done z2"
    assert b.heard[1] == ["a2"]


async def test_a_node_can_follow_itself() -> None:
    loop = graph("a", a=[edge("a", condition="again"), edge("z", condition="done")], z=[])
    assert await said(flow(loop, Speaker("a", " again", " done"))) == "go a1 again a2 done z1"


async def test_a_tool_summary_is_an_answer_too() -> None:
    class Tooled(Speaker):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            answer = ToolCallSummaryMessage(content="found", source=self.name, tool_calls=[], results=[])
            return Response(chat_message=answer)

    choice = graph(a=[edge("b", condition="found")], b=[])
    assert await said(flow(choice, Tooled("a"))) == "go found b1"


# Ends


async def test_a_run_that_was_stopped_goes_on_where_it_stood() -> None:
    team = flow(graph(a=["b"], b=["c"], c=["d"], d=[]), max_turns=2)
    result = await team.run(task="go")
    assert (texts(result), result.stop_reason) == (["go", "a1", "b1"], "Maximum number of turns 2 reached.")
    assert await said(team, "more") == "more c1 d1"
    assert await said(team, None) == "a2 b2"


async def test_a_termination_condition_ends_a_run_in_the_middle() -> None:
    team = flow(CHAIN, termination_condition=TextMentionTermination("b1"))
    assert await said(team) == "go a1 b1"
    assert await said(team, "more") == "more c1"


@pytest.mark.parametrize("limit", [{"max_turns": 3}, {"termination_condition": MaxMessageTermination(4)}])
async def test_that_the_graph_is_done_is_the_reason_when_a_limit_is_reached_with_it(limit: dict[str, Any]) -> None:
    team = flow(CHAIN, **limit)
    for _ in range(2):
        assert (await team.run(task="go")).stop_reason == DONE


async def test_nodes_that_run_at_the_same_time_are_one_turn() -> None:
    assert await said(flow(DIAMOND, max_turns=2)) == "go a1 b1 c1"


# Failures


async def test_what_failed_is_asked_again_and_what_ended_is_not() -> None:
    a, b, c = Speaker("a"), Speaker("b", fails=True), Speaker("c")
    team = flow(CHAIN, a, b, c)
    with pytest.raises(GroupChatError) as raised:
        await team.run(task="go")
    assert isinstance(raised.value.__cause__, KeyError)
    assert await said(team, None) == "b2 c1"
    assert a.heard == [["go"]]
    assert b.heard == [["go", "a1"]] * 2


async def test_the_result_of_a_branch_is_kept_when_its_sibling_fails() -> None:
    meet = asyncio.Barrier(2)
    b, c, d = Speaker("b", fails=True, meet=meet), Speaker("c", meet=meet), Speaker("d")
    team = flow(DIAMOND, b, c, d)
    with pytest.raises(GroupChatError) as raised:
        await asyncio.wait_for(team.run(task="go"), 20)
    assert [message.to_text() for message in raised.value.messages] == ["go", "a1", "c1"]
    b.meet = None
    assert await said(team, None) == "b2 d1"
    assert len(c.heard) == 1
    assert d.heard == [["go", "a1", "c1", "b2"]]


async def test_when_a_condition_raises_the_turn_is_not_asked_for_again() -> None:
    working = False

    def condition(message: BaseChatMessage) -> bool:
        return 1 / working > 0

    a = Speaker("a")
    team = flow(graph(a=[edge("b", condition=condition)], b=[]), a)
    with pytest.raises(GroupChatError) as raised:
        await team.run(task="go")
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    working = True
    assert await said(team, None) == "a1 b1"
    assert len(a.heard) == 1


async def test_a_cancelled_node_is_first_in_the_next_run() -> None:
    b = Speaker("b", meet=asyncio.Barrier(2))
    team = flow(CHAIN, b)
    token = CancellationToken()
    run = asyncio.create_task(team.run(task="go", cancellation_token=token))
    await b.speaking.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    b.meet = None
    assert await said(team, "more") == "more b2 c1"
    assert b.heard[-1] == ["go", "a1", "more"]


class FailsAt(TextMentionTermination):
    """A condition that breaks once."""

    broken = False

    async def __call__(self, messages: Sequence[Any]) -> Any:
        if not self.broken and messages[-1].to_text() == "b1":
            self.broken = True
            raise KeyError("condition")
        return None


@pytest.mark.parametrize(("task", "expected"), [("more", "more a2 b2"), (None, "")])
async def test_a_run_cut_short_after_its_last_turn_has_nothing_left_but_a_new_task(
    task: str | None, expected: str
) -> None:
    team = flow(graph(a=["b"], b=[]), termination_condition=FailsAt("-"))
    with pytest.raises(GroupChatError):
        await team.run(task="go")
    state = await team.save_state()
    fresh = flow(graph(a=["b"], b=[]))
    await fresh.load_state(state)
    for each in (team, fresh):
        result = await each.run(task=task)
        assert (" ".join(texts(result)), result.stop_reason) == (expected, DONE)


async def test_reset_begins_anew_with_no_history() -> None:
    a = Speaker("a")
    team = flow(CHAIN, a, max_turns=2)
    await team.run(task="go")
    await team.reset()
    assert await said(team, "new") == "new a1 b1"
    assert a.heard == [["new"]]


async def test_a_flow_takes_its_turn_in_another_team() -> None:
    team = RoundRobinGroupChat([flow(CHAIN, name="inner"), Speaker("z")], max_turns=3)
    assert texts(await team.run(task="go")) == ["go", "a1", "b1", "c1", "z1", "a2", "b2", "c2"]


async def test_a_participant_that_is_no_node_does_not_speak() -> None:
    team = GraphFlow([Speaker(name) for name in "abcx"], CHAIN)
    assert await said(team) == "go a1 b1 c1"
