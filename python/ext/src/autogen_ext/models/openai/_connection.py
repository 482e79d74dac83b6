"""One connection to a server over HTTP/1.1, and the few that are kept open. Errors are those of the SDK's HTTP library.

The library's own transport takes most of the time of a short call. This one does only what chat completions need: a request
whose body is ready, and a reply that is read whole or as it comes. It knows no proxy, no HTTP/2 and no redirect.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, NoReturn

from ._library import http

_ENOUGH = 1 << 20
"""Bytes that wait to be read until the server is told to wait."""

_IDLE = 20
"""Connections to one server that are kept open for later."""

_STATUS = re.compile(rb"HTTP/1\.([01]) (\d{3})(?: |$)")

Address = tuple[str, str, int]
"""Scheme, host and port."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Head:
    """How a reply begins."""

    status: int
    headers: Headers
    length: int | None
    """Bytes of the body, where they are known."""
    chunked: bool
    reusable: bool
    """The connection stays open after the body."""


class Connection(asyncio.Protocol):
    """A connection that serves one request at a time."""

    def __init__(self) -> None:
        self.busy = False
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._buffer += data
        if len(self._buffer) > _ENOUGH and self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note that nothing more will come."""
        self._lost = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self._lost = True
        self._wake()

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return not self.busy and not self._lost and not self._buffer

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._transport is None or self._transport.is_closing():
            raise http.WriteError("The connection was closed before the request was sent.")
        self._transport.write(data)

    def close(self) -> None:
        """Close at once; who waits gets an error."""
        self._lost = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
        self._wake()

    async def head(self, timeout_s: float | None) -> Head:
        """Return how the reply begins.

        Raises:
            httpx.RemoteProtocolError: The connection ended before, or what came is not HTTP.
            httpx.ReadTimeout: Nothing came for so many seconds.
        """
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                await self._more(timeout_s, "Server disconnected without sending a response.")
                continue
            head = _parse(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if head.status >= 200:  # before may come notices, such as `100 Continue`
                return head

    async def whole(self, head: Head, timeout_s: float | None) -> bytes:
        """Return the body; errors are those of `head`."""
        if head.length is None or head.chunked or head.status in (204, 304):
            return b"".join([block async for block in self.blocks(head, timeout_s)])
        while len(self._buffer) < head.length:
            await self._more(timeout_s, _INCOMPLETE)
        return self._take(head.length)

    async def blocks(self, head: Head, timeout_s: float | None) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes; errors are those of `head`."""
        if head.status in (204, 304):
            return
        if head.chunked:
            async for block in self._chunks(timeout_s):
                yield block
        elif head.length is not None:
            left = head.length
            while left:
                if not self._buffer:
                    await self._more(timeout_s, _INCOMPLETE)
                block = self._take(min(left, len(self._buffer)))
                left -= len(block)
                yield block
        else:
            while not self._lost or self._buffer:
                if self._buffer:
                    yield self._take(len(self._buffer))
                else:
                    await self._more(timeout_s, None)

    def at_end(self, head: Head) -> bool:
        """Tell whether all that is left of a body is its end, so that nobody needs to wait for it; take that, if so."""
        if head.chunked and bytes(self._buffer[:6]) == b"0\r\n\r\n":
            self._take(len(self._buffer))
            return True
        return False

    async def _chunks(self, timeout_s: float | None) -> AsyncGenerator[bytes, None]:
        """Yield what is complete, joined: a server may write many small chunks at once."""
        while True:
            whole: list[bytes] = []
            size = end = 0
            while True:
                line = self._buffer.find(b"\r\n", end)
                if line < 0:
                    break
                size = _size_of(self._buffer[end:line])
                stop = line + 2 + size
                if size == 0 or len(self._buffer) < stop + 2:
                    break
                whole.append(bytes(self._buffer[line + 2 : stop]))
                end, size = stop + 2, -1
            if end:
                self._take(end)
                yield b"".join(whole)
            elif size == 0 and self._buffer.startswith(b"0") and await self._skip_trailers(timeout_s):
                return
            else:
                await self._more(timeout_s, _INCOMPLETE)

    async def _skip_trailers(self, timeout_s: float | None) -> bool:
        """Read the last chunk, of no length, and the headers that may follow it."""
        while True:
            first = self._buffer.find(b"\r\n")
            if self._buffer.startswith(b"\r\n", first + 2):
                self._take(first + 4)
                return True
            end = self._buffer.find(b"\r\n\r\n")
            if end >= 0:
                self._take(end + 4)
                return True
            await self._more(timeout_s, _INCOMPLETE)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        if self._paused and len(self._buffer) < _ENOUGH:
            self._resume()
        return taken

    def _resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    async def _more(self, timeout_s: float | None, complaint: str | None) -> None:
        """Wait for bytes, or the end; where the end comes too early there is a complaint."""
        self._resume()  # what is there is not enough, however much it is
        if self._lost:
            if complaint is not None:
                raise http.RemoteProtocolError(complaint)
            return
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = None if timeout_s is None else loop.call_later(timeout_s, _time_out, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ConnectionPool:
    """Opens connections, and keeps those that are free.

    Args:
        verify: Checks the certificates of servers; made when it is first needed.
    """

    def __init__(self, verify: ssl.SSLContext | None = None) -> None:
        self._verify = verify
        self._kept: dict[Address, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def acquire(self, address: Address, timeout_s: float | None) -> Connection:
        """Return a connection for one request; it is given back by `release`.

        Raises:
            httpx.ConnectError: The server cannot be reached.
            httpx.ConnectTimeout: It was not reached in so many seconds.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the program went on in another event loop, and took its client along
            self.close()
            self._loop = loop
        kept = self._kept.setdefault(address, [])
        while kept:
            connection = kept.pop()
            if connection.usable:
                connection.busy = True
                return connection
            self.release(address, connection, reusable=False)
        connection = await self._connect(loop, address, timeout_s)
        connection.busy = True
        self._open.add(connection)
        return connection

    def release(self, address: Address, connection: Connection, *, reusable: bool) -> None:
        """Keep a connection for later, or close it."""
        connection.busy = False
        kept = self._kept.setdefault(address, [])
        if reusable and connection.usable and len(kept) < _IDLE:
            kept.append(connection)
        else:
            self._open.discard(connection)
            connection.close()

    def close(self) -> None:
        """Close all connections, also those in use."""
        connections, self._open, self._kept = self._open, set(), {}
        if self._loop is not None and not self._loop.is_closed():
            for connection in connections:
                connection.close()

    async def _connect(self, loop: asyncio.AbstractEventLoop, address: Address, timeout_s: float | None) -> Connection:
        scheme, host, port = address
        options: dict[str, Any] = {"ssl": self._context(), "server_hostname": host} if scheme == "https" else {}
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    Connection, host, port, happy_eyeballs_delay=0.25, **options
                )
        except TimeoutError as error:
            raise http.ConnectTimeout(f"{host}:{port} did not answer in {timeout_s} s.") from error
        except OSError as error:
            raise http.ConnectError(str(error) or f"{host}:{port} cannot be reached.") from error
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._verify is None:
            context: ssl.SSLContext = http.create_ssl_context()
            context.set_alpn_protocols(["http/1.1"])
            self._verify = context
        return self._verify


_INCOMPLETE = "peer closed connection without sending complete message body (incomplete read)"


def _time_out(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_exception(http.ReadTimeout("The server sent nothing for too long."))


def _refuse(what: bytes) -> NoReturn:
    raise http.RemoteProtocolError(f"The server did not answer with HTTP/1.1 but with {what[:80]!r}.")


def _parse(head: bytes) -> Head:
    first, *lines = head.split(b"\r\n")
    status = _STATUS.match(first)
    if status is None:
        _refuse(first)
    headers: Headers = []
    length: int | None = None
    chunked, reusable = False, status[1] == b"1"
    for line in lines:
        name, found, value = line.partition(b":")
        if not found:
            _refuse(line)
        name, value = name.strip(), value.strip()
        headers.append((name, value))
        key = name.lower()
        if key == b"content-length":
            if not value.isdigit():
                _refuse(line)
            length = int(value)
        elif key == b"transfer-encoding":
            chunked = b"chunked" in value.lower()
        elif key == b"connection":
            reusable = reusable and b"close" not in value.lower()
    return Head(int(status[2]), headers, length, chunked, reusable and (chunked or length is not None))


def _size_of(line: bytearray) -> int:
    digits = bytes(line).partition(b";")[0].strip()
    try:
        return int(digits, 16)
    except ValueError:
        _refuse(bytes(line))
