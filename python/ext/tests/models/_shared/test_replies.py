import pytest

from autogen_core.models import RequestUsage
from autogen_ext.models._shared._replies import add_usage, normalize_stop_reason, usage_of


@pytest.mark.parametrize(
    ("reason", "normal"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "function_calls"),
        ("eos", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_reasons_to_stop_are_translated(reason: str | None, normal: str) -> None:
    assert normalize_stop_reason(reason, has_calls=False) == normal


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call", "odd", None])
def test_a_reply_with_calls_ended_for_them_whatever_the_server_says(reason: str | None) -> None:
    assert normalize_stop_reason(reason, has_calls=True) == "function_calls"


def test_a_reply_that_was_cut_short_says_so_even_with_calls() -> None:
    assert normalize_stop_reason("length", has_calls=True) == "length"


@pytest.mark.parametrize("reported", [None, "many", {}])
def test_a_usage_that_is_no_number_counts_as_zero(reported: object) -> None:
    assert usage_of(reported, 3) == RequestUsage(prompt_tokens=0, completion_tokens=3)


def test_usages_add_up() -> None:
    assert add_usage(RequestUsage(1, 2), RequestUsage(10, 20)) == RequestUsage(11, 22)
