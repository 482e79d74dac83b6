"""The HTTP client that our SDK clients are given: it takes the messages of a request as JSON that is ready.

The SDK turns a request into JSON as a whole; with a long history that costs more than all the rest. Its public way in is
its argument `http_client`. How requests are sent is left to the SDK's HTTP library. Needs the SDK.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import openai

_messages: ContextVar[bytes | None] = ContextVar("autogen_openai_messages", default=None)
"""The messages of the request that is being built, since the SDK has no place to pass them on."""

_PATH = "/chat/completions"


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
        return super().build_request(method, url, **kwargs)
