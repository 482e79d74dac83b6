"""`Console`: prints a run as it happens and returns its result. Stands on messages and results; knows no agent and no team."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    ThoughtEvent,
    UserInputRequestedEvent,
)
from autogen_agentchat.ui._user_input import UserInputManager
from autogen_core.models import RequestUsage

T = TypeVar("T", bound=TaskResult | Response)


async def Console(  # noqa: N802 - the name is 0.7.5's
    stream: AsyncGenerator[BaseAgentEvent | BaseChatMessage | T, None],
    *,
    no_inline_images: bool = False,
    output_stats: bool = False,
    user_input_manager: UserInputManager | None = None,
) -> T:
    """Print what comes out of `run_stream` or `on_messages_stream` while it comes, and return the result.

    Each message has a header with its type and source. Streamed text appears piece by piece and is not printed again
    when the whole message arrives. Printing runs in a thread of its own, so a slow terminal does not hold the agents up.

    Args:
        stream: The run. It is closed at the end, whatever the end is: a cancelled or failing `Console` stops the run.
        no_inline_images: Write `<image>` also in iTerm2, where images are otherwise shown.
        output_stats: Print the tokens of each message, and a summary with counts, tokens and seconds.
        user_input_manager: Is told of each request for user input once everything before it has been printed.

    Returns:
        The last `TaskResult` or `Response` of the stream.

    Raises:
        ValueError: The stream ended without a result.
        TypeError: The stream yielded something that is no message, event or result.
    """
    transcript = _Transcript(inline_images=not no_inline_images and _shows_images(), stats=output_stats)
    result: T | None = None
    # Its own thread: the default ones may all be taken by tools at work, and text must keep its order.
    printer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="autogen-console")
    loop = asyncio.get_running_loop()
    try:
        async for item in stream:
            if isinstance(item, TaskResult | Response):
                result = cast("T", item)
                text = transcript.of_result(item)
            else:
                text = transcript.of_message(item)
            if text:
                await loop.run_in_executor(printer, _write, text)
            if user_input_manager is not None and isinstance(item, UserInputRequestedEvent):
                user_input_manager.notify_event_received(item.request_id)
    finally:
        printer.shutdown(wait=False)
        # Wrappers of streams, such as those of tracing tools, may be plain iterators.
        if (close := getattr(stream, "aclose", None)) is not None:
            await close()
    if result is None:
        raise ValueError("The stream ended without a TaskResult or Response, so there is no result to return.")
    return result


class _Transcript:
    """Turns the items of a stream into the text to print; remembers what of a message is on the screen already."""

    def __init__(self, *, inline_images: bool, stats: bool) -> None:
        self._inline_images = inline_images
        self._stats = stats
        self._started_at = time.monotonic()
        self._usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._streamed: dict[str, str] = {}  # by source: the chunks since its last message
        self._streaming: str | None = None  # the source whose chunks are in the line that is not ended yet

    def of_message(self, message: BaseAgentEvent | BaseChatMessage) -> str:
        """Return what to print for a message or an event."""
        if isinstance(message, ModelClientStreamingChunkEvent):
            return self._chunk(message)
        if isinstance(message, UserInputRequestedEvent):
            return self._end_of_line()
        if not isinstance(message, BaseAgentEvent | BaseChatMessage):  # pyright: ignore[reportUnnecessaryIsInstance] - streams may be untyped
            raise TypeError(f"Console expects messages, events and a result in the stream, got {message!r}.")
        text = self._end_of_line()
        if not self._is_shown(message):
            text += f"{_header(f'{type(message).__name__} ({message.source})')}{self._body(message)}\n"
        if message.models_usage is not None:
            text += self._count(message.models_usage)
        return text

    def of_result(self, result: TaskResult | Response) -> str:
        """Return what to print for a result: the answer of a response, which was not in the stream, and the summary."""
        text = self._end_of_line()
        if isinstance(result, Response):
            text += self.of_message(result.chat_message)
            lines = [f"Number of inner messages: {len(result.inner_messages or ())}"]
        else:
            lines = [f"Number of messages: {len(result.messages)}", f"Finish reason: {result.stop_reason}"]
        if not self._stats:
            return text
        lines += [
            f"Total prompt tokens: {self._usage.prompt_tokens}",
            f"Total completion tokens: {self._usage.completion_tokens}",
            f"Duration: {time.monotonic() - self._started_at:.2f} seconds",
        ]
        return text + _header("Summary") + "\n".join(lines) + "\n"

    def _chunk(self, chunk: ModelClientStreamingChunkEvent) -> str:
        source = chunk.source
        text = chunk.content
        if self._streaming != source:
            text = f"{self._end_of_line()}{_header(f'{type(chunk).__name__} ({source})')}{text}"
            self._streaming = source
        self._streamed[source] = self._streamed.get(source, "") + chunk.content
        return text

    def _end_of_line(self) -> str:
        """End the line of chunks, if there is one."""
        if self._streaming is None:
            return ""
        self._streaming = None
        return "\n"

    def _is_shown(self, message: BaseAgentEvent | BaseChatMessage) -> bool:
        """Tell whether the chunks of this source have shown the message."""
        streamed = self._streamed.get(message.source)
        if streamed is None:
            return False
        text = message.to_text().strip()
        if isinstance(message, ThoughtEvent):
            # Models that think stream the thought before the answer, so the answer's chunks may still be needed.
            return text in streamed
        del self._streamed[message.source]
        return streamed.strip().endswith(text)

    def _body(self, message: BaseAgentEvent | BaseChatMessage) -> str:
        if isinstance(message, MultiModalMessage):
            return message.to_text(iterm=self._inline_images)
        return message.to_text()

    def _count(self, usage: RequestUsage) -> str:
        self._usage.prompt_tokens += usage.prompt_tokens
        self._usage.completion_tokens += usage.completion_tokens
        if not self._stats:
            return ""
        return f"[Prompt tokens: {usage.prompt_tokens}, Completion tokens: {usage.completion_tokens}]\n"


def _header(title: str) -> str:
    return f"---------- {title} ----------\n"


def _shows_images() -> bool:
    return os.environ.get("TERM_PROGRAM") == "iTerm.app" and sys.stdout.isatty()


def _write(text: str) -> None:
    """Write to the standard output of this moment, so that a redirection counts, and show it at once."""
    out = sys.stdout
    try:
        out.write(text)
    except UnicodeEncodeError:
        # A terminal with a small character set shows a question mark; the run must not die of an emoji.
        encoding = out.encoding or "ascii"
        out.write(text.encode(encoding, errors="replace").decode(encoding))
    out.flush()
