"""Structured answers and JSON mode: by the API's own means, by a call of a tool, or by asking."""

import anthropic
import pytest
from pydantic import BaseModel, ValidationError

from autogen_core.models import LLMMessage, SystemMessage, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models import errors

from .canned import CannedServer, text, tool_use
from .conftest import MakeClient, Whole, reply

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool(add, "Adds.", name="add")


class Answer(BaseModel):
    text: str


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-opus-4-1"])
@pytest.mark.parametrize("words", ['{"text": "x"}', '```json\n{"text": "x"}\n```', 'Here: {"text": "x"}'])
async def test_a_structured_answer_is_json_of_the_class(
    server: CannedServer, make_client: MakeClient, ask: Whole, words: str, model: str
) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/structured-outputs."""
    server.queue(reply(ask, text(words)))
    result = await ask(make_client(model=model), HI, json_output=Answer)
    assert result.content == '{"text": "x"}'
    schema = {
        "type": "object",
        "title": "Answer",
        "properties": {"text": {"type": "string", "title": "Text"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    if model == "claude-opus-5-5":
        assert server.body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
        assert "tools" not in server.body
    else:
        tool = server.body["tools"][0]
        assert (tool["name"], tool["input_schema"]) == ("Answer", schema)
        assert server.body["tool_choice"] == {"type": "tool", "name": "Answer"}


async def test_a_model_without_schemas_answers_by_calling_a_tool(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    """See https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools#forcing-tool-use."""
    server.queue(reply(ask, tool_use("Answer", {"text": "x"}), stop="tool_use"))
    client = make_client(model="claude-opus-4-1")
    result = await ask(client, HI, json_output=Answer, tools=[ADD])
    assert server.body["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in server.body["tools"]] == ["add", "Answer"]
    assert result.content == '{"text": "x"}'
    assert result.finish_reason == "stop"
    assert "".join(ask.pieces) == ('{"text": "x"}' if ask.streams else "")
    assert result.provider_data is None


async def test_an_answer_that_does_not_fit_the_class_is_an_error(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    server.queue(reply(ask, text('{"other": 1}')))
    client = make_client()
    with pytest.raises(ValidationError):
        await ask(client, HI, json_output=Answer)
    assert client.total_usage().prompt_tokens == 7


@pytest.mark.parametrize(("stop", "words"), [("max_tokens", "Raise max_tokens"), ("refusal", "refused")])
async def test_a_structured_answer_that_was_not_finished_is_an_error_that_says_why(
    server: CannedServer, make_client: MakeClient, ask: Whole, stop: str, words: str
) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/structured-outputs#invalid-outputs."""
    server.queue(reply(ask, text('{"te'), stop=stop))
    with pytest.raises(errors.UnusableReplyError, match=words) as caught:
        await ask(make_client(), HI, json_output=Answer)
    assert isinstance(caught.value, anthropic.APIError)


@pytest.mark.parametrize("words", ['{"a": 1}', '```json\n{"a": 1}\n```'])
async def test_json_mode_asks_for_json_and_frees_it_from_fences(
    server: CannedServer, make_client: MakeClient, ask: Whole, words: str
) -> None:
    server.queue(reply(ask, text(words)))
    result = await ask(make_client(), [SystemMessage(content="Be brief."), *HI], json_output=True)
    assert result.content == '{"a": 1}'
    assert server.body["system"].startswith("Be brief.\n\nAnswer with one JSON object")
