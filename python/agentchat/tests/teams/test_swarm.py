"""`Swarm`: who has the word, and what the receiver of a handoff gets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import ChatAgent, Handoff, Response, TaskResult
from autogen_agentchat.conditions import HandoffTermination, MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import (
    BaseChatMessage,
    HandoffMessage,
    SelectSpeakerEvent,
    TextMessage,
    ToolCallExecutionEvent,
    ToolCallSummaryMessage,
)
from autogen_agentchat.teams import GroupChatError, RoundRobinGroupChat
from autogen_agentchat.teams._swarm import Swarm
from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, UserMessage
from autogen_ext.models.replay import ReplayChatCompletionClient

from .swarm_members import Model, Relay, assert_legal, calls, handoff, lines, member


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()


def swarm(*members: ChatAgent, **options: Any) -> Swarm:
    return Swarm(list(members), **options)


def text(content: str) -> TextMessage:
    return TextMessage(content=content, source="user")


async def test_the_first_begins_and_whoever_has_the_word_keeps_it_until_they_hand_over() -> None:
    team = swarm(Relay("a", "hm", ">b"), Relay("b", "well", ">c"), Relay("c"), max_turns=6, emit_team_events=True)
    result = await team.run(task="go")
    assert lines(result) == ["user: go", "a: hm", "a>b", "b: well", "b>c", "c: c", "c: c"]
    chosen = [event for event in result.messages if isinstance(event, SelectSpeakerEvent)]
    assert [(event.content, event.source) for event in chosen] == [
        ([name], "SwarmGroupChatManager") for name in "aabbcc"
    ]


async def test_the_word_may_go_back_and_forth_and_to_oneself() -> None:
    team = swarm(Relay("a", ">b", ">a"), Relay("b", ">a"), max_turns=4)
    assert lines(await team.run(task="go")) == ["user: go", "a>b", "b>a", "a>a", "a: a"]


async def test_the_next_run_goes_on_with_whoever_has_the_word() -> None:
    team = swarm(Relay("a", ">b"), Relay("b"), max_turns=1)
    assert lines(await team.run(task="go")) == ["user: go", "a>b"]
    assert lines(await team.run(task="on")) == ["user: on", "b: b"]
    assert lines(await team.run()) == ["b: b"]
    await team.reset()
    assert lines(await team.run(task="again")) == ["user: again", "a>b"]


@pytest.mark.parametrize(
    ("task", "begins"),
    [
        ([handoff("user", "b")], "b"),
        ([text("x"), handoff("user", "b")], "b"),
        ([handoff("user", "b"), text("x")], "b"),
        ([handoff("user", "b"), handoff("user", "a")], "a"),
        ([text("x")], "a"),
    ],
)
async def test_a_handoff_in_the_task_says_who_begins(task: Sequence[BaseChatMessage], begins: str) -> None:
    result = await swarm(Relay("a"), Relay("b"), max_turns=1).run(task=task)
    assert lines(result)[-1] == f"{begins}: {begins}"


async def test_a_human_gets_the_word_and_gives_it_back() -> None:
    """A text alone does not say who is to go on: it is refused, and the team is as it was."""
    condition = HandoffTermination("user")
    team = swarm(Relay("a", ">b"), Relay("b", ">user"), termination_condition=condition | MaxMessageTermination(6))
    result = await team.run(task="go")
    assert lines(result) == ["user: go", "a>b", "b>user"]
    assert result.stop_reason == "Handoff to user from b detected."
    for task in ("yes", None, [text("yes")]):
        with pytest.raises(ValueError, match=r"handed over to 'user'.*a HandoffMessage to one of \['a', 'b'\]"):
            await team.run(task=task)
    again = await team.run(task=handoff("user", "b"))
    assert lines(again)[:2] == ["user>b", "b: b"]


@pytest.mark.parametrize("task", [["zz"], ["a", "zz"], ["zz", "a"]])
async def test_a_task_that_hands_over_to_a_stranger_is_refused(task: list[str]) -> None:
    team = swarm(Relay("a"), Relay("b"), max_turns=1)
    with pytest.raises(ValueError, match=r"The task hands over to 'zz'"):
        await team.run(task=[handoff("user", target) for target in task])
    assert lines(await team.run(task="go")) == ["user: go", "a: a"]


async def test_an_agent_that_hands_over_to_a_stranger_ends_the_run_with_an_error_that_says_so() -> None:
    team = swarm(Relay("a", ">zz"), Relay("b"))
    with pytest.raises(GroupChatError, match=r"a handed over to 'zz', who is none of \['a', 'b'\]") as failed:
        await team.run(task="go")
    assert isinstance(failed.value.__cause__, ValueError)
    assert [message.source for message in failed.value.messages] == ["user", "a"]
    with pytest.raises(ValueError, match="handed over to 'zz'"):
        await team.run(task="on")
    team = swarm(Relay("a", ">zz"), Relay("b"), max_turns=1)
    await team.run(task="go")  # it ends before anybody is looked for
    assert lines(await team.run(task=handoff("user", "b"))) == ["user>b", "b: b"]


async def test_a_handoff_from_outside_during_a_run_counts() -> None:
    class Injecting(Relay):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            if self.turns == 0:
                await team.inject(handoff("user", "b"))
            return await super().on_messages(messages, cancellation_token)

    team = swarm(Injecting("a"), Relay("b"), max_turns=2)
    assert lines(await team.run(task="go"))[-1] == "b: b"


async def test_a_handoff_between_strangers_belongs_to_somebodys_inner_team() -> None:
    """An agent may report what its inner team said; who has the word there does not matter here."""

    class Reporting(Relay):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            response = await super().on_messages(messages, cancellation_token)
            return Response(chat_message=response.chat_message, inner_messages=[handoff("x", "y")])

    team = swarm(Reporting("a", "hm", ">b"), Relay("b"), max_turns=3)
    assert lines(await team.run(task="go"))[-2:] == ["a>b", "b: b"]


# With assistants


def lookup() -> str:
    """Look it up."""
    return "42"


def check() -> str:
    """Check it."""
    return "checked"


def verify() -> str:
    """Verify it."""
    return "verified"


async def test_text_and_tool_results_reach_the_receiver_and_each_call_has_its_result() -> None:
    ann, asked = member(
        "ann",
        calls("lookup", "transfer_to_bob", "check", thought="I looked it up."),
        tools=[lookup, check],
        handoffs=["bob"],
    )
    bob, told = member("bob", "It is 42. TERMINATE", handoffs=["ann"])
    team = swarm(ann, bob, termination_condition=TextMentionTermination("TERMINATE"))
    result = await team.run(task="What is it?")
    assert lines(result) == ["user: What is it?", "ann>bob", "bob: It is 42. TERMINATE"]
    executed = next(event for event in result.messages if isinstance(event, ToolCallExecutionEvent))
    assert [each.call_id for each in executed.content] == ["lookup-0", "transfer_to_bob-1", "check-2"]

    [request] = told.requests
    assert_legal(request)
    said = next(message for message in request if isinstance(message, AssistantMessage))
    assert said.thought == "I looked it up."
    results = next(message for message in request if isinstance(message, FunctionExecutionResultMessage))
    assert [each.content for each in results.content] == ["42", "checked"]
    assert isinstance(request[-1], UserMessage)
    assert request[-1].source == "ann"
    for agent in (ann, bob):
        assert_legal(await agent.model_context.get_messages())
    assert len(asked.requests) == 1


async def test_text_alone_reaches_the_receiver() -> None:
    ann, _ = member("ann", calls("transfer_to_bob", thought="The customer is in a hurry."), handoffs=["bob"])
    bob, told = member("bob", "Hello.")
    await swarm(ann, bob, max_turns=2).run(task="Hi")
    assert "The customer is in a hurry." in str(told.requests[0])


async def test_of_several_handoffs_in_one_answer_the_first_is_taken_and_the_event_says_so() -> None:
    ann, _ = member("ann", calls("transfer_to_carl", "transfer_to_bob", "transfer_to_carl"), handoffs=["bob", "carl"])
    bob, not_told = member("bob", "no")
    carl, told = member("carl", "yes")
    result = await swarm(ann, bob, carl, max_turns=2).run(task="go")
    assert lines(result) == ["user: go", "ann>carl", "carl: yes"]
    executed = next(event for event in result.messages if isinstance(event, ToolCallExecutionEvent))
    assert [each.is_error for each in executed.content] == [False, True, True]
    assert "not handed over to bob" in executed.content[1].content
    assert (len(told.requests), len(not_told.requests)) == (1, 0)
    assert_legal(told.requests[0])
    assert_legal(await ann.model_context.get_messages())


async def test_a_conversation_that_goes_round_is_legal_in_every_request() -> None:
    """Tools and handoffs in several rounds; the results of all of them reach who answers in the end."""
    ann, first = member(
        "ann",
        calls("lookup"),
        calls("check", "transfer_to_bob"),
        calls("transfer_to_carl", thought="Bob was helpful."),
        tools=[lookup, check],
        handoffs=["bob", "carl"],
        max_tool_iterations=3,
    )
    bob, second = member("bob", calls("verify", "transfer_to_ann"), tools=[verify], handoffs=["ann"])
    carl, third = member("carl", "Done. TERMINATE", handoffs=["ann"])
    team = swarm(ann, bob, carl, termination_condition=TextMentionTermination("TERMINATE") | MaxMessageTermination(20))
    result = await team.run(task="go")
    assert lines(result) == ["user: go", "ann>bob", "bob>ann", "ann>carl", "carl: Done. TERMINATE"]
    for model in (first, second, third):
        for request in model.requests:
            assert_legal(request)
    heard = str(third.requests[0])
    for part in ("42", "checked", "verified", "Bob was helpful."):
        assert part in heard


async def test_a_tool_without_a_handoff_keeps_the_word() -> None:
    ann, _ = member("ann", calls("lookup"), calls("transfer_to_bob"), tools=[lookup], handoffs=["bob"])
    bob, told = member("bob", "Thanks.")
    result = await swarm(ann, bob, max_turns=3).run(task="go")
    assert [type(message) for message in result.messages if isinstance(message, BaseChatMessage)] == [
        TextMessage,
        ToolCallSummaryMessage,
        HandoffMessage,
        TextMessage,
    ]
    assert "42" in str(told.requests[0])
    assert_legal(told.requests[0])


async def test_a_handoff_with_a_name_of_its_own_finds_its_target() -> None:
    help_desk = Handoff(target="bob", name="ask_the_desk", message="Please help.")
    ann, _ = member("ann", calls("ask_the_desk"), handoffs=[help_desk])
    bob, told = member("bob", "Gladly.")
    assert lines(await swarm(ann, bob, max_turns=2).run(task="go")) == ["user: go", "ann>bob", "bob: Gladly."]
    assert told.requests[0][-1].content == "Please help."


async def test_a_swarm_works_inside_another_team() -> None:
    inner = swarm(Relay("a", ">b"), Relay("b", "done"), max_turns=2, name="inner")
    outer = RoundRobinGroupChat([inner, Relay("z")], max_turns=3)
    assert lines(await outer.run(task="go")) == ["user: go", "a>b", "b: done", "z: z", "b: b", "b: b"]


# Making one


def test_misuse_is_told_when_the_team_is_made() -> None:
    class Mute(Relay):
        @property
        def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
            return (TextMessage,)

    with pytest.raises(ValueError, match="At least one participant"):
        swarm()
    with pytest.raises(ValueError, match="unique"):
        swarm(Relay("a"), Relay("a"))
    with pytest.raises(ValueError, match="The first participant, 'm', must be able to hand over"):
        swarm(Mute("m"), Relay("a"))
    swarm(Relay("a"), Mute("m"))
    inner = cast("ChatAgent", RoundRobinGroupChat([Relay("x")]))
    with pytest.raises(TypeError, match="must be a ChatAgent"):
        swarm(Relay("a"), inner)


async def test_a_dumped_and_loaded_team_behaves_the_same() -> None:
    info = Model().model_info
    ann = AssistantAgent("ann", ReplayChatCompletionClient([calls("transfer_to_bob")], info), handoffs=["bob"])
    bob = AssistantAgent("bob", ReplayChatCompletionClient(["Here I am."], info))
    team = swarm(
        ann,
        bob,
        name="pair",
        description="Two of them.",
        termination_condition=MaxMessageTermination(3),
        max_turns=9,
        emit_team_events=True,
    )
    dumped = team.dump_component()
    assert sorted(dumped.config) == [
        "description",
        "emit_team_events",
        "max_turns",
        "name",
        "participants",
        "termination_condition",
    ]
    again = Swarm.load_component(dumped)
    assert again.dump_component() == dumped
    results: list[TaskResult] = [await each.run(task="go") for each in (team, again)]
    assert lines(results[0]) == lines(results[1]) == ["user: go", "ann>bob", "bob: Here I am."]
    assert results[0].stop_reason == results[1].stop_reason
