"""The SDK's errors and ours in one: what is raised is both, knows more, and holds no secrets. Needs the SDK.

    autogen_ext.models.errors.…     anthropic.…
    ├── AuthenticationError         AnthropicError           MissingApiKeyError      no key is set (a ValueError)
    ├── AuthenticationError         AuthenticationError      RefusedKeyError         401
    ├── AuthenticationError         PermissionDeniedError    RefusedAccessError      403
    ├── ContextLengthError          BadRequestError          PromptTooLongError      400 about the length
    ├── RateLimitedError            RateLimitError           TooManyRequestsError    429
    ├── ServerError                 InternalServerError      ServerFailedError       500 and above
    ├── UnusableReplyError          APIError                 UnusableReplyError      200 with an error or without an answer
    └── ModelClientError            BadRequestError, NotFoundError, APIConnectionError, APITimeoutError

The SDK has subclasses for some status codes, and further classes that stay what they are.
"""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import anthropic
from anthropic import _exceptions

from autogen_ext.models import errors
from autogen_ext.models._shared._limits import context_length, retry_after_of

HIDDEN = "**********"
"""Stands for a secret."""

_SHORTEST_SECRET = 8
"""Characters; a placeholder such as `x` is no secret, and hiding it would make texts unreadable."""

_SECRET_HEADERS = ("authorization", "x-api-key", "x-amz-security-token")

_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "throttlingException": 429,
    "api_error": 500,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that an error would have had, which came inside a stream that had begun with status 200."""


class MissingApiKeyError(errors.AuthenticationError, anthropic.AnthropicError, ValueError):
    """No key was given, and none is in the environment."""

    def __init__(self, client: str, setting: str) -> None:
        super().__init__(f"{client} needs a key: set {setting}. A server that needs no key takes any text.")
        self.setting = setting


class RefusedKeyError(errors.AuthenticationError, anthropic.AuthenticationError):
    """The key was refused."""


class RefusedAccessError(errors.AuthenticationError, anthropic.PermissionDeniedError):
    """The key may not be used for this."""


class PromptTooLongError(errors.ContextLengthError, anthropic.BadRequestError):
    """The conversation, with the answer that was asked for, is longer than the model's context."""


class TooManyRequestsError(errors.RateLimitedError, anthropic.RateLimitError):
    """Too many requests or tokens for now."""


class ServerFailedError(errors.ServerError, anthropic.InternalServerError):
    """The provider failed, or is overloaded."""


class RefusedRequestError(errors.ModelClientError, anthropic.BadRequestError):
    """The API does not take the request."""


class UnknownModelError(errors.ModelClientError, anthropic.NotFoundError):
    """There is no such model, or no such address."""


class UnreachableError(errors.ModelClientError, anthropic.APIConnectionError):
    """The server could not be reached."""


class TimedOutError(errors.ModelClientError, anthropic.APITimeoutError):
    """The server did not answer in time."""


class UnusableReplyError(errors.UnusableReplyError, anthropic.APIError):
    """The server answered with status 200, but the reply holds an error or no usable answer."""

    def __init__(self, text: str, *, model: str, url: str, body: object | None) -> None:
        anthropic.APIError.__init__(self, text, _http_library().Request("POST", url), body=body)
        self.model = model


if TYPE_CHECKING:
    from anthropic import InternalServerError as _Overloaded
    from anthropic import InternalServerError as _Unavailable
else:  # the SDK has classes for these, but does not export them in every version
    _Overloaded = getattr(_exceptions, "OverloadedError", anthropic.InternalServerError)
    _Unavailable = getattr(_exceptions, "ServiceUnavailableError", anthropic.InternalServerError)


class OverloadedError(ServerFailedError, _Overloaded):
    """The provider is overloaded."""


class UnavailableError(ServerFailedError, _Unavailable):
    """The provider is not available for now."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called, for error texts."""

    provider: str
    model: str
    setting: str
    """Where the key can be set."""
    secrets: tuple[str, ...]


def explain(error: Exception, caller: Caller) -> Exception:
    """Return the error to raise for one of the SDK's: ours and the SDK's in one, without secrets, knowing the numbers."""
    if not isinstance(error, anthropic.AnthropicError):
        return error
    secrets = tuple(secret for secret in caller.secrets if len(secret) >= _SHORTEST_SECRET)
    error.args = _hide(error.args, secrets)
    vars(error).update({name: _hide(value, secrets) for name, value in vars(error).items()})
    if not isinstance(error, anthropic.APIError):
        return error
    for name in _SECRET_HEADERS:
        if name in error.request.headers:
            error.request.headers[name] = HIDDEN
    if not isinstance(error, errors.ModelClientError):
        error = _translate(error)
    if isinstance(error, errors.ModelClientError):
        error.provider, error.model = caller.provider, error.model or caller.model
    if isinstance(error, errors.AuthenticationError):
        error.setting = caller.setting
        error.add_note(f"The key was refused: check {caller.setting}.")
    return error


def broken_off(error: Exception, url: str) -> anthropic.APIConnectionError | None:
    """Return the SDK's error for a connection that failed within a stream, which it lets through as it is.

    `None` if the error is not one of the SDK's HTTP library.
    """
    library = _http_library()
    if not isinstance(error, library.TransportError):
        return None
    request: Any = library.Request("POST", url)
    if isinstance(error, library.TimeoutException):
        return anthropic.APITimeoutError(request)
    return anthropic.APIConnectionError(message=f"The connection broke off: {error}", request=request)


def _translate(error: anthropic.APIError) -> anthropic.APIError:
    if isinstance(error, anthropic.APITimeoutError):
        return TimedOutError(error.request)
    if isinstance(error, anthropic.APIConnectionError):
        return UnreachableError(message=error.message, request=error.request)
    if not isinstance(error, anthropic.APIStatusError):
        return error
    status = _status(error)
    lengths = context_length(error.message, error.body) if status == 400 else None
    kind = _kind(error, status) if lengths is None else PromptTooLongError
    if kind is None:
        return error
    explained = kind(error.message, response=error.response, body=error.body)
    if isinstance(explained, errors.ModelClientError):
        explained.status = status
    if isinstance(explained, errors.RateLimitedError | errors.ServerError):
        explained.retry_after = retry_after_of(error.response.headers, error.body)
    if isinstance(explained, errors.ContextLengthError) and lengths is not None:
        explained.limit, explained.requested = lengths
    return explained


def _kind(error: anthropic.APIStatusError, status: int) -> type[anthropic.APIStatusError] | None:
    """Return the class for an error; `None` if it stays what it is."""
    if status == 400:
        return _unless_named(error, RefusedRequestError)
    if status >= 500:
        return {503: UnavailableError, 529: OverloadedError}.get(status, ServerFailedError)
    kinds = {401: RefusedKeyError, 403: RefusedAccessError, 404: UnknownModelError, 429: TooManyRequestsError}
    return kinds.get(status)


def _unless_named(error: Exception, kind: type[anthropic.APIStatusError]) -> type[anthropic.APIStatusError] | None:
    """Return a class, unless the SDK has one of its own for the error, which says more."""
    return kind if type(error) in kind.__mro__ or type(error) is anthropic.APIStatusError else None


def _status(error: anthropic.APIStatusError) -> int:
    if error.status_code != 200:
        return error.status_code
    return _STATUS_OF_TYPE.get(str(_error_entry(error.body, "type")), 500)


def _error_entry(body: object, name: str) -> object:
    """Return an entry of the error in a body: Anthropic's `{"error": {...}}`, or Bedrock's `{"message": ...}`."""
    if not isinstance(body, dict):
        return None
    entries = cast("dict[str, Any]", body)
    inner = entries.get("error")
    return cast("dict[str, Any]", inner).get(name) if isinstance(inner, dict) else entries.get(name)


def _hide(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: _hide(item, secrets) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        items = (_hide(item, secrets) for item in cast("list[Any]", value))
        return tuple(items) if isinstance(value, tuple) else list(items)
    return value


def _http_library() -> Any:
    """Return the SDK's HTTP library: httpx or httpx2, depending on the SDK's version."""
    bases = anthropic.DefaultAsyncHttpxClient.__mro__
    return sys.modules[next(base.__module__.partition(".")[0] for base in bases if base.__module__.startswith("httpx"))]
