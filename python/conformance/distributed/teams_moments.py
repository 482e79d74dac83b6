"""Scenarios for teams, each of which any runtime must play in the same way: what happens to a team in the course of its life.

As in `teams_scenarios`: a scenario returns facts to be compared, and asserts what it is about.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import ChatAgent, RunCancelledError, TaskResult
from autogen_agentchat.conditions import ExternalTermination, TextMentionTermination
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import GroupChatError, RoundRobinGroupChat
from autogen_core import CancellationToken
from autogen_core.exceptions import RemoteError

from .runtimes import until
from .teams_cast import Actor, Cast, Facts, Held, calls, comparable, facts, play, settled, texts


def pair(cast: Cast, seats: Sequence[ChatAgent], **options: Any) -> RoundRobinGroupChat:
    """Make a team that speaks in turn."""
    return RoundRobinGroupChat([*seats], runtime=cast.runtime, **options)


async def cancelled(cast: Cast) -> Facts:
    """A run that is cancelled in a model call ends; the model call ends, too; the next run begins with who was cut short."""
    model = Held("At last.")
    seats = [
        await cast.seat(lambda: Actor("first", "one")),
        await cast.seat(lambda: AssistantAgent("slow", model)),
    ]
    team = pair(cast, seats, max_turns=2)
    token = CancellationToken()
    run = asyncio.create_task(team.run(task="go", cancellation_token=token))
    async with asyncio.timeout(10):
        await model.waiting.wait()
        token.cancel()
        with pytest.raises(RunCancelledError) as raised:
            await run
    await until(lambda: model.cancelled == 1)
    before = facts(raised.value.messages)
    assert texts(before) == ["user: go", "first: one (1)"]
    model.released.set()
    after = await play(team.run_stream())
    assert texts(after) == ["slow: At last."]
    assert model.asked == 2
    return [*before, *after]


async def closed_early(cast: Cast) -> Facts:
    """A reader that leaves ends the run; the next one goes on, and nobody has heard anything twice."""
    seats = [await cast.seat(lambda name=name: Actor(name, "a", "b")) for name in ("ann", "bob")]
    team = pair(cast, seats, max_turns=4)
    said: list[str] = []
    async with aclosing(team.run_stream(task="go")) as stream:
        async for item in stream:
            assert not isinstance(item, TaskResult)
            said.append(item.to_text())
            if len(said) == 2:
                break
    assert said == ["go", "a (1)"]
    after = await play(team.run_stream())
    assert [text for text in texts(after) if text.startswith("bob")] == ["bob: a (2)", "bob: b (3)"]
    return said


async def paused(cast: Cast) -> Facts:
    """In the midst of a turn, a paused team calls no tool and no further model; resumed, it goes on where it stood."""
    model, used = Held(calls("note"), "Noted."), list[str]()

    def note() -> str:
        used.append("note")
        return "ok"

    seats = [
        await cast.seat(lambda: AssistantAgent("worker", model, tools=[note], reflect_on_tool_use=True)),
        await cast.seat(lambda: Actor("boss", "good")),
    ]
    team = pair(cast, seats, max_turns=2)
    run = asyncio.create_task(play(team.run_stream(task="go")))
    async with asyncio.timeout(10):
        await model.waiting.wait()
        await team.pause()
        model.released.set()
        await settled()
        assert not used
        assert model.asked == 1
        await team.resume()
        said = await run
    assert used == ["note"]
    assert texts(said)[1:] == ["worker: Noted.", "boss: good (2)"]
    return said


async def paused_and_run_again(cast: Cast) -> Facts:
    """To run a team that is paused means to go on, also for a participant that was paused in its turn."""
    model = Held("One.", "Two.")
    seats = [await cast.seat(lambda: AssistantAgent("worker", model))]
    team = pair(cast, seats, max_turns=1)
    token = CancellationToken()
    run = asyncio.create_task(team.run(task="go", cancellation_token=token))
    async with asyncio.timeout(10):
        await model.waiting.wait()
        await team.pause()
        token.cancel()
        with pytest.raises(RunCancelledError):
            await run
        await until(lambda: model.cancelled == 1)
        model.released.set()
        said = await play(team.run_stream(task="again"))
    assert texts(said) == ["user: again", "worker: One."]
    return said


async def injected(cast: Cast) -> Facts:
    """What somebody says in between is heard by each participant in its next turn."""
    model = Held("One.")
    seats = [
        await cast.seat(lambda: AssistantAgent("worker", model)),
        await cast.seat(lambda: Actor("boss", "heard")),
    ]
    team = pair(cast, seats, max_turns=2)
    run = asyncio.create_task(play(team.run_stream(task="go")))
    async with asyncio.timeout(10):
        await model.waiting.wait()
        await team.inject("Hurry!")
        model.released.set()
        said = await run
    assert texts(said) == ["user: go", "user: Hurry!", "worker: One.", "boss: heard (3)"]
    return said


async def reset(cast: Cast) -> Facts:
    """After a reset all begin anew."""
    seats = [await cast.seat(lambda name=name: Actor(name, "a", "b")) for name in ("ann", "bob")]
    team = pair(cast, seats, max_turns=3)
    first = await play(team.run_stream(task="go"))
    await team.reset()
    second = await play(team.run_stream(task="go"))
    assert first == second
    assert texts(second)[1] == "ann: a (1)"
    return [*first, *second]


async def saved_and_loaded(cast: Cast) -> Facts:
    """A team made anew goes on where the saved one stood. The state is the same wherever the participants are."""

    async def make() -> RoundRobinGroupChat:
        script = "One.", "Two.", "Three."
        seats = [
            await cast.seat(lambda: AssistantAgent("writer", Held.at_once(*script))),
            await cast.seat(lambda: Actor("critic", "a", "b", "c")),
        ]
        return pair(cast, seats, max_turns=3)

    team = await make()
    first = await play(team.run_stream(task="go"))
    state = json.loads(json.dumps(await team.save_state()))
    other = await make()
    await other.load_state(state)
    second = await play(other.run_stream(task="go on"))
    assert [text.split(":")[0] for text in texts(second)[1:]] == ["critic", "writer", "critic"]
    assert texts(second)[1] == "critic: b (4)"
    return [*first, *second, comparable(state)]


async def saved_in_mid_turn(cast: Cast) -> Facts:
    """A team saved while a participant speaks is loaded into another, where this turn is taken again."""
    model = Held("Late.")
    other_model = Held.at_once("In time.")

    async def make(answers: Held) -> RoundRobinGroupChat:
        seats = [
            await cast.seat(lambda: Actor("first", "one")),
            await cast.seat(lambda: AssistantAgent("slow", answers)),
        ]
        return pair(cast, seats, max_turns=2)

    team = await make(model)
    run = asyncio.create_task(team.run(task="go"))
    async with asyncio.timeout(10):
        await model.waiting.wait()
        state = json.loads(json.dumps(await team.save_state()))
        model.released.set()
        await run
    other = await make(other_model)
    await other.load_state(state)
    said = await play(other.run_stream())
    assert texts(said) == ["slow: In time."]
    heard = [message.content for message in other_model.create_calls[0]["messages"][1:]]
    assert heard == ["go", "one (1)"]
    return [*said, comparable(state)]


async def failed(cast: Cast) -> Facts:
    """An error of a participant ends the run, caught by its class; the next run begins with that participant."""
    seats = [
        await cast.seat(lambda: Actor("first", "one")),
        await cast.seat(lambda: Actor("clumsy", "!the cup broke", "done")),
    ]
    team = pair(cast, seats, max_turns=2)
    with pytest.raises(GroupChatError, match="the cup broke") as raised:
        await team.run(task="go")
    cause = raised.value.__cause__
    assert isinstance(cause, ValueError)
    assert (cause.text if isinstance(cause, RemoteError) else str(cause)) == "the cup broke"
    before = facts(raised.value.messages)
    after = await play(team.run_stream())
    assert texts(after) == ["clumsy: recovered (2)"]
    return [*before, *after]


async def two_runs(cast: Cast) -> Facts:
    """A second task goes on with the conversation; conditions count anew."""
    seats = [await cast.seat(lambda name=name: Actor(name, "a", "STOP", "c", "STOP")) for name in ("ann", "bob")]
    team = pair(cast, seats, termination_condition=TextMentionTermination("STOP"))
    first = await play(team.run_stream(task="one"))
    second = await play(team.run_stream(task=[TextMessage(content="two", source="user")], output_task_messages=False))
    assert texts(first)[-1].startswith("ann: STOP")
    assert texts(second)[-1].startswith("bob: STOP")
    return [*first, *second]


async def two_teams(cast: Cast) -> Facts:
    """Two teams run at a time on one runtime, and do not hear each other."""

    async def one(word: str) -> Facts:
        seats = [await cast.seat(lambda name=name: Actor(name, word)) for name in ("ann", "bob")]
        return await play(pair(cast, seats, max_turns=6).run_stream(task=word))

    first, second = await asyncio.gather(one("red"), one("blue"))
    assert texts(first)[1:3] == ["ann: red (1)", "bob: red (2)"]
    assert texts(second)[1:3] == ["ann: blue (1)", "bob: blue (2)"]
    return [*first, *second]


async def stopped_from_outside(cast: Cast) -> Facts:
    """Who calls for an end in the midst of a turn gets one after it."""
    model, stop = Held("One."), ExternalTermination()
    seats = [
        await cast.seat(lambda: AssistantAgent("worker", model)),
        await cast.seat(lambda: Actor("boss", "never")),
    ]
    team = pair(cast, seats, termination_condition=stop)
    run = asyncio.create_task(play(team.run_stream(task="go")))
    async with asyncio.timeout(10):
        await model.waiting.wait()
        stop.set()
        model.released.set()
        said = await run
    assert texts(said) == ["user: go", "worker: One."]
    return said
