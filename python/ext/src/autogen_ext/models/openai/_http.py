"""The HTTP client that our SDK clients are given: it takes the messages of a request as JSON that is ready.

The SDK turns a request into JSON as a whole; with a long history that costs more than all the rest. Its public way in is
its argument `http_client`. How requests are sent is left to the SDK's HTTP library. Needs the SDK.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import openai

from ._library import http

_messages: ContextVar[bytes | None] = ContextVar("autogen_openai_messages", default=None)
"""The messages of the request that is being built, since the SDK has no place to pass them on."""

_PATH = "/chat/completions"

_ORDINARY = frozenset({"content", "headers", "timeout"})


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


@lru_cache(maxsize=64)
def _url(url: str) -> Any:
    """Return an address as the library reads it; it cannot be changed."""
    return http.URL(url)
