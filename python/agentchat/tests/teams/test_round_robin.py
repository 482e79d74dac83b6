"""`RoundRobinGroupChat`: who speaks, what each hears, when a run ends, and what is left after it."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.conditions import MaxMessageTermination, StopMessageTermination, TextMentionTermination
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    SelectSpeakerEvent,
    StopMessage,
    TextMessage,
    ThoughtEvent,
)
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import AgentId, CancellationToken, SingleThreadedAgentRuntime


class Speaker(BaseChatAgent):
    """Says what it heard in its turn; does something else on a word of command, once."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name} speaks")
        self.heard: list[list[str]] = []
        self.cancelled = 0
        self.held: list[str] = []
        self.done: set[str] = set()
        self.working = asyncio.Event()

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        words = [message.to_text() for message in messages]
        self.heard.append(words)
        self.working.set()
        if self.is_told("fail", words):
            raise KeyError("boom")
        if self.is_told("sleep", words):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return Response(
            chat_message=TextMessage(content=f"{self.name}{len(self.heard)}", source=self.name),
            inner_messages=[ThoughtEvent(content="hm", source=self.name)] if f"{self.name}: think" in words else None,
        )

    def is_told(self, command: str, words: Sequence[str]) -> bool:
        told = command not in self.done and f"{self.name}: {command}" in words
        if told:
            self.done.add(command)
        return told

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        response = await self.on_messages(messages, cancellation_token)
        yield ModelClientStreamingChunkEvent(content="...", source=self.name)
        for inner in response.inner_messages or ():
            yield inner
        yield response

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.heard.clear()

    async def on_pause(self, cancellation_token: CancellationToken) -> None:
        self.held.append("pause")

    async def on_resume(self, cancellation_token: CancellationToken) -> None:
        self.held.append("resume")

    async def save_state(self) -> Mapping[str, Any]:
        return {"turns": len(self.heard), "done": sorted(self.done)}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.heard = [[]] * state["turns"]
        self.done = set(state["done"])


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()


def texts(result: TaskResult) -> list[str]:
    return [message.to_text() for message in result.messages]


def pair(**options: Any) -> tuple[Speaker, Speaker, RoundRobinGroupChat]:
    a, b = Speaker("a"), Speaker("b")
    return a, b, RoundRobinGroupChat([a, b], **options)


async def test_participants_speak_in_turn_and_hear_what_the_others_said_since() -> None:
    a, b, team = pair(max_turns=4)
    result = await team.run(task="go")
    assert texts(result) == ["go", "a1", "b1", "a2", "b2"]
    assert result.stop_reason == "Maximum number of turns 4 reached."
    assert a.heard == [["go"], ["b1"]]
    assert b.heard == [["go", "a1"], ["a2"]]


async def test_the_next_run_goes_on_with_the_conversation_and_with_the_next_speaker() -> None:
    a, b, team = pair(max_turns=1)
    await team.run(task="go")
    assert texts(await team.run(task="on")) == ["on", "b1"]
    assert b.heard == [["go", "a1", "on"]]
    assert texts(await team.run()) == ["a2"]
    assert a.heard[-1] == ["on", "b1"]


async def test_a_task_may_be_messages_and_need_not_be_repeated() -> None:
    a, _, team = pair(max_turns=1)
    task = [TextMessage(content="one", source="user"), TextMessage(content="two", source="user")]
    assert texts(await team.run(task=task, output_task_messages=False)) == ["a1"]
    assert a.heard == [["one", "two"]]


async def test_the_stream_has_chunks_and_events_and_the_result_has_no_chunks() -> None:
    _, _, team = pair(max_turns=1, emit_team_events=True)
    items = [item async for item in team.run_stream(task="a: think")]
    assert [type(item) for item in items] == [
        TextMessage,
        SelectSpeakerEvent,
        ModelClientStreamingChunkEvent,
        ThoughtEvent,
        TextMessage,
        TaskResult,
    ]
    result = items[-1]
    assert isinstance(result, TaskResult)
    assert [type(message) for message in result.messages] == [
        TextMessage,
        SelectSpeakerEvent,
        ThoughtEvent,
        TextMessage,
    ]


async def test_a_condition_is_asked_after_the_task_and_after_each_turn_and_is_reset_for_the_next_run() -> None:
    _, _, team = pair(termination_condition=MaxMessageTermination(3))
    for task in ("go", "again"):
        result = await team.run(task=task)
        assert len(result.messages) == 3
        assert result.stop_reason is not None
        assert "Maximum number of messages 3 reached" in result.stop_reason
    _, _, team = pair(termination_condition=TextMentionTermination("go"))
    assert texts(await team.run(task="go")) == ["go"]


async def test_a_team_may_be_a_participant_and_its_messages_are_heard_outside() -> None:
    a, _, inner = pair(max_turns=2, name="inner")
    outside = Speaker("outside")
    team = RoundRobinGroupChat([inner, outside], max_turns=3)
    result = await team.run(task="go")
    assert texts(result) == ["go", "a1", "b1", "outside1", "a2", "b2"]
    assert outside.heard == [["go", "a1", "b1"]]
    assert a.heard == [["go"], ["b1", "outside1"]]


async def test_what_an_agents_tools_said_is_in_the_thread_but_only_its_answer_is_heard() -> None:
    class Talkative(Speaker):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            response = await super().on_messages(messages, cancellation_token)
            return Response(
                chat_message=response.chat_message, inner_messages=[TextMessage(content="inside", source="tool")]
            )

    listener = Speaker("b")
    team = RoundRobinGroupChat([Talkative("a"), listener], max_turns=2)
    assert texts(await team.run(task="go")) == ["go", "inside", "a1", "b1"]
    assert listener.heard == [["go", "a1"]]


async def test_a_participants_own_exception_is_the_cause_of_the_runs_error_and_the_team_can_run_again() -> None:
    a, _, team = pair(max_turns=2)
    with pytest.raises(RuntimeError, match="KeyError: 'boom'") as caught:
        await team.run(task="a: fail")
    assert isinstance(caught.value.__cause__, KeyError)
    assert texts(await team.run(task="better")) == ["better", "a2", "b1"]
    assert a.heard == [["a: fail"], ["a: fail", "better"]]  # the turn is begun again


async def test_the_exception_of_a_participant_of_an_inner_team_is_the_cause_too() -> None:
    _, _, inner = pair(max_turns=2)
    team = RoundRobinGroupChat([inner], max_turns=1)
    with pytest.raises(RuntimeError) as caught:
        await team.run(task="b: fail")
    assert isinstance(caught.value.__cause__, KeyError)
    assert str(caught.value) == "KeyError: 'boom'"


async def test_an_agent_without_a_response_is_named() -> None:
    class Silent(Speaker):
        async def on_messages_stream(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
            yield TextMessage(content="no response", source=self.name)

    with pytest.raises(RuntimeError, match="'silent' gave no response"):
        await RoundRobinGroupChat([Silent("silent")], max_turns=1).run(task="go")


async def test_cancelling_the_token_ends_the_run_reaches_the_agent_and_the_next_run_begins_with_it() -> None:
    a, b, team = pair(max_turns=2)
    token = CancellationToken()
    run = asyncio.create_task(team.run(task="b: sleep", cancellation_token=token))
    await b.working.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 1)
    assert b.cancelled == 1
    assert texts(await team.run()) == ["b2"]  # of two turns, one was done
    assert a.heard == [["b: sleep"]]
    assert texts(await team.run()) == ["a2", "b3"]


async def test_cancelling_the_callers_task_ends_the_run_of_nested_teams() -> None:
    _, b, inner = pair(max_turns=2)
    run = asyncio.create_task(RoundRobinGroupChat([inner], max_turns=1).run(task="b: sleep"))
    await b.working.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 1)
    assert b.cancelled == 1


async def test_a_stream_that_its_reader_abandons_stops_the_work_and_frees_the_team() -> None:
    _, b, team = pair(max_turns=2)
    stream = team.run_stream(task="b: sleep")
    async for item in stream:
        if isinstance(item, TextMessage) and item.source == "a":
            break
    await b.working.wait()
    await stream.aclose()
    assert b.cancelled == 1
    assert texts(await team.run(task="on")) == ["on", "b2", "a2"]


async def test_a_team_that_runs_cannot_run_again_be_reset_or_loaded() -> None:
    a, _, team = pair(max_turns=2)
    state = await team.save_state()
    run = asyncio.create_task(team.run(task="a: sleep"))
    await a.working.wait()
    with pytest.raises(ValueError, match="already running"):
        await team.run(task="second")
    with pytest.raises(RuntimeError, match="currently running"):
        await team.reset()
    with pytest.raises(RuntimeError, match="while it is running"):
        await team.load_state(state)
    run.cancel()
    await asyncio.wait([run])


async def test_a_reset_team_begins_anew() -> None:
    a, b, team = pair(max_turns=1)
    await team.run(task="go")
    await team.reset()
    assert texts(await team.run(task="new")) == ["new", "a1"]
    assert a.heard == [["new"]]
    assert b.heard == []


async def test_a_paused_team_begins_no_turn_until_it_is_resumed() -> None:
    a, b, team = pair(max_turns=3)
    said: list[str] = []
    paused = asyncio.Event()

    async def read() -> None:
        async for item in team.run_stream(task="go"):
            if isinstance(item, TextMessage):
                said.append(item.content)
                if item.content == "a1":
                    await team.pause()
                    paused.set()

    run = asyncio.create_task(read())
    await paused.wait()
    before = len(a.heard) + len(b.heard)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(a.heard) + len(b.heard) - before <= 1  # a turn that had begun is not cut short
    await team.resume()
    await run
    assert said == ["go", "a1", "b1", "a2"]
    assert a.held == b.held == ["pause", "resume"]


async def test_a_team_that_never_ran_cannot_be_paused_or_resumed() -> None:
    _, _, team = pair()
    for control in (team.pause, team.resume):
        with pytest.raises(RuntimeError, match="It must be run before"):
            await control()


async def test_a_saved_state_is_json_has_the_form_of_0_7_5_and_goes_on_in_another_team() -> None:
    _, _, team = pair(max_turns=3)
    await team.run(task="go")
    state = await team.save_state()
    assert json.loads(json.dumps(state)) == state
    assert state["type"] == "TeamState"
    states = state["agent_states"]
    assert list(states) == ["a", "b", "RoundRobinGroupChatManager"]
    assert states["a"]["agent_state"] == {"turns": 2, "done": []}
    assert [message["content"] for message in states["b"]["message_buffer"]] == ["a2"]
    manager = states["RoundRobinGroupChatManager"]
    assert [message["content"] for message in manager["message_thread"]] == ["go", "a1", "b1", "a2"]
    assert (manager["type"], manager["next_speaker_index"], manager["current_turn"]) == ("RoundRobinManagerState", 1, 0)

    _, b, other = pair(max_turns=2)
    for _ in range(2):
        await other.load_state(state)
    assert await other.save_state() == state
    assert texts(await other.run(task="on")) == ["on", "b2", "a3"]
    assert b.heard[-1] == ["a2", "on"]


async def test_a_state_saved_in_the_middle_of_a_turn_begins_with_that_turn() -> None:
    _, b, team = pair(max_turns=2)
    run = asyncio.create_task(team.run(task="b: sleep"))
    await b.working.wait()
    state = await team.save_state()
    run.cancel()
    await asyncio.wait([run])
    _, _, other = pair(max_turns=1)
    await other.load_state(state)
    assert texts(await other.run(task="on")) == ["on", "b2"]


async def test_a_state_without_a_participant_is_refused_naming_it() -> None:
    _, _, team = pair()
    with pytest.raises(ValueError, match="Agent state for a not found"):
        await team.load_state({"agent_states": {}})


async def test_a_task_of_a_wrong_or_unknown_type_is_refused() -> None:
    class Custom(TextMessage):
        pass

    _, _, team = pair()
    wrong: list[tuple[Any, str]] = [
        (5, "must be a string"),
        ([], "cannot be empty"),
        (["text"], "must be BaseChatMessage"),
        (Custom(content="x", source="user"), "custom_message_types"),
    ]
    for task, text in wrong:
        with pytest.raises(ValueError, match=text):
            await team.run(task=task)
    _, _, team = pair(max_turns=1, custom_message_types=[Custom])
    assert len((await team.run(task=Custom(content="x", source="user"))).messages) == 2


def test_a_team_needs_participants_with_different_names_and_a_positive_limit() -> None:
    with pytest.raises(ValueError, match="At least one"):
        RoundRobinGroupChat([])
    with pytest.raises(ValueError, match="unique"):
        RoundRobinGroupChat([Speaker("a"), Speaker("a")])
    with pytest.raises(ValueError, match="max_turns"):
        RoundRobinGroupChat([Speaker("a")], max_turns=0)


async def test_a_team_lives_in_a_runtime_that_it_is_given_and_neither_starts_nor_stops_it() -> None:
    runtime = SingleThreadedAgentRuntime()
    runtime.start()
    _, _, team = pair(max_turns=1, runtime=runtime)
    _, _, second = pair(max_turns=1, runtime=runtime)
    results = await asyncio.gather(team.run(task="go"), second.run(task="go"))
    assert [texts(result) for result in results] == [["go", "a1"], ["go", "a1"]]
    with pytest.raises(LookupError):
        await runtime.get(AgentId("unknown", "k"), lazy=False)
    await runtime.stop_when_idle()


async def test_a_team_may_have_any_name() -> None:
    inner = RoundRobinGroupChat([Speaker("a")], max_turns=1, name="My team, übrigens!")
    assert texts(await RoundRobinGroupChat([inner], max_turns=1).run(task="go")) == ["go", "a1"]


async def test_a_stop_message_ends_the_run_where_a_condition_looks_for_it() -> None:
    class Stopper(Speaker):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            return Response(chat_message=StopMessage(content="enough", source=self.name))

    team = RoundRobinGroupChat([Stopper("a"), Speaker("b")], termination_condition=StopMessageTermination())
    assert texts(await team.run(task="go")) == ["go", "enough"]
