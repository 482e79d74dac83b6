"""Cancelling a turn: it ends at once, nothing is left running, and no call stays without a result."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    TextMessage,
    ThoughtEvent,
)
from autogen_core import CancellationToken
from autogen_core.models import (
    CreateResult,
    LLMMessage,
)
from autogen_core.tools import (
    BaseStreamTool,
    FunctionTool,
    StaticWorkbench,
    TextResultContent,
    ToolResult,
)

from .scripted import ADD, CUT_SHORT, Model, add, agent, assert_no_call_lacks_its_result, call, calls, executed, history


class Sleeper:
    """Tools that sleep, and note how that ended."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.ends: list[str] = []

    async def sleep(self) -> str:
        """Sleep for long."""
        self.started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise
        return "slept"

    async def look(self, cancellation_token: CancellationToken) -> str:
        """Sleep for long, and look at the token."""
        try:
            return await self.sleep()
        finally:
            self.ends.append(f"token cancelled: {cancellation_token.is_cancelled()}")


class Nothing(BaseModel):
    pass


class Ticker(BaseStreamTool[Nothing, TextMessage, Any]):
    """Streams for ever."""

    def __init__(self) -> None:
        super().__init__(Nothing, str, "tick", "Ticks.")
        self.ended = False

    async def run(self, args: Nothing, cancellation_token: CancellationToken) -> str:
        raise NotImplementedError

    async def run_stream(
        self, args: Nothing, cancellation_token: CancellationToken
    ) -> AsyncGenerator[TextMessage | str, None]:
        try:
            while True:
                yield TextMessage(content="tick", source="ticker")
                await asyncio.sleep(0.005)
        finally:
            self.ended = True


async def cancelled(bob: AssistantAgent, started: asyncio.Event) -> list[object]:
    """Run a task, cancel it once a tool has started, and return what came before it ended."""
    token, items = CancellationToken(), list[object]()

    async def read() -> None:
        async for item in bob.run_stream(task="go", cancellation_token=token):
            items.append(item)

    before = asyncio.all_tasks()
    reading = asyncio.create_task(read())
    await asyncio.wait_for(started.wait(), 5)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reading, 1)
    assert asyncio.all_tasks() <= before
    return items


async def test_cancelling_ends_a_long_tool_at_once_and_the_tool_sees_it() -> None:
    for name in ("sleep", "look"):
        sleeper = Sleeper()
        bob = agent(calls(call(name)), tools=[sleeper.sleep, sleeper.look])
        items = await cancelled(bob, sleeper.started)
        assert [result.content for result in executed(items)] == [CUT_SHORT]
        assert sleeper.ends[0] == "cancelled"
        assert sleeper.ends[1:] in ([], ["token cancelled: True"])
        await assert_no_call_lacks_its_result(bob)


async def test_of_two_parallel_calls_the_finished_one_keeps_its_result() -> None:
    sleeper = Sleeper()
    added = asyncio.Event()

    async def add(a: int, b: int) -> int:
        """Add, in the event loop: the result is there some turns of the loop later."""
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, added.set)
        return a + b

    bob = agent(calls(call("sleep"), call("add", '{"a": 1, "b": 2}', "2")), tools=[sleeper.sleep, add])
    items = await cancelled(bob, added)
    assert [result.content for result in executed(items)] == [CUT_SHORT, "3"]
    await assert_no_call_lacks_its_result(bob)
    assert len(await history(bob)) == 3


async def test_after_a_cancelled_run_the_agent_goes_on() -> None:
    sleeper = Sleeper()
    bob = agent(calls(call("sleep")), "better", tools=[sleeper.sleep])
    await cancelled(bob, sleeper.started)
    assert (await bob.run(task="again")).messages[-1].to_text() == "better"


async def test_a_token_that_is_cancelled_already_starts_nothing_but_the_messages_are_kept() -> None:
    sleeper = Sleeper()
    bob = agent(calls(call("sleep")), tools=[sleeper.sleep])
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bob.run(task="go", cancellation_token=token)
    assert not sleeper.started.is_set()
    assert len(await history(bob)) == 1


class DeafWorkbench(StaticWorkbench):
    """A workbench that does not look at the token."""

    def __init__(self, sleeper: Sleeper) -> None:
        super().__init__([FunctionTool(sleeper.sleep, "Sleeps.")])
        self.sleeper = sleeper

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        return ToolResult(name=name, result=[TextResultContent(content=await self.sleeper.sleep())])


async def test_cancelling_ends_a_call_at_once_even_if_the_workbench_ignores_the_token() -> None:
    sleeper = Sleeper()
    bob = agent(calls(call("sleep")), workbench=DeafWorkbench(sleeper))
    assert [result.content for result in executed(await cancelled(bob, sleeper.started))] == [CUT_SHORT]


async def test_cancelling_between_answer_and_tools_asks_for_no_tool() -> None:
    token, bob = CancellationToken(), agent(calls(ADD, thought="hm"), tools=[add])
    items: list[object] = []

    async def read() -> None:
        async for item in bob.run_stream(task="go", cancellation_token=token):
            items.append(item)
            if isinstance(item, ThoughtEvent):
                token.cancel()

    with pytest.raises(asyncio.CancelledError):
        await read()
    assert isinstance(items[-1], ThoughtEvent)
    assert len(await history(bob)) == 1


class DeafModel(Model):
    """A model that does not look at the token."""

    def __init__(self) -> None:
        super().__init__("late")
        self.started = asyncio.Event()
        self.closed = False

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self.started.set()
        await asyncio.sleep(60)
        return await super().create(messages)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        try:
            yield "l"
            self.started.set()
            await asyncio.sleep(60)
        finally:
            self.closed = True


@pytest.mark.parametrize("stream", [False, True])
async def test_cancelling_ends_a_model_call_at_once_even_if_the_client_ignores_the_token(stream: bool) -> None:
    model = DeafModel()
    await cancelled(agent(model, model_client_stream=stream), model.started)
    assert model.closed is stream


async def test_cancelling_the_task_that_reads_ends_the_tools_and_keeps_the_conversation_complete() -> None:
    sleeper = Sleeper()
    bob = agent(calls(call("sleep"), call("add", '{"a": 1, "b": 2}', "2")), tools=[sleeper.sleep, add])
    running = asyncio.create_task(bob.run(task="go"))
    await asyncio.wait_for(sleeper.started.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 1)
    assert sleeper.ends == ["cancelled"]
    await assert_no_call_lacks_its_result(bob)
    assert len(await history(bob)) == 3


async def test_a_reader_that_leaves_in_the_middle_of_a_tool_stops_it() -> None:
    ticker = Ticker()
    bob = agent(calls(call("tick")), tools=[ticker])
    stream = bob.run_stream(task="go")
    async for item in stream:
        if isinstance(item, TextMessage) and item.source == "ticker":
            break
    before = asyncio.all_tasks()
    await stream.aclose()
    assert ticker.ended
    assert len(asyncio.all_tasks()) < len(before)
    await assert_no_call_lacks_its_result(bob)
    assert len(await history(bob)) == 3


async def test_cancelling_a_streaming_tool_keeps_what_it_streamed() -> None:
    ticker, token = Ticker(), CancellationToken()
    bob = agent(calls(call("tick")), tools=[ticker])
    items: list[BaseAgentEvent | BaseChatMessage | TaskResult] = []

    async def read() -> None:
        async for item in bob.run_stream(task="go", cancellation_token=token):
            items.append(item)
            if sum(isinstance(each, TextMessage) for each in items) > 2:
                token.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(read(), 5)
    assert ticker.ended
    assert [result.content for result in executed(items)] == [CUT_SHORT]
