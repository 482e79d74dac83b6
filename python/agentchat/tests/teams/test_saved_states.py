"""States of teams: JSON, the same whenever they are saved, and enough to go on with, also from the middle of a run."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import ChatAgent, Response, Team
from autogen_agentchat.conditions import FunctionalTermination, MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_agentchat.teams import BaseGroupChat, RoundRobinGroupChat
from autogen_core import AgentRuntime, CancellationToken, FunctionCall, SingleThreadedAgentRuntime
from autogen_core.models import CreateResult, ModelInfo, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient

TURNS = 6


class Counter(BaseChatAgent):
    """Says how many messages it has heard; keeps that number, and takes some steps to save it and to answer."""

    def __init__(self, name: str, steps: Callable[[], int] = lambda: 0) -> None:
        super().__init__(name, "counts")
        self.heard = 0
        self._steps = steps

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        await self._dawdle()
        heard = self.heard + len(messages)
        await self._dawdle()
        self.heard = heard  # an agent without a turn in its middle: all of it counts, or nothing
        return Response(chat_message=TextMessage(content=f"{self.name} heard {heard}", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.heard = 0

    async def save_state(self) -> Mapping[str, Any]:
        await self._dawdle()
        state = {"heard": self.heard}
        await self._dawdle()
        return state

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.heard = state["heard"]

    async def _dawdle(self) -> None:
        for _ in range(self._steps()):
            await asyncio.sleep(0)


class Slow(ReplayChatCompletionClient):
    """A model that takes some steps of the event loop."""

    steps: Callable[[], int] = staticmethod(lambda: 0)

    async def create(self, *args: Any, **options: Any) -> CreateResult:
        for _ in range(self.steps()):
            await asyncio.sleep(0)
        return await super().create(*args, **options)


def called(number: int) -> CreateResult:
    return CreateResult(
        finish_reason="function_calls",
        content=[FunctionCall(id=str(number), name="look", arguments="{}")],
        usage=RequestUsage(prompt_tokens=1, completion_tokens=1),
        cached=False,
    )


async def look() -> str:
    """Look."""
    await asyncio.sleep(0)
    return "seen"


def assistant(name: str, steps: Callable[[], int]) -> AssistantAgent:
    info = ModelInfo(vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True)
    answers: list[str | CreateResult] = []
    for number in range(40):
        answers += [called(number), f"{name} saw"]
    client = Slow(answers, info)
    client.steps = steps
    return AssistantAgent(name, client, tools=[look], max_tool_iterations=3, system_message=None)


def flat(steps: Callable[[], int]) -> BaseGroupChat:
    condition = MaxMessageTermination(TURNS + 1)
    return RoundRobinGroupChat(
        [Counter("a", steps), assistant("b", steps), Counter("c", steps)], termination_condition=condition
    )


def nested(steps: Callable[[], int]) -> BaseGroupChat:
    inner = RoundRobinGroupChat([Counter("a", steps), assistant("b", steps)], name="inner", max_turns=2)
    return RoundRobinGroupChat([inner, Counter("c", steps)], termination_condition=MaxMessageTermination(TURNS + 1))


def said(state: Mapping[str, Any], manager: str = "RoundRobinGroupChatManager") -> list[tuple[str, str]]:
    thread = state["agent_states"][manager]["message_thread"]
    return [(message["source"], message["content"]) for message in thread if isinstance(message["content"], str)]


def contexts(state: Any) -> list[list[dict[str, Any]]]:
    """Find all model contexts in a state, however deep."""
    if not isinstance(state, dict):
        return []
    found: list[list[dict[str, Any]]] = []
    for key, value in cast("dict[str, Any]", state).items():
        found += [value["messages"]] if key == "llm_context" else contexts(value)
    return found


def assert_is_legal(context: Sequence[dict[str, Any]]) -> None:
    """Each call has its result right behind it, and nobody is heard twice with the same words in a row."""
    for index, message in enumerate(context):
        if message["type"] == "AssistantMessage" and isinstance(message["content"], list):
            called = cast("list[dict[str, Any]]", message["content"])
            results = cast("list[dict[str, Any]]", context[index + 1]["content"])
            assert [call["id"] for call in called] == [result["call_id"] for result in results]
    heard = [message["content"] for message in context if message["type"] == "UserMessage"]
    assert len(set(heard)) == len(heard)


@pytest.mark.parametrize("make", [flat, nested])
async def test_a_run_saved_at_any_moment_goes_on_to_the_same_end(
    make: Callable[[Callable[[], int]], BaseGroupChat],
) -> None:
    whole = make(lambda: 0)
    await whole.run(task="go")
    expected = said(await whole.save_state())
    assert len(expected) == TURNS + 1
    for seed in range(60):
        dice = random.Random(seed)

        def steps(dice: random.Random = dice) -> int:
            return dice.randrange(4)

        team = make(steps)
        run = asyncio.create_task(team.run(task="go"))
        for _ in range(dice.randrange(1, 60)):
            await asyncio.sleep(0)
        state = json.loads(json.dumps(await team.save_state()))
        await run
        other = make(steps)
        await other.load_state(state)
        assert json.loads(json.dumps(await other.save_state())) == state
        if said(state) != expected:
            await other.run(task=None if said(state) else "go")
            state = await other.save_state()
        assert said(state) == expected, seed
        for context in contexts(state):
            assert_is_legal(context)


async def test_loading_twice_is_loading_once() -> None:
    team = flat(lambda: 0)
    await team.run(task="go")
    state = await team.save_state()
    assert json.loads(json.dumps(state)) == state
    other = flat(lambda: 0)
    for _ in range(2):
        await other.load_state(state)
        assert await other.save_state() == state


class Recipe(TextMessage):
    """A type of the program's own."""

    type: str = "Recipe"  # pyright: ignore[reportIncompatibleVariableOverride] - the way 0.7.5's programs did it
    minutes: int = 5


class Cook(Counter):
    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        await super().on_messages(messages, cancellation_token)
        return Response(chat_message=Recipe(content="stir", source=self.name, minutes=7))


async def test_messages_of_unknown_types_survive_a_load_and_a_save() -> None:
    team = RoundRobinGroupChat([Cook("cook"), Counter("guest")], max_turns=1, custom_message_types=[Recipe])
    await team.run(task="go")
    state = await team.save_state()
    guest = state["agent_states"]["guest"]["message_buffer"][-1]
    assert (guest["type"], guest["minutes"]) == ("Recipe", 7)

    other = RoundRobinGroupChat([Counter("cook"), Counter("guest")], max_turns=1)
    await other.load_state(state)
    assert await other.save_state() == state
    result = await other.run()
    assert result.messages[-1].to_text() == "guest heard 2"  # it hears what it can read of it

    known = RoundRobinGroupChat([Cook("cook"), Counter("guest")], custom_message_types=[Recipe])
    await known.load_state(state)
    assert await known.save_state() == state


async def test_a_state_of_0_7_5_loads() -> None:
    message: dict[str, Any] = {
        "id": "7ff496c6-f7d7-44de-99e1-b11a3a0db490",
        "source": "user",
        "models_usage": None,
        "metadata": {},
        "created_at": "2026-11-22T15:37:02.891555Z",
        "content": "go",
        "type": "TextMessage",
    }
    state: dict[str, Any] = {
        "type": "TeamState",
        "version": "1.0.0",
        "agent_states": {
            "a": {
                "type": "ChatAgentContainerState",
                "version": "1.0.0",
                "agent_state": {"heard": 1},
                "message_buffer": [],
            },
            "b": {
                "type": "ChatAgentContainerState",
                "version": "1.0.0",
                "agent_state": {"heard": 0},
                "message_buffer": [message],
            },
            "RoundRobinGroupChatManager": {
                "type": "RoundRobinManagerState",
                "version": "1.0.0",
                "message_thread": [message],
                "current_turn": 0,
                "next_speaker_index": 1,
            },
        },
    }
    team = RoundRobinGroupChat([Counter("a"), Counter("b")], max_turns=1)
    await team.load_state(state)
    assert await team.save_state() == state  # a team at rest is saved as 0.7.5 would save it
    assert [message.to_text() for message in (await team.run()).messages] == ["b heard 1"]


async def test_what_a_condition_has_seen_is_in_the_state_of_a_run() -> None:
    gate = asyncio.Event()

    class Waiting(Counter):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            if self.name == "b":
                gate.set()
                await asyncio.sleep(0.001)
            return await super().on_messages(messages, cancellation_token)

    def team() -> RoundRobinGroupChat:
        condition = MaxMessageTermination(4) & TextMentionTermination("a heard")
        return RoundRobinGroupChat([Waiting("a"), Waiting("b")], termination_condition=condition)

    first = team()
    run = asyncio.create_task(first.run(task="go"))
    await gate.wait()
    state = json.loads(json.dumps(await first.save_state()))
    whole = await run
    other = team()
    await other.load_state(state)
    rest = await other.run()
    assert rest.stop_reason == whole.stop_reason
    assert [m.to_text() for m in whole.messages] == ["go", "a heard 1", *(m.to_text() for m in rest.messages)]


async def test_a_state_of_a_team_with_another_condition_loads_and_its_own_begins_anew() -> None:
    team = flat(lambda: 0)
    run = asyncio.create_task(team.run(task="go"))
    await asyncio.sleep(0)
    state = await team.save_state()
    await run
    other: Team = RoundRobinGroupChat(
        [Counter("a"), assistant("b", lambda: 0), Counter("c")], termination_condition=TextMentionTermination("c heard")
    )
    await other.load_state(state)
    assert (await other.run(task="on")).stop_reason == "Text 'c heard' mentioned"


async def test_a_state_that_contradicts_itself_is_refused_and_changes_nothing() -> None:
    team = flat(lambda: 0)
    before = await team.save_state()
    state = json.loads(json.dumps(before))
    state["agent_states"]["RoundRobinGroupChatManager"]["active_speakers"] = ["nobody"]
    with pytest.raises(ValueError, match="nobody"):
        await team.load_state(state)
    state = json.loads(json.dumps(before))
    state["agent_states"]["RoundRobinGroupChatManager"]["unjudged"] = 5
    with pytest.raises(ValueError, match="more messages"):
        await team.load_state(state)
    assert await team.save_state() == before


def until_second_word_of_c(inner: bool, steps: Callable[[], int], runtime: AgentRuntime | None = None) -> BaseGroupChat:
    """Make a team, flat or with a team inside, that ends with what `c` says in its second turn."""
    speakers = [Counter("a", steps), assistant("b", steps)]
    participants: list[ChatAgent | Team] = [*speakers]
    if inner:
        participants = [RoundRobinGroupChat([*speakers], name="inner", max_turns=2, runtime=runtime)]
    c = Counter("c", steps)
    spoken = 0

    def is_second(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> bool:
        nonlocal spoken
        spoken += sum(message.source == "c" for message in messages)
        return spoken >= 2

    return RoundRobinGroupChat(
        [*participants, c], termination_condition=FunctionalTermination(is_second), runtime=runtime
    )


@pytest.mark.parametrize("own_runtime", [True, False])
@pytest.mark.parametrize("inner", [False, True])
async def test_a_run_cancelled_at_any_moment_goes_on_to_the_same_end(inner: bool, own_runtime: bool) -> None:
    whole = until_second_word_of_c(inner, lambda: 0)
    await whole.run(task="go")
    expected = said(await whole.save_state())
    assert len(expected) == TURNS + 1
    for seed in range(60):
        dice = random.Random(seed)

        def steps(dice: random.Random = dice) -> int:
            return dice.randrange(4)

        runtime = None if own_runtime else SingleThreadedAgentRuntime()
        if runtime is not None:
            runtime.start()
        team = until_second_word_of_c(inner, steps, runtime)
        token = CancellationToken()
        run = asyncio.create_task(team.run(task="go", cancellation_token=token))
        for _ in range(dice.randrange(1, 60)):
            await asyncio.sleep(0)
        token.cancel()
        await asyncio.wait([run])
        if not run.cancelled():
            run.result()
        if said(await team.save_state()) != expected:
            await team.run(task=None if said(await team.save_state()) else "go")
        if runtime is not None:
            await runtime.stop_when_idle()
        state = json.loads(json.dumps(await team.save_state()))
        assert said(state) == expected, seed
        for context in contexts(state):
            assert_is_legal(context)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
