"""Two small things in every model's reply: what it used, and why it ended. Stands on the model contract."""

from collections.abc import Callable
from typing import Any

from autogen_core.models import FinishReasons, RequestUsage

from ._usage import DetailedUsage

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


def usage_of(
    prompt_tokens: Any,
    completion_tokens: Any,
    *,
    cached_tokens: Any = None,
    cache_write_tokens: Any = None,
    reasoning_tokens: Any = None,
) -> RequestUsage:
    """Make a usage from what a provider reported; what is missing or no number counts as zero.

    It is a `DetailedUsage` where details were reported.
    """
    prompt, completion = _count(prompt_tokens), _count(completion_tokens)
    cached, written, reasoning = _count(cached_tokens), _count(cache_write_tokens), _count(reasoning_tokens)
    if cached or written or reasoning:
        return DetailedUsage(prompt, completion, cached, written, reasoning)
    return RequestUsage(prompt_tokens=prompt, completion_tokens=completion)


def usage_in_openai_form(usage: Any, get: Callable[[Any, str], Any]) -> RequestUsage:
    """Make a usage from one in the form of OpenAI's chat completions, which many servers share.

    Args:
        usage: As the server sent it.
        get: Returns what an object has under a name, or `None`.
    """
    cached = get(get(usage, "prompt_tokens_details"), "cached_tokens")
    return usage_of(
        get(usage, "prompt_tokens"),
        get(usage, "completion_tokens"),
        # DeepSeek's servers have a name of their own: https://api-docs.deepseek.com/guides/kv_cache
        cached_tokens=get(usage, "prompt_cache_hit_tokens") if cached is None else cached,
        reasoning_tokens=get(get(usage, "completion_tokens_details"), "reasoning_tokens"),
    )


def add_usage(one: RequestUsage, other: RequestUsage) -> RequestUsage:
    """Return the sum of two usages, without their details."""
    return RequestUsage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0
