"""A usage with details: it has them for who looks, and is a plain usage for all others."""

import copy
import dataclasses
import json
import pickle
import warnings
from typing import Any

import pytest
from pydantic import TypeAdapter

from autogen_agentchat.messages import TextMessage
from autogen_core.models import CreateResult, RequestUsage
from autogen_ext.models._shared._flow import get
from autogen_ext.models._shared._replies import usage_in_openai_form, usage_of
from autogen_ext.models._shared._usage import DetailedUsage, detailed

PLAIN = RequestUsage(prompt_tokens=10, completion_tokens=5)
USAGE = DetailedUsage(10, 5, cached_tokens=4, reasoning_tokens=2)


def test_it_equals_the_plain_usage_with_its_two_numbers() -> None:
    assert PLAIN == USAGE
    assert USAGE == PLAIN
    assert RequestUsage(10, 6) != USAGE
    assert RequestUsage(11, 5) != USAGE
    assert USAGE != (10, 5)


def test_two_with_different_details_differ() -> None:
    assert DetailedUsage(10, 5, 4, 0, 2) == USAGE
    assert DetailedUsage(10, 5, 4) != USAGE


def test_programs_that_take_it_apart_see_the_two_numbers() -> None:
    assert dataclasses.asdict(USAGE) == dataclasses.asdict(PLAIN)
    assert RequestUsage(**dataclasses.asdict(USAGE)) == PLAIN
    assert dataclasses.replace(USAGE, prompt_tokens=1) == RequestUsage(1, 5)
    assert [field.name for field in dataclasses.fields(USAGE)] == ["prompt_tokens", "completion_tokens"]


def test_its_json_is_that_of_a_plain_usage_in_results_and_messages() -> None:
    def dumps(usage: RequestUsage) -> list[Any]:
        result = CreateResult(finish_reason="stop", content="x", usage=usage, cached=False)
        message = TextMessage(content="x", source="a", models_usage=usage)
        return [
            TypeAdapter(RequestUsage).dump_python(usage, mode="json"),
            result.model_dump(),
            json.loads(result.model_dump_json()),
            message.dump()["models_usage"],
            json.loads(message.model_dump_json())["models_usage"],
        ]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dumps(USAGE) == dumps(PLAIN)


def test_a_result_and_a_copy_keep_the_details() -> None:
    result = CreateResult(finish_reason="stop", content="x", usage=USAGE, cached=False)
    assert result.usage is USAGE
    for copied in (copy.copy(USAGE), copy.deepcopy(USAGE), pickle.loads(pickle.dumps(USAGE))):
        assert isinstance(copied, DetailedUsage)
        assert copied == USAGE


def test_its_text_names_the_details_that_there_are() -> None:
    assert repr(USAGE) == "DetailedUsage(prompt_tokens=10, completion_tokens=5, cached_tokens=4, reasoning_tokens=2)"


def test_like_a_plain_usage_it_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(USAGE)


def test_details_are_zero_where_there_are_none() -> None:
    assert vars(detailed(PLAIN)) == vars(DetailedUsage(10, 5))
    assert detailed(USAGE) is USAGE


@pytest.mark.parametrize("nothing", [None, 0, "many", {}])
def test_without_reported_details_it_is_a_plain_usage(nothing: object) -> None:
    usage = usage_of(1, 2, cached_tokens=nothing, cache_write_tokens=nothing, reasoning_tokens=nothing)
    assert type(usage) is RequestUsage


@pytest.mark.parametrize(
    ("reported", "details"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}, (4, 2)),
        ({"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": None}, (4, 0)),
        ({"prompt_tokens_details": {}, "completion_tokens_details": {"reasoning_tokens": 2}}, (0, 2)),
        ({"prompt_tokens_details": [], "completion_tokens_details": "none"}, (0, 0)),
        ({"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6}, (4, 0)),
        ({"prompt_cache_hit_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}, (3, 0)),
        ({}, (0, 0)),
    ],
)
def test_openais_form_is_read_as_far_as_a_server_fills_it(reported: dict[str, Any], details: tuple[int, int]) -> None:
    usage = detailed(usage_in_openai_form({"prompt_tokens": 10, "completion_tokens": 5, **reported}, get))
    assert (usage.cached_tokens, usage.reasoning_tokens) == details
    assert usage == PLAIN
