"""Reads the limits that providers speak of: how long a context is, and how long to wait. Stands on nothing.

Providers put these numbers into sentences, headers and fields of many forms; each pattern here was published by one.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

_N = r"(\d[\d,]*)"
_TOO_LONG: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), names)
    for pattern, names in (
        # OpenAI, vLLM, OpenRouter
        (rf"maximum context length is {_N}.*?(?:requested|resulted in)\D*?{_N}", ("limit", "requested")),
        (rf"maximum context length is {_N}.*?request has {_N} input tokens", ("limit", "requested")),
        (rf"maximum context length is {_N}", ("limit",)),
        # Anthropic
        (rf"prompt is too long: {_N} tokens > {_N} maximum", ("requested", "limit")),
        (rf"input length and `max_tokens` exceed context limit: {_N} \+ {_N} > {_N}", ("part", "part", "limit")),
        # Gemini
        (rf"input token count \(?{_N}\)? exceeds the maximum number of tokens allowed \(?{_N}", ("requested", "limit")),
        # Mistral
        (rf"prompt contains {_N} tokens.*?too large for model with {_N}", ("requested", "limit")),
        # llama.cpp, whose numbers also come in fields
        (rf"request \({_N} tokens\) exceeds the available context size \({_N}", ("requested", "limit")),
        (r"exceeds? the available context size", ()),
        # text-generation-inference
        (rf"must be <= {_N}\. Given: {_N} `inputs` tokens and {_N} `max_new_tokens`", ("limit", "part", "part")),
        # LM Studio
        (rf"first {_N} tokens when context the overflows.*?context length of only {_N}", ("requested", "limit")),
        # Bedrock, and others without numbers
        (r"input is too long for requested model", ()),
        (r"exceeds? the (?:model'?s )?(?:maximum )?context (?:window|length)", ()),
        (r"context[_ ](?:length|window|size)[_ ]exceeded|exceed_context_size", ()),
    )
)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def context_length(text: str, body: object = None) -> tuple[int | None, int | None] | None:
    """Tell whether an error says that a conversation is too long for the model.

    Args:
        text: The error's text, and what codes it has.
        body: The error's fields, where it came as JSON.

    Returns:
        What the model takes and what was asked for, in tokens, each `None` if the provider did not say; `None` if the
        error is about something else.
    """
    fields = _fields(body)
    haystack = f"{text} {fields.get('code') or ''} {fields.get('type') or ''}"
    for pattern, names in _TOO_LONG:
        found = pattern.search(haystack)
        if found is not None:
            numbers = [int(group.replace(",", "")) for group in found.groups()]
            values = dict(zip(names, numbers, strict=False))
            parts = [number for name, number in zip(names, numbers, strict=False) if name == "part"]
            limit = values.get("limit", _int(fields.get("n_ctx")))
            requested = sum(parts) if parts else values.get("requested", _int(fields.get("n_prompt_tokens")))
            return limit, requested
    return None


def retry_after_of(headers: Mapping[str, str], body: object = None) -> float | None:
    """Return how many seconds a provider asks to wait, if it says so in a header or in an error's fields."""
    milliseconds = _float(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    stated = headers.get("retry-after", "")
    seconds = _float(stated)
    if seconds is None and stated:
        seconds = _until(stated)
    if seconds is None:
        seconds = _delay_in(body)
    return _reset_of(headers) if seconds is None else seconds


def _reset_of(headers: Mapping[str, str]) -> float | None:
    """Return when the limits that are used up begin anew; there may be one for requests and one for tokens."""
    waits = [
        _duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _delay_in(body: object) -> float | None:
    """Return Google's `retryDelay`, wherever in the error it stands."""
    found = re.search(r'"retryDelay":\s*"([^"]+)"', json.dumps(body, default=str)) if body else None
    return _duration(found[1]) if found else None


def _duration(text: str) -> float | None:
    """Read `1m30.5s`, `20ms` or a bare number of seconds."""
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text.strip():
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return None


def _float(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _fields(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {}
    fields = cast("dict[str, Any]", body)
    inner = fields.get("error")
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else fields
