"""Families of models, and what must be known about a model."""

from typing import Any, cast, get_args

import pytest

from autogen_core.models import ModelFamily, ModelInfo, validate_model_info

MAKERS = {
    "is_openai": "gpt-5 gpt-41 gpt-45 gpt-4o o1 o3 o4 gpt-4 gpt-35",
    "is_gemini": "gemini-1.5-flash gemini-1.5-pro gemini-2.0-flash gemini-2.5-pro gemini-2.5-flash",
    "is_claude": "claude-3-haiku claude-3-sonnet claude-3-opus claude-3-5-haiku claude-3-5-sonnet claude-3-7-sonnet "
    "claude-4-opus claude-4-sonnet",
    "is_llama": "llama-3.3-8b llama-3.3-70b llama-4-scout llama-4-maverick",
    "is_mistral": "codestral open-codestral-mamba mistral ministral pixtral",
    "none": "r1 unknown claude-9 gpt-9",
}
COMPLETE: ModelInfo = {
    "vision": True,
    "function_calling": True,
    "json_output": True,
    "family": "a family of tomorrow",
    "structured_output": True,
}


@pytest.mark.parametrize(
    ("family", "maker"), [(family, maker) for maker, names in MAKERS.items() for family in names.split()]
)
def test_a_family_belongs_to_one_maker_and_an_unknown_one_to_none(family: str, maker: str) -> None:
    tests = [name for name in MAKERS if name != "none"]
    assert [name for name in tests if getattr(ModelFamily, name)(family)] == ([] if maker == "none" else [maker])


def test_each_constant_is_listed_and_the_other_way_round() -> None:
    constants = {value for name, value in vars(ModelFamily).items() if name.isupper() and isinstance(value, str)}
    assert constants == set(get_args(ModelFamily.ANY))


def test_the_names_of_families_are_not_instantiated() -> None:
    with pytest.raises(TypeError):
        ModelFamily()


def test_a_complete_description_of_any_family_is_fine() -> None:
    validate_model_info(COMPLETE)


@pytest.mark.parametrize("missing", ["vision", "function_calling", "json_output", "family"])
def test_a_description_that_lacks_something_is_refused_by_name(missing: str) -> None:
    incomplete = {key: value for key, value in COMPLETE.items() if key != missing}
    with pytest.raises(ValueError, match=missing):
        validate_model_info(cast("Any", incomplete))


def test_a_description_of_before_structured_output_is_warned_of() -> None:
    old = {key: value for key, value in COMPLETE.items() if key != "structured_output"}
    with pytest.warns(UserWarning, match="structured_output"):
        validate_model_info(cast("Any", old))
