"""The streaming workbench: news at once, the result last, and no task left behind."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import BaseModel

from autogen_core import CancellationToken
from autogen_core.tools import (
    BaseStreamTool,
    BaseTool,
    FunctionTool,
    StaticStreamWorkbench,
    TextResultContent,
    ToolResult,
)


class Args(BaseModel):
    number: int = 0


class Answer(BaseModel):
    text: str


def double(number: int) -> int:
    return 2 * number


def tool(func: Any, name: str | None = None) -> FunctionTool:
    return FunctionTool(func, description="d", name=name)


def text_of(result: ToolResult) -> str:
    (part,) = result.result
    assert isinstance(part, TextResultContent)
    return part.content


class Streamer(BaseStreamTool[Args, str, Answer]):
    def __init__(self, *items: Any) -> None:
        super().__init__(Args, Answer, "streamer", "Streams.")
        self.items = items
        self.waiting = asyncio.Event()
        self.closed = False

    async def run(self, args: Args, cancellation_token: CancellationToken) -> Answer:
        return Answer(text="at once")

    async def run_stream(self, args: Args, cancellation_token: CancellationToken) -> AsyncGenerator[str | Answer, None]:
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                if item == "(wait)":
                    self.waiting.set()
                    await asyncio.Event().wait()
                yield item
        finally:
            self.closed = True


async def stream(made: BaseTool[Any, Any], arguments: dict[str, Any] | None = None) -> list[Any]:
    workbench = StaticStreamWorkbench([made])
    return [item async for item in workbench.call_tool_stream(made.name, arguments)]


def done(text: str) -> ToolResult:
    return ToolResult(name="streamer", result=[TextResultContent(content=text)])


async def test_what_a_tool_tells_is_passed_on_and_the_result_comes_last() -> None:
    items = await stream(Streamer("a", Answer(text="early"), "b", Answer(text="z")))
    assert items == ["a", Answer(text="early"), "b", done('{"text": "z"}')]


async def test_a_tool_that_does_not_stream_yields_its_result() -> None:
    assert await stream(tool(double), {"number": 4}) == [
        ToolResult(name="double", result=[TextResultContent(content="8")])
    ]


async def test_an_unknown_tool_yields_an_error() -> None:
    items = [item async for item in StaticStreamWorkbench([]).call_tool_stream("nothing")]
    assert [item.is_error for item in items] == [True]


@pytest.mark.parametrize(
    ("items", "told", "text"),
    [
        (("a", KeyError("k")), ["a"], "'k'"),
        ((Answer(text="early"), KeyError("k")), [Answer(text="early")], "'k'"),
        (("a",), ["a"], "must yield a Answer"),
        ((), [], "yielded nothing"),
    ],
)
async def test_what_fails_in_a_stream_is_the_last_item(items: tuple[Any, ...], told: list[Any], text: str) -> None:
    *before, last = await stream(Streamer(*items))
    assert before == told
    assert last.is_error
    assert text in text_of(last)


async def test_arguments_of_a_stream_that_do_not_fit_are_an_error() -> None:
    (last,) = await stream(Streamer("a"), {"number": "x"})
    assert "validation error" in text_of(last)


async def test_news_comes_before_the_result_is_there() -> None:
    streamer = Streamer("a", "(wait)")
    items = StaticStreamWorkbench([streamer]).call_tool_stream("streamer")
    assert await asyncio.wait_for(anext(items), timeout=5) == "a"
    await items.aclose()
    assert streamer.closed


async def test_cancelling_ends_a_stream_that_waits() -> None:
    streamer, token = Streamer("a", "(wait)"), CancellationToken()
    items = StaticStreamWorkbench([streamer]).call_tool_stream("streamer", {}, token)
    assert await anext(items) == "a"
    await streamer.waiting.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(items)
    assert streamer.closed


async def test_a_cancelled_token_keeps_a_stream_from_starting() -> None:
    streamer, token = Streamer("a"), CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(StaticStreamWorkbench([streamer]).call_tool_stream("streamer", {}, token))


async def test_a_stream_that_runs_ahead_waits_for_its_reader() -> None:
    made: list[int] = []

    class Eager(Streamer):
        async def run_stream(
            self, args: Args, cancellation_token: CancellationToken
        ) -> AsyncGenerator[str | Answer, None]:
            for number in range(100):
                made.append(number)
                yield str(number)
            yield Answer(text="z")

    items = StaticStreamWorkbench([Eager()]).call_tool_stream("streamer")
    await anext(items)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(made) <= 3
    await items.aclose()


async def test_a_stream_keeps_no_task_behind() -> None:
    before = asyncio.all_tasks()
    items = StaticStreamWorkbench([Streamer("a", "(wait)")]).call_tool_stream("streamer")
    await anext(items)
    await items.aclose()
    assert asyncio.all_tasks() == before
