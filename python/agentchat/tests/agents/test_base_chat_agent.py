"""The base of agents: tasks in, results out, and what happens when an agent breaks its promises."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import pytest

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    TextMessage,
    ThoughtEvent,
)
from autogen_core import CancellationToken


class Echo(BaseChatAgent):
    """Thinks, and then says how many messages it got."""

    def __init__(self, name: str = "echo") -> None:
        super().__init__(name, "repeats")
        self.tokens: list[CancellationToken] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        self.tokens.append(cancellation_token)
        thought = ThoughtEvent(content="hm", source=self.name)
        answer = TextMessage(content=f"got {len(messages)}", source=self.name)
        return Response(chat_message=answer, inner_messages=[thought])

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.tokens.clear()


class Streamer(Echo):
    """Yields whatever it was given, and notes when its stream is closed."""

    def __init__(self, items: Sequence[Any]) -> None:
        super().__init__("streamer")
        self.items = items
        self.ended = False

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        try:
            for item in self.items:
                yield item
        finally:
            await asyncio.sleep(0)
            self.ended = True


def text(content: str) -> TextMessage:
    return TextMessage(content=content, source="streamer")


def chunk() -> ModelClientStreamingChunkEvent:
    return ModelClientStreamingChunkEvent(content="a", source="streamer")


async def collect(agent: BaseChatAgent, **arguments: Any) -> list[BaseAgentEvent | BaseChatMessage | TaskResult]:
    return [item async for item in agent.run_stream(**arguments)]


def texts(result: TaskResult) -> list[str]:
    return [f"{message.source}: {message.to_text()}" for message in result.messages]


async def test_a_run_returns_the_task_then_the_inner_messages_then_the_answer() -> None:
    result = await Echo().run(task="hello")
    assert texts(result) == ["user: hello", "echo: hm", "echo: got 1"]
    assert result.stop_reason is None


async def test_a_stream_yields_the_same_and_the_result_last() -> None:
    *items, result = await collect(Echo(), task="hello")
    assert isinstance(result, TaskResult)
    assert items == list(result.messages)
    assert texts(result) == ["user: hello", "echo: hm", "echo: got 1"]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (None, ["echo: hm", "echo: got 0"]),
        (text("one"), ["streamer: one", "echo: hm", "echo: got 1"]),
        ([text("one"), text("two")], ["streamer: one", "streamer: two", "echo: hm", "echo: got 2"]),
    ],
)
async def test_a_task_may_be_nothing_a_message_or_several(
    task: TextMessage | list[BaseChatMessage] | None, expected: list[str]
) -> None:
    assert texts(await Echo().run(task=task)) == expected


async def test_the_task_can_be_left_out_of_the_result() -> None:
    assert texts(await Echo().run(task="hello", output_task_messages=False)) == ["echo: hm", "echo: got 1"]
    *items, _ = await collect(Echo(), task="hello", output_task_messages=False)
    assert len(items) == 2


@pytest.mark.parametrize("task", [3, {"a": 1}, [3], [text("x"), "y"], ThoughtEvent(content="x", source="y")])
async def test_a_task_of_another_type_is_refused(task: object) -> None:
    """Both as TypeError and as ValueError, for 0.7.5 raised either."""
    for error in (TypeError, ValueError):
        with pytest.raises(error, match="A task must be"):
            await Echo().run(task=cast("str", task))
        with pytest.raises(error, match="A task must be"):
            await collect(Echo(), task=task)


async def test_an_empty_list_is_no_task() -> None:
    with pytest.raises(ValueError, match="Task list cannot be empty"):
        await Echo().run(task=[])


async def test_chunks_are_streamed_but_are_not_in_the_result() -> None:
    *items, result = await collect(Streamer([chunk(), text("in between"), chunk(), Response(chat_message=text("end"))]))
    assert len(items) == 4
    assert isinstance(result, TaskResult)
    assert texts(result) == ["streamer: in between", "streamer: end"]


async def test_the_token_reaches_the_agent_and_there_is_always_one() -> None:
    agent, token = Echo(), CancellationToken()
    await agent.run(task="a", cancellation_token=token)
    await agent.run(task="b")
    assert agent.tokens[0] is token
    assert not agent.tokens[1].is_cancelled()


@pytest.mark.parametrize("item", [3, "text", None, {"a": 1}])
async def test_something_strange_in_the_stream_is_a_type_error_that_names_agent_and_type(item: object) -> None:
    agent = Streamer([item, Response(chat_message=text("end"))])
    with pytest.raises(TypeError, match=f"'streamer' yielded {type(item).__name__}"):
        await collect(agent)
    assert agent.ended


@pytest.mark.parametrize("item", [text("late"), Response(chat_message=text("again"))])
async def test_nothing_may_follow_the_response(item: object) -> None:
    with pytest.raises(TypeError, match="after its Response"):
        await collect(Streamer([Response(chat_message=text("end")), item]))


async def test_a_stream_without_a_response_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="'streamer' ended its stream without a Response"):
        await collect(Streamer([text("that's all")]))


async def test_returning_no_response_is_a_type_error() -> None:
    class Wrong(Echo):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            return cast("Response", "done")

    with pytest.raises(TypeError, match="'echo' returned str"):
        await Wrong().run(task="x")
    with pytest.raises(TypeError, match="'echo' returned str"):
        await collect(Wrong(), task="x")


async def test_code_after_the_response_still_runs() -> None:
    agent = Streamer([Response(chat_message=text("end"))])
    async for item in agent.run_stream():
        if isinstance(item, TaskResult):
            assert agent.ended


async def test_a_closed_stream_closes_the_agents() -> None:
    agent = Streamer([text("a"), text("b"), Response(chat_message=text("end"))])
    stream = agent.run_stream()
    await anext(stream)
    await stream.aclose()
    assert agent.ended


@pytest.mark.parametrize("name", ["two words", "a-b", "", "1st", "a.b"])
def test_a_name_must_be_an_identifier(name: str) -> None:
    with pytest.raises(ValueError, match="must be a valid Python identifier"):
        Echo(name)


async def test_an_agent_without_state_saves_an_empty_one_and_loads_it() -> None:
    agent = Echo()
    state = await agent.save_state()
    assert state == {"type": "BaseState", "version": "1.0.0"}
    await agent.load_state(state)


async def test_pause_resume_and_close_may_be_left_out() -> None:
    agent = Echo()
    await agent.on_pause(CancellationToken())
    await agent.on_resume(CancellationToken())
    await agent.close()
    assert (agent.name, agent.description) == ("echo", "repeats")
