"""What is sent beside the conversation, and what is refused before anything is sent."""

from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel

from autogen_core.models import ModelInfo, UserMessage
from autogen_core.tools import ToolSchema
from autogen_ext.models.openai._encode import MessageEncoder
from autogen_ext.models.openai._request import Request, RequestBuilder, refuse_arguments

ADD: ToolSchema = {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}}
ADD_SENT: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    },
}
T = TypeVar("T")


class Answer(BaseModel):
    text: str


class Box(BaseModel, Generic[T]):
    inside: T


def build(defaults: dict[str, Any] | None = None, lacking: str = "", **arguments: Any) -> Request:
    """Build a request for a model that can do everything but what is `lacking`."""
    info = ModelInfo(vision=True, function_calling=True, json_output=True, family="unknown", structured_output=True)
    if lacking:
        info = ModelInfo(**{**info, lacking: False})  # pyright: ignore[reportArgumentType] - a key of it
    builder = RequestBuilder(info, MessageEncoder.for_model(info, name_prefixes=False, names=True), defaults or {})
    extra: dict[str, Any] = arguments.get("extra", {})
    include_usage: bool | None = arguments.get("include_usage")
    request = builder.build(
        [UserMessage(content="hi", source="ann")],
        arguments.get("tools", []),
        arguments.get("tool_choice", "auto"),
        arguments.get("json_output"),
        extra,
    )
    return builder.build_stream(request, extra, include_usage) if arguments.get("stream") else request


def test_without_tools_neither_tools_nor_a_choice_is_sent() -> None:
    params = build(tool_choice="required").params
    assert "tools" not in params
    assert "tool_choice" not in params


def test_what_the_client_says_about_tools_is_sent_only_with_tools() -> None:
    """Servers refuse it otherwise, and an agent calls its model with tools and without."""
    configured = {"parallel_tool_calls": False, "tool_choice": "required"}
    assert build(configured).params.keys() == {"messages", "stream"}
    assert build(configured, tools=[ADD]).params["parallel_tool_calls"] is False
    assert build(configured, extra={"tools": [ADD_SENT]}).params["tool_choice"] == "required"


@pytest.mark.parametrize("choice", ["auto", "required", "none"])
def test_tools_are_sent_with_the_choice(choice: str) -> None:
    params = build(tools=[ADD], tool_choice=choice).params
    assert params["tools"] == [ADD_SENT]
    assert params["tool_choice"] == choice


def test_a_certain_tool_is_named() -> None:
    from autogen_core.tools import FunctionTool

    def now() -> str:
        """Tell the time."""
        return "noon"

    tool = FunctionTool(now, "Tells the time.", name="now")
    params = build(tools=[ADD, tool], tool_choice=tool).params
    assert params["tool_choice"] == {"type": "function", "function": {"name": "now"}}


@pytest.mark.parametrize(
    ("lacking", "arguments", "text"),
    [
        ("function_calling", {"tools": [ADD]}, "function calling"),
        ("json_output", {"json_output": True}, "JSON output"),
        ("structured_output", {"json_output": Answer}, "structured output"),
    ],
)
def test_what_the_model_cannot_do_is_an_error(lacking: str, arguments: dict[str, Any], text: str) -> None:
    assert build(**arguments)
    with pytest.raises(ValueError, match=f"Model does not support {text}"):
        build(lacking=lacking, **arguments)


def test_json_output_becomes_a_response_format() -> None:
    assert "response_format" not in build().params
    assert build(json_output=True).params["response_format"] == {"type": "json_object"}
    assert build(json_output=False).params["response_format"] == {"type": "text"}
    structured = build(json_output=Answer)
    assert structured.output is Answer
    assert structured.params["response_format"]["json_schema"]["schema"]["required"] == ["text"]


def test_the_name_of_a_schema_is_one_that_servers_accept() -> None:
    assert build(json_output=Box[int]).params["response_format"]["json_schema"]["name"] == "Box_int_"


@pytest.mark.parametrize("wrong", [3, dict, "yes"])
def test_a_json_output_of_another_kind_is_an_error(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be a boolean or a Pydantic model class"):
        build(json_output=wrong)


def test_the_clients_response_format_holds_unless_the_call_says_otherwise() -> None:
    text = {"response_format": {"type": "text"}}
    assert build(text).params["response_format"] == {"type": "text"}
    assert build(text, json_output=True).params["response_format"] == {"type": "json_object"}
    with pytest.warns(UserWarning, match="json_output is used"):
        assert build(text, json_output=Answer).output is Answer


def test_a_class_as_response_format_is_the_old_way_to_ask_for_structured_output() -> None:
    with pytest.warns(DeprecationWarning, match="Use json_output"):
        request = build(extra={"response_format": Answer})
    assert request.output is Answer


def test_a_schema_in_the_response_format_makes_the_answer_be_read_as_json() -> None:
    schema = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}}
    assert build(schema).wants_json
    assert build(schema).params["response_format"] == schema["response_format"]
    assert not build().wants_json


@pytest.mark.parametrize("name", ["stream", "messages"])
def test_what_the_client_sets_itself_cannot_be_given_to_a_call(name: str) -> None:
    with pytest.raises(ValueError, match="Disallowed create args"):
        build(extra={name: True})


def test_an_extra_argument_that_the_sdk_does_not_know_is_an_error_that_names_the_way() -> None:
    with pytest.raises(ValueError, match=r"Extra create args are invalid: {'top_k'}.*extra_body"):
        build(extra={"top_k": 3})


@pytest.mark.parametrize("name", ["n", "stream", "messages", "functions"])
def test_arguments_that_a_client_cannot_be_configured_with(name: str) -> None:
    with pytest.raises(ValueError, match="Disallowed create args"):
        refuse_arguments({"model": "gpt-4o", name: 1})


def test_a_response_format_that_was_saved_without_a_schema_is_sent_without_one() -> None:
    saved = {"response_format": {"type": "json_object", "json_schema": None}}
    assert refuse_arguments(saved) == {"response_format": {"type": "json_object"}}


def test_stream_options_are_for_streams_only() -> None:
    options = {"stream_options": {"include_usage": True}}
    assert "stream_options" not in build(options).params
    assert build(options, stream=True).params["stream_options"] == {"include_usage": True}
    assert build(extra=options, stream=True).params["stream_options"] == {"include_usage": True}


def test_include_usage_asks_for_usage_and_false_asks_for_nothing() -> None:
    assert build(stream=True, include_usage=True).params["stream_options"] == {"include_usage": True}
    assert "stream_options" not in build(stream=True, include_usage=False).params


@pytest.mark.parametrize(("configured", "asked"), [(True, False), (False, True)])
def test_contradicting_wishes_for_usage_are_an_error(configured: bool, asked: bool) -> None:
    options = {"stream_options": {"include_usage": configured}}
    with pytest.raises(ValueError, match="both set, but differ"):
        build(options, stream=True, include_usage=asked)
    assert build(options, stream=True, include_usage=configured).params["stream_options"] == options["stream_options"]
