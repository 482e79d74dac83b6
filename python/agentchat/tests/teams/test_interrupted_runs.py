"""A run that is cut short: cancelled, failed, paused or abandoned. What was said is kept, and the next run goes on with it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response, RunCancelledError, TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken, FunctionCall
from autogen_core.model_context import UnboundedChatCompletionContext
from autogen_core.models import CreateResult, LLMMessage, RequestUsage
from autogen_core.tools import BaseStreamTool
from autogen_ext.models.replay import ReplayChatCompletionClient


class MyError(Exception):
    """An error of the program's own."""


class Failing(BaseChatAgent):
    """Fails in its first turn."""

    def __init__(self, name: str = "failing") -> None:
        super().__init__(name, "fails once")
        self.heard: list[list[str]] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        self.heard.append([message.to_text() for message in messages])
        if len(self.heard) == 1:
            raise MyError("boom")
        return Response(chat_message=TextMessage(content="better", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None: ...


class Tools:
    """A slow tool, that notes what happens to it, and a quick one."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.seen: list[str] = []

    async def slow(self) -> str:
        """Take a minute."""
        self.begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        return "slow"

    async def quick(self) -> str:
        """Take no time."""
        return "quick"


class NoArguments(BaseModel):
    """Nothing."""


class SlowStream(BaseStreamTool[NoArguments, BaseAgentEvent | BaseChatMessage, NoArguments]):
    """Streams a message, and then takes a minute."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(NoArguments, NoArguments, "stream", "stream")
        self._tools = tools

    async def run(self, args: NoArguments, cancellation_token: CancellationToken) -> NoArguments:
        await self._tools.slow()
        return args

    async def run_stream(
        self, args: NoArguments, cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | NoArguments, None]:
        yield TextMessage(content="on the way", source="stream")
        yield await self.run(args, cancellation_token)


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()


def calls(*names: str) -> CreateResult:
    return CreateResult(
        finish_reason="function_calls",
        content=[FunctionCall(id=f"{name}-call", name=name, arguments="{}") for name in names],
        usage=RequestUsage(prompt_tokens=1, completion_tokens=1),
        cached=False,
    )


def model(*answers: str | CreateResult) -> ReplayChatCompletionClient:
    from autogen_core.models import ModelInfo

    info = ModelInfo(vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True)
    return ReplayChatCompletionClient(list(answers), info)


def agent(name: str, *answers: str | CreateResult, tools: Sequence[Any] = ()) -> AssistantAgent:
    return AssistantAgent(name, model(*answers), tools=list(tools) or None, system_message=None)


def texts(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> list[str]:
    return [f"{message.source}: {message.to_text()}" for message in messages if isinstance(message, BaseChatMessage)]


async def last(stream: AsyncGenerator[Any, None]) -> Any:
    return [item async for item in stream][-1]


async def history(of: AssistantAgent) -> list[LLMMessage]:
    return await of.model_context.get_messages()


def assert_each_call_has_one_result(messages: Sequence[LLMMessage]) -> None:
    called = [
        call.id for m in messages if m.type == "AssistantMessage" and isinstance(m.content, list) for call in m.content
    ]
    answered = [result.call_id for m in messages if m.type == "FunctionExecutionResultMessage" for result in m.content]
    assert called == answered


SHAPES = {"agent": 0, "team": 1, "nested team": 2}


@pytest.mark.parametrize("depth", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("called", [("slow",), ("stream",), ("quick", "slow")], ids="+".join)
async def test_cancelling_in_a_long_tool_ends_the_run_and_keeps_what_was_said(
    depth: int, called: tuple[str, ...]
) -> None:
    tools = Tools()
    worker = agent("worker", calls(*called), "done", tools=[tools.slow, tools.quick, SlowStream(tools)])
    runner: AssistantAgent | RoundRobinGroupChat = worker
    if depth:
        runner = RoundRobinGroupChat([agent("first", "hello", "again"), worker], max_turns=2, name="inner")
    if depth == 2:
        runner = RoundRobinGroupChat([runner], max_turns=1)
    token = CancellationToken()
    run = asyncio.create_task(runner.run(task="go", cancellation_token=token))
    await tools.begun.wait()
    token.cancel()
    with pytest.raises(RunCancelledError) as caught:
        await asyncio.wait_for(run, 1)
    assert tools.seen == ["cancelled"]
    expected = ["user: go"]
    if depth:
        expected.append("first: hello")
    if "stream" in called:
        expected.append("stream: on the way")
    assert texts(caught.value.messages) == expected
    assert_each_call_has_one_result(await history(worker))

    result = await runner.run()
    assert texts(result.messages)[0] == "worker: done"  # it goes on with the speaker that was interrupted
    said = [message for message in await history(worker) if message.type == "UserMessage"]
    heard = [message.content for message in said]
    assert heard.count("go") == 1
    assert heard.count("hello") == (1 if depth else 0)


async def test_the_finished_one_of_two_parallel_calls_keeps_its_result_in_the_history() -> None:
    tools = Tools()
    worker = agent("worker", calls("quick", "slow"), "done", tools=[tools.slow, tools.quick])
    team = RoundRobinGroupChat([worker], max_turns=1)
    token = CancellationToken()
    run = asyncio.create_task(team.run(task="go", cancellation_token=token))
    await tools.begun.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    [results] = [message for message in await history(worker) if message.type == "FunctionExecutionResultMessage"]
    assert [(result.call_id, result.is_error) for result in results.content] == [
        ("quick-call", False),
        ("slow-call", True),
    ]


async def test_a_reader_of_the_stream_is_told_of_the_cancelling_with_what_was_said() -> None:
    tools = Tools()
    team = RoundRobinGroupChat([agent("a", "hello"), agent("b", calls("slow"), tools=[tools.slow])], max_turns=2)
    token = CancellationToken()

    async def cancel() -> None:
        await tools.begun.wait()
        token.cancel()

    canceller = asyncio.create_task(cancel())
    with pytest.raises(RunCancelledError) as caught:
        async for _ in team.run_stream(task="go", cancellation_token=token):
            pass
    await canceller
    assert texts(caught.value.messages) == ["user: go", "a: hello"]


async def test_cancelling_the_callers_own_task_is_a_plain_cancelling() -> None:
    tools = Tools()
    team = RoundRobinGroupChat([agent("b", calls("slow"), tools=[tools.slow])], max_turns=2)
    run = asyncio.create_task(team.run(task="go"))
    await tools.begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert run.cancelled()


@pytest.mark.parametrize("nested", [False, True])
async def test_the_error_of_a_participant_has_its_own_type_as_cause_and_what_was_said(nested: bool) -> None:
    failing = Failing()
    team = RoundRobinGroupChat([agent("a", "one", "two"), failing], max_turns=2, name="inner")
    outer = RoundRobinGroupChat([team], max_turns=1) if nested else team
    for stream in (False, True):
        failing.heard.clear()
        with pytest.raises(RuntimeError, match="MyError: boom") as caught:
            await (last(outer.run_stream(task="go")) if stream else outer.run(task="go"))
        assert isinstance(caught.value.__cause__, MyError)
    # The second run had a task of its own and begins its turns anew, with the speaker that failed. The inner team is asked
    # for the same turn all the time, of which it had done a half.
    result = await outer.run()
    assert texts(result.messages) == (["failing: better"] if nested else ["failing: better", "a: two"])
    assert failing.heard[-1] == ["go", "one", "go"]


async def test_the_error_of_a_run_has_what_was_said_until_then() -> None:
    from autogen_agentchat.teams import GroupChatError

    team = RoundRobinGroupChat([agent("a", "one"), Failing()], max_turns=2)
    with pytest.raises(GroupChatError) as caught:
        await team.run(task="go")
    assert texts(caught.value.messages) == ["user: go", "a: one"]


async def test_a_reader_that_leaves_the_stream_ends_the_work() -> None:
    tools = Tools()
    team = RoundRobinGroupChat(
        [agent("a", "one", "two"), agent("b", calls("slow"), "done", tools=[tools.slow])], max_turns=2
    )

    async def read_until_the_tool_runs() -> None:
        async for item in team.run_stream(task="go"):
            if getattr(item, "type", "") == "ToolCallRequestEvent":
                break

    await read_until_the_tool_runs()  # the stream is not closed by hand: its reader has just left it
    for _ in range(20):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert texts((await team.run()).messages)[0] == "b: done"


async def test_after_a_pause_no_model_call_and_no_tool_call_begins_until_resume() -> None:
    begun = asyncio.Event()
    release = asyncio.Event()
    log: list[str] = []

    class Watched(ReplayChatCompletionClient):
        async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
            log.append("model")
            return await super().create(messages, **options)

    async def hold() -> str:
        """Hold until it is released."""
        log.append("hold")
        begun.set()
        await release.wait()
        return "held"

    async def quick() -> str:
        """Take no time."""
        log.append("quick")
        return "quick"

    answers = [calls("hold"), calls("quick"), "done"]
    client = Watched(answers, model().model_info)
    worker = AssistantAgent("worker", client, tools=[hold, quick], max_tool_iterations=5)
    team = RoundRobinGroupChat([worker, agent("next", "mine")], max_turns=2)
    run = asyncio.create_task(team.run(task="go"))
    await begun.wait()
    await team.pause()
    release.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert log == ["model", "hold"]  # what had begun was finished, and nothing begins
    await team.inject("by the way")
    for _ in range(50):
        await asyncio.sleep(0)
    assert log == ["model", "hold"]
    await team.resume()
    result = await run
    assert log == ["model", "hold", "model", "quick", "model"]
    assert texts(result.messages) == ["user: go", "user: by the way", "worker: done", "next: mine"]


async def test_a_pause_while_a_request_is_made_holds_before_the_call() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    class SlowContext(UnboundedChatCompletionContext):
        async def get_messages(self) -> list[LLMMessage]:
            asked.set()
            await release.wait()
            return await super().get_messages()

    client = model("done")
    worker = AssistantAgent("worker", client, model_context=SlowContext())
    team = RoundRobinGroupChat([worker], max_turns=1)
    run = asyncio.create_task(team.run(task="go"))
    await asked.wait()
    await team.pause()
    release.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert client.create_calls == []
    await team.resume()
    assert texts((await run).messages) == ["user: go", "worker: done"]


async def test_a_paused_turn_can_be_cancelled() -> None:
    release, begun = asyncio.Event(), asyncio.Event()

    async def hold() -> str:
        """Hold until it is released."""
        begun.set()
        await release.wait()
        return "held"

    worker = AssistantAgent("worker", model(calls("hold"), "done"), tools=[hold], max_tool_iterations=5)
    team = RoundRobinGroupChat([worker], max_turns=1)
    token = CancellationToken()
    run = asyncio.create_task(team.run(task="go", cancellation_token=token))
    await begun.wait()
    await team.pause()
    release.set()
    await asyncio.sleep(0)
    token.cancel()
    with pytest.raises(RunCancelledError):
        await run
    assert texts((await asyncio.wait_for(team.run(), 5)).messages) == ["worker: done"]  # a new run is not paused


async def test_a_message_from_outside_is_heard_by_the_next_speaker_and_counts_for_conditions() -> None:
    from autogen_agentchat.conditions import TextMentionTermination

    heard: list[list[str]] = []

    class Listening(Failing):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            heard.append([message.to_text() for message in messages])
            if len(heard) == 1:
                await team.inject("stop it")
            return Response(chat_message=TextMessage(content="ok", source=self.name))

    team = RoundRobinGroupChat(
        [Listening("a"), Listening("b")], termination_condition=TextMentionTermination("stop it"), max_turns=9
    )
    result = await team.run(task="go")
    assert texts(result.messages) == ["user: go", "user: stop it", "a: ok"]
    assert result.stop_reason == "Text 'stop it' mentioned"
    await team.run(task="on")
    assert heard[1] == ["go", "stop it", "ok", "on"]


async def test_a_team_at_rest_takes_a_message_from_outside_into_its_conversation() -> None:
    a = Failing("a")
    a.heard.append([])
    team = RoundRobinGroupChat([a], max_turns=1)
    await team.inject("for later")
    assert texts((await team.run(task="go")).messages) == ["user: go", "a: better"]
    assert a.heard[-1] == ["for later", "go"]


async def test_an_inner_team_holds_when_the_outer_one_is_paused() -> None:
    release, begun = asyncio.Event(), asyncio.Event()

    async def hold() -> str:
        """Hold until it is released."""
        begun.set()
        await release.wait()
        return "held"

    worker = AssistantAgent("worker", model(calls("hold"), "done"), tools=[hold], max_tool_iterations=5)
    team = RoundRobinGroupChat([RoundRobinGroupChat([worker], max_turns=1)], max_turns=1)
    run = asyncio.create_task(team.run(task="go"))
    await begun.wait()
    await team.pause()
    release.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not run.done()
    assert len(await history(worker)) == 3  # the task, the call and its result: the model is not asked again
    await team.resume()
    assert isinstance(await run, TaskResult)


async def test_a_condition_that_is_reached_before_the_run_ends_it_and_the_next_one_runs() -> None:
    from autogen_agentchat.conditions import ExternalTermination

    stop = ExternalTermination()
    team = RoundRobinGroupChat([agent("a", "one", "two")], termination_condition=stop, max_turns=1)
    stop.set()
    await stop([])
    result = await team.run(task="go")
    assert (result.stop_reason, result.messages) == ("The group chat has already terminated.", [])
    assert texts((await team.run(task="go")).messages) == ["user: go", "a: one"]
