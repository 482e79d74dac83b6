"""What can go wrong beside the SDK's own errors, and what the SDK's errors gain on their way out. Needs the SDK.

    openai.OpenAIError
    ├── MissingApiKeyError       no key is set (a ValueError)
    └── openai.APIError
        └── UnusableReplyError   the server answered with status 200, but with an error or without an answer

All other errors are those of the SDK, of the same class and with the same fields; secrets are taken out of their texts.
"""

import sys
from typing import Any, cast

import openai

HIDDEN = "**********"
"""Stands for a secret."""

_SHORTEST_SECRET = 8
"""Characters; a placeholder such as `x` is no secret, and hiding it would make texts unreadable."""


class MissingApiKeyError(openai.OpenAIError, ValueError):
    """No key was given, and none is in the environment.

    Attributes:
        key_variable: The environment variable to set.
    """

    def __init__(self, client: str, key_variable: str, hint: str = "") -> None:
        super().__init__(
            f"{client} needs a key: set the environment variable {key_variable}, or pass api_key=... . "
            f"A server that needs no key takes any text.{hint}"
        )
        self.key_variable = key_variable


class UnusableReplyError(openai.APIError):
    """The server answered with status 200, but the reply holds an error or no answer.

    Attributes:
        body: What the server sent, where it was JSON.
    """

    def __init__(self, text: str, *, url: str, body: object | None) -> None:
        super().__init__(text, cast("Any", _http_request(url)), body=body)


def explain(error: openai.OpenAIError, *, secrets: tuple[str, ...], key_variable: str) -> None:
    """Take secrets out of an error's text and body, and note what a user can do about a refused key."""
    if isinstance(error, openai.APIError):
        error.message = _hide(error.message, secrets)
        error.body = _hide(error.body, secrets)
    error.args = _hide(error.args, secrets)
    if isinstance(error, openai.AuthenticationError):
        error.add_note(f"The key was refused: check the environment variable {key_variable} or the argument api_key.")


def _hide(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: _hide(item, secrets) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        items = (_hide(item, secrets) for item in cast("list[Any]", value))
        return tuple(items) if isinstance(value, tuple) else list(items)
    return value


def _http_request(url: str) -> object:
    """Make a request object of the SDK's HTTP library: httpx or httpx2, depending on the SDK's version."""
    library = openai.DefaultAsyncHttpxClient.__mro__
    module = next(cls.__module__.partition(".")[0] for cls in library if cls.__module__.startswith("httpx"))
    return sys.modules[module].Request("POST", url)
