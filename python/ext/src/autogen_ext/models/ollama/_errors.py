"""What can go wrong with Ollama: classes that are the SDK's and those of all model clients at once. Needs the SDK.

ollama.ResponseError
├── OllamaResponseError         (ModelClientError)      any other refusal, such as a model that is not there
├── OllamaAuthenticationError   (AuthenticationError)   401, 403
├── OllamaContextLengthError    (ContextLengthError)    the conversation is too long
├── OllamaRateLimitedError      (RateLimitedError)      429
├── OllamaServerError           (ServerError)           5xx, or an error within a stream
└── OllamaUnusableReplyError    (UnusableReplyError)    a reply that is no answer
ConnectionError
└── OllamaConnectionError       (ServerError)           nobody answers at the host

httpx.TransportError, and its subclasses such as ReadTimeout
└── a class of that kind        (ServerError)           the reply broke off, or took too long
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx
import ollama
from pydantic import ValidationError

from autogen_ext.models._shared._limits import context_length, retry_after_of
from autogen_ext.models._shared._secrets import hide
from autogen_ext.models.errors import (
    AuthenticationError,
    ContextLengthError,
    ModelClientError,
    RateLimitedError,
    ServerError,
    UnusableReplyError,
)

PROVIDER = "ollama"
KEY_VARIABLE = "OLLAMA_API_KEY"


class OllamaResponseError(ModelClientError, ollama.ResponseError):
    """Ollama refused a request."""


class OllamaAuthenticationError(AuthenticationError, ollama.ResponseError):
    """Ollama, or a server in front of it, refused the key."""


class OllamaContextLengthError(ContextLengthError, ollama.ResponseError):
    """The conversation is longer than the model takes."""


class OllamaRateLimitedError(RateLimitedError, ollama.ResponseError):
    """Ollama takes no more calls for now."""


class OllamaServerError(ServerError, ollama.ResponseError):
    """Ollama failed, perhaps in the middle of a stream."""


class OllamaUnusableReplyError(UnusableReplyError, ollama.ResponseError):
    """What came with success is no answer of Ollama."""


class OllamaConnectionError(ServerError, ConnectionError):
    """Nobody answers at the host."""


@contextmanager
def explaining(model: str, host: str, secrets: tuple[str, ...]) -> Generator[None]:
    """Raise the SDK's errors as typed ones, without secrets and with advice."""
    try:
        yield
    except ollama.ResponseError as error:
        error.error = hide(error.error, secrets)
        error.args = hide(error.args, secrets)
        raise _typed(error, model) from error
    except ConnectionError as error:
        refused = OllamaConnectionError(f"Nobody answers at {host}: is Ollama running there? Pass host=... .")
        raise _told(refused, model, None) from error
    except httpx.TransportError as error:
        what = "took too long" if isinstance(error, httpx.TimeoutException) else "broke off"
        text = hide(f"The reply of {host} {what}. {error}".strip(), secrets)
        raise _told(_broken_off(type(error))(text), model, None) from error
    except (json.JSONDecodeError, ValidationError, AttributeError, TypeError) as error:
        # The SDK reads replies without mercy: another server's JSON, or a blank line in a stream, fails in it.
        text = f"What {host} sent is no reply of Ollama: {hide(str(error), secrets)}"
        unusable = OllamaUnusableReplyError(text, 200)
        unusable.body = hide(error.doc, secrets) if isinstance(error, json.JSONDecodeError) else None
        raise _told(unusable, model, 200) from None


@cache
def _broken_off(kind: type[httpx.TransportError]) -> type[Any]:
    """Return the class for an error of the HTTP library: of its own class, and a `ServerError`."""
    return type(f"Ollama{kind.__name__}", (ServerError, kind), {"__doc__": "The reply did not come to its end."})


def _typed(error: ollama.ResponseError, model: str) -> ModelClientError:
    status = error.status_code
    text = str(error.error)
    reply: Any = getattr(error.__context__, "response", None)
    wait = retry_after_of(reply.headers) if reply is not None else None
    too_long = context_length(text)
    if too_long is not None and status in (-1, 400, 413, 500):
        long = OllamaContextLengthError(text, status)
        long.limit, long.requested = too_long
        return _told(long, model, status)
    if status in (401, 403):
        refused = OllamaAuthenticationError(text, status)
        refused.setting = KEY_VARIABLE
        refused.add_note(f"Set the environment variable {KEY_VARIABLE}, or pass headers={{'Authorization': ...}}.")
        return _told(refused, model, status)
    if status == 429:
        limited = OllamaRateLimitedError(text, status)
        limited.retry_after = wait
        return _told(limited, model, status)
    if status >= 500 or status < 0:
        failed = OllamaServerError(text, status)
        failed.retry_after = wait
        return _told(failed, model, status)
    other = OllamaResponseError(text, status)
    if status == 404:
        other.add_note(f"Fetch the model: ollama pull {model}")
    return _told(other, model, status)


def _told(error: Any, model: str, status: int | None) -> Any:
    """Return an error that knows who was called; a failure within a stream has no status."""
    error.provider, error.model = PROVIDER, model
    error.status = status if status is not None and status > 0 else None
    return error
