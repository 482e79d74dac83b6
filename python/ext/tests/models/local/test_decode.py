"""Reading what models write."""

import json
from typing import Any

import pytest

from autogen_ext.models.local import GenerationError
from autogen_ext.models.local._decode import Reply, read_choice, read_choices, read_written_calls

NAMES = {"get_weather", "get_time"}


def test_a_choice_becomes_a_call() -> None:
    call = read_choice(Reply('{"tool": "get_weather", "arguments": {"city": " São Paulo"}}'), NAMES)
    assert call is not None
    assert (call.name, call.arguments) == ("get_weather", '{"city": "São Paulo"}')
    assert call.id.startswith("call_")


def test_the_choice_to_answer_is_no_call() -> None:
    assert read_choice(Reply('{"tool": "final_answer"}'), NAMES) is None


def test_a_tool_may_be_called_like_the_choice_to_answer() -> None:
    call = read_choice(Reply('{"tool": "final_answer", "arguments": {}}'), {"final_answer"})
    assert call is not None
    assert call.name == "final_answer"


def test_a_choice_that_was_cut_off_is_an_error() -> None:
    with pytest.raises(GenerationError, match="cut off"):
        read_choice(Reply('{"tool": "get_weather", "argum', finish="length"), NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "The weather is fine.",
        "[1]",
        "{}",
        '"tool"',
        "",
        '{"tool": "unknown", "arguments": {}}',
        '{"tool": "get_weather"}',
    ],
)
def test_a_choice_of_another_form_is_an_error(text: str) -> None:
    with pytest.raises(GenerationError, match="could not hold the model to the JSON schema"):
        read_choice(Reply(text, finish="stop"), NAMES)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "get_weather", "arguments": {"city": "Oslo"}}',
        '```json\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n```',
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
        '<think>I need the weather.</think>{"name": "get_weather", "parameters": {"city": "Oslo"}}',
        '{"type": "function", "function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}',
        '{"function": "get_weather", "arguments": {"city": "Oslo"}}',
        '[{"name": "get_weather", "arguments": {"city": "Oslo"}}]',
        'I will look. {"tool": "get_weather", "arguments": {"city": "Oslo"}}',
    ],
)
def test_calls_written_as_text_are_understood(text: str) -> None:
    [call] = read_written_calls(text, {"get_weather"})
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "Oslo"}


def test_several_calls_written_as_text_are_all_understood() -> None:
    text = "".join(f'<tool_call>{{"name": "f", "arguments": {{"n": {n}}}}}</tool_call>\n' for n in range(3))
    assert [json.loads(call.arguments)["n"] for call in read_written_calls(text, {"f"})] == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    ["", "Hello!", '{"name": "other", "arguments": {}}', '{"name": "f", "arguments": [1]}', '{"answer": 42}', "[1, 2]"],
)
def test_json_that_is_no_call_is_none(text: str) -> None:
    assert read_written_calls(text, {"f"}) == []


LISTS: list[tuple[str, list[dict[str, Any]]]] = [
    ("", []),
    ("[", []),
    ('[{"tool": "f", "arguments": {"n": 1}', []),
    ('[{"tool": "f", "arguments": {"n": 1}}', [{"n": 1}]),
    ('[{"tool": "f", "arguments": {"n": 1}}, {"tool": "f", "argum', [{"n": 1}]),
    ('[{"tool": "f", "arguments": {"n": " a"}}, {"tool": "f", "arguments": {}}]', [{"n": "a"}, {}]),
    ('[{"tool": "f", "arguments": {}}, {"tool": "g", "arguments": {}}]', [{}]),
]


@pytest.mark.parametrize(("text", "found"), LISTS)
def test_of_a_list_that_is_being_written_the_complete_calls_are_read(text: str, found: list[dict[str, Any]]) -> None:
    assert [json.loads(call.arguments) for call in read_choices(text, {"f"})] == found
