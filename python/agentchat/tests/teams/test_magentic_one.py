"""`MagenticOneGroupChat`: what is asked of the model and in what order, what the members hear, and how a run ends."""

import json
from typing import Any

import pytest

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import (
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    SelectorEvent,
    SelectSpeakerEvent,
    TextMessage,
)
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.teams._magentic_one._group_chat import MagenticOneGroupChat, MagenticOneGroupChatConfig
from autogen_agentchat.teams._magentic_one._ledger import ProgressLedger
from autogen_agentchat.teams._magentic_one._orchestrator import LEDGER_ATTEMPTS, MAX_REPLANS
from autogen_core.models import AssistantMessage, UserMessage
from autogen_ext.models.replay import ReplayChatCompletionClient

from .orchestrated import BOSS, DONE, LOOP, STALL, Member, asked, entries, go, info, said, team_of, tokens

PLANNED = ("facts", "plan")


# The order of things


async def test_facts_and_a_plan_come_first_then_a_ledger_for_each_turn_then_the_answer() -> None:
    alice, bob = Member("alice"), Member("bob")
    team, model = team_of(*PLANNED, go("alice"), go("bob"), DONE, "It is 42.", members=[alice, bob])
    result = await team.run(task="Find it.")
    assert said(result) == [
        ("user", "Find it."),
        (BOSS, "briefing"),
        (BOSS, "alice, go on"),
        ("alice", "alice 1"),
        (BOSS, "bob, go on"),
        ("bob", "bob 1"),
        (BOSS, "It is 42."),
    ]
    assert result.stop_reason == "why is_request_satisfied"
    briefing = result.messages[1].to_text()
    assert all(part in briefing for part in ("Find it.", "- alice: alice helps", "- bob: bob helps", "facts", "plan"))
    assert alice.heard == [[briefing, "alice, go on"]]
    assert bob.heard == [[briefing, "alice, go on", "alice 1", "bob, go on"]]
    assert (alice.resets, bob.resets) == (1, 1)

    def form(call: int) -> list[tuple[type, str]]:
        return [(type(each), each.source) for each in model.create_calls[call]["messages"]]

    mine, own = (AssistantMessage, BOSS), (UserMessage, BOSS)
    assert [form(call) for call in range(6)] == [
        [own],
        [own, mine, own],
        [mine, own],
        [mine, mine, (UserMessage, "alice"), own],
        [mine, mine, (UserMessage, "alice"), mine, (UserMessage, "bob"), own],
        [mine, mine, (UserMessage, "alice"), mine, (UserMessage, "bob"), own],
    ]
    assert [call["json_output"] for call in model.create_calls] == [None, None, True, True, True, None]
    assert "Find it." in asked(model, 0)
    assert "- alice: alice helps" in asked(model, 1)
    assert all(key in asked(model, 2) for key in (*ProgressLedger.model_fields, '"alice", "bob"', "Find it."))
    assert "Find it." in asked(model, 5)


async def test_events_of_the_choice_and_chunks_of_the_members_are_in_the_stream() -> None:
    team, _ = team_of(*PLANNED, go("bob"), DONE, "end", emit_team_events=True)
    items = [item async for item in team.run_stream(task="x", output_task_messages=False)]
    assert [type(item) for item in items] == [
        TextMessage,
        TextMessage,
        SelectSpeakerEvent,
        ModelClientStreamingChunkEvent,
        TextMessage,
        TextMessage,
        TaskResult,
    ]
    result = items[-1]
    assert isinstance(result, TaskResult)
    assert not any(isinstance(each, ModelClientStreamingChunkEvent) for each in result.messages)


@pytest.mark.parametrize("ability", ["structured_output", "json_output", ""])
async def test_the_ledger_is_asked_for_as_strictly_as_the_model_allows(ability: str) -> None:
    can = info(json_output=bool(ability), structured_output=ability == "structured_output")
    model = ReplayChatCompletionClient([*PLANNED, DONE, "end"], can)
    await MagenticOneGroupChat([Member("alice")], model).run(task="x")
    wanted = model.create_calls[2]["json_output"]
    if ability == "structured_output":
        assert issubclass(wanted, ProgressLedger)
    else:
        assert wanted is (True if ability else None)


async def test_only_a_members_answer_is_for_the_others_and_the_condition_sees_all_of_the_turn() -> None:
    """Thoughts and drafts on the way are in the result, but neither heard nor shown to the orchestrator's model."""
    bob = Member("bob")
    script = (*PLANNED, go("alice"), go("bob"), DONE, "end")
    team, model = team_of(*script, members=[Member("alice", "think"), bob])
    result = await team.run(task="x")
    assert ("notebook", "draft") in said(result)
    assert "draft" not in bob.heard[0]
    assert "draft" not in [each.content for each in model.create_calls[3]["messages"]]
    state = (await team.save_state())["agent_states"][BOSS]
    assert "draft" not in [each["content"] for each in state["message_thread"]]
    stop = TextMentionTermination("draft")
    team, _ = team_of(*script, members=[Member("alice", "think"), bob], termination_condition=stop)
    assert (await team.run(task="x")).stop_reason == "Text 'draft' mentioned"


async def test_a_member_that_writes_with_a_model_hears_instructions_as_its_user_and_forgets_at_a_new_plan() -> None:
    writer = ReplayChatCompletionClient(["one", "two", "three"])
    agent = AssistantAgent("alice", writer, model_client_stream=True)
    team, model = team_of(*PLANNED, go(), STALL, "f2", "p2", go(), go(), DONE, "end", members=[agent], max_stalls=1)
    result = await team.run(task="x")
    assert [text for source, text in said(result) if source == "alice"] == ["one", "two", "three"]
    assert "one" not in [each.content for each in writer.create_calls[1]["messages"]]
    assert "two" in [each.content for each in writer.create_calls[2]["messages"]]
    total, written = model.total_usage(), writer.total_usage()
    assert tokens(result.messages) == (
        total.prompt_tokens + written.prompt_tokens,
        total.completion_tokens + written.completion_tokens,
    )


async def test_images_are_sent_only_to_a_model_that_sees() -> None:
    from PIL import Image as Picture

    from autogen_core import Image

    picture = Image.from_pil(Picture.new("RGB", (2, 2)))
    task = MultiModalMessage(content=["Look.", picture], source="user")
    team, model = team_of(*PLANNED, DONE, "end")
    await team.inject(task)
    await team.run(task=task)
    assert "Look." in asked(model, 0)
    assert all(isinstance(each.content, str) for call in model.create_calls for each in call["messages"])


async def test_texts_with_braces_go_through_unharmed() -> None:
    team, model = team_of("{facts}", "{plan}", DONE, "end", final_answer_prompt='Answer {task} as {"json": true}.')
    result = await team.run(task="{x} {0}")
    assert asked(model, 3) == 'Answer {x} {0} as {"json": true}.'
    assert "{facts}" in result.messages[1].to_text()


# Stalls


async def test_after_too_many_stalls_there_are_new_facts_and_a_new_plan_and_the_members_begin_afresh() -> None:
    alice = Member("alice")
    script = (*PLANNED, STALL, LOOP, STALL, "new facts", "new plan", go("alice"), DONE, "end")
    team, model = team_of(*script, members=[alice, Member("bob")], max_stalls=3)
    result = await team.run(task="x")
    assert [text for _, text in said(result)] == [
        *("x", "briefing", "alice, go on", "alice 1", "alice, go on", "alice 2"),
        *("briefing", "alice, go on", "alice 1", "end"),
    ]
    briefing = result.messages[6].to_text()
    assert "new facts" in briefing
    assert "new plan" in briefing
    assert alice.heard[2] == [briefing, "alice, go on"]
    assert "facts" in asked(model, 5)  # the old ones, to be revised
    assert "alice 2" in [each.content for each in model.create_calls[5]["messages"]]
    assert [type(each) for each in model.create_calls[7]["messages"]] == [AssistantMessage, UserMessage]


async def test_progress_takes_a_stall_off() -> None:
    team, _ = team_of(*PLANNED, STALL, go("alice"), STALL, STALL, "f2", "p2", DONE, "end", max_stalls=2)
    result = await team.run(task="x")
    assert [text for source, text in said(result) if source == "alice"] == ["alice 1", "alice 2", "alice 3"]


@pytest.mark.parametrize("max_turns", [None, 100])
async def test_endless_replanning_ends_with_an_answer_and_a_reason(max_turns: int | None) -> None:
    script = [*PLANNED, *[STALL, "f", "p"] * MAX_REPLANS, STALL, "That is all."]
    team, model = team_of(*script, max_stalls=1, max_turns=max_turns)
    result = await team.run(task="x")
    assert result.stop_reason == f"The team made no progress with {MAX_REPLANS} new plans."
    assert said(result)[-1] == (BOSS, "That is all.")
    assert len(model.create_calls) == len(script)


async def test_when_the_rounds_are_used_up_there_is_an_answer_and_the_next_run_counts_anew() -> None:
    """As in 0.7.5 the round after `max_turns` is the last."""
    script = (*PLANNED, go("alice"), go("bob"), "So far.", go("alice"), go("bob"), "Further.")
    team, _ = team_of(*script, max_turns=1)
    for answer in ("So far.", "Further."):
        result = await team.run(task="x" if answer == "So far." else None)
        assert said(result)[-5:] == [
            *((BOSS, "alice, go on"), ("alice", f"alice {1 + (answer == 'Further.')}")),
            *((BOSS, "bob, go on"), ("bob", f"bob {1 + (answer == 'Further.')}")),
            (BOSS, answer),
        ]
        assert result.stop_reason == "Max rounds reached."


# Broken ledgers


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("", id="empty"),
        pytest.param("Alice should go on.", id="prose"),
        pytest.param(go()[:-60], id="cut off"),
        pytest.param("[]", id="array"),
        pytest.param("{}", id="empty object"),
        pytest.param('{"is_request_satisfied": {"reason": "r", "answer": false}}', id="keys missing"),
        pytest.param(go(is_in_loop="perhaps"), id="not a bool"),
        pytest.param(go(instruction_or_question=None), id="no instruction"),
        pytest.param(go("carol"), id="unknown speaker"),
        pytest.param(go("alice or bob"), id="two speakers"),
        pytest.param(json.dumps({"ledger": {"inner": [entries("carol")]}}), id="wrapped, unknown speaker"),
        pytest.param("```python\nprint(1)\n```", id="another language"),
    ],
)
async def test_a_broken_ledger_is_asked_for_again_with_what_was_wrong_and_never_without_end(broken: str) -> None:
    team, model = team_of(*PLANNED, broken, broken, go("bob"), DONE, "end", emit_team_events=True)
    result = await team.run(task="x")
    assert ("bob", "bob 1") in said(result)
    assert [each.source for each in result.messages if isinstance(each, SelectorEvent)] == [BOSS, BOSS]
    for call in (3, 4):  # only the last attempt is shown, so that the request does not grow
        request = model.create_calls[call]["messages"]
        assert [each.content for each in request[2:-1]] == ([broken] if broken else [])
        assert "could not be used" in str(request[-1].content)
    assert tokens(result.messages)[0] == model.total_usage().prompt_tokens

    team, model = team_of(*PLANNED, *[broken] * LEDGER_ATTEMPTS, go("alice"), DONE, "end")
    result = await team.run(task="x")
    assert result.stop_reason is not None
    assert result.stop_reason.startswith(f"No usable progress ledger in {LEDGER_ATTEMPTS} attempts. In the last, ")
    assert len(model.create_calls) == len(PLANNED) + LEDGER_ATTEMPTS
    assert tokens(result.messages)[0] == model.total_usage().prompt_tokens
    assert said(await team.run())[-1] == (BOSS, "end")  # it can go on


async def test_the_correction_names_each_problem() -> None:
    broken = json.dumps({**entries("carol"), "is_in_loop": 5})
    team, model = team_of(*PLANNED, broken, DONE, "end")
    await team.run(task="x")
    assert "- the answer of \"next_speaker\" must be one of alice, bob, not 'carol'" in asked(model, 3)
    assert '- the answer of "is_in_loop" must be true or false, not 5' in asked(model, 3)


async def test_a_request_satisfied_without_a_reason_still_ends_with_one() -> None:
    team, _ = team_of(*PLANNED, '{"is_request_satisfied": true}', "end")
    assert (await team.run(task="x")).stop_reason == "The request is satisfied."


# Conditions, tasks and runs


async def test_the_condition_sees_what_members_say_and_not_the_orchestrator() -> None:
    script = (*PLANNED, go("alice"), go("bob"), DONE, "end")
    for stop, reason in (
        (TextMentionTermination("go on"), "why is_request_satisfied"),
        (TextMentionTermination("alice 1"), "Text 'alice 1' mentioned"),
        (MaxMessageTermination(2), "Maximum number of messages 2 reached, current message count: 2"),
        (MaxMessageTermination(3), "why is_request_satisfied"),
    ):
        team, _ = team_of(*script, termination_condition=stop)
        assert (await team.run(task="x")).stop_reason == reason


async def test_a_run_without_a_task_goes_on_and_a_new_task_begins_afresh() -> None:
    alice = Member("alice")
    stop = TextMentionTermination("alice 1")
    script = (*PLANNED, go("alice"), go("alice"), DONE, "end", "f2", "p2", go("alice"))
    team, model = team_of(*script, members=[alice, Member("bob")], termination_condition=stop)
    await team.run(task="first")
    assert said(await team.run()) == [(BOSS, "alice, go on"), ("alice", "alice 2"), (BOSS, "end")]
    result = await team.run(task=[TextMessage(content=text, source="user") for text in ("second", "and more")])
    assert said(result)[-1] == ("alice", "alice 1")
    assert "second\nand more" in asked(model, 6)
    assert alice.heard[-1] == [result.messages[2].to_text(), "alice, go on"]
    assert "first" not in result.messages[2].to_text()


async def test_the_first_run_needs_a_task_also_after_a_reset() -> None:
    team, _ = team_of(*PLANNED, DONE, "end")
    with pytest.raises(ValueError, match="needs a task"):
        await team.run()
    await team.run(task="x")
    await team.reset()
    with pytest.raises(ValueError, match="needs a task"):
        await team.run()


async def test_such_a_team_takes_part_in_another_team() -> None:
    inner, _ = team_of(*PLANNED, go("alice"), DONE, "end", members=[Member("alice")])
    result = await RoundRobinGroupChat([inner, Member("bob")], max_turns=2).run(task="x")
    assert [text for _, text in said(result)] == ["x", "briefing", "alice, go on", "alice 1", "end", "bob 1"]


# Making one


def test_a_team_as_a_participant_is_refused_saying_what_to_do() -> None:
    participants: list[Any] = [RoundRobinGroupChat([Member("a")])]
    with pytest.raises(TypeError, match=r"must be a ChatAgent\. A team can take part inside a Soc"):
        MagenticOneGroupChat(participants, ReplayChatCompletionClient([]))
    with pytest.raises(ValueError, match="At least one"):
        MagenticOneGroupChat([], ReplayChatCompletionClient([]))


async def test_a_dumped_team_is_loaded_as_it_was() -> None:
    model = ReplayChatCompletionClient([*PLANNED, DONE, "end"], info())
    team = MagenticOneGroupChat(
        [AssistantAgent("alice", ReplayChatCompletionClient(["hi"]))],
        model,
        name="crew",
        termination_condition=MaxMessageTermination(9),
        max_turns=7,
        max_stalls=2,
        final_answer_prompt="Say it: {task}",
        emit_team_events=True,
    )
    dumped = team.dump_component()
    assert (dumped.provider, dumped.component_type) == ("autogen_agentchat.teams.MagenticOneGroupChat", "team")
    config = MagenticOneGroupChatConfig.model_validate_json(json.dumps(dumped.config))
    again = MagenticOneGroupChat._from_config(config)
    assert again.dump_component() == dumped
    result = await again.run(task="x")
    assert said(result)[-1] == (BOSS, "end")
    plain = MagenticOneGroupChat([AssistantAgent("alice", ReplayChatCompletionClient([]))], model).dump_component()
    assert "{task}" in plain.config["final_answer_prompt"]
    assert (plain.config["max_turns"], plain.config["max_stalls"]) == (20, 3)
