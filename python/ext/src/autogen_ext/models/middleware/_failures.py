"""What kind of failure an error of a model client is. Stands on the typed errors; must not import any SDK.

Clients that raise the typed errors of `autogen_ext.models.errors` are read by class. Those that let an SDK's errors through are
read by what these errors have in common: a status, the headers of the response, the name of a class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from autogen_ext.models._shared._limits import retry_after_of
from autogen_ext.models.errors import (
    AuthenticationError,
    ContextLengthError,
    ModelClientError,
    RateLimitedError,
    ServerError,
    UnusableReplyError,
)

from ._errors import BudgetExceededError, CircuitOpenError, NotSentError, RecordedError

FailureKind: TypeAlias = Literal[
    "rate_limited",
    "server",
    "connection",
    "authentication",
    "context_length",
    "unusable_reply",
    "refused",
    "circuit_open",
    "over_budget",
    "other",
]
"""`connection` covers time-outs; `refused` are other errors with a status from 400 to 499; `other` is what is none of these."""

_TYPED: tuple[tuple[type[ModelClientError], FailureKind], ...] = (
    (CircuitOpenError, "circuit_open"),
    (BudgetExceededError, "over_budget"),
    (RateLimitedError, "rate_limited"),
    (ServerError, "server"),
    (AuthenticationError, "authentication"),
    (ContextLengthError, "context_length"),
    (UnusableReplyError, "unusable_reply"),
)

_BY_STATUS: dict[int, FailureKind] = {
    401: "authentication",
    403: "authentication",
    408: "server",  # a time-out at the server
    409: "server",  # a lock there, which passes
    429: "rate_limited",
}

_LOST = {"APIConnectionError", "APITimeoutError", "TransportError", "EndpointConnectionError", "ServiceRequestError"}
"""Names of the classes from which SDKs and HTTP libraries derive errors of a connection."""

_UNCHARGED: set[FailureKind] = {"rate_limited", "server", "authentication", "context_length", "refused"}


@dataclass(frozen=True, slots=True)
class Failure:
    """What an error says about the provider."""

    kind: FailureKind
    retry_after: float | None = None
    """Seconds to wait, if the provider said so."""


def failure_of(error: BaseException) -> Failure:
    """Tell what kind of failure an error is."""
    return Failure(_kind(error), _retry_after(error))


def costs_nothing(error: BaseException) -> bool:
    """Tell whether an error proves that the provider did not answer, so that nothing is charged."""
    return isinstance(error, NotSentError) or _kind(error) in _UNCHARGED


def _kind(error: BaseException) -> FailureKind:
    if isinstance(error, RecordedError):
        return cast("FailureKind", error.kind)
    for cls, kind in _TYPED:
        if isinstance(error, cls):
            return kind
    status = next(
        (value for name in ("status_code", "status") if isinstance(value := getattr(error, name, None), int)), 0
    )
    if status >= 400:
        return _BY_STATUS.get(status, "server" if status >= 500 else "refused")
    lost = any(cls.__name__ in _LOST for cls in type(error).__mro__)
    return "connection" if lost or isinstance(error, TimeoutError | ConnectionError) else "other"


def _retry_after(error: BaseException) -> float | None:
    """Read how long to wait: from a typed error, or from the headers of an SDK's error."""
    value = getattr(error, "retry_after", None)
    if isinstance(value, int | float):
        return max(0.0, float(value))
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    if not isinstance(headers, Mapping):
        return None
    return retry_after_of(cast("Mapping[str, str]", headers), getattr(error, "body", None))
