import json

import pytest

from autogen_ext.models._shared._text import extract_json, split_thought


def test_a_leading_thought_is_parted_from_the_answer_of_any_model() -> None:
    assert split_thought("\n<think>\n hm \n</think>\n\nYes.", reasoning_model=False) == ("hm", "Yes.")


def test_a_thought_in_the_middle_is_only_parted_for_reasoning_models() -> None:
    text = "So <think>hm</think>Yes"
    assert split_thought(text, reasoning_model=False) == (None, text)
    assert split_thought(text, reasoning_model=True) == ("hm", "Yes")


def test_a_reasoning_model_may_leave_out_the_opening_tag() -> None:
    """Some chat templates put it at the end of the prompt."""
    assert split_thought("hm</think>Yes", reasoning_model=True) == ("hm", "Yes")
    assert split_thought("use </think> to end", reasoning_model=False) == (None, "use </think> to end")


def test_without_a_thought_the_text_stays_as_it_is() -> None:
    assert split_thought("  Yes \n", reasoning_model=True) == (None, "  Yes \n")
    assert split_thought("<think>never ended", reasoning_model=True) == (None, "<think>never ended")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, "}"]}',
        ' \n{"a": [1, "}"]}\n',
        '```json\n{"a": [1, "}"]}\n```',
        '```\n{"a": [1, "}"]}```',
        'Here you are:\n```JSON\n{"a": [1, "}"]}\n```\nAnything else?',
        'Sure: {"a": [1, "}"]} as you asked.',
        'The set {x} is {"a": [1, "}"]}',
    ],
)
def test_json_is_found_bare_fenced_and_between_words(text: str) -> None:
    found = extract_json(text)
    assert found is not None
    assert json.loads(found) == {"a": [1, "}"]}


def test_json_comes_back_as_it_was_written() -> None:
    assert extract_json('```\n{"a":1,  "a":2}\n```') == '{"a":1,  "a":2}'


@pytest.mark.parametrize("text", ["", "no", "{never closed", "```\nprint()\n```", "{" * 10_000])
def test_where_there_is_no_json_there_is_none(text: str) -> None:
    assert extract_json(text) is None


def test_the_second_fence_is_taken_if_the_first_holds_no_json() -> None:
    assert extract_json("```python\nx = {1}\n```\n```json\n[2]\n```") == "[2]"
