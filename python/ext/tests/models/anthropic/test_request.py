"""Requests are checked before they are sent, and fit the installed SDK whatever its version."""

from typing import Any

import pytest
from pydantic import BaseModel, Field

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models.anthropic import _request
from autogen_ext.models.anthropic._encode import MessageEncoder
from autogen_ext.models.anthropic._request import RequestBuilder, check_arguments

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]
ABLE = ModelInfo(vision=True, function_calling=True, json_output=True, family="unknown", structured_output=True)
UNABLE = ModelInfo(vision=False, function_calling=False, json_output=False, family="unknown", structured_output=False)
THINK = {"type": "enabled", "budget_tokens": 2000}


class Answer(BaseModel):
    """What was found."""

    number: int = Field(ge=0)


class Node(BaseModel):
    children: list["Node"] = []


def add(a: int) -> int:
    """Add nothing."""
    return a


ADD = FunctionTool(add, "Adds.", name="add")
NAMED_ANSWER = FunctionTool(add, "Answers.", name="Answer")


def builder(info: ModelInfo = ABLE, *, schemas: bool = False, **defaults: Any) -> RequestBuilder:
    return RequestBuilder(info, MessageEncoder.for_model(info, ""), {"model": "m", **defaults}, schemas=schemas)


def build(made: RequestBuilder, **arguments: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"tools": [], "tool_choice": "auto", "json_output": None, "extra": {}, **arguments}
    return made.build(asked.pop("messages", HI), **asked).params


def test_what_the_model_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="function calling"):
        build(builder(UNABLE), tools=[ADD])
    with pytest.raises(ValueError, match="JSON output"):
        build(builder(UNABLE), json_output=True)
    with pytest.raises(ValueError, match="structured output"):
        build(builder(UNABLE), json_output=Answer)
    with pytest.raises(ValueError, match="json_output must be"):
        build(builder(), json_output="yes")


def test_arguments_that_the_client_sets_itself_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Disallowed create args are present: \{'stream'\}"):
        check_arguments({"model": "m", "stream": True})
    with pytest.raises(ValueError, match=r"Disallowed create args are present: \{'messages'\}"):
        build(builder(), extra={"messages": []})


def test_an_unknown_argument_is_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="ignored: foo"):
        assert "foo" not in build(builder(), extra={"foo": 1})


def test_arguments_of_a_call_win_over_those_of_the_client() -> None:
    params = build(builder(max_tokens=10, stop_sequences=["a"]), extra={"stop_sequences": ["b"], "max_tokens": None})
    assert (params["stop_sequences"], params["max_tokens"]) == (["b"], 4096)


@pytest.mark.parametrize("newer", [True, False])
def test_sampling_arguments_arrive_through_any_version_of_the_sdk(newer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """See https://platform.claude.com/docs/en/api/versioning."""
    named = _request.sdk_arguments() - set(_request.SAMPLING)
    monkeypatch.setattr(_request, "sdk_arguments", lambda: named if newer else named | set(_request.SAMPLING))
    params = build(builder(temperature=0.5), extra={"top_p": 0.9})
    if newer:
        assert params["extra_body"] == {"temperature": 0.5, "top_p": 0.9}
        assert params["extra_headers"] == {"anthropic-version": "2023-06-01"}
    else:
        assert (params["temperature"], params["top_p"]) == (0.5, 0.9)
        assert "extra_headers" not in params


def test_the_apis_own_temperature_is_not_sent() -> None:
    """0.7.5 saved it with every client, and newer models refuse it."""
    params = build(builder(temperature=1.0, top_p=None))
    assert params.keys() == {"model", "max_tokens", "messages"}


def test_what_the_user_puts_into_the_body_wins() -> None:
    params = build(
        builder(temperature=0.5, extra_body={"novelty": 1}), extra={"extra_headers": {"anthropic-version": "x"}}
    )
    assert params["extra_body"]["novelty"] == 1
    assert params["extra_headers"] == {"anthropic-version": "x"}


def test_the_length_of_an_answer_has_room_for_thoughts() -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/extended-thinking."""
    params = build(builder(thinking={**THINK, "display": None}))
    assert params["thinking"] == THINK
    assert params["max_tokens"] == 4096 + 2000
    assert build(builder(thinking=THINK, max_tokens=3000))["max_tokens"] == 3000


def test_thinking_does_not_go_with_a_forced_call() -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use."""
    with pytest.raises(ValueError, match="adaptive"):
        build(builder(thinking=THINK), tools=[ADD], tool_choice="required")
    assert build(builder(thinking={"type": "adaptive"}), tools=[ADD], tool_choice="required")["tool_choice"] == {
        "type": "any"
    }


def test_a_structured_answer_is_not_forced_while_thinking() -> None:
    params = build(builder(thinking=THINK), json_output=Answer)
    assert params["tool_choice"] == {"type": "auto"}
    assert params["system"] == "Give your answer by calling the tool Answer."


def test_thinking_is_left_out_where_its_beginning_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    messages: list[LLMMessage] = [
        *HI,
        AssistantMessage(content=[FunctionCall("c1", "{}", "add")], source="agent"),
        FunctionExecutionResultMessage(content=[FunctionExecutionResult(content="1", name="add", call_id="c1")]),
    ]
    assert "thinking" not in build(builder(thinking=THINK), messages=messages, tools=[ADD])
    assert "without thinking" in caplog.text
    assert "thinking" in build(builder(thinking={"type": "adaptive"}), messages=messages, tools=[ADD])


def test_configured_tools_and_choices_stand_until_a_call_says_otherwise() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    made = builder(tools=[search], tool_choice="any")
    assert build(made)["tools"] == [search]
    assert build(made)["tool_choice"] == {"type": "any"}
    params = build(made, tools=[ADD], tool_choice="none")
    assert [tool["name"] for tool in params["tools"]] == ["web_search", "add"]
    assert params["tool_choice"] == {"type": "none"}
    assert build(builder(tools=[search], tool_choice={"type": "auto"}))["tool_choice"] == {"type": "auto"}


def test_the_tool_of_an_answer_has_a_name_of_its_own() -> None:
    params = build(builder(), tools=[NAMED_ANSWER], json_output=Answer)
    assert [tool["name"] for tool in params["tools"]] == ["Answer", "Answer_answer"]
    assert params["tools"][1]["description"] == "Gives the answer. What was found."


def test_a_call_that_is_demanded_comes_before_an_answer() -> None:
    params = build(builder(), tools=[ADD], tool_choice="required", json_output=Answer)
    assert [tool["name"] for tool in params["tools"]] == ["add"]


def test_what_the_api_cannot_enforce_is_asked_for_as_a_call() -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations."""
    params = build(builder(schemas=True), json_output=Node)
    assert "output_config" not in params
    assert params["tool_choice"] == {"type": "tool", "name": "Node"}


def test_an_enforced_schema_keeps_other_settings_of_the_output() -> None:
    params = build(builder(schemas=True, output_config={"effort": "low"}), json_output=Answer)
    sent = {**params, **params.get("extra_body", {})}["output_config"]  # older versions of the SDK do not name it
    assert sent["effort"] == "low"
    number = sent["format"]["schema"]["properties"]["number"]
    assert number == {"title": "Number", "type": "integer", "description": "minimum: 0"}


@pytest.mark.parametrize(("json_output", "asked"), [(None, True), (False, False), (True, True)])
def test_the_clients_form_of_answers_stands_until_a_call_says_otherwise(json_output: Any, asked: bool) -> None:
    params = build(builder(response_format={"type": "json_object"}), json_output=json_output)
    assert ("system" in params) is asked
    assert "response_format" not in params
