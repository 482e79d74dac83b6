"""A real HTTP/1.1 server on loopback that replays exchanges of Anthropic's API, and of Bedrock in front of it.

Stands on asyncio's streams only. It records what clients send and answers with what a test queued; it knows nothing of
the client under test. The forms of messages, events and errors are those of the public references:
https://platform.claude.com/docs/en/api/messages, .../build-with-claude/streaming and .../api/errors, and for the frames
of Bedrock https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html.
"""

import asyncio
import base64
import contextlib
import json
import struct
from binascii import crc32
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

    @property
    def key(self) -> str | None:
        """The key, which versions of the SDK send in different headers."""
        return self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(slots=True)
class Reply:
    """One canned answer: a JSON `body`, or an event stream of `parts` written as they stand."""

    body: Json = None
    parts: Sequence[bytes] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hang: bool = False
    """Send everything but the end, then wait until the client goes away."""
    truncate: bool = False
    """Drop the connection in the middle of the body."""


def text(content: str = "Hello!") -> Json:
    return {"type": "text", "text": content}


def tool_use(name: str = "add", call_input: Json = None, call_id: str = "toolu_01A09q90qw90lq917835lq9") -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {"a": 1} if call_input is None else call_input}


def message(*blocks: Json, stop: str | None = "end_turn", **fields: Json) -> Json:
    """A whole reply with a usage of 7 and 3 tokens; `fields` replace or add top-level keys."""
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": list(blocks) or [text()],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 3},
        **fields,
    }


def error(kind: str, words: str, status: int, **headers: str) -> Reply:
    """An error in the form of the page on errors."""
    body = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}
    return Reply(body=body, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def events_of(*blocks: Json, stop: str | None = "end_turn", usage: Json = None) -> list[Json]:
    """The events that stream blocks, each in at most two pieces, with a ping among them."""
    started = message(stop=None, content=[], usage={"input_tokens": 7, "output_tokens": 1})
    events: list[Json] = [{"type": "message_start", "message": {**started, "content": []}}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        events += _events_of_block(index, block)
    delta = {"stop_reason": stop, "stop_sequence": None}
    return [
        *events,
        {"type": "message_delta", "delta": delta, "usage": usage or {"output_tokens": 3}},
        {"type": "message_stop"},
    ]


def _events_of_block(index: int, block: Json) -> list[Json]:
    empty: dict[str, Json] = {
        "text": {"text": ""},
        "tool_use": {"input": {}},
        "thinking": {"thinking": "", "signature": ""},
    }
    kind = block["type"]
    deltas: list[Json] = []
    if kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in _halves(block["text"])]
    elif kind == "tool_use":
        pieces = ["", *_halves(json.dumps(block["input"]))] if block["input"] else [""]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    elif kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _halves(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    return [
        {"type": "content_block_start", "index": index, "content_block": {**block, **empty.get(kind, {})}},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _halves(words: str) -> list[str]:
    middle = len(words) // 2
    return [half for half in (words[:middle], words[middle:]) if half]


def sse(*events: Json) -> Reply:
    """An event stream; texts are written as they stand, such as comments."""
    lines = (
        event if isinstance(event, str) else f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
        for event in events
    )
    return Reply(parts=[line.encode() for line in lines], headers={"content-type": "text/event-stream"})


def streamed(*blocks: Json, stop: str | None = "end_turn", usage: Json = None) -> Reply:
    """Blocks as an event stream."""
    return sse(*events_of(*blocks, stop=stop, usage=usage))


def frames(*events: Json) -> Reply:
    """Events in the binary frames of AWS, as Bedrock sends them."""
    parts = [
        _frame({":event-type": "chunk"}, {"bytes": base64.b64encode(json.dumps(event).encode()).decode()})
        for event in events
    ]
    return Reply(parts=parts, headers={"content-type": "application/vnd.amazon.eventstream"})


def exception_frame(kind: str, words: str) -> bytes:
    """A failure within a stream of Bedrock."""
    return _frame({":exception-type": kind, ":message-type": "exception"}, {"message": words})


def _frame(headers: Mapping[str, str], payload: Json) -> bytes:
    named = {":message-type": "event", ":content-type": "application/json", **headers}
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
        for name, value in named.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", len(head) + len(body) + 16, len(head))
    framed = prelude + struct.pack("!I", crc32(prelude)) + head + body
    return framed + struct.pack("!I", crc32(framed))


class CannedServer:
    """The server: `queue` replies, point a client at `base_url`, read `requests`.

    With nothing queued it answers as a model that says "Hello!".
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
        return f"http://{host}:{port}"

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the last request."""
        return self.requests[-1].body

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
        parts = reply.parts
        if parts is None:
            parts = [(reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()]
        headers = {"content-type": "application/json", "transfer-encoding": "chunked", **reply.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} Canned\r\n{head}\r\n".encode())
        for part in parts:
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
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
    return streamed(text()) if request.body.get("stream") else Reply(body=message())


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
