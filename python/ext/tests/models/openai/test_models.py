import warnings

import pytest

from autogen_core.models import ModelFamily, validate_model_info
from autogen_ext.models.openai import _models
from autogen_ext.models.openai._models import (
    ALIASES,
    MODELS,
    UNKNOWN_CONTEXT,
    context_of,
    endpoint_of,
    info_of,
    resolve,
)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("gpt-4o-2029-01-01", "gpt-4o-2024-08-06"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
        ("openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("models/gemini-2.0-flash", "gemini-2.0-flash"),
        ("ft:gpt-4o-mini-2024-07-18:us::abc", "gpt-4o-mini-2024-07-18"),
        ("gpt-4o-something-else", "gpt-4o-something-else"),
        ("qwen3:8b", "qwen3:8b"),
    ],
)
def test_a_name_is_resolved_to_a_line_of_the_table_or_stays(name: str, full: str) -> None:
    assert resolve(name) == full


def test_every_alias_leads_to_a_model() -> None:
    assert set(ALIASES.values()) <= MODELS.keys()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_is_described_in_full(name: str) -> None:
    info = info_of(name)
    validate_model_info(info)
    assert info["family"] != ModelFamily.UNKNOWN
    assert context_of(name) >= 4096


def test_known_facts() -> None:
    assert info_of("gpt-4o")["structured_output"]
    assert not info_of("gpt-4o-2024-05-13")["structured_output"]
    assert not info_of("o1-mini")["function_calling"]
    assert not info_of("gemini-2.0-flash").get("multiple_system_messages")
    assert context_of("gpt-4.1-mini") == 1_047_576


def test_an_unknown_model_calls_tools_and_no_more_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_models, "_warned_of", set[str]())
    with pytest.warns(UserWarning, match="'our-own' is not known.*model_info") as caught:
        info = info_of("our-own")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert info_of("our-own") == info
    assert info["function_calling"]
    assert [info["vision"], info["json_output"], info["structured_output"]] == [False] * 3
    assert context_of("our-own") == UNKNOWN_CONTEXT


def test_changing_an_answer_does_not_change_the_table() -> None:
    info_of("gpt-4o")["vision"] = False
    assert info_of("gpt-4o")["vision"]


def test_some_makers_serve_their_models_themselves() -> None:
    assert endpoint_of("gemini-9-new").key_variable == "GEMINI_API_KEY"
    assert endpoint_of("claude-3-5-sonnet-20241022").base_url == "https://api.anthropic.com/v1/"
    assert endpoint_of("gpt-4o").base_url is None
