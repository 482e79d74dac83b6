"""What can go wrong with any model client, whatever the provider. Stands on `autogen_core`; knows no SDK.

    AutoGenError
    └── ModelClientError            .provider .model .status
        ├── AuthenticationError     the key was refused                          .setting
        ├── ContextLengthError      the conversation is longer than the model takes  .limit .requested
        ├── RateLimitedError        too many calls or tokens (429)               .retry_after
        ├── ServerError             the provider failed (5xx) or is overloaded   .retry_after
        └── UnusableReplyError      status 200, but an error or no answer in it  .body

A client raises classes that derive from one of these and from its SDK's own error for the same thing, so both
`except RateLimitedError` and, say, `except openai.RateLimitError` catch it. Texts and fields hold no secrets.
"""

from typing import Any

from autogen_core.exceptions import AutoGenError


class ModelClientError(AutoGenError):
    """A model call failed.

    Attributes:
        provider: Who was called: `openai`, `anthropic`, ...
        model: The model's name, if known.
        status: The HTTP status of the reply, if there was one.
    """

    provider: str = ""
    model: str = ""
    status: int | None = None


class AuthenticationError(ModelClientError):
    """The provider refused the key.

    Attributes:
        setting: Which environment variable or argument to set.
    """

    setting: str = ""


class ContextLengthError(ModelClientError):
    """The conversation, with what was asked for, is longer than the model's context.

    Attributes:
        limit: What the model takes, in tokens, if the provider said so.
        requested: What the call would have needed, in tokens, if the provider said so.
    """

    limit: int | None = None
    requested: int | None = None


class RateLimitedError(ModelClientError):
    """The provider takes no more calls for now.

    Attributes:
        retry_after: Seconds to wait, if the provider said so.
    """

    retry_after: float | None = None


class ServerError(ModelClientError):
    """The provider failed, or is overloaded.

    Attributes:
        retry_after: Seconds to wait, if the provider said so.
    """

    retry_after: float | None = None


class UnusableReplyError(ModelClientError):
    """The provider answered with success, but the reply holds an error or no answer.

    Attributes:
        body: What was sent, where it was JSON.
    """

    body: Any = None
