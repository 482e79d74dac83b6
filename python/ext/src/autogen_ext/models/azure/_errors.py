"""What can go wrong with Azure AI: classes that are the SDK's and those of all model clients at once. Needs the SDK.

azure.core.exceptions.AzureError
├── HttpResponseError
│   ├── AzureAIResponseError            (ModelClientError)      any other refusal, such as an unknown parameter
│   ├── AzureAIContextLengthError       (ContextLengthError)    the conversation is too long
│   ├── AzureAIRateLimitedError         (RateLimitedError)      429
│   ├── AzureAIServerError              (ServerError)           5xx, or a reply that broke off
│   ├── AzureAIUnusableReplyError       (UnusableReplyError)    a reply that is no answer
│   ├── ClientAuthenticationError
│   │   └── AzureAIAuthenticationError  (AuthenticationError)   401, 403
│   └── ResourceNotFoundError
│       └── AzureAINotFoundError        (ModelClientError)      404
├── ServiceRequestError
│   └── AzureAIConnectionError          (ServerError)           nobody answers at the endpoint
└── ServiceResponseError
    └── AzureAIInterruptedError         (ServerError)           the reply broke off, or took too long
"""

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    IncompleteReadError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

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

PROVIDER = "azure.ai.inference"


class _ShortText:
    """Keeps the SDK from appending the reply's body to the text: it was read already, and may hold secrets."""

    message: str

    def __str__(self) -> str:
        return self.message


class AzureAIResponseError(_ShortText, ModelClientError, HttpResponseError):
    """Azure AI refused a request."""


class AzureAINotFoundError(_ShortText, ModelClientError, ResourceNotFoundError):
    """There is no such model or deployment at the endpoint."""


class AzureAIAuthenticationError(_ShortText, AuthenticationError, ClientAuthenticationError):
    """The credential was refused."""


class AzureAIContextLengthError(_ShortText, ContextLengthError, HttpResponseError):
    """The conversation is longer than the model takes."""


class AzureAIRateLimitedError(_ShortText, RateLimitedError, HttpResponseError):
    """The endpoint takes no more calls for now."""


class AzureAIServerError(_ShortText, ServerError, HttpResponseError):
    """The endpoint failed."""


class AzureAIUnusableReplyError(_ShortText, UnusableReplyError, HttpResponseError):
    """What came with success is no answer."""


class AzureAIConnectionError(_ShortText, ServerError, ServiceRequestError):
    """Nobody answers at the endpoint."""


class AzureAIInterruptedError(_ShortText, ServerError, ServiceResponseError):
    """The reply broke off, or took too long."""


@contextmanager
def explaining(model: str, endpoint: str, key: str | None) -> Generator[None]:
    """Raise the SDK's errors as typed ones, without secrets and with advice."""
    try:
        yield
    except ModelClientError:
        raise
    except AzureError as error:
        secrets = _secrets(error, key)
        typed = _typed(error, model, endpoint, secrets)
        error.message = hide(error.message, secrets)
        error.args = hide(error.args, secrets)
        raise typed from error
    except (json.JSONDecodeError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The SDK reads replies without mercy: a comment in a stream, or a page instead of JSON, fails in it.
        secrets = (key,) if key else ()
        text = hide(f"What {endpoint} sent is no reply of this API: {error}", secrets)
        raise _told(AzureAIUnusableReplyError(text), model, 200) from None


def unusable(model: str, body: Any, key: str | None) -> AzureAIUnusableReplyError:
    """Make the error for a reply without an answer."""
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", body) if isinstance(body, Mapping) else {}
    text = "The reply holds no choices."
    if fields.get("error"):
        text = f"The reply holds an error: {_message_of(fields)}"
    error = AzureAIUnusableReplyError(hide(text, (key,) if key else ()))
    error.body = hide(dict(fields), (key,) if key else ())
    return _told(error, model, 200)


def _typed(error: AzureError, model: str, endpoint: str, secrets: tuple[str, ...]) -> ModelClientError:
    if isinstance(error, HttpResponseError):
        return _typed_refusal(error, model, secrets)
    text = hide(str(error.message), secrets)
    if isinstance(error, ServiceRequestError):
        return _told(AzureAIConnectionError(f"Nobody answers at {endpoint}: {text}"), model, None)
    return _told(AzureAIInterruptedError(f"The reply of {endpoint} broke off: {text}"), model, None)


def _typed_refusal(error: HttpResponseError, model: str, secrets: tuple[str, ...]) -> ModelClientError:
    reply: Any = error.response
    status = error.status_code or 0
    said = _text_of(reply) or error.message
    text = hide(f"({status}) {said}" if status else str(said), secrets)
    wait = retry_after_of(reply.headers) if reply is not None else None
    if status in (401, 403) or isinstance(error, ClientAuthenticationError):
        return _refused(text, reply, model)
    too_long = _too_long(text) if status in (400, 413, 422) else None
    if too_long is not None:
        long = _of_reply(AzureAIContextLengthError, text, reply)
        long.limit, long.requested = too_long
        return _told(long, model, status)
    if status == 429:
        limited = _of_reply(AzureAIRateLimitedError, text, reply)
        limited.retry_after = wait
        return _told(limited, model, status)
    if isinstance(error, DecodeError) and not isinstance(error, IncompleteReadError):
        return _told(_of_reply(AzureAIUnusableReplyError, text, reply), model, status or None)
    if status >= 500 or isinstance(error, IncompleteReadError):
        failed = _of_reply(AzureAIServerError, text, reply)
        failed.retry_after = wait
        return _told(failed, model, status or None)
    kind = AzureAINotFoundError if status == 404 else AzureAIResponseError
    return _told(_of_reply(kind, text, reply), model, status)


def _refused(text: str, reply: Any, model: str) -> AzureAIAuthenticationError:
    error = _of_reply(AzureAIAuthenticationError, text, reply)
    error.setting = "credential"
    error.add_note(
        "Check the argument credential: AzureKeyCredential(KEY), or a credential of azure.identity.aio; for GitHub "
        "Models, AzureKeyCredential(TOKEN) with a token that may read models."
    )
    return _told(error, model, reply.status_code if reply is not None else None)


def _too_long(text: str) -> tuple[int | None, int | None] | None:
    """Return the limit and what was asked for if a conversation is too long; GitHub Models say it in their own way."""
    if "tokens_limit_reached" in text:
        size = re.search(r"Max size: (\d+)", text)
        return (int(size[1]) if size else None, None)
    return context_length(text)


def _secrets(error: AzureError, key: str | None) -> tuple[str, ...]:
    """Return the key, or the token that was sent in its place."""
    request = getattr(getattr(error, "response", None), "request", None)
    sent = str(getattr(request, "headers", {}).get("Authorization", ""))
    return tuple(secret for secret in (key, sent.removeprefix("Bearer ")) if secret)


def _text_of(reply: Any) -> str:
    """Return what a refusal says; models behind the API say it in several forms."""
    try:
        body = json.loads(reply.text())
    except (AttributeError, ValueError):
        return ""
    return _message_of(cast("Mapping[str, Any]", body)) if isinstance(body, Mapping) else ""


def _message_of(body: Mapping[str, Any]) -> str:
    inner = body.get("error", body)
    if not isinstance(inner, Mapping):
        return str(inner)
    fields = cast("Mapping[str, Any]", inner)
    code, text = fields.get("code"), fields.get("message") or ""
    detail = fields.get("detail") or fields.get("details")
    said = f"{text} [{code}]" if code else str(text)
    return f"{said} {json.dumps(detail)}" if detail else said


def _of_reply(kind: Any, text: str, reply: Any) -> Any:
    """Make an error of a reply, with our text: the SDK would put the reply's in its place, with secrets."""
    error = kind(text, response=reply)
    error.message, error.args = text, (text,)
    return error


def _told(error: Any, model: str, status: int | None) -> Any:
    error.provider, error.model, error.status = PROVIDER, model, status
    return error
