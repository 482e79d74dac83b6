"""Numbers in the errors of providers. Each text is of the form that the named server or service publishes or writes."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from autogen_ext.models._shared._limits import context_length, retry_after_of


@pytest.mark.parametrize(
    ("text", "body", "numbers"),
    [
        # https://platform.openai.com/docs/guides/error-codes
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 10,010 tokens.",
            {"code": "context_length_exceeded"},
            (8192, 10010),
        ),
        (
            "This model's maximum context length is 4097 tokens, however you requested 5360 tokens (1360 in your prompt).",
            None,
            (4097, 5360),
        ),
        ("Your input exceeds the context window of this model.", {"code": "context_length_exceeded"}, (None, None)),
        # vLLM
        (
            "This model's maximum context length is 4096 tokens and your request has 4100 input tokens.",
            None,
            (4096, 4100),
        ),
        # https://docs.anthropic.com/en/api/errors
        ("prompt is too long: 208310 tokens > 200000 maximum", None, (200000, 208310)),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
            None,
            (200000, 210000),
        ),
        # https://ai.google.dev/gemini-api/docs/troubleshooting
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            None,
            (1048576, 1200000),
        ),
        # Mistral
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            None,
            (32768, 40000),
        ),
        # llama.cpp
        (
            "the request exceeds the available context size, try increasing it",
            {"type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096},
            (4096, 5000),
        ),
        ("request (5000 tokens) exceeds the available context size (4096 tokens)", None, (4096, 5000)),
        # text-generation-inference
        (
            "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 200 `max_new_tokens`",
            None,
            (4096, 4200),
        ),
        ("bad", {"error": {"code": "context_length_exceeded"}}, (None, None)),
    ],
)
def test_a_conversation_that_is_too_long_is_told_with_its_numbers(
    text: str, body: Any, numbers: tuple[int | None, int | None]
) -> None:
    assert context_length(text, body) == numbers


@pytest.mark.parametrize(
    "text", ["", "max_tokens must be at least 1", "Rate limit reached: 30000 tokens per minute", "invalid context"]
)
def test_other_errors_are_about_something_else(text: str) -> None:
    assert context_length(text, {"code": "invalid_request_error"}) is None


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, None, None),
        ({"retry-after": "2"}, None, 2.0),
        ({"retry-after": "0.5"}, None, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, None, 1.5),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "-1"}, None, None),
        ({"retry-after": "nan"}, None, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0.5s"}, None, 360.5),
        ({"x-ratelimit-remaining-tokens": "7", "x-ratelimit-reset-tokens": "6m0s"}, None, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, None, 0.02),
        ({}, {"error": {"details": [{"@type": "RetryInfo", "retryDelay": "30s"}]}}, 30.0),
    ],
)
def test_the_time_to_wait_is_read_from_headers_and_bodies(
    headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    assert retry_after_of(headers, body) == seconds


@pytest.mark.parametrize(("ahead_s", "at_most"), [(60, 60), (-60, 0)])
def test_the_time_to_wait_may_be_a_date(ahead_s: int, at_most: float) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)
    waited = retry_after_of({"retry-after": date})
    assert waited is not None
    assert at_most - 5 <= waited <= at_most
