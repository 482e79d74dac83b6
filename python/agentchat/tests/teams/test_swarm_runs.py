"""A `Swarm` that is paused, cancelled, saved in the middle and loaded."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams._swarm import Swarm
from autogen_core import CancellationToken

from .swarm_members import Model, Relay, assert_legal, calls, handoff, lines, member

MANAGER = "SwarmGroupChatManager"


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()


async def cancelled_in_its_turn(team: Swarm) -> None:
    token = CancellationToken()
    run = asyncio.create_task(team.run(task="go", cancellation_token=token))
    for _ in range(50):
        await asyncio.sleep(0)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 1)


async def test_after_a_cancelled_turn_the_same_speaker_goes_on() -> None:
    team = Swarm([Relay("a", ">b"), Relay("b", "sleep", ">a")], max_turns=2)
    await cancelled_in_its_turn(team)
    assert lines(await team.run()) == ["b: awake"]  # of two turns, one was done


async def test_a_handoff_in_the_next_task_takes_the_word_from_who_was_cancelled() -> None:
    """The human says who is to go on. Who was cut short hears what was said when it is their turn again."""
    team = Swarm([Relay("a", ">b", ">b"), Relay("b", "sleep")], max_turns=2)
    await cancelled_in_its_turn(team)
    assert lines(await team.run(task=handoff("user", "a"))) == ["user>a", "a>b", "b: awake"]


async def test_a_saved_state_is_json_and_says_who_has_the_word() -> None:
    team = Swarm([Relay("a", ">b"), Relay("b")], max_turns=2)
    fresh = await team.save_state()
    assert fresh["agent_states"][MANAGER]["current_speaker"] == "a"
    await team.run(task="go")
    state = await team.save_state()
    assert json.loads(json.dumps(state)) == state
    assert state["agent_states"][MANAGER]["current_speaker"] == "b"

    again = Swarm([Relay("a"), Relay("b")], max_turns=1)
    await again.run(task=handoff("user", "a"))
    for _ in range(2):
        await again.load_state(state)
    assert await again.save_state() == state
    assert lines(await again.run()) == ["b: b"]
    await again.load_state(fresh)
    assert lines(await again.run(task="go")) == ["user: go", "a: a"]


def of_0_7_5(target: str, current_speaker: str = "a") -> dict[str, Any]:
    common: dict[str, Any] = {"models_usage": None, "metadata": {}, "created_at": "2025-01-01T00:00:00Z"}
    container = {"type": "ChatAgentContainerState", "version": "1.0.0", "agent_state": {"turns": 0}}
    return {
        "type": "TeamState",
        "version": "1.0.0",
        "agent_states": {
            "a": {**container, "message_buffer": []},
            "b": {**container, "message_buffer": []},
            MANAGER: {
                "type": "SwarmManagerState",
                "version": "1.0.0",
                "message_thread": [
                    {"id": "1", "source": "user", "content": "go", "type": "TextMessage", **common},
                    {
                        "id": "2",
                        "source": "a",
                        "content": "over",
                        "target": target,
                        "context": [],
                        "type": "HandoffMessage",
                        **common,
                    },
                ],
                "current_turn": 0,
                "current_speaker": current_speaker,
            },
        },
    }


async def test_a_state_of_0_7_5_loads_and_its_last_handoff_counts() -> None:
    """There the current speaker is who spoke last, not who was handed over to."""
    team = Swarm([Relay("a"), Relay("b")], max_turns=1)
    await team.load_state(of_0_7_5("b"))
    assert lines(await team.run()) == ["b: b"]
    await team.load_state(of_0_7_5("user"))
    with pytest.raises(ValueError, match="handed over to 'user'"):
        await team.run(task="on")
    assert lines(await team.run(task=handoff("user", "b"))) == ["user>b", "b: b"]


async def test_a_state_of_another_team_is_refused_and_changes_nothing() -> None:
    team = Swarm([Relay("a"), Relay("b")], max_turns=1)
    await team.run(task=handoff("user", "b"))
    with pytest.raises(ValueError, match=r"'zz' speaking. This team has \['a', 'b'\]"):
        await team.load_state(of_0_7_5("b", "zz"))
    assert (await team.save_state())["agent_states"][MANAGER]["current_speaker"] == "b"


def lookup() -> str:
    """Look it up."""
    return "42"


def pair() -> tuple[Swarm, list[Model]]:
    """Two assistants that hand over twice, with tools in between."""
    ann, first = member(
        "ann", calls("lookup", "transfer_to_bob"), calls("transfer_to_bob"), tools=[lookup], handoffs=["bob"]
    )
    bob, second = member("bob", calls("transfer_to_ann"), "Done. TERMINATE", handoffs=["ann"])
    stop = TextMentionTermination("TERMINATE") | MaxMessageTermination(20)
    return Swarm([ann, bob], termination_condition=stop), [first, second]


async def test_saved_at_any_moment_and_loaded_into_a_fresh_team_the_run_finishes_as_it_would_have() -> None:
    """No turn is lost or doubled, and every request is legal."""
    whole = ["user: go", "ann>bob", "bob>ann", "ann>bob", "bob: Done. TERMINATE"]
    saved: list[Mapping[str, Any]] = []
    team, _ = pair()

    async def save_often() -> None:
        while True:
            saved.append(await team.save_state())
            await asyncio.sleep(0)

    saving = asyncio.create_task(save_often())
    result = await team.run(task="go")
    saving.cancel()
    await asyncio.wait([saving])
    assert lines(result) == whole
    states = {json.dumps(state, sort_keys=True): state for state in saved}
    assert len(states) > 5
    finished = 0
    for data in states:
        state = json.loads(data)
        fresh, models = pair()
        thread = [message for message in state["agent_states"][MANAGER]["message_thread"] if message["type"] in SPOKEN]
        if len(thread) == len(whole):
            continue
        for name, model in zip(("ann", "bob"), models, strict=True):  # a real model would answer what it is asked
            ended = (state["agent_states"][name].get("last_turn") or []) != []
            del model.chat_completions[: sum(message["source"] == name for message in thread) + ended]
        await fresh.load_state(state)
        rest = await fresh.run(task=None if thread else "go")
        assert [*whole[: len(thread)], *lines(rest)] == whole
        for model in models:
            for request in model.requests:
                assert_legal(request)
        finished += 1
    assert finished > 4


SPOKEN = ("TextMessage", "HandoffMessage")


async def test_after_a_pause_nobody_begins_and_what_is_said_meanwhile_is_heard() -> None:
    ann, first = member("ann", calls("transfer_to_bob"), handoffs=["bob"])
    bob, second = member("bob", "Hello.")
    team = Swarm([ann, bob], max_turns=2)
    run = asyncio.create_task(team.run(task="go"))
    await asyncio.wait_for(first.asked.wait(), 5)
    await team.pause()
    for _ in range(50):
        await asyncio.sleep(0)
    assert second.requests == []
    await team.inject("hurry up")
    await team.resume()
    await asyncio.wait_for(run, 5)
    assert "hurry up" in str(second.requests[0])
