"""What the tests of middleware share: a clock that runs by itself, a scripted client, and a server that throttles.

The clock jumps to the next moment that somebody waits for, once nothing else can go on.
"""

import asyncio
import contextlib
import heapq
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar, cast

from pydantic import BaseModel

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # pyright: ignore[reportDeprecated] - part of the contract
    ModelInfo,
    RequestUsage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models.errors import AuthenticationError, RateLimitedError, ServerError
from autogen_ext.models.middleware import Clock

T = TypeVar("T")

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]
"""A conversation of one word, which the scripted client counts as one token."""

INFO = ModelInfo(vision=True, function_calling=True, json_output=True, family="unknown", structured_output=True)


class VirtualTime:
    """Time that passes only while all who use it wait."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    @property
    def clock(self) -> Clock:
        return Clock(time=lambda: self.now, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._count += 1
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self.now + seconds, self._count, woken))
        await woken

    async def run(self, *work: Awaitable[T]) -> list[T | BaseException]:
        """Run things to their ends, together, and let time pass when they wait. Returns results or errors."""
        tasks = [asyncio.ensure_future(each) for each in work]
        while not all(task.done() for task in tasks):
            await settle()
            self.pass_on()
        return await asyncio.gather(*tasks, return_exceptions=True)

    def pass_on(self) -> None:
        """Let time pass until the next moment that somebody waits for, if there is one."""
        while self._waiting:
            moment, _, woken = heapq.heappop(self._waiting)
            if not woken.done():
                self.now = max(self.now, moment)
                woken.set_result(None)
                return


async def settle() -> None:
    """Let all tasks go on until they wait for something that does not come from this loop."""
    for _ in range(30):
        await asyncio.sleep(0)


HANG = object()
"""In a script: wait until the caller gives up."""


def result(text: str = "Hello.", prompt: int = 7, completion: int = 3, **fields: Any) -> CreateResult:
    usage = RequestUsage(prompt_tokens=prompt, completion_tokens=completion)
    whole = CreateResult(finish_reason="stop", content=text, usage=usage, cached=False)
    return whole.model_copy(update=fields)


def rate_limited(retry_after: float | None = None) -> RateLimitedError:
    error = RateLimitedError("slow down")
    error.retry_after = retry_after
    return error


def server_error() -> ServerError:
    return ServerError("broken")


def bad_key() -> AuthenticationError:
    return AuthenticationError("who are you?")


@dataclass
class Asked:
    """A call that reached the scripted client."""

    messages: Sequence[LLMMessage]
    extra: Mapping[str, Any]
    streamed: bool
    token: CancellationToken | None = None
    closed: bool = False
    """Whether the stream was closed before its end."""


@dataclass
class ScriptedClient(ChatCompletionClient):
    """Answers with what a script says, streamed or not: results, errors, or for streams a list of items and errors.

    At the end of the script it goes on with `then`. Tokens are words.
    """

    script: list[Any] = field(default_factory=list[Any])
    then: Any = field(default_factory=result)
    info: ModelInfo = field(default_factory=lambda: INFO)
    calls: list[Asked] = field(default_factory=list[Asked])
    latency: Any = None
    """Awaited before each answer, called without arguments."""
    in_flight: int = 0
    most_in_flight: int = 0
    is_closed: bool = False

    component_type = "model"

    def _next(self) -> Any:
        return self.script.pop(0) if self.script else self.then

    @contextlib.contextmanager
    def _flying(self) -> Any:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        self.calls.append(Asked(messages, extra_create_args, streamed=False, token=cancellation_token))
        outcome = self._next()
        with self._flying():
            if self.latency is not None:
                await self.latency()
            if outcome is HANG:
                await asyncio.get_running_loop().create_future()
            if isinstance(outcome, Exception):
                raise outcome
            return outcome.model_copy() if isinstance(outcome, CreateResult) else result(outcome)

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        asked = Asked(messages, extra_create_args, streamed=True, token=cancellation_token)
        self.calls.append(asked)
        outcome = self._next()
        with self._flying():
            if self.latency is not None:
                await self.latency()
            items = cast("list[Any]", outcome) if isinstance(outcome, list) else [outcome]
            if isinstance(outcome, CreateResult) and isinstance(outcome.content, str):
                items = [*outcome.content.split(), outcome]
            try:
                for item in items:
                    if item is HANG:
                        await asyncio.get_running_loop().create_future()
                    if isinstance(item, Exception):
                        raise item
                    yield item
            except (GeneratorExit, asyncio.CancelledError):
                asked.closed = True
                raise

    async def close(self) -> None:
        self.is_closed = True

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=len(self.calls), completion_tokens=1)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=10 * len(self.calls), completion_tokens=10)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return sum(len(str(message.content).split()) for message in messages)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return 100 - self.count_tokens(messages)

    @property
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated] - part of the contract
        raise NotImplementedError

    @property
    def model_info(self) -> ModelInfo:
        return self.info


async def read(client: ChatCompletionClient, *args: Any, **kwargs: Any) -> list[str | CreateResult]:
    """Read a stream to its end."""
    return [item async for item in client.create_stream(*(args or (HI,)), **kwargs)]


class ThrottlingServer:
    """An HTTP server on loopback that speaks OpenAI's protocol, and for its first seconds answers 429 with `retry-after: 2`."""

    def __init__(self, busy_s: float = 2.0) -> None:
        self._busy_s = busy_s
        self._first: float | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.refused: list[float] = []
        """When calls were refused."""
        self.answered: list[float] = []
        """When calls that were answered arrived."""

    @property
    def base_url(self) -> str:
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await _request(reader):
                    writer.write(self._reply(time.monotonic()))
                    await writer.drain()
        finally:
            self._connections.discard(task)
            writer.close()

    def _reply(self, now: float) -> bytes:
        self._first = now if self._first is None else self._first
        if now < self._first + self._busy_s:
            self.refused.append(now)
            return _http(429, {"error": {"message": "slow down", "type": "requests"}}, "retry-after: 2\r\n")
        self.answered.append(now)
        message = {"role": "assistant", "content": "Hello"}
        return _http(
            200,
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "gpt-4o",
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
            },
        )


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    return await reader.readexactly(length)


def _http(status: int, body: object, headers: str = "") -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Canned\r\ncontent-type: application/json\r\n{headers}content-length: {len(data)}\r\n\r\n"
    return head.encode() + data
