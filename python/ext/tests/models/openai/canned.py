"""A real HTTP/1.1 server on loopback that speaks just enough of the OpenAI protocol to misbehave on purpose.

Stands on asyncio's streams only. It records what clients send and answers with what a test queued; it knows nothing of
the client under test.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

Json = Any


@dataclass(slots=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that was posted."""
        return json.loads(self.raw)


@dataclass(slots=True)
class Reply:
    """One canned answer: a JSON `body`, or an event stream of `lines` written as they stand."""

    body: Json = None
    lines: Sequence[str] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hang: bool = False
    """Send everything but the end, then wait until the client goes away."""
    truncate: bool = False
    """Drop the connection in the middle of the body."""


def message(content: str | None = "Hello", *, finish: str | None = "stop", **fields: Json) -> Json:
    """A choice of an unstreamed completion; extra fields go into its message."""
    return {
        "index": 0,
        "finish_reason": finish,
        "logprobs": None,
        "message": {"role": "assistant", "content": content, **fields},
    }


def completion(*choices: Json, **fields: Json) -> Json:
    """An unstreamed completion with a usage of 7 and 3 tokens; `fields` replace or add top-level keys."""
    return {
        "id": "cmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "canned",
        "choices": list(choices),
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        **fields,
    }


def call(name: str = "add", arguments: Json = '{"a": 1}', call_id: Json = "call_1", **fields: Json) -> Json:
    """A tool call, complete or (with an `index`) a fragment."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def chunk(delta: Json = None, *, finish: str | None = None, **fields: Json) -> Json:
    """One chunk of a stream; without a delta its list of choices is empty."""
    choices: list[Json] = []
    if delta is not None or finish is not None:
        choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish, "logprobs": None}]
    return {
        "id": "cmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "canned",
        "choices": choices,
        **fields,
    }


def usage_chunk(prompt: int = 7, completion: int = 3) -> Json:
    """The last chunk of a stream whose client asked for usage."""
    return chunk(usage={"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})


def sse(*chunks: Json, done: bool = True) -> Reply:
    """An event stream of chunks; strings are written as lines of their own, such as comments."""
    lines = [item if isinstance(item, str) else f"data: {json.dumps(item)}\n\n" for item in chunks]
    if done:
        lines.append("data: [DONE]\n\n")
    return Reply(lines=lines)


class CannedServer:
    """The server: `queue` replies, point a client at `base_url`, read `requests`.

    With nothing queued it answers as a well-behaved model that says "Hello".
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.asked = asyncio.Event()
        """Set when the first request is there."""
        self.hung_up = asyncio.Event()
        """Set when a client goes away from a reply that hangs."""
        self._replies: deque[Reply] = deque()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """Where clients find the API."""
        if self._server is None:
            raise RuntimeError("the canned server is not running; use `async with`")
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}/v1"

    def queue(self, *replies: Reply | Json) -> Self:
        """Answer the next requests with these, in order; a JSON object is a body with status 200."""
        self._replies.extend(reply if isinstance(reply, Reply) else Reply(body=reply) for reply in replies)
        return self

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while request := await _read(reader):
                    self.requests.append(request)
                    self.asked.set()
                    if not await self._answer(request, reader, writer):
                        break
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Write one reply; false means that the connection ends with it."""
        reply = self._replies.popleft() if self._replies else _hello(request)
        streamed = reply.lines is not None
        parts = list(reply.lines) if reply.lines is not None else [json.dumps(reply.body)]
        headers = {
            "content-type": "text/event-stream" if streamed else "application/json",
            "transfer-encoding": "chunked",
            **reply.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} Canned\r\n{head}\r\n".encode())
        for part in parts:
            data = part.encode()
            if data:
                writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
        if reply.hang:
            if not await reader.read(1):
                self.hung_up.set()
            return False
        if reply.truncate:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


@contextlib.asynccontextmanager
async def canned_server(*replies: Reply | Json) -> AsyncGenerator[CannedServer, None]:
    """A running server with these replies queued."""
    async with CannedServer() as server:
        yield server.queue(*replies)


def _hello(request: Request) -> Reply:
    if request.body.get("stream"):
        options: dict[str, Any] = request.body.get("stream_options") or {}
        usage = [usage_chunk()] if options.get("include_usage") else []
        return sse(
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "Hel"}),
            chunk({"content": "lo"}),
            chunk({}, finish="stop"),
            *usage,
        )
    return Reply(body=completion(message()))


async def _read(reader: asyncio.StreamReader) -> Request | None:
    first = (await reader.readline()).decode()
    if not first:
        return None
    method, path, _ = first.split(" ", 2)
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
