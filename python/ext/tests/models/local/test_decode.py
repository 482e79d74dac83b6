"""Reading what models write."""

import json
from typing import Any

import pytest

from autogen_core import FunctionCall
from autogen_ext.models.local import GenerationError
from autogen_ext.models.local._decode import new_call, read_choice, read_written_calls, seems_invented


def test_a_choice_becomes_a_call() -> None:
    call = read_choice('{"tool": "get_weather", "arguments": {"city": " São Paulo"}}')
    assert call is not None
    assert (call.name, call.arguments) == ("get_weather", '{"city": "São Paulo"}')
    assert call.id.startswith("call_")


def test_the_choice_to_answer_is_no_call() -> None:
    assert read_choice('{"tool": "final_answer"}') is None


def test_a_choice_that_was_cut_off_is_an_error() -> None:
    with pytest.raises(GenerationError, match="did not finish its tool call"):
        read_choice('{"tool": "get_weather", "argum')


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


@pytest.mark.parametrize(
    ("arguments", "request_text", "invented"),
    [
        ({"city": "Oslo"}, "What is the weather in Oslo?", False),
        ({"city": "são paulo"}, "Weather in São Paulo, please", False),
        ({"a": 17, "b": 25}, "What is 17 plus 25?", False),
        ({"to": "Bob", "body": "Dear Sir"}, "Send an email to Bob saying hello", False),
        ({"city": "London"}, "Hello!", True),
        ({"city": "Good morning"}, "Good morning", True),
        ({"city": "land"}, "What is the weather in Finland today?", True),
        ({}, "What time is it?", True),
    ],
)
def test_a_call_without_anything_of_the_request_seems_invented(
    arguments: dict[str, Any], request_text: str, invented: bool
) -> None:
    call: FunctionCall = new_call("f", arguments)
    assert seems_invented(call, request_text) is invented
