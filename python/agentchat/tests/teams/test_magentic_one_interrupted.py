"""Magentic-One cut short, failed, paused, saved: nothing is lost, nothing is done twice, and the run goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from autogen_agentchat.base._task import RunCancelledError
from autogen_agentchat.messages import SelectorEvent, TextMessage
from autogen_agentchat.state import MagenticOneOrchestratorState
from autogen_agentchat.teams import GroupChatError, RoundRobinGroupChat
from autogen_agentchat.teams._magentic_one._group_chat import MagenticOneGroupChat
from autogen_core import CancellationToken

from .orchestrated import BOSS, DONE, STALL, Held, Judge, Member, asked, go, said, team_of, tokens

PLANNED = ("facts", "plan")
SCRIPT = (*PLANNED, go("alice"), STALL, "f2", "p2", go("bob"), DONE, "end")
SAID = ["x", "briefing", "alice, go on", "alice 1", "briefing", "bob, go on", "bob 1", "end"]


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()


# Cancelled and failed


@pytest.mark.parametrize("call", range(1, len(SCRIPT) + 1))
async def test_a_run_cancelled_inside_any_call_to_the_model_goes_on_with_that_call(call: int) -> None:
    """The call is cancelled although the client looks at no token; what was said before is with the error."""
    model = Held(SCRIPT, at=call)
    team = MagenticOneGroupChat([Member("alice"), Member("bob")], model, max_stalls=1)
    token = CancellationToken()
    run = asyncio.create_task(team.run(task="x", cancellation_token=token))
    await model.waiting.wait()
    token.cancel()
    with pytest.raises(RunCancelledError) as caught:
        await asyncio.wait_for(run, 1)
    assert model.cancelled == 1
    assert tokens(caught.value.messages) == (model.total_usage().prompt_tokens, model.total_usage().completion_tokens)
    before = [each for each in caught.value.messages if not isinstance(each, SelectorEvent)]
    result = await team.run()
    result.messages = [*before, *result.messages]
    assert [text for _, text in said(result)] == SAID
    assert model.calls == len(SCRIPT) + 1


async def test_a_run_cancelled_inside_a_member_goes_on_with_that_member_and_a_new_task_does_not() -> None:
    for task in (None, "y"):
        alice = Member("alice", "sleep")
        script = (*PLANNED, go("alice"), *(("f2", "p2") if task else ()), DONE, "end")
        team, _ = team_of(*script, members=[alice, Member("bob")])
        token = CancellationToken()
        run = asyncio.create_task(team.run(task="x", cancellation_token=token))
        await alice.working.wait()
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(run, 1)
        assert alice.cancelled == 1
        result = await team.run(task=task)
        if task is None:
            assert alice.heard[0] == alice.heard[1]
            assert said(result) == [("alice", "alice 1"), (BOSS, "end")]
        else:
            assert said(result) == [("user", "y"), (BOSS, "briefing"), (BOSS, "end")]


async def test_an_abandoned_stream_stops_the_call_to_the_model() -> None:
    model = Held(SCRIPT, at=3)
    stream = MagenticOneGroupChat([Member("alice")], model).run_stream(task="x")
    async for item in stream:
        if isinstance(item, TextMessage) and item.source == BOSS:
            break
    await model.waiting.wait()
    await stream.aclose()
    assert model.cancelled == 1


async def test_a_members_own_exception_is_the_cause_and_the_run_can_go_on() -> None:
    team, model = team_of(*PLANNED, go("alice"), DONE, "end", members=[Member("alice", "fail"), Member("bob")])
    with pytest.raises(GroupChatError) as caught:
        await team.run(task="x")
    assert isinstance(caught.value.__cause__, KeyError)
    assert [each.source for each in caught.value.messages] == ["user", BOSS, BOSS]
    assert said(await team.run()) == [("alice", "alice 1"), (BOSS, "end")]
    assert len(model.create_calls) == len(PLANNED) + len(("ledger", "ledger", "answer"))


async def test_an_error_of_the_model_is_the_cause_and_what_was_used_until_then_is_told() -> None:
    team, model = team_of(*PLANNED, go("alice"), "no ledger")
    with pytest.raises(GroupChatError, match="No more mock responses") as caught:
        await team.run(task="x")
    assert isinstance(caught.value.__cause__, ValueError)
    assert tokens(caught.value.messages)[0] == model.total_usage().prompt_tokens
    model.chat_completions += [DONE, "end"]
    assert said(await team.run()) == [(BOSS, "end")]


async def test_a_turn_inside_another_team_that_was_cut_short_is_not_planned_again() -> None:
    alice = Member("alice", "sleep")
    inner, _ = team_of(*PLANNED, go("alice"), DONE, "end", members=[alice])
    team = RoundRobinGroupChat([inner], max_turns=1)
    run = asyncio.create_task(team.run(task="x"))
    await alice.working.wait()
    run.cancel()
    await asyncio.wait([run])
    assert said(await team.run()) == [("alice", "alice 1"), (BOSS, "end")]


# Paused


@pytest.mark.parametrize("call", range(1, len(SCRIPT)))
async def test_a_paused_team_asks_no_model_and_no_member_and_goes_on_where_it_stood(call: int) -> None:
    model = Held(SCRIPT, at=call)
    alice, bob = Member("alice"), Member("bob")
    team = MagenticOneGroupChat([alice, bob], model, max_stalls=1)
    run = asyncio.create_task(team.run(task="x"))
    await model.waiting.wait()
    await team.pause()
    turns = len(alice.heard) + len(bob.heard)
    model.released.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert model.calls == call
    assert len(alice.heard) + len(bob.heard) == turns
    await team.resume()
    assert [text for _, text in said(await run)] == SAID


@pytest.mark.parametrize("call", range(1, len(SCRIPT) - 2))
async def test_what_is_said_from_outside_is_heard_by_the_next_speaker_also_while_there_is_a_new_plan(call: int) -> None:
    model = Held(SCRIPT, at=call)
    bob = Member("bob")
    team = MagenticOneGroupChat([Member("alice"), bob], model, max_stalls=1)
    run = asyncio.create_task(team.run(task="x"))
    await model.waiting.wait()
    await team.inject(TextMessage(content="By the way", source="user"))
    model.released.set()
    result = await run
    assert ("user", "By the way") in said(result)
    requests = [[each.content for each in made["messages"]] for made in model.create_calls[call:]]
    assert all("By the way" in request for request in requests[:1])
    if call > 3:  # nobody spoke any more before the new plan
        assert sum(words.count("By the way") for words in bob.heard) == 1


# Saved


def judged_team() -> MagenticOneGroupChat:
    return MagenticOneGroupChat([Member("alice"), Member("bob")], Judge(), max_stalls=1)


async def test_a_run_saved_at_any_moment_is_finished_by_a_fresh_team_without_a_turn_lost_or_doubled() -> None:
    """Moments are steps of the event loop. The first plan is given up, so that both loops are passed through."""
    moments = 0
    while True:
        team = judged_team()
        run = asyncio.create_task(team.run(task="x"))
        await asyncio.sleep(0)
        for _ in range(moments):
            await asyncio.sleep(0)
        state = await team.save_state()
        assert json.loads(json.dumps(state)) == state
        run.cancel()
        await asyncio.wait([run])

        fresh = judged_team()
        for _ in range(2):
            await fresh.load_state(state)
        assert await fresh.save_state() == state
        stood = state["agent_states"][BOSS]
        if stood["task"] and "under_way" not in stood:  # it has ended
            break
        await fresh.run(task=None if stood["task"] else "x")
        manager = (await fresh.save_state())["agent_states"][BOSS]
        assert [(each["source"], each["content"]) for each in manager["message_thread"][1:]] == [
            *((BOSS, "alice, go on"), ("alice", "alice 1")),
            *((BOSS, "bob, go on"), ("bob", "bob 1")),
            *((BOSS, "alice, go on"), ("alice", "alice 2")),
            (BOSS, "second"),
        ]
        assert (manager["facts"], manager["plan"]) == ("second", "second")
        moments += 1
    assert moments >= 50


async def test_the_limit_of_a_saved_run_counts_on() -> None:
    alice = Member("alice", "sleep")
    team, _ = team_of(*PLANNED, go("bob"), go("alice"), members=[alice, Member("bob")], max_turns=2)
    run = asyncio.create_task(team.run(task="x"))
    await alice.working.wait()
    state = await team.save_state()
    run.cancel()
    await asyncio.wait([run])
    fresh, _ = team_of(go("bob"), "So far.", max_turns=2)
    await fresh.load_state(state)
    assert [source for source, _ in said(await fresh.run())] == ["alice", BOSS, "bob", BOSS]


def state_of_0_7_5(**orchestrator: Any) -> dict[str, Any]:
    def message(source: str, text: str) -> dict[str, Any]:
        return {
            "id": f"id of {text}",
            "source": source,
            "models_usage": None,
            "metadata": {},
            "created_at": "2025-10-01T12:00:00Z",
            "content": text,
            "type": "TextMessage",
        }

    thread = [message(BOSS, "ledger"), message(BOSS, "alice, do it"), message("alice", "alice 1")]

    def member(buffer: list[dict[str, Any]], turns: int) -> dict[str, Any]:
        kind = {"type": "ChatAgentContainerState", "version": "1.0.0"}
        return {**kind, "agent_state": {"turns": turns}, "message_buffer": buffer}

    manager = {
        "type": "MagenticOneOrchestratorState",
        "version": "1.0.0",
        "message_thread": thread,
        "current_turn": 0,
        "task": "x",
        "facts": "f",
        "plan": "p",
        "n_rounds": 1,
        "n_stalls": 1,
        **orchestrator,
    }
    states = {"alice": member([], 1), "bob": member(thread, 0), BOSS: manager}
    return {"type": "TeamState", "version": "1.0.0", "agent_states": states}


async def test_a_state_of_0_7_5_is_loaded_goes_on_and_is_saved_as_it_was() -> None:
    bob = Member("bob")
    team, model = team_of(go("bob"), DONE, "end", members=[Member("alice"), bob])
    state = state_of_0_7_5()
    await team.load_state(state)
    assert await team.save_state() == state
    assert said(await team.run()) == [(BOSS, "bob, go on"), ("bob", "bob 1"), (BOSS, "end")]
    assert bob.heard == [["ledger", "alice, do it", "alice 1", "bob, go on"]]
    assert "x" in asked(model, 0)
    saved = (await team.save_state())["agent_states"][BOSS]
    assert MagenticOneOrchestratorState.model_validate(saved).n_stalls == 0
    assert set(saved) == set(state["agent_states"][BOSS])


async def test_a_state_of_0_7_5_without_a_plan_begins_with_planning() -> None:
    team, _ = team_of(*PLANNED, DONE, "end")
    await team.load_state(state_of_0_7_5(facts="", plan="", message_thread=[]))
    assert said(await team.run()) == [(BOSS, "briefing"), (BOSS, "end")]


async def test_a_state_with_an_unknown_stage_is_refused_and_changes_nothing() -> None:
    team, _ = team_of()
    await team.load_state(state_of_0_7_5())
    before = await team.save_state()
    with pytest.raises(ValueError, match="stage"):
        await team.load_state(state_of_0_7_5(stage="dreaming"))
    assert (await team.save_state())["agent_states"][BOSS] == before["agent_states"][BOSS]
