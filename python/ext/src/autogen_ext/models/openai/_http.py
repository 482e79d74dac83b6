"""The HTTP client that our SDK clients are given: it takes the messages of a request as JSON that is ready, and is quick.

The SDK turns a request into JSON as a whole; with a long history that costs more than all the rest. Its public way in is
its argument `http_client`. Wherever anything is asked for that only the HTTP library can do (proxies, redirects, hooks,
mocks, its log), the library does it. Needs the SDK.
"""

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import FunctionType
from typing import Any
from urllib.request import getproxies

import openai

from ._connection import Address, Connection, ConnectionPool, Head
from ._library import http

_messages: ContextVar[bytes | None] = ContextVar("autogen_openai_messages", default=None)
"""The messages of the request that is being built, since the SDK has no place to pass them on."""

_PATH = "/chat/completions"

_ORDINARY = frozenset({"content", "headers", "timeout"})

_log = logging.getLogger(http.__name__)


@contextmanager
def messages_ready(messages: bytes) -> Generator[None]:
    """Within the block, have requests of the current context carry these messages, a JSON array."""
    token = _messages.set(messages)
    try:
        yield
    finally:
        _messages.reset(token)


class PreparedHttpClient(openai.DefaultAsyncHttpxClient):
    """The SDK's own HTTP client, but for what this module says."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = ConnectionPool()
        self._direct = not getproxies()
        self._defaults = [(name.lower(), value) for name, value in self.headers.items()]

    def build_request(self, method: str, url: Any, **kwargs: Any) -> Any:
        """Build a request; see `messages_ready`."""
        messages, content = _messages.get(), kwargs.get("content")
        # The SDK may ask somebody else meanwhile, for a token perhaps.
        if messages is not None and _PATH in str(url):
            if not isinstance(content, bytes) or not content.startswith(b'{"'):
                raise RuntimeError(
                    "The installed version of openai writes requests in an unknown way. Pass "
                    "http_client=openai.DefaultAsyncHttpxClient() to the client, and report it."
                )
            kwargs["content"] = b"".join((b'{"messages":', messages, b",", content[1:]))
            if self._is_ordinary(kwargs):
                return self._build(method, url, kwargs)
        return super().build_request(method, url, **kwargs)

    def _is_ordinary(self, arguments: dict[str, Any]) -> bool:
        """Tell whether a request is nothing but an address, headers and a body."""
        asked = {name for name, value in arguments.items() if value is not None}
        return asked <= _ORDINARY and not self.cookies and not self.params and isinstance(arguments["headers"], list)

    def _build(self, method: str, url: str, arguments: dict[str, Any]) -> Any:
        """Build what the library would, without asking it to look into everything again."""
        headers: list[tuple[str, str]] = arguments["headers"]
        given = {name.lower() for name, _ in headers}
        missing = [(name, value) for name, value in self._defaults if name not in given]
        timeout = http.Timeout(arguments["timeout"]) if "timeout" in arguments else self.timeout
        return http.Request(
            method,
            _url(str(url)),
            headers=missing + headers,
            content=arguments["content"],
            extensions={"timeout": timeout.as_dict()},
        )

    async def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        """Send a request and return the reply; errors are those of the HTTP library."""
        if kwargs or not self._is_plain(request):
            return await super().send(request, stream=stream, **kwargs)
        url = request.url
        address: Address = (
            url.scheme,
            url.raw_host.decode("ascii"),
            url.port or (443 if url.scheme == "https" else 80),
        )
        timeouts: dict[str, float | None] = request.extensions.get("timeout") or {}
        try:
            connection = await self._pool.acquire(address, timeouts.get("connect"))
            body = _Body(self._pool, address, connection, timeouts.get("read"))
            response = await body.exchange(request, stream=stream)
        except http.RequestError as error:
            error.request = request
            raise
        response.request = request
        if "set-cookie" in response.headers:
            self.cookies.extract_cookies(response)
        if response.has_redirect_location:
            await response.aclose()
            return await super().send(request, stream=stream)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        self._pool.close()
        await super().aclose()

    def __del__(self) -> None:
        pool = getattr(self, "_pool", None)
        if pool is not None:
            pool.close()

    def _is_plain(self, request: Any) -> bool:
        """Tell whether there is nothing about a request but to send it and read the reply."""
        hooks = self.event_hooks
        return (
            self._direct
            and not self.is_closed
            and request.method == "POST"
            and request.url.scheme in ("http", "https")
            and not hooks["request"]
            and not hooks["response"]
            and not _log.isEnabledFor(logging.INFO)
            and all(map(_is_of_library, (http.AsyncClient.send, http.AsyncHTTPTransport.handle_async_request)))
        )


class _Body(http.AsyncByteStream):
    """The body of a reply, as it comes from a connection."""

    def __init__(self, pool: ConnectionPool, address: Address, connection: Connection, timeout_s: float | None) -> None:
        self._pool = pool
        self._address = address
        self._connection: Connection | None = connection
        self._timeout_s = timeout_s
        self._head: Head | None = None

    async def exchange(self, request: Any, *, stream: bool) -> Any:
        """Send the request and return the reply, read to its end unless it is to be streamed."""
        connection = self._connection
        assert connection is not None
        try:
            connection.write(_written(request))
            head = self._head = await connection.head(self._timeout_s)
            if stream:
                return http.Response(head.status, headers=head.headers, stream=self)
            content = await connection.whole(head, self._timeout_s)
        except BaseException:
            self._give_back(reusable=False)
            raise
        self._give_back(reusable=head.reusable)
        return http.Response(head.status, headers=head.headers, content=content)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        connection, head = self._connection, self._head
        assert connection is not None
        assert head is not None
        complete = False
        try:
            async for block in connection.blocks(head, self._timeout_s):
                yield block
            complete = True
        finally:
            self._give_back(reusable=complete and head.reusable)

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end, or to the mark that says so."""
        connection, head = self._connection, self._head
        at_end = connection is not None and head is not None and head.reusable and connection.at_end(head)
        self._give_back(reusable=at_end)

    def _give_back(self, *, reusable: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(self._address, connection, reusable=reusable)


@lru_cache(maxsize=64)
def _url(url: str) -> Any:
    """Return an address as the library reads it; it cannot be changed."""
    return http.URL(url)


def _written(request: Any) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    return b"\r\n".join((*lines, b"", request.content))


def _is_of_library(function: Any) -> bool:
    """Tell whether nobody has put something else in a function's place, such as a mock."""
    return type(function) is FunctionType and function.__module__.startswith("httpx")
