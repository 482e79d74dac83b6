"""What the console prints, and what it leaves behind."""

import asyncio
import io
import sys
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallRequestEvent,
    UserInputRequestedEvent,
)
from autogen_agentchat.ui import Console, UserInputManager
from autogen_core import FunctionCall, Image
from autogen_core.models import RequestUsage

IMAGE = Image.from_base64(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAC0lEQVR4nGNgQAYAAA4AAamRc7EAAAAASUVORK5CYII="
)
DONE = TaskResult(messages=[], stop_reason="enough")


class Run:
    """A stream of given items that knows whether it was closed."""

    def __init__(self, *items: BaseAgentEvent | BaseChatMessage | TaskResult | Response | BaseException) -> None:
        self.items = items
        self.closed = False

    async def stream(self) -> AsyncGenerator[Any, None]:
        try:
            for item in self.items:
                await asyncio.sleep(0)
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.closed = True


def says(text: str, source: str = "a", *, prompt: int = 0, completion: int = 0) -> TextMessage:
    usage = RequestUsage(prompt_tokens=prompt, completion_tokens=completion)
    return TextMessage(source=source, content=text, models_usage=usage if prompt or completion else None)


def chunk(text: str, source: str = "a") -> ModelClientStreamingChunkEvent:
    return ModelClientStreamingChunkEvent(source=source, content=text)


async def printed(capsys: pytest.CaptureFixture[str], *items: Any, **options: Any) -> str:
    await Console(Run(*items).stream(), **options)
    return capsys.readouterr().out


async def test_each_message_has_a_header_with_its_type_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    text = await printed(
        capsys, says("hello", "user"), ThoughtEvent(source="a", content="a greeting"), says("hi"), DONE
    )
    assert text == (
        "---------- TextMessage (user) ----------\nhello\n"
        "---------- ThoughtEvent (a) ----------\na greeting\n"
        "---------- TextMessage (a) ----------\nhi\n"
    )


async def test_chunks_are_printed_as_they_come_and_the_message_not_again(capsys: pytest.CaptureFixture[str]) -> None:
    text = await printed(capsys, chunk("he"), chunk("llo"), says("hello"), says("next"), DONE)
    assert text == (
        "---------- ModelClientStreamingChunkEvent (a) ----------\nhello\n---------- TextMessage (a) ----------\nnext\n"
    )


async def test_a_chunk_is_on_the_screen_before_the_next_one_comes(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    async def stream() -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        for piece in ("he", "llo"):
            yield chunk(piece)
            seen.append(capsys.readouterr().out)
        yield DONE

    await Console(stream())
    assert [text.splitlines()[-1] for text in seen] == ["he", "llo"]


async def test_a_response_is_printed_once_also_when_it_was_streamed(capsys: pytest.CaptureFixture[str]) -> None:
    streamed = await printed(capsys, chunk("fi"), chunk("nal"), Response(chat_message=says("final")))
    assert streamed.count("final") == 1
    plain = await printed(capsys, Response(chat_message=says("final")))
    assert plain == "---------- TextMessage (a) ----------\nfinal\n"


async def test_an_event_after_chunks_is_not_taken_for_their_message(capsys: pytest.CaptureFixture[str]) -> None:
    """0.7.5 swallowed it."""
    call = FunctionCall(id="1", name="get_weather", arguments="{}")
    text = await printed(
        capsys, chunk("let me see"), ToolCallRequestEvent(source="a", content=[call]), says("rain"), DONE
    )
    assert "get_weather" in text
    assert "rain" in text


async def test_a_streamed_thought_and_the_answer_after_it_are_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    thought = ThoughtEvent(source="a", content="two and two")
    text = await printed(capsys, chunk("<think>two and two</think>"), chunk("four"), thought, says("four"), DONE)
    assert text.count("two and two") == 1
    assert text.count("four") == 1


async def test_chunks_of_two_agents_at_once_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    items = (chunk("he"), chunk("by", "b"), chunk("llo"), chunk("e", "b"), says("hello"), says("bye", "b"), DONE)
    header = "---------- ModelClientStreamingChunkEvent ({}) ----------\n"
    assert await printed(capsys, *items) == (
        f"{header.format('a')}he\n{header.format('b')}by\n{header.format('a')}llo\n{header.format('b')}e\n"
    )


async def test_statistics_are_printed_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    items = [says("hello", "user"), says("hi", prompt=4, completion=3), says("so", prompt=5, completion=1)]
    result = TaskResult(messages=items, stop_reason="enough")
    text = await printed(capsys, *items, result, output_stats=True)
    assert "hi\n[Prompt tokens: 4, Completion tokens: 3]\n" in text
    summary = text.partition("---------- Summary ----------\n")[2].splitlines()
    assert summary[:-1] == [
        "Number of messages: 3",
        "Finish reason: enough",
        "Total prompt tokens: 9",
        "Total completion tokens: 4",
    ]
    assert summary[-1].startswith("Duration: ")
    assert summary[-1].endswith(" seconds")


async def test_statistics_of_a_response_have_its_own_tokens_and_those_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    thought = ThoughtEvent(source="a", content="hm", models_usage=RequestUsage(prompt_tokens=1, completion_tokens=1))
    response = Response(chat_message=says("hi", prompt=4, completion=3), inner_messages=[thought])
    text = await printed(capsys, thought, response, output_stats=True)
    assert "Number of inner messages: 1\nTotal prompt tokens: 5\nTotal completion tokens: 4\n" in text


async def test_the_last_result_is_returned() -> None:
    first, last = TaskResult(messages=[]), TaskResult(messages=[])
    assert await Console(Run(first, says("more"), last).stream()) is last


async def test_images_are_shown_in_iterm_unless_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    async def shown(**options: Any) -> str:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        await Console(Run(MultiModalMessage(source="a", content=["look", IMAGE]), DONE).stream(), **options)
        return terminal.getvalue()

    monkeypatch.setenv("TERM_PROGRAM", "iTerm.app")
    assert IMAGE.to_base64() in await shown()
    assert "look\n<image>\n" in await shown(no_inline_images=True)
    monkeypatch.setenv("TERM_PROGRAM", "other")
    assert "look\n<image>\n" in await shown()


async def test_a_stream_without_a_result_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a TaskResult or Response"):
        await Console(Run(says("hello")).stream())


async def test_something_else_in_the_stream_is_an_error_and_closes_it() -> None:
    run = Run("hello", DONE)  # pyright: ignore[reportArgumentType] - the misuse under test
    with pytest.raises(TypeError, match="'hello'"):
        await Console(run.stream())
    assert run.closed


async def test_what_the_stream_raises_is_raised_after_the_stream_is_closed(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(says("hello"), LookupError("gone"), DONE)
    with pytest.raises(LookupError, match="gone"):
        await Console(run.stream())
    assert run.closed
    assert "hello" in capsys.readouterr().out


async def test_a_cancelled_console_closes_the_stream() -> None:
    reached, closed = asyncio.Event(), asyncio.Event()

    async def stream() -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        try:
            yield says("hello")
            reached.set()
            await asyncio.Event().wait()
            yield DONE
        finally:
            closed.set()

    console = asyncio.create_task(Console(stream()))
    await reached.wait()
    console.cancel()
    with pytest.raises(asyncio.CancelledError):
        await console
    assert closed.is_set()


async def test_a_console_that_cannot_print_closes_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Broken())
    run = Run(says("hello"), DONE)
    with pytest.raises(BrokenPipeError):
        await Console(run.stream())
    assert run.closed


async def test_a_slow_terminal_does_not_hold_up_other_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str, /) -> int:
            assert released.wait(timeout=30), "nobody else could run"
            return super().write(text)

    slow = Slow()
    monkeypatch.setattr(sys, "stdout", slow)
    console = asyncio.create_task(Console(Run(says("hello"), DONE).stream()))
    await asyncio.sleep(0.05)
    released.set()
    await console
    assert "hello" in slow.getvalue()


async def test_a_character_the_terminal_does_not_have_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    small = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", small)
    await Console(Run(says("sun \u2600"), DONE).stream())
    small.seek(0)
    assert "sun ?" in small.read()


async def test_a_request_for_input_is_announced_after_everything_before_it_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen: list[str] = []

    class Listening(UserInputManager):
        def notify_event_received(self, request_id: str) -> None:
            screen.append(f"{request_id}: {capsys.readouterr().out}")

    request = UserInputRequestedEvent(source="user", request_id="r1")
    manager = Listening(input)
    await Console(Run(says("hello"), request, DONE).stream(), user_input_manager=manager)
    assert screen == ["r1: ---------- TextMessage (a) ----------\nhello\n"]
    assert capsys.readouterr().out == "", "the request itself is not printed"


async def test_a_stream_that_cannot_be_closed_is_only_read() -> None:
    """Tools that wrap streams for tracing may return plain iterators."""

    class Plain:
        def __init__(self) -> None:
            self.items: list[Any] = [DONE, says("hello")]

        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> Any:
            if not self.items:
                raise StopAsyncIteration
            return self.items.pop()

    assert await Console(Plain()) is DONE  # pyright: ignore[reportArgumentType, reportUnknownVariableType] - what is tested
