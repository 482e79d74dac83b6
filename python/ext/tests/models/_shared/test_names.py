import pytest

from autogen_ext.models._shared._names import assert_valid_name, normalize_name


def test_a_name_with_letters_digits_underscores_and_hyphens_is_valid() -> None:
    assert assert_valid_name("get_weather-2") == "get_weather-2"


@pytest.mark.parametrize("name", ["", "two words", "Jürgen", "a.b", "tab\t", "line\n"])
def test_other_characters_are_refused_and_the_name_is_told(name: str) -> None:
    with pytest.raises(ValueError, match="Only letters, numbers, '_' and '-' are allowed") as caught:
        assert_valid_name(name)
    assert name in str(caught.value)


def test_a_name_of_64_characters_is_valid_and_one_more_is_not() -> None:
    assert_valid_name("x" * 64)
    with pytest.raises(ValueError, match="less than 64 characters"):
        assert_valid_name("x" * 65)


def test_a_name_that_a_model_invented_becomes_valid() -> None:
    assert normalize_name("functions.get weather!") == "functions_get_weather_"
    assert len(normalize_name("x" * 100)) == 64
