"""`create` and `create_stream` on a stand-in for the library.

https://llama-cpp-python.readthedocs.io/en/latest/api-reference/#llama_cpp.Llama.create_chat_completion
"""

import asyncio
import logging
import sys
from typing import Any

import pytest
from PIL import Image as PillowImage
from pydantic import BaseModel, ValidationError

from autogen_core import EVENT_LOGGER_NAME, CancellationToken, FunctionCall, Image
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent, LLMStreamStartEvent
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models.errors import ContextLengthError, ServerError
from autogen_ext.models.llama_cpp import LlamaCppChatCompletionClient

from .conftest import MakeClient

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]
KNOWS_TOOLS = "{% if tools %}...{% endif %}"
CALL = ["<tool_", 'call>{"name": "add", ', '"arguments": {"a": 1, "b": 2}}</tool_call>']


class Inner(BaseModel):
    size: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def measure(inner: Inner) -> int:
    """Measure."""
    return inner.size


ADD = FunctionTool(add, "Adds.")
MEASURE = FunctionTool(measure, "Measures.")


class City(BaseModel):
    name: str


async def stream_of(client: ChatCompletionClient, *args: Any, **kwargs: Any) -> tuple[list[str], CreateResult]:
    """Read a stream to its end: its pieces, and the result that must be its last item."""
    *pieces, result = [item async for item in client.create_stream(*args, **kwargs)]
    assert isinstance(result, CreateResult)
    return [str(piece) for piece in pieces], result


async def test_a_call_and_a_stream_give_the_same_result(make_client: MakeClient) -> None:
    client = make_client(["Hel", "lo"], ["Hel", "lo"])
    whole = await client.create([SystemMessage(content="Be brief."), *HI])
    pieces, streamed = await stream_of(client, [SystemMessage(content="Be brief."), *HI])
    assert pieces == ["Hel", "lo"]
    assert whole == streamed
    assert (whole.content, whole.finish_reason) == ("Hello", "stop")
    assert client.llm.calls[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]
    assert whole.usage.completion_tokens == 2
    assert whole.usage.prompt_tokens == len(str(client.llm.calls[0]["messages"]))
    assert client.total_usage() == client.actual_usage()
    assert client.total_usage().completion_tokens == 4


async def test_a_template_that_knows_tools_is_given_them(make_client: MakeClient) -> None:
    client = make_client(CALL, template=KNOWS_TOOLS)
    result = await client.create(HI, tools=[ADD])
    call = client.llm.calls[0]
    assert [tool["function"]["name"] for tool in call["tools"]] == ["add"]
    assert call["messages"] == [{"role": "user", "content": "hi"}]
    assert "response_format" not in call
    assert result.finish_reason == "function_calls"
    [found] = result.content
    assert isinstance(found, FunctionCall)
    assert (found.name, found.arguments) == ("add", '{"a": 1, "b": 2}')


async def test_a_template_that_does_not_know_tools_is_told_in_the_system_message(make_client: MakeClient) -> None:
    client = make_client(CALL)
    asked = AssistantMessage(content=[FunctionCall(id="1", name="add", arguments='{"a": 1}')], source="a")
    done = FunctionExecutionResult(content="3", name="add", call_id="1", is_error=False)
    await client.create(
        [SystemMessage(content="Be brief."), *HI, asked, FunctionExecutionResultMessage(content=[done])], tools=[ADD]
    )
    call = client.llm.calls[0]
    assert "tools" not in call
    system, _, assistant, tool = call["messages"]
    assert system["content"].startswith("Be brief.\n\n")
    assert '"name": "add"' in system["content"]
    assert assistant["content"] == '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    assert tool == {"role": "user", "content": "<tool_response>3</tool_response>"}


@pytest.mark.parametrize("template", ["", KNOWS_TOOLS])
@pytest.mark.parametrize(("choice", "names"), [("required", ["add", "measure"]), (ADD, ["add"])])
async def test_a_call_that_must_be_made_is_enforced_by_a_schema(
    make_client: MakeClient, template: str, choice: Any, names: list[str]
) -> None:
    says = ['{"name": "add", ', '"arguments": {"a": 1, "b": 2}}']
    client = make_client(says, says, template=template)
    result = await client.create(HI, tools=[ADD, MEASURE], tool_choice=choice)
    pieces, streamed = await stream_of(client, HI, tools=[ADD, MEASURE], tool_choice=choice)
    schema = client.llm.calls[0]["response_format"]["schema"]
    options = schema.get("anyOf", [schema])
    assert [option["properties"]["name"]["const"] for option in options] == names
    if len(options) == 2:
        assert options[1]["properties"]["arguments"]["properties"]["inner"]["properties"]["size"]["type"] == "integer"
    assert pieces == []
    for one in (result, streamed):
        assert isinstance(one.content, list)
        assert (one.content[0].name, one.content[0].arguments) == ("add", '{"a": 1, "b": 2}')


async def test_without_a_choice_of_tools_none_are_offered(make_client: MakeClient) -> None:
    client = make_client(["No."], template=KNOWS_TOOLS)
    await client.create(HI, tools=[ADD], tool_choice="none")
    assert "tools" not in client.llm.calls[0]
    assert "response_format" not in client.llm.calls[0]


async def test_a_chat_format_of_the_library_finds_calls_itself(make_client: MakeClient) -> None:
    deltas = [
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]},
    ]
    client = make_client(deltas, deltas, chat_format="chatml-function-calling")
    result = await client.create(HI, tools=[ADD])
    await client.create(HI, tools=[ADD], tool_choice=ADD)
    assert result.content == [FunctionCall(id="c1", name="add", arguments='{"a": 1}')]
    assert client.llm.calls[0]["tool_choice"] == "auto"
    assert client.llm.calls[1]["tool_choice"] == {"type": "function", "function": {"name": "add"}}


@pytest.mark.parametrize(
    ("says", "shown"),
    [
        (["Let me", " see. <tool_", 'call>{"name": "add", "arguments": {}}'], ["Let me", " see. "]),
        (["Two < three", " is <b>"], ["Two < three", " is <b>"]),
        (['{"not": ', '"a call"}'], ['{"not": "a call"}']),
        (CALL, []),
        (['[TOOL_CALLS][{"name": "add", "arguments": {"a": 1}}]'], []),
        (['<|python_tag|>{"name": "add", "parameters": {"a": 1}}'], []),
    ],
)
async def test_the_reader_of_a_stream_sees_text_but_no_calls(
    make_client: MakeClient, says: list[str], shown: list[str]
) -> None:
    client = make_client(says, template=KNOWS_TOOLS)
    pieces, result = await stream_of(client, HI, tools=[ADD])
    assert pieces == shown
    assert isinstance(result.content, list) is ("".join(says) != "".join(shown))


async def test_json_that_names_no_offered_tool_is_text(make_client: MakeClient) -> None:
    text = '{"name": "other", "arguments": {}}'
    client = make_client([text], template=KNOWS_TOOLS)
    assert (await client.create(HI, tools=[ADD])).content == text


@pytest.mark.parametrize("streamed", [False, True])
async def test_structured_output_is_enforced(make_client: MakeClient, streamed: bool) -> None:
    client = make_client(['{"name"', ': "Rome"}'], ["no"])
    ask = (
        (lambda: stream_of(client, HI, json_output=City)) if streamed else (lambda: client.create(HI, json_output=City))
    )
    answer = await ask()
    result = answer if isinstance(answer, CreateResult) else answer[1]
    form = client.llm.calls[0]["response_format"]
    assert form["type"] == "json_object"
    assert form["schema"]["required"] == ["name"]
    assert result.content == '{"name": "Rome"}'
    with pytest.raises(ValidationError):
        await ask()


async def test_json_or_a_call_where_both_are_asked_for(make_client: MakeClient) -> None:
    client = make_client(['{"name": "Rome"}'])
    result = await client.create(HI, tools=[ADD], json_output=City)
    call, city = client.llm.calls[0]["response_format"]["schema"]["anyOf"]
    assert call["properties"]["name"] == {"const": "add"}
    assert city["required"] == ["name"]
    assert result.content == '{"name": "Rome"}'


@pytest.mark.parametrize(("asked", "form"), [(True, {"type": "json_object"}), (False, None), (None, None)])
async def test_the_form_of_answers(make_client: MakeClient, asked: bool | None, form: Any) -> None:
    client = make_client(['{"a": 1}'])
    await client.create(HI, json_output=asked)
    assert client.llm.calls[0].get("response_format") == form


async def test_images_need_a_model_that_sees(make_client: MakeClient) -> None:
    image = Image(PillowImage.new("RGB", (1, 1)))
    message = UserMessage(content=["What?", image], source="user")
    info = ModelInfo(vision=True, function_calling=False, json_output=True, family="unknown", structured_output=True)
    client = make_client(["A dot."], chat_handler=object(), model_info=info)
    await client.create([message])
    text, picture = client.llm.calls[0]["messages"][0]["content"]
    assert text == {"type": "text", "text": "What?"}
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    with pytest.raises(ValueError, match="does not support vision"):
        await make_client().create([message])
    with pytest.raises(ValueError, match="does not support function calling"):
        await client.create(HI, tools=[ADD])


@pytest.mark.parametrize("how", ["token", "close", "task"])
async def test_cancelling_a_stream_stops_the_model(make_client: MakeClient, how: str) -> None:
    client = make_client(["one", "two", "three"], ["next"])
    client.llm.go_on.clear()
    token = CancellationToken()
    answer = client.create_stream(HI, cancellation_token=token)
    assert await anext(answer) == "one"
    if how == "close":
        await answer.aclose()
    else:
        waiting = asyncio.ensure_future(anext(answer))
        await asyncio.sleep(0)
        _ = token.cancel() if how == "token" else waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    client.llm.go_on.set()
    assert (await client.create(HI)).content == "next"
    assert client.llm.yielded == 3  # one, at most the piece after it, and the next answer


async def test_cancelling_a_call_stops_the_model(make_client: MakeClient) -> None:
    client = make_client(["one", "two", "three"], ["next"])
    client.llm.go_on.clear()
    token = CancellationToken()
    waiting = asyncio.ensure_future(client.create(HI, cancellation_token=token))
    assert await asyncio.to_thread(client.llm.spoke.wait, 10)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    client.llm.go_on.set()
    assert (await client.create(HI)).content == "next"
    assert client.llm.yielded == 3


async def test_calls_wait_for_each_other(make_client: MakeClient) -> None:
    """A model does one thing at a time."""
    client = make_client(*[["a", "b"]] * 5)
    results = await asyncio.gather(*(client.create(HI) for _ in range(5)))
    assert [result.content for result in results] == ["ab"] * 5


async def test_a_conversation_that_is_too_long_tells_the_numbers(make_client: MakeClient) -> None:
    client = make_client(ValueError("Requested tokens (2031) exceed context window of 1024"))
    with pytest.raises(ContextLengthError) as caught:
        await client.create(HI)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.limit, caught.value.requested) == (1024, 2031)
    assert (caught.value.provider, caught.value.model) == ("llama_cpp", "model.gguf")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_model_that_fails_is_a_typed_error(make_client: MakeClient, streamed: bool) -> None:
    client = make_client(RuntimeError("llama_decode returned -3"))
    with pytest.raises(ServerError, match="llama_decode") as caught:
        await (stream_of(client, HI) if streamed else client.create(HI))
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize("name", ["messages", "stream", "tools", "bogus"])
async def test_arguments_that_cannot_be_set_are_refused(make_client: MakeClient, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        await make_client().create(HI, extra_create_args={name: 1})


async def test_extra_arguments_reach_the_library(make_client: MakeClient) -> None:
    client = make_client(["x"])
    await client.create(HI, extra_create_args={"seed": 7})
    assert client.llm.calls[0]["seed"] == 7


def test_a_model_is_loaded_from_a_file_or_a_repository(make_client: MakeClient) -> None:
    assert make_client(n_ctx=64).llm.arguments == {"model_path": "model.gguf", "n_ctx": 64, "verbose": False}
    fetched = make_client(model_path=None, repo_id="maker/model", filename="*q4.gguf")
    assert fetched.llm.arguments["model_path"] == "maker/model/*q4.gguf"
    with pytest.raises(ValueError, match="Please provide model_path"):
        make_client(model_path=None)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(ImportError, match=r"autogen-ext\[llama-cpp\]"):
        LlamaCppChatCompletionClient(model_path="model.gguf")


async def test_tokens_are_counted_by_the_model(make_client: MakeClient) -> None:
    client = make_client(n_ctx=100)
    long = [UserMessage(content="one two three four", source="user")]
    assert client.count_tokens(long) == client.count_tokens(HI) + 3
    assert client.count_tokens(HI, tools=[ADD]) > client.count_tokens(HI)
    assert client.remaining_tokens(HI) == 100 - client.count_tokens(HI)


async def test_closing_frees_the_model(make_client: MakeClient) -> None:
    client = make_client()
    await client.close()
    assert client.llm.closed


async def test_calls_are_recorded_as_events(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client(["Hel", "lo"], ["x"])
    with caplog.at_level(logging.INFO, EVENT_LOGGER_NAME):
        await client.create(HI)
        await stream_of(client, HI)
    records = [record.msg for record in caplog.records if record.name == EVENT_LOGGER_NAME]
    assert [type(record) for record in records] == [LLMCallEvent, LLMStreamStartEvent, LLMStreamEndEvent]
    assert '"content": "Hello"' in str(records[0])


def test_what_a_model_can_do_unless_told_otherwise(make_client: MakeClient) -> None:
    client = make_client()
    assert client.model_info == LlamaCppChatCompletionClient.DEFAULT_MODEL_INFO
    with pytest.warns(DeprecationWarning, match="use model_info"):
        assert client.capabilities == client.model_info
