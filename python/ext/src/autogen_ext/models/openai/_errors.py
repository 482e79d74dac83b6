"""What can go wrong with OpenAI's protocol: each an error of the SDK and of `autogen_ext.models.errors`. Needs the SDK.

    openai.OpenAIError
    ├── MissingApiKeyError            no key is set (a ValueError)
    └── openai.APIError
        ├── AuthenticationError       401, with the variable to set
        ├── ContextLengthError        400 or 413: too long for the model, with the numbers
        ├── RateLimitedError          429, with the seconds to wait
        ├── ServerError               5xx, with the seconds to wait
        ├── ConnectionFailedError     no server, or the connection broke
        ├── TimedOutError             no answer in time
        ├── RequestRefusedError       any other status: BadRequestError, NotFoundError, ... each with its class of the SDK
        └── UnusableReplyError        status 200, but the reply holds an error or no answer

Secrets are taken out of texts, fields and the request that hangs on an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import openai

from autogen_ext.models import errors
from autogen_ext.models._shared._limits import context_length, retry_after_of

from ._library import http

HIDDEN = "**********"
"""Stands for a secret."""

PROVIDER = "openai"

_SHORTEST_SECRET = 8
"""Characters; a placeholder such as `x` is no secret, and hiding it would make texts unreadable."""

_SECRET_HEADERS = ("authorization", "api-key", "x-api-key", "proxy-authorization")


class MissingApiKeyError(openai.OpenAIError, errors.ModelClientError, ValueError):
    """No key was given, and none is in the environment.

    Attributes:
        key_variable: The environment variable to set.
    """

    def __init__(self, client: str, key_variable: str, hint: str = "") -> None:
        super().__init__(
            f"{client} needs a key: set the environment variable {key_variable}, or pass api_key=... . "
            f"A server that needs no key takes any text.{hint}"
        )
        self.provider = PROVIDER
        self.key_variable = key_variable


class AuthenticationError(openai.AuthenticationError, errors.AuthenticationError):
    """The server refused the key; `setting` names the environment variable that it is read from."""


class ContextLengthError(openai.BadRequestError, errors.ContextLengthError):
    """The conversation is longer than the model takes."""


class RateLimitedError(openai.RateLimitError, errors.RateLimitedError):
    """The server takes no more calls for now."""


class ServerError(openai.InternalServerError, errors.ServerError):
    """The server failed, or is overloaded."""


class ConnectionFailedError(openai.APIConnectionError, errors.ModelClientError):
    """There is no server, or the connection to it broke."""


class TimedOutError(openai.APITimeoutError, errors.ModelClientError):
    """The server did not answer in time."""


class RequestRefusedError(openai.APIStatusError, errors.ModelClientError):
    """The server refused the request."""


class BadRequestError(RequestRefusedError, openai.BadRequestError):
    """The server takes the request for wrong."""


class PermissionDeniedError(RequestRefusedError, openai.PermissionDeniedError):
    """The key may not do this."""


class NotFoundError(RequestRefusedError, openai.NotFoundError):
    """There is no such model or address."""


class ConflictError(RequestRefusedError, openai.ConflictError):
    """The request contradicts another."""


class UnprocessableEntityError(RequestRefusedError, openai.UnprocessableEntityError):
    """The server cannot work with the request's fields."""


class UnusableReplyError(openai.APIError, errors.UnusableReplyError):
    """The server answered with status 200, but the reply holds an error or no answer.

    Attributes:
        body: What the server sent, where it was JSON.
    """

    def __init__(self, text: str, *, url: str, body: object | None) -> None:
        super().__init__(text, cast("Any", _http_request(url)), body=body)
        self.provider = PROVIDER


class RateLimitedReplyError(UnusableReplyError, errors.RateLimitedError):
    """The server takes no more calls for now, and says so in a reply with status 200."""


class ServerReplyError(UnusableReplyError, errors.ServerError):
    """The server failed, and says so in a reply with status 200."""


class ContextLengthReplyError(UnusableReplyError, errors.ContextLengthError):
    """The conversation is longer than the model takes, which the server says in a reply with status 200."""


class UnfinishedAnswerError(openai.LengthFinishReasonError, errors.UnusableReplyError):
    """A structured answer was cut off at the limit of tokens."""


class WithheldAnswerError(openai.ContentFilterFinishReasonError, errors.UnusableReplyError):
    """A structured answer was held back by the provider's filter."""


_REFUSALS: tuple[tuple[type[openai.APIStatusError], type[RequestRefusedError]], ...] = (
    (openai.BadRequestError, BadRequestError),
    (openai.PermissionDeniedError, PermissionDeniedError),
    (openai.NotFoundError, NotFoundError),
    (openai.ConflictError, ConflictError),
    (openai.UnprocessableEntityError, UnprocessableEntityError),
)


@dataclass(frozen=True, slots=True)
class Explainer:
    """Makes errors of ours out of the SDK's, for one client."""

    model: str
    key_variable: str
    secrets: Sequence[str]

    def explain(self, error: openai.OpenAIError) -> openai.OpenAIError:
        """Return the error to raise in place of one of the SDK's, with its fields and without secrets."""
        self._clean(error)
        if isinstance(error, errors.ModelClientError):
            error.model = error.model or self.model
            return error
        typed = self._typed(error)
        if isinstance(typed, errors.ModelClientError):
            typed.provider, typed.model = PROVIDER, self.model
        if isinstance(typed, openai.APIStatusError) and isinstance(typed, errors.ModelClientError):
            typed.status = typed.status_code
        return typed

    def _typed(self, error: openai.OpenAIError) -> openai.OpenAIError:
        if isinstance(error, openai.APIStatusError):
            return self._of_status(error)
        if isinstance(error, openai.APITimeoutError):
            return TimedOutError(request=error.request)
        if isinstance(error, openai.APIConnectionError):
            return ConnectionFailedError(message=error.message, request=error.request)
        if type(error) is openai.APIError:  # an error within a stream
            return unusable_reply(error.message, url=str(error.request.url), body=error.body, model=self.model)
        return error

    def _of_status(self, error: openai.APIStatusError) -> openai.APIStatusError:
        fields: dict[str, Any] = {"response": error.response, "body": error.body}
        wait = retry_after_of(error.response.headers, error.body)
        if isinstance(error, openai.AuthenticationError):
            hint = f"The key was refused: set the environment variable {self.key_variable} or pass api_key=... ."
            refused = AuthenticationError(f"{error.message} {hint}", **fields)
            refused.setting = self.key_variable
            return refused
        # Some servers call a conversation that is too long their own failure.
        too_long = context_length(error.message, error.body)
        if too_long is not None and not isinstance(error, openai.RateLimitError):
            long = ContextLengthError(error.message, **fields)
            long.limit, long.requested = too_long
            return long
        if isinstance(error, openai.RateLimitError):
            limited = RateLimitedError(error.message, **fields)
            limited.retry_after = wait
            return limited
        if error.status_code >= 500:
            failed = ServerError(error.message, **fields)
            failed.retry_after = wait
            return failed
        kind = next((ours for theirs, ours in _REFUSALS if isinstance(error, theirs)), RequestRefusedError)
        return kind(error.message, **fields)

    def _clean(self, error: openai.OpenAIError) -> None:
        """Take secrets out of an error, and out of the request that hangs on it."""
        error.args = hide(error.args, self.secrets)
        if not isinstance(error, openai.APIError):
            return
        error.message = hide(error.message, self.secrets)
        error.body = hide(error.body, self.secrets)
        headers: Any = error.request.headers
        for name in _SECRET_HEADERS:
            if name in headers:
                headers[name] = HIDDEN


def unusable_reply(text: str, *, url: str, body: object, model: str) -> UnusableReplyError:
    """Make the error for a reply with status 200 that holds an error: of the kind that its fields tell."""
    fields = _fields(body)
    code = fields.get("code")
    status = code if isinstance(code, int) else 200
    too_long = context_length(text, fields)
    if too_long is not None:
        error = long = ContextLengthReplyError(text, url=url, body=body)
        long.limit, long.requested = too_long
    elif status == 429 or "rate_limit_exceeded" in (code, fields.get("type")):
        error = limited = RateLimitedReplyError(text, url=url, body=body)
        limited.retry_after = retry_after_of({}, fields)
    elif status >= 500:
        error = ServerReplyError(text, url=url, body=body)
    else:
        error = UnusableReplyError(text, url=url, body=body)
    error.model, error.status = model, status
    return error


def _fields(body: object) -> dict[str, Any]:
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def broken_connection(cause: Exception, url: str) -> ConnectionFailedError:
    """Make the error for a stream that broke off."""
    text = f"The connection broke before the answer was complete: {cause or type(cause).__name__}"
    return ConnectionFailedError(message=text, request=cast("Any", _http_request(url)))


def is_of_transport(error: Exception) -> bool:
    """Tell whether an error comes from the SDK's HTTP library."""
    return isinstance(error, http.HTTPError)


def hide(value: Any, secrets: Sequence[str]) -> Any:
    """Return a value of JSON, or a tuple of such values, without secrets."""
    if isinstance(value, str):
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: hide(item, secrets) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        items = (hide(item, secrets) for item in cast("list[Any]", value))
        return tuple(items) if isinstance(value, tuple) else list(items)
    return value


def _http_request(url: str) -> object:
    return http.Request("POST", url)
