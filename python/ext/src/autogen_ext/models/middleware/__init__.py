"""Middleware over any model client: each piece is a client around a client, in any order, and a component.

    client = FallbackClient([RetryClient(RateLimitClient(primary, key="account")), substitute])

`RetryClient` and `FallbackClient` deal with failures, `RateLimitClient` and `CircuitBreakerClient` avoid them,
`ChatCompletionCache` and `CassetteClient` answer without the model, `LedgerClient` and `BudgetClient` count what is used.
"""

from autogen_ext.models._shared._usage import DetailedUsage

from ._base import Items, ModelCall, ModelMiddleware
from ._breaker import Circuit, CircuitBreakerClient, CircuitBreakerConfig, CircuitSettings
from ._budget import Budget, BudgetSettings
from ._budget_client import BudgetClient, BudgetConfig
from ._cache import ChatCompletionCache
from ._cassette import CassetteClient, CassetteConfig
from ._clock import Clock
from ._errors import BudgetExceededError, CassetteMismatchError, CircuitOpenError, NotSentError, RecordedError
from ._failures import Failure, FailureKind, failure_of
from ._fallback import FallbackClient, FallbackConfig
from ._ledger import LedgerClient, LedgerConfig, LedgerSettings, UsageLedger, UsageTotals
from ._limiter import RateLimit, RateLimitSettings
from ._rate_limit import RateLimitClient, RateLimitConfig
from ._retry import RetryClient, RetryConfig
from ._usage import UsageScope, current_scope, price_of, usage_scope

__all__ = [
    "Budget",
    "BudgetClient",
    "BudgetConfig",
    "BudgetExceededError",
    "BudgetSettings",
    "CassetteClient",
    "CassetteConfig",
    "CassetteMismatchError",
    "ChatCompletionCache",
    "Circuit",
    "CircuitBreakerClient",
    "CircuitBreakerConfig",
    "CircuitOpenError",
    "CircuitSettings",
    "Clock",
    "DetailedUsage",
    "Failure",
    "FailureKind",
    "FallbackClient",
    "FallbackConfig",
    "Items",
    "LedgerClient",
    "LedgerConfig",
    "LedgerSettings",
    "ModelCall",
    "ModelMiddleware",
    "NotSentError",
    "RateLimit",
    "RateLimitClient",
    "RateLimitConfig",
    "RateLimitSettings",
    "RecordedError",
    "RetryClient",
    "RetryConfig",
    "UsageLedger",
    "UsageScope",
    "UsageTotals",
    "current_scope",
    "failure_of",
    "price_of",
    "usage_scope",
]
