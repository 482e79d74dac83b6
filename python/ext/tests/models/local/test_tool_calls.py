"""Tool calls by the default model, temperature 0: which tool, which arguments, and the sentence after the result.

The model is deterministic, so these are facts about it and our prompts, not luck; they fail when a prompt gets worse.
"""

import json
import re
from typing import Any

import pytest

from autogen_core.models import CreateResult, SystemMessage
from autogen_core.tools import FunctionTool, ToolSchema
from autogen_ext.models.local import LocalChatCompletionClient
from autogen_ext.models.local._decode import new_call
from autogen_ext.models.local._engine import Engine
from autogen_ext.models.local._recipe import manner_of

from .kit import DICE, FLIGHT, WEATHER, after, call_of, get_weather, text_of, user

CITIES = (
    "Paris",
    "São Paulo",
    "New York",
    "Tokyo",
    "Oslo",
    "Buenos Aires",
    "Beijing",
    "Zürich",
    "Rio de Janeiro",
    "Cairo",
)
QUESTIONS = ("What is the weather in {}?", "What's the weather like in {} today?", "Do I need an umbrella in {}?")


async def test_the_weather_tool_is_called_with_the_right_city(client: LocalChatCompletionClient) -> None:
    """At least nine of ten; with other processors rounding differs, and so may the odd close decision."""
    called: list[tuple[str, object]] = []
    for index, city in enumerate(CITIES):
        question = QUESTIONS[index % len(QUESTIONS)].format(city)
        call = call_of(await client.create([user(question)], tools=[WEATHER]))
        called.append((call.name, json.loads(call.arguments)))
    right = [("get_weather", {"city": city}) for city in CITIES]
    assert sum(one == other for one, other in zip(called, right, strict=True)) >= len(CITIES) - 1, called


async def test_the_same_request_gives_the_same_call_each_time(client: LocalChatCompletionClient) -> None:
    calls = [
        call_of(await client.create([user("What is the weather in New York?")], tools=[WEATHER])) for _ in range(5)
    ]
    assert {call.arguments for call in calls} == {'{"city": "New York"}'}
    assert len({call.id for call in calls}) == 5


@pytest.mark.parametrize("city", ["Paris", "São Paulo", "New York", "Tokyo"])
async def test_the_closing_answer_is_one_sentence_with_the_result(client: LocalChatCompletionClient, city: str) -> None:
    call = new_call("get_weather", {"city": city})
    question = f"What is the weather in {city}?"
    system = SystemMessage(content="You work at a weather desk. Use your tools.")
    result = await client.create([system, *after(question, call, get_weather(city))])
    text = text_of(result)
    assert result.finish_reason == "stop"
    assert all(fact in text for fact in (city, "23", "sunny"))
    assert len(re.findall(r"[.!?](?:\s|$)", text)) == 1
    assert "\n" not in text.strip()


async def test_after_a_result_the_tool_is_not_called_again(client: LocalChatCompletionClient) -> None:
    call = new_call("get_weather", {"city": "Oslo"})
    messages = after("What is the weather in Oslo?", call, "It is raining in Oslo.")
    assert "rain" in text_of(await client.create(messages, tools=[WEATHER]))


async def test_a_result_in_json_is_put_into_words(client: LocalChatCompletionClient) -> None:
    call = new_call("get_weather", {"city": "Paris"})
    messages = after("Tell me the weather in Paris.", call, '{"city": "Paris", "temperature": 12, "sky": "cloudy"}')
    text = text_of(await client.create(messages))
    assert "cloudy" in text
    assert "{" not in text


async def test_among_several_tools_the_right_one_is_called(client: LocalChatCompletionClient) -> None:
    tools = [FLIGHT, WEATHER, DICE]
    assert call_of(await client.create([user("What is the weather in Rome?")], tools=tools)).name == "get_weather"
    flight = call_of(await client.create([user("Find a flight from Oslo to Rome.")], tools=tools))
    assert (flight.name, json.loads(flight.arguments)) == ("find_flight", {"origin": "Oslo", "destination": "Rome"})


@pytest.mark.parametrize("message", ["Hello!", "Good morning", "Thank you very much!"])
async def test_small_talk_calls_no_tool(client: LocalChatCompletionClient, message: str) -> None:
    result = await client.create([user(message)], tools=[WEATHER], extra_create_args={"max_tokens": 8})
    assert text_of(result)


async def test_a_required_tool_is_called_whatever_is_said(client: LocalChatCompletionClient) -> None:
    call = call_of(await client.create([user("Hello!")], tools=[WEATHER, DICE], tool_choice="required"))
    assert call.name in ("get_weather", "roll_dice")
    assert isinstance(json.loads(call.arguments), dict)


async def test_a_certain_tool_is_called_whatever_is_said(client: LocalChatCompletionClient) -> None:
    result = await client.create(
        [user("What is the weather in Rome?")], tools=[WEATHER, DICE, FLIGHT], tool_choice=DICE
    )
    call = call_of(result)
    assert call.name == "roll_dice"
    assert isinstance(json.loads(call.arguments)["sides"], int)


async def test_without_permission_no_tool_is_called(client: LocalChatCompletionClient) -> None:
    result = await client.create(
        [user("What is the weather in Rome?")],
        tools=[WEATHER],
        tool_choice="none",
        extra_create_args={"max_tokens": 8},
    )
    assert text_of(result)


async def test_a_stream_with_a_call_yields_only_the_result(client: LocalChatCompletionClient) -> None:
    items = [item async for item in client.create_stream([user("What is the weather in Rome?")], tools=[WEATHER])]
    assert len(items) == 1
    assert isinstance(items[0], CreateResult)
    assert call_of(items[0]).name == "get_weather"


async def test_choices_that_make_no_sense_are_refused(client: LocalChatCompletionClient) -> None:
    choices: list[tuple[list[Any], Any, str]] = [
        ([WEATHER], DICE, "not in the provided tools"),
        ([], DICE, "no tools provided"),
        ([], "required", "there are no tools"),
        ([WEATHER], "perhaps", "must be"),
    ]
    for tools, choice, reason in choices:
        with pytest.raises(ValueError, match=reason):
            await client.create([user("Hello!")], tools=tools, tool_choice=choice)


async def test_arguments_follow_the_schema_of_the_tool(client: LocalChatCompletionClient) -> None:
    schema: ToolSchema = {
        "name": "paint",
        "description": "Paint a thing.",
        "parameters": {
            "type": "object",
            "properties": {
                "colour": {"type": "string", "enum": ["red", "green", "blue"]},
                "at": {"$ref": "#/$defs/Point"},
                "times": {"type": "integer", "minimum": 1, "maximum": 3},
            },
            "required": ["colour", "at", "times"],
            "$defs": {  # pyright: ignore[reportAssignmentType] - schemas made by pydantic have it
                "Point": {
                    "type": "object",
                    "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
                    "required": ["x", "y"],
                    "additionalProperties": False,
                }
            },
        },
    }
    result = await client.create([user("Paint it green at 3, 4.")], tools=[schema], tool_choice="required")
    arguments = json.loads(call_of(result).arguments)
    assert arguments["colour"] in ("red", "green", "blue")
    assert set(arguments["at"]) == {"x", "y"}
    assert 1 <= arguments["times"] <= 3


async def test_a_tool_without_parameters_can_be_called(client: LocalChatCompletionClient) -> None:
    def get_time() -> str:
        return "14:32"

    tool = FunctionTool(get_time, description="Return the current time.")
    call = call_of(await client.create([user("What time is it?")], tools=[tool]))
    assert (call.name, call.arguments) == ("get_time", "{}")


async def test_a_later_question_is_answered_by_a_call_again(client: LocalChatCompletionClient) -> None:
    call = new_call("get_weather", {"city": "Oslo"})
    messages = [*after("What is the weather in Oslo?", call, "Rain."), user("And what is the weather in Rome?")]
    assert json.loads(call_of(await client.create(messages, tools=[WEATHER])).arguments) == {"city": "Rome"}


def test_the_default_model_is_treated_as_one_of_the_smallest(engine: Engine) -> None:
    manner = manner_of(engine, "auto")
    assert manner.tiny
    assert not manner.native


async def test_a_template_without_tools_still_answers_when_asked_to_call_natively() -> None:
    client = LocalChatCompletionClient(tool_calling="native", max_tokens=8)
    result = await client.create([user("What is the weather in Rome?")], tools=[WEATHER])
    assert result.content
    required = await client.create([user("What is the weather in Rome?")], tools=[WEATHER], tool_choice="required")
    assert call_of(required).name == "get_weather"
