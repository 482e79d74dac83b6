"""Two small things in every model's reply: what it used, and why it ended. Stands on the model contract."""

from typing import Any

from autogen_core.models import FinishReasons, RequestUsage

_STOP_REASONS: dict[str, FinishReasons] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "function_calls",
    "tool_use": "function_calls",
    "function_call": "function_calls",
    "function_calls": "function_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "unknown": "unknown",
}


def normalize_stop_reason(reason: str | None, *, has_calls: bool) -> FinishReasons:
    """Translate a provider's reason to end, in any spelling; what nobody knows is `unknown`.

    With tool calls it is `function_calls`, unless the reply was cut short: then the last call may be cut as well.
    """
    normal = _STOP_REASONS.get(reason.lower(), "unknown") if reason else "unknown"
    if has_calls:
        return normal if normal in ("length", "content_filter") else "function_calls"
    return normal


def is_known_stop_reason(reason: str) -> bool:
    """Tell whether a provider's reason to end has a translation."""
    return reason.lower() in _STOP_REASONS


def usage_of(prompt_tokens: Any, completion_tokens: Any) -> RequestUsage:
    """Make a usage from what a provider reported; what is missing or no number counts as zero."""
    return RequestUsage(prompt_tokens=_count(prompt_tokens), completion_tokens=_count(completion_tokens))


def add_usage(one: RequestUsage, other: RequestUsage) -> RequestUsage:
    """Return the sum of two usages."""
    return RequestUsage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0
