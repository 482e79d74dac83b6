"""A real HTTP/1.1 server on loopback that replays exchanges written from a provider's reference, and records requests.

Stands on asyncio's streams only; it knows nothing of the client under test.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Mapping, Sequence
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
    """One canned answer: a JSON `body`, or a stream of `lines` written as they stand."""

    body: Json = None
    lines: Sequence[str] | None = None
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hang: bool = False
    """Send everything but the end, then wait until the client goes away."""
    truncate: bool = False
    """Drop the connection in the middle of the body."""


class ProtocolServer:
    """The server: `queue` replies, point a client at `url`, read `requests`."""

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
    def url(self) -> str:
        """Where clients find the API."""
        assert self._server is not None, "use `async with`"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

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
                    if not await self._answer(reader, writer):
                        break
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Write one reply; false means that the connection ends with it."""
        reply = self._replies.popleft()
        parts = list(reply.lines) if reply.lines is not None else [json.dumps(reply.body)]
        headers = {"content-type": reply.kind, "transfer-encoding": "chunked", **reply.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} Replayed\r\n{head}\r\n".encode())
        for part in parts:
            data = part.encode()
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
