"""A team that speaks with one voice: what it says, what it keeps, and how it ends, fails, pauses and goes on."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.agents._society_of_mind_agent import SocietyOfMindAgent
from autogen_agentchat.base import Response, RunCancelledError, TaskResult, Team
from autogen_agentchat.conditions import MaxMessageTermination, SourceMatchTermination
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    TextMessage,
    ThoughtEvent,
)
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken, ComponentModel, Image
from autogen_core.models import RequestUsage, SystemMessage
from autogen_ext.models.replay import ReplayChatCompletionClient

from .scripted import Model, call, calls, said, text

Item = BaseAgentEvent | BaseChatMessage | Response


class MyError(Exception):
    """A member's own error."""


class Member(BaseChatAgent):
    """Says its name and a number, and notes what it hears. A member may fail, or wait until it is let go on."""

    def __init__(self, name: str, *, fails: int = 0, waits: bool = False, steps: int = 0) -> None:
        super().__init__(name, "a member")
        self.heard: list[str] = []
        self.fails = fails
        self.turns = 0
        self.steps = steps
        self.waiting = asyncio.Event()
        self.go = asyncio.Event()
        if not waits:
            self.go.set()
        self.ended: list[str] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        raise NotImplementedError

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        for message in messages:
            earlier = [said(each) for each in message.context] if isinstance(message, HandoffMessage) else []
            self.heard += earlier or [f"{message.source}: {message.to_text()}"]
        yield ModelClientStreamingChunkEvent(content="...", source=self.name)
        self.waiting.set()
        try:
            await self.go.wait()
            for _ in range(self.steps):
                await asyncio.sleep(0)
        finally:
            self.ended.append("cancelled" if not self.go.is_set() else "done")
        if self.fails:
            self.fails -= 1
            raise MyError
        self.turns += 1
        yield ThoughtEvent(content="hm", source=self.name)
        usage = RequestUsage(prompt_tokens=1, completion_tokens=2)
        yield Response(
            chat_message=TextMessage(content=f"{self.name}{self.turns}", source=self.name, models_usage=usage)
        )

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.heard = ["reset"]

    async def save_state(self) -> dict[str, Any]:
        return {"turns": self.turns}

    async def load_state(self, state: Any) -> None:
        self.turns = state["turns"]


def society(*members: BaseChatAgent, model: Model | None = None, says: int | None = None) -> SocietyOfMindAgent:
    """Make a society whose members speak in a round, each once if not said otherwise."""
    stop = SourceMatchTermination([members[-1].name]) if says is None else MaxMessageTermination(says)
    team = RoundRobinGroupChat(list(members), termination_condition=stop)
    return SocietyOfMindAgent("som", team, model or Model("first", "second"), instruction="I", response_prompt="P")


async def turn(
    som: SocietyOfMindAgent, *messages: BaseChatMessage, token: CancellationToken | None = None
) -> list[Item]:
    return [item async for item in som.on_messages_stream(messages, token or CancellationToken())]


async def history(som: SocietyOfMindAgent) -> list[str]:
    return [said(message) for message in await som.model_context.get_messages()]


def shown(item: Item) -> str:
    return item.chat_message.to_text() if isinstance(item, Response) else item.to_text()


async def test_the_team_discusses_and_the_model_answers_from_what_it_said() -> None:
    ann, bob, model = Member("ann"), Member("bob"), Model("first")
    items = await turn(society(ann, bob, model=model), text("task"))
    assert [shown(item) for item in items] == ["...", "hm", "ann1", "...", "hm", "bob1", "first"]
    assert model.requests == [["user: I", "ann: ann1", "bob: bob1", "user: P"]]
    response = items[-1]
    assert isinstance(response, Response)
    assert response.chat_message.source == "som"
    assert response.inner_messages == []
    assert response.chat_message.models_usage == model.total_usage()
    assert ann.heard == bob.heard == ["reset"]


async def test_a_model_that_takes_several_system_messages_is_directed_by_them() -> None:
    model = Model("first")
    model.model_info["multiple_system_messages"] = True
    await turn(society(Member("ann"), model=model), text("task"))
    first, *_, last = model.create_calls[0]["messages"]
    assert (first, last) == (SystemMessage(content="I"), SystemMessage(content="P"))


async def test_the_result_of_a_run_holds_the_answer_and_that_of_a_stream_the_discussion_too() -> None:
    result = await society(Member("ann")).run(task="task")
    assert [message.to_text() for message in result.messages] == ["task", "first"]
    items = [item async for item in society(Member("ann")).run_stream(task="task")]
    assert isinstance(items[-1], TaskResult)
    assert [message.to_text() for message in items[-1].messages] == ["task", "hm", "ann1", "first"]


async def test_the_team_hears_of_earlier_turns_and_the_agent_remembers_its_answers() -> None:
    ann = Member("ann", waits=True)
    ann.go.set()
    som = society(ann)
    await turn(som, HandoffMessage(content="h", source="eve", target="som", context=[SystemMessage(content="c")]))
    assert await history(som) == ["system: c", "eve: h", "som> first"]
    stream = som.on_messages_stream([text("more")], CancellationToken())
    await anext(stream)
    assert ann.heard == ["reset", "system: c", "eve: h", "som> first", "user: more"]
    await stream.aclose()


async def test_a_team_that_says_nothing_has_no_response_and_no_model_is_asked() -> None:
    model = Model("first")
    som = society(Member("ann"), model=model, says=1)
    [response] = await turn(som, text("task"))
    assert shown(response) == "No response."
    assert model.requests == []
    assert await history(som) == ["user: task"]


async def test_a_team_may_be_asked_without_a_new_message() -> None:
    assert [shown(item) for item in await turn(society(Member("ann")))] == ["...", "hm", "ann1", "first"]


async def test_a_model_without_eyes_is_shown_no_images() -> None:
    class Painter(Member):
        async def on_messages_stream(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
            pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
            yield Response(chat_message=MultiModalMessage(content=["see", Image.from_base64(pixel)], source=self.name))

    model = Model("nice")
    await turn(society(Painter("ann"), model=model), text("paint"))
    assert "<image>" in model.requests[0][1]


async def test_a_society_in_a_society_streams_to_the_outside() -> None:
    inner = society(Member("ann"), model=Model("inner"))
    outer = SocietyOfMindAgent(
        "outer", RoundRobinGroupChat([inner], max_turns=1), Model("outer"), instruction="I", response_prompt="P"
    )
    items = [item async for item in outer.on_messages_stream([text("task")], CancellationToken())]
    assert [shown(item) for item in items] == ["...", "hm", "ann1", "inner", "outer"]


# Errors


async def test_the_error_of_a_member_is_the_cause_and_the_turn_can_be_gone_on_with() -> None:
    ann, bob, model = Member("ann"), Member("bob", fails=1), Model("first")
    som, task = society(ann, bob, model=model), text("task")
    with pytest.raises(RuntimeError) as caught:
        await turn(som, task)
    assert isinstance(caught.value.__cause__, MyError)
    assert await history(som) == []
    items = await turn(som, task)
    assert [shown(item) for item in items] == ["...", "hm", "bob1", "first"]
    assert model.requests == [["user: I", "ann: ann1", "bob: bob1", "user: P"]]
    assert await history(som) == ["user: task", "som> first"]


async def test_the_error_of_a_member_reaches_the_one_who_runs_a_team_around_the_society() -> None:
    ann = Member("ann", fails=1)
    team = RoundRobinGroupChat([society(ann)], max_turns=1)
    with pytest.raises(RuntimeError) as caught:
        await team.run(task="task")
    assert isinstance(caught.value.__cause__, MyError)
    result = await team.run()
    assert result.messages[-1].to_text() == "first"
    assert (await team.run(task="more")).messages[-1].to_text() == "second"


async def test_after_an_error_of_the_model_the_same_messages_ask_the_model_alone() -> None:
    ann, model = Member("ann"), Model()
    som, task = society(ann, model=model), text("task")
    with pytest.raises(ValueError, match="No more mock responses"):
        await turn(som, task)
    model.chat_completions.append("late")
    assert [shown(item) for item in await turn(som, task)] == ["late"]
    assert ann.turns == 1


async def test_other_messages_after_an_error_go_to_the_team_and_nothing_is_forgotten() -> None:
    ann, model = Member("ann"), Model()
    som = society(ann, model=model)
    with pytest.raises(ValueError, match="No more mock responses"):
        await turn(som, text("task"))
    model.chat_completions.append("late")
    assert [shown(item) for item in await turn(som, text("and more"))] == ["...", "hm", "ann2", "late"]
    assert model.requests[-1] == ["user: I", "ann: ann1", "ann: ann2", "user: P"]
    assert await history(som) == ["user: task", "user: and more", "som> late"]


async def test_tool_calls_of_a_model_that_has_no_tools_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="was offered none"):
        await turn(society(Member("ann"), model=Model(calls(call("add")))), text("task"))


async def test_a_team_that_ends_without_a_result_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    som = society(Member("ann"))

    async def ends_early(**_: Any) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        yield text("hi", "ann")

    monkeypatch.setattr(som._team, "run_stream", ends_early)
    with pytest.raises(RuntimeError, match="without a TaskResult"):
        await turn(som, text("task"))


# Cancelling, pausing


async def test_cancelling_ends_the_team_at_once_and_the_turn_can_be_gone_on_with() -> None:
    ann, bob = Member("ann"), Member("bob", waits=True)
    som, token, task = society(ann, bob), CancellationToken(), text("task")
    run = asyncio.create_task(som.run(task=task, cancellation_token=token))
    await bob.waiting.wait()
    token.cancel()
    with pytest.raises(RunCancelledError) as caught:
        await asyncio.wait_for(run, 10)
    assert [message.to_text() for message in caught.value.messages] == ["task", "hm", "ann1"]
    assert bob.ended == ["cancelled"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    bob.go.set()
    assert [shown(item) for item in await turn(som, task)] == ["...", "hm", "bob1", "first"]
    assert await history(som) == ["user: task", "som> first"]


async def test_a_society_interrupted_in_a_team_goes_on_in_the_next_run() -> None:
    ann, bob, model = Member("ann"), Member("bob", waits=True), Model("first")
    team = RoundRobinGroupChat([Member("eve"), society(ann, bob, model=model)], max_turns=2)
    token = CancellationToken()
    run = asyncio.create_task(team.run(task="task", cancellation_token=token))
    await bob.waiting.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 10)
    bob.go.set()
    async for _ in team.run_stream():
        if model.requests:
            break
    assert ann.turns == 1
    assert model.requests == [["user: I", "ann: ann1", "bob: bob1", "user: P"]]


async def test_a_team_that_does_not_look_at_the_token_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    som, token = society(Member("ann")), CancellationToken()
    ended: list[str] = []

    async def deaf(**_: Any) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        try:
            yield text("hi", "ann")
            token.cancel()
            await asyncio.sleep(60)
        finally:
            ended.append("ended")

    monkeypatch.setattr(som._team, "run_stream", deaf)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(turn(som, text("task"), token=token), 10)
    assert ended == ["ended"]


async def test_a_reader_who_leaves_ends_the_team() -> None:
    ann = Member("ann", waits=True)
    som = society(ann)
    stream = som.on_messages_stream([text("task")], CancellationToken())
    assert shown(await anext(stream)) == "..."
    await stream.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_paused_society_holds_its_team_and_its_model() -> None:
    first, model = Model("ann1", "ann2"), Model("first")
    ann, bob = AssistantAgent("ann", first), Member("bob", waits=True)
    team = RoundRobinGroupChat([bob, ann], max_turns=2)
    som = SocietyOfMindAgent("som", team, model)
    run = asyncio.create_task(turn(som, text("task")))
    await bob.waiting.wait()
    await som.on_pause(CancellationToken())
    bob.go.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert (first.requests, model.requests) == ([], [])
    await som.on_resume(CancellationToken())
    assert [shown(item) for item in await run] == ["...", "hm", "bob1", "ann1", "first"]


async def test_a_society_paused_before_its_turn_waits_with_it() -> None:
    ann = Member("ann")
    som = society(ann)
    await som.on_pause(CancellationToken())
    run = asyncio.create_task(turn(som, text("task")))
    for _ in range(20):
        await asyncio.sleep(0)
    assert ann.turns == 0
    await som.on_resume(CancellationToken())
    await run
    assert ann.turns == 1


@pytest.mark.parametrize("steps", range(12))
async def test_a_pause_at_any_moment_of_the_beginning_keeps_the_next_member_from_speaking(steps: int) -> None:
    ann, model = Member("ann"), Model("bob1", "bob2")
    team = RoundRobinGroupChat([ann, AssistantAgent("bob", model)], max_turns=2)
    som = SocietyOfMindAgent("som", team, Model("first"))
    run = asyncio.create_task(turn(som, text("task")))
    for _ in range(steps):
        await asyncio.sleep(0)
    await som.on_pause(CancellationToken())
    asked = len(model.requests)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(model.requests) == asked
    await som.on_resume(CancellationToken())
    assert shown((await run)[-1]) == "first"


# Saving


async def test_a_state_is_json_and_loading_it_twice_is_loading_it_once() -> None:
    som = society(Member("ann"))
    await turn(som, text("task"))
    state = await som.save_state()
    assert json.loads(json.dumps(state)) == state
    other = society(Member("ann"))
    for _ in range(2):
        await other.load_state(state)
        assert await other.save_state() == state
        assert await history(other) == ["user: task", "som> first"]


async def test_a_turn_saved_in_its_middle_is_gone_on_with_elsewhere() -> None:
    ann, bob = Member("ann"), Member("bob", waits=True)
    som, task = society(ann, bob), text("task")
    await som._model_context.add_message(SystemMessage(content="earlier"))
    run = asyncio.create_task(turn(som, task))
    await bob.waiting.wait()
    state = json.loads(json.dumps(await som.save_state()))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    model = Model("first")
    other = society(Member("ann"), listening := Member("bob", waits=True), model=model)
    await other.load_state(state)
    await other.load_state(state)
    assert await other.save_state() == state
    run = asyncio.create_task(turn(other, task))
    await listening.waiting.wait()
    assert listening.heard == ["system: earlier", "user: task", "ann: ann1"]
    listening.go.set()
    await run
    assert model.requests == [["user: I", "ann: ann1", "bob: bob1", "user: P"]]
    assert await history(other) == ["system: earlier", "user: task", "som> first"]


async def test_a_state_of_0_7_5_holds_the_team_alone() -> None:
    som = society(Member("ann"))
    state = dict(await som.save_state())
    old = {key: state[key] for key in ("type", "version", "inner_team_state")}
    await turn(som, text("task"))
    await som.load_state(old)
    assert await history(som) == ["user: task", "som> first"]
    with pytest.raises(ValueError, match="ann"):
        await som.load_state({"type": "SocietyOfMindAgentState", "version": "1.0.0", "inner_team_state": {}})


async def test_reset_forgets_the_conversation_and_a_turn_that_is_not_done() -> None:
    ann = Member("ann", fails=1)
    som, task = society(ann), text("task")
    with pytest.raises(RuntimeError):
        await turn(som, task)
    await som.on_reset(CancellationToken())
    assert await history(som) == []
    stream = som.on_messages_stream([task], CancellationToken())
    await anext(stream)
    assert ann.heard == ["reset", "user: task"]
    await stream.aclose()


async def test_a_saved_component_behaves_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autogen_agentchat.agents.SocietyOfMindAgent", SocietyOfMindAgent, raising=False)
    member = AssistantAgent("ann", ReplayChatCompletionClient(["an idea"]))
    team: Team = RoundRobinGroupChat([member], max_turns=1)
    som = SocietyOfMindAgent("som", team, ReplayChatCompletionClient(["first"]), instruction="", response_prompt="P")
    saved = ComponentModel.model_validate_json(som.dump_component().model_dump_json())
    assert saved.provider == "autogen_agentchat.agents.SocietyOfMindAgent"
    again = SocietyOfMindAgent.load_component(saved)
    assert again.dump_component() == som.dump_component()
    assert [shown(item) for item in await turn(again, text("task"))] == ["an idea", "first"]
    for name in ("description", "instruction", "response_prompt"):
        del saved.config[name]
    config = SocietyOfMindAgent.load_component(saved).dump_component().config
    assert config["description"] == SocietyOfMindAgent.DEFAULT_DESCRIPTION
    assert config["instruction"] == SocietyOfMindAgent.DEFAULT_INSTRUCTION
    assert config["response_prompt"] == SocietyOfMindAgent.DEFAULT_RESPONSE_PROMPT


async def test_a_member_that_cannot_be_saved_is_named_by_the_error() -> None:
    with pytest.raises(NotImplementedError, match="Member"):
        society(Member("ann")).dump_component()


def three() -> list[Member]:
    return [Member(name, steps=3) for name in ("ann", "bob", "eve")]


def assert_everybody_spoke_once(model: Model) -> None:
    [request] = model.requests
    assert [line.split(": ")[0] for line in request] == ["user", "ann", "bob", "eve", "user"]


@pytest.mark.parametrize("steps", range(40))
async def test_a_turn_saved_at_any_moment_loses_nothing_and_says_nothing_twice(steps: int) -> None:
    task = text("task")
    som = society(*three(), model=Model("first"))
    run = asyncio.create_task(turn(som, task))
    for _ in range(steps):
        await asyncio.sleep(0)
    state = json.loads(json.dumps(await som.save_state()))
    run.cancel()
    await asyncio.wait([run])

    model = Model("first")
    other = society(*three(), model=model)
    await other.load_state(state)
    if await history(other) == []:
        await turn(other, task)
        assert_everybody_spoke_once(model)
    assert await history(other) == ["user: task", "som> first"]


def spoken(state: Mapping[str, Any]) -> list[str]:
    thread = state["agent_states"]["RoundRobinGroupChatManager"]["message_thread"]
    return [message["content"] for message in thread if message["type"] == "TextMessage"]


@pytest.mark.parametrize("steps", range(50))
async def test_so_does_a_turn_in_a_team(steps: int) -> None:
    def build(model: Model) -> RoundRobinGroupChat:
        return RoundRobinGroupChat([society(*three(), model=model), Member("last", steps=2)], max_turns=2)

    task = text("task")
    team = build(Model("first"))
    run = asyncio.create_task(team.run(task=task))
    for _ in range(steps):
        await asyncio.sleep(0)
    state = json.loads(json.dumps(await team.save_state()))
    run.cancel()
    await asyncio.wait([run])

    model = Model("first")
    again = build(model)
    await again.load_state(state)
    if len(spoken(state)) < 3:
        await again.run(task=None if spoken(state) else task)
    assert spoken(await again.save_state()) == ["task", "first", "last1"]
    if model.requests:
        assert_everybody_spoke_once(model)


@pytest.mark.parametrize("steps", range(30))
async def test_a_turn_cancelled_at_any_moment_is_gone_on_with_by_the_same_messages(steps: int) -> None:
    task, token, model = text("task"), CancellationToken(), Model("first", "first")
    som = society(*three(), model=model)
    run = asyncio.create_task(turn(som, task, token=token))
    for _ in range(steps):
        await asyncio.sleep(0)
    token.cancel()
    await asyncio.wait([run])
    if run.cancelled():
        await turn(som, task)
        del model.requests[:-1]
    assert_everybody_spoke_once(model)
    assert await history(som) == ["user: task", "som> first"]
