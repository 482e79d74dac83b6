"""What is judged by words: which tools a request is about, and which calls were made up."""

from typing import Any

import pytest

from autogen_ext.models._shared._tools import ToolSpec
from autogen_ext.models.local._decode import new_call
from autogen_ext.models.local._relevance import concerned, is_quoted, is_unfounded

TOOLS = [
    ToolSpec(name, description, {}, strict=False)
    for name, description in (
        ("get_weather", "Get the weather for a city."),
        ("send_email", "Send an email to a person."),
        ("createReminder", "Create a reminder."),
        ("get_time", "Return the current time."),
    )
]


@pytest.mark.parametrize(
    ("request_text", "names"),
    [
        ("What is the weather in Rome?", ["get_weather"]),
        ("Mail Carol, please", ["send_email"]),
        ("Remind me at noon", ["createReminder"]),
        ("Tell me the current time", ["get_time"]),
        ("Is it cold in Berlin?", []),
        ("", []),
        ("What is it for me, please?", []),
        ("Weather and time, please", ["get_weather", "get_time"]),
    ],
)
def test_the_words_of_a_request_tell_its_tools(request_text: str, names: list[str]) -> None:
    assert [tool.name for tool in concerned(TOOLS, request_text)] == names


def test_the_order_of_tools_does_not_matter() -> None:
    for start in range(len(TOOLS)):
        turned = TOOLS[start:] + TOOLS[:start]
        assert [tool.name for tool in concerned(turned, "What is the weather in Rome?")] == ["get_weather"]


@pytest.mark.parametrize(
    ("arguments", "request_text", "unfounded"),
    [
        ({"city": "Oslo"}, "Is it cold in Oslo?", False),
        ({"city": "são paulo"}, "Rain in São Paulo, or sun?", False),
        ({"city": "東京"}, "東京は晴れていますか", False),
        ({"a": 17, "b": 25}, "What is 17 plus 25?", False),
        ({"to": "Bob", "body": "Dear Sir"}, "Say hello to Bob, will you", False),
        ({"city": "London"}, "What is the weather?", False),
        ({"expression": "8 * 9 = 72"}, "How much is 8 times 9?", False),
        ({"query": "Google the best pizza in Naples"}, "Google the best pizza in Naples", False),
        ({"city": "London"}, "Hello!", True),
        ({"city": "Good morning"}, "Good morning", True),
        ({"city": "your_name"}, "What is your name?", True),
        ({"city": "land"}, "Is it cold in Finland today?", True),
        ({}, "Tell me a joke.", True),
    ],
)
def test_a_call_that_nothing_in_the_request_speaks_for_is_unfounded(
    arguments: dict[str, Any], request_text: str, unfounded: bool
) -> None:
    assert is_unfounded(new_call("get_weather", arguments), TOOLS, request_text) is unfounded


@pytest.mark.parametrize(
    ("arguments", "request_text", "quoted"),
    [
        ({"city": "rome"}, "The weather in Paris and Rome", True),
        ({"city": "東京"}, "東京は晴れていますか", True),
        ({"city": "Oslo", "days": 3}, "Oslo, 3 days", True),
        ({"city": "Oslo", "days": 3}, "Oslo, 30 days", False),
        ({"city": "land"}, "Is it cold in Finland today?", False),
        ({"city": "Paris"}, "Is it cold in Rome?", False),
        ({}, "The weather, please", True),
        ({}, "Hello!", False),
    ],
)
def test_a_further_call_must_be_in_the_request_word_for_word(
    arguments: dict[str, Any], request_text: str, quoted: bool
) -> None:
    assert is_quoted(new_call("get_weather", arguments), TOOLS, request_text) is quoted
