"""A `SelectorGroupChat` that is paused, cancelled, saved in the middle and loaded."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from autogen_agentchat.base import RunCancelledError, TaskResult
from autogen_agentchat.teams._selector import SelectorGroupChat
from autogen_core import CancellationToken

from .selector_speakers import Chooser, chat, speakers, texts

MANAGER = "SelectorGroupChatManager"
SOON_S = 1.0


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()


async def wait_until_quiet() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("streaming", [False, True])
async def test_cancelling_while_the_model_chooses_ends_the_run_and_the_next_selects_again(*, streaming: bool) -> None:
    """Also if the client does not look at its token. What was said before is in the error."""
    model = Chooser("a", "sleep", "c")
    token = CancellationToken()
    team = chat(model, max_turns=2, model_client_streaming=streaming)
    run = asyncio.create_task(team.run(task="go", cancellation_token=token))
    await asyncio.wait_for(model.sleeping.wait(), 5)
    token.cancel()
    with pytest.raises(RunCancelledError) as cancelled:
        await asyncio.wait_for(run, SOON_S)
    assert model.woken == 1
    assert [message.to_text() for message in cancelled.value.messages] == ["go", "a1"]

    model.chat_completions.append("b")
    assert texts(await team.run(task="on")) == ["on", "c1", "b1"]
    assert model.requests[2][0].endswith("['b', 'c'] | user: go\n\n\na: a1\n\n\nuser: on\n\n")


async def test_cancelling_while_a_function_chooses_ends_the_run() -> None:
    begun = asyncio.Event()

    async def select(thread: object) -> str:
        begun.set()
        await asyncio.sleep(60)
        return "a"

    token = CancellationToken()
    run = asyncio.create_task(chat(Chooser(), selector_func=select).run(task="go", cancellation_token=token))
    await asyncio.wait_for(begun.wait(), 5)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, SOON_S)


async def test_a_reader_that_leaves_stops_the_choosing() -> None:
    model = Chooser("a", "sleep")
    team = chat(model)
    stream = team.run_stream(task="go")
    assert [(await anext(stream)).source for _ in range(2)] == ["user", "a"]  # type: ignore[union-attr] - no result yet
    await asyncio.wait_for(model.sleeping.wait(), 5)
    await asyncio.wait_for(stream.aclose(), SOON_S)
    assert model.woken == 1


@pytest.mark.parametrize("attempts", [("zz", "b"), ("b",)])
async def test_after_a_pause_no_model_is_asked_and_what_is_said_meanwhile_is_in_the_request(
    attempts: tuple[str, ...],
) -> None:
    """The team is paused while a function chooses, so that the model's turn would be next."""
    held = asyncio.Event()
    go_on = asyncio.Event()

    async def select(thread: object) -> None:
        held.set()
        await go_on.wait()

    model = Chooser(*attempts)
    team = chat(model, max_turns=1, selector_func=select)
    run = asyncio.create_task(team.run(task="go"))
    await asyncio.wait_for(held.wait(), 5)
    await team.pause()
    go_on.set()
    await wait_until_quiet()
    assert model.requests == []
    await team.inject("hurry up")
    await team.resume()
    assert speakers(await asyncio.wait_for(run, 5))[-1] == "b"
    assert model.requests[0][0].endswith("user: go\n\n\nuser: hurry up\n\n")


async def test_a_pause_between_two_attempts_holds_the_second() -> None:
    class Pausing(Chooser):
        async def create(self, *arguments: Any, **options: Any) -> Any:
            if not self.requests:
                pausing.append(asyncio.create_task(team.pause()))
                await wait_until_quiet()
            return await super().create(*arguments, **options)

    pausing: list[asyncio.Task[None]] = []
    model = Pausing("zz", "b")
    team = chat(model, max_turns=1)
    run = asyncio.create_task(team.run(task="go"))
    await wait_until_quiet()
    await wait_until_quiet()
    await pausing[0]
    assert len(model.requests) == 1
    await team.resume()
    assert speakers(await asyncio.wait_for(run, 5)) == ["b"]


async def test_a_saved_state_is_json_and_the_last_speaker_is_in_it() -> None:
    team = chat(Chooser("a", "b"), max_turns=2)
    await team.run(task="go")
    state = await team.save_state()
    assert json.loads(json.dumps(state)) == state
    manager = state["agent_states"][MANAGER]
    assert (manager["type"], manager["previous_speaker"]) == ("SelectorManagerState", "b")

    model = Chooser("b", "c")
    again = chat(model, max_turns=1)
    await again.load_state(state)
    assert texts(await again.run()) == ["c1"]
    assert model.requests[0][0].endswith("['a', 'c'] | user: go\n\n\na: a1\n\n\nb: b1\n\n")


async def test_loading_twice_is_loading_once() -> None:
    """Into a fresh team, and into one that has a conversation of its own."""
    team = chat(Chooser("a", "b"), max_turns=2)
    await team.run(task="go")
    state = await team.save_state()
    for before in (0, 1):
        model = Chooser(*["b"] * before, "c")
        again = chat(model, max_turns=1)
        if before:
            await again.run(task="something else")
        await again.load_state(state)
        await again.load_state(state)
        assert await again.save_state() == state
        await again.run()
        assert model.requests[-1][0].split(" | ")[2] == "user: go\n\n\na: a1\n\n\nb: b1\n\n"


OF_0_7_5: Mapping[str, Any] = {
    "type": "TeamState",
    "version": "1.0.0",
    "agent_states": {
        **{
            name: {
                "type": "ChatAgentContainerState",
                "version": "1.0.0",
                "agent_state": {"heard": []},
                "message_buffer": [],
            }
            for name in "abc"
        },
        MANAGER: {
            "type": "SelectorManagerState",
            "version": "1.0.0",
            "message_thread": [
                {
                    "id": "1",
                    "source": "user",
                    "models_usage": None,
                    "metadata": {},
                    "created_at": "2025-01-01T00:00:00Z",
                    "content": "go",
                    "type": "TextMessage",
                }
            ],
            "current_turn": 0,
            "previous_speaker": "b",
        },
    },
}


async def test_a_state_of_0_7_5_loads() -> None:
    model = Chooser("b", "c")
    team = chat(model, max_turns=1)
    await team.load_state(OF_0_7_5)
    assert texts(await team.run()) == ["c1"]
    assert model.offers() == ["['a', 'c']"]


async def test_a_last_speaker_who_is_not_in_the_team_any_more_does_not_matter() -> None:
    state = json.loads(json.dumps(OF_0_7_5))
    state["agent_states"][MANAGER]["previous_speaker"] = "gone"
    team = chat(Chooser("a"), max_turns=1)
    await team.load_state(state)
    assert speakers(await team.run(task="on")) == ["a"]


async def test_saved_at_any_moment_and_loaded_into_a_fresh_team_the_run_finishes_as_it_would_have() -> None:
    """No turn is lost or doubled, and nobody speaks twice in a row."""
    replies = ["b", "zz", "a", "c a", "c", "b", "a", "b", "c"]
    whole = ["go", "b1", "a1", "c1", "b2", "a2", "b3", "c2"]
    saved: list[Mapping[str, Any]] = []
    model = Chooser(*replies)
    team = chat(model, max_turns=7)

    async def save_often() -> None:
        while True:
            saved.append(await team.save_state())
            await asyncio.sleep(0)

    saving = asyncio.create_task(save_often())
    result = await team.run(task="go")
    saving.cancel()
    await asyncio.wait([saving])
    assert texts(result) == whole
    states = {json.dumps(state, sort_keys=True): state for state in saved}
    assert len(states) > 7
    for state in states.values():
        await finish(state, whole)


async def finish(state: Mapping[str, Any], whole: list[str]) -> None:
    """Load a state and run on: the turns that are left are taken, by whoever is next, as the model names nobody."""
    manager = state["agent_states"][MANAGER]
    said = [message["content"] for message in manager["message_thread"]]
    assert said == whole[: len(said)]
    task = None if said else "go"
    fresh: SelectorGroupChat = chat(Chooser(*["zz"] * 100), max_turns=7)
    await fresh.load_state(json.loads(json.dumps(state)))
    if len(said) == len(whole):
        return
    rest: TaskResult = await fresh.run(task=task)
    after = await fresh.save_state()
    thread = [message["content"] for message in after["agent_states"][MANAGER]["message_thread"]]
    assert thread[: len(said)] == said
    assert thread[len(said) :] == texts(rest)
    assert len(thread) == len(whole)
    turns = thread[1:]
    assert all(first[0] != second[0] for first, second in pairwise(turns))
    for name in "abc":  # each speaker's turns are numbered without a gap
        own = [turn for turn in turns if turn[0] == name]
        assert own == [f"{name}{number + 1}" for number in range(len(own))]
