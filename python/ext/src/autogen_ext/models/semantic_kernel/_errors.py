"""What can go wrong with a connector: classes that are the SDK's and those of all model clients at once. Needs the SDK.

    semantic_kernel.exceptions.ServiceResponseException
    ├── SKAuthenticationError   (AuthenticationError)   401, 403
    ├── SKContextLengthError    (ContextLengthError)    the conversation is too long
    ├── SKRateLimitedError      (RateLimitedError)      429
    ├── SKServerError           (ServerError)           5xx
    └── SKResponseError         (ModelClientError)      any other refusal with a status

Which of them it is, is read from the error of the connector's own SDK, which is the cause. Errors without a status, such as
`ServiceInvalidExecutionSettingsError`, pass as they are.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from semantic_kernel.exceptions import ServiceResponseException

from autogen_ext.models._shared._limits import context_length, retry_after_of
from autogen_ext.models._shared._secrets import hide
from autogen_ext.models.errors import (
    AuthenticationError,
    ContextLengthError,
    ModelClientError,
    RateLimitedError,
    ServerError,
)

PROVIDER = "semantic_kernel"


class SKResponseError(ModelClientError, ServiceResponseException):
    """The service refused a request."""


class SKAuthenticationError(AuthenticationError, ServiceResponseException):
    """The service refused the key of the connector."""


class SKContextLengthError(ContextLengthError, ServiceResponseException):
    """The conversation is longer than the model takes."""


class SKRateLimitedError(RateLimitedError, ServiceResponseException):
    """The service takes no more calls for now."""


class SKServerError(ServerError, ServiceResponseException):
    """The service failed."""


@contextmanager
def explaining(model: str, secrets: tuple[str, ...]) -> Generator[None]:
    """Raise errors of a service as typed ones, without secrets and with advice."""
    try:
        yield
    except ModelClientError:
        raise
    except Exception as error:
        typed = _typed(error, model, secrets)
        for one in _chain(error):
            one.args = hide(one.args, secrets)
        if typed is None:
            raise
        raise typed from error


def _typed(error: Exception, model: str, secrets: tuple[str, ...]) -> ModelClientError | None:
    told = next((one for one in _chain(error) if isinstance(getattr(one, "status_code", None), int)), None)
    if told is None:
        return None
    status: int = getattr(told, "status_code", 0)
    text = hide(str(told), secrets)
    reply: Any = getattr(told, "response", None)
    wait = retry_after_of(reply.headers) if reply is not None else None
    too_long = context_length(text)
    made: Any
    if status in (401, 403):
        made = SKAuthenticationError(text)
        made.setting = "the api_key of the connector"
        made.add_note("Check the key that the connector of Semantic Kernel was made with.")
    elif status == 429:
        made = SKRateLimitedError(text)
        made.retry_after = wait
    elif status >= 500:
        made = SKServerError(text)
        made.retry_after = wait
    elif too_long is not None:
        made = SKContextLengthError(text)
        made.limit, made.requested = too_long
    else:
        made = SKResponseError(text)
    made.provider, made.model, made.status = PROVIDER, model, status
    return made


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    seen: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            yield one
            waiting.extend((one.__cause__, one.__context__, *one.args))
