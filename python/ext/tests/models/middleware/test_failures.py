"""Errors of clients are told apart, whether they are typed or an SDK's."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anthropic
import httpx2
import openai
import pytest

from autogen_ext.models.errors import ContextLengthError, UnusableReplyError
from autogen_ext.models.middleware import BudgetExceededError, CircuitOpenError, FailureKind, failure_of
from autogen_ext.models.middleware._failures import costs_nothing

from .kit import bad_key, rate_limited, server_error

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1")
OVER = BudgetExceededError(key="k", unit="tokens", limit=1, spent=0, reserved=0, needed=2)


def status(code: int, headers: dict[str, str] | None = None) -> openai.APIStatusError:
    return openai.APIStatusError("no", response=httpx2.Response(code, headers=headers, request=REQUEST), body=None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (rate_limited(), "rate_limited"),
        (server_error(), "server"),
        (bad_key(), "authentication"),
        (ContextLengthError("long"), "context_length"),
        (UnusableReplyError("odd"), "unusable_reply"),
        (CircuitOpenError("k", 3), "circuit_open"),
        (OVER, "over_budget"),
        (status(429), "rate_limited"),
        (status(401), "authentication"),
        (status(404), "refused"),
        (status(408), "server"),
        (status(503), "server"),
        (openai.APIConnectionError(request=REQUEST), "connection"),
        (anthropic.APITimeoutError(REQUEST), "connection"),
        (TimeoutError(), "connection"),
        (ConnectionResetError(), "connection"),
        (ValueError("bug"), "other"),
        (asyncio.CancelledError(), "other"),
    ],
)
def test_an_error_says_what_kind_of_failure_it_is(error: BaseException, kind: FailureKind) -> None:
    assert failure_of(error).kind == kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_an_sdks_error(headers: dict[str, str], seconds: float | None) -> None:
    assert failure_of(status(429, headers)).retry_after == seconds


def test_a_date_to_come_back_is_read_too() -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    seconds = failure_of(status(429, {"retry-after": when})).retry_after
    assert seconds is not None
    assert 50 < seconds <= 60


def test_only_what_provably_was_not_answered_costs_nothing() -> None:
    assert all(costs_nothing(error) for error in (rate_limited(), server_error(), bad_key(), OVER, status(404)))
    assert not any(costs_nothing(error) for error in (TimeoutError(), ValueError(), UnusableReplyError("odd")))
