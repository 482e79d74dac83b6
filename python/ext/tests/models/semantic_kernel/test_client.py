"""The adapter on real connectors of Semantic Kernel, against exchanges from the references of OpenAI and Ollama.

https://platform.openai.com/docs/api-reference/chat and https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import asyncio
import json
import logging
from typing import Any

import pytest
from PIL import Image as PillowImage
from pydantic import BaseModel
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.chat_completion_client_base import ChatCompletionClientBase
from semantic_kernel.connectors.ai.open_ai import OpenAIChatPromptExecutionSettings

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
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models.semantic_kernel import SKChatCompletionAdapter

from .._shared.server import ProtocolServer, Reply
from .conftest import USAGE, MakeClient, call, chunk, completion, sse

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]
FULL = ModelInfo(vision=True, function_calling=True, json_output=True, family="unknown", structured_output=True)


class Inner(BaseModel):
    size: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def measure(inner: Inner) -> int:
    """Measure."""
    return inner.size


ADD = FunctionTool(add, "Adds.")
MEASURE = FunctionTool(measure, "Measures.", name="measure-it")


class City(BaseModel):
    name: str


async def stream_of(client: ChatCompletionClient, *args: Any, **kwargs: Any) -> tuple[list[str], CreateResult]:
    """Read a stream to its end: its pieces, and the result that must be its last item."""
    *pieces, result = [item async for item in client.create_stream(*args, **kwargs)]
    assert isinstance(result, CreateResult)
    return [str(piece) for piece in pieces], result


async def test_a_call(server: ProtocolServer, make_client: MakeClient) -> None:
    """Create chat completion."""
    server.queue(completion())
    client = make_client()
    result = await client.create([SystemMessage(content="Be brief."), *HI])
    assert server.requests[0].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]
    assert result == CreateResult(
        finish_reason="stop", content="Hello", usage=RequestUsage(prompt_tokens=7, completion_tokens=3), cached=False
    )
    assert client.total_usage() == client.actual_usage() == result.usage


async def test_a_stream(server: ProtocolServer, make_client: MakeClient) -> None:
    """Chat completion chunk object."""
    server.queue(
        sse(chunk({"role": "assistant", "content": "Hel"}), chunk({"content": "lo"}), chunk(finish="stop"), USAGE)
    )
    pieces, result = await stream_of(make_client(), HI)
    assert pieces == ["Hel", "lo"]
    assert (result.content, result.finish_reason) == ("Hello", "stop")
    assert result.usage == RequestUsage(prompt_tokens=7, completion_tokens=3)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_offered_by_their_own_names_and_never_called_by_the_kernel(
    server: ProtocolServer, make_client: MakeClient, streamed: bool
) -> None:
    """Function calling."""
    calls = [call("add", '{"a": 1, "b": 2}', "c1"), call("measure-it", "{}", "c2")]
    if streamed:
        server.queue(
            sse(
                chunk({"role": "assistant", "tool_calls": [call("add", "", "c1", index=0)]}),
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1, "b": 2}'}}]}),
                chunk({"tool_calls": [{**calls[1], "index": 1}]}),
                chunk(finish="tool_calls"),
            )
        )  # fmt: skip
        _, result = await stream_of(make_client(), HI, tools=[ADD, MEASURE])
    else:
        server.queue(completion(None, finish="tool_calls", tool_calls=calls))
        result = await make_client().create(HI, tools=[ADD, MEASURE])
    [request] = server.requests
    first, second = (tool["function"] for tool in request.body["tools"])
    assert (first["name"], second["name"]) == ("add", "measure-it")
    assert first["parameters"]["required"] == ["a", "b"]
    assert second["parameters"]["properties"]["inner"]["properties"]["size"]["type"] == "integer"
    assert request.body["tool_choice"] == "auto"
    assert result.finish_reason == "function_calls"
    assert result.content == [
        FunctionCall(id="c1", name="add", arguments='{"a": 1, "b": 2}'),
        FunctionCall(id="c2", name="measure-it", arguments="{}"),
    ]


@pytest.mark.parametrize(
    ("choice", "word", "offered"),
    [("required", "required", ["add", "measure-it"]), ("none", None, []), (ADD, "required", ["add"])],
)
async def test_the_choice_of_tools(
    server: ProtocolServer, make_client: MakeClient, choice: Any, word: str | None, offered: list[str]
) -> None:
    """A named tool is the only one that is offered, for not every connector can name one."""
    server.queue(completion())
    await make_client().create(HI, tools=[ADD, MEASURE], tool_choice=choice)
    body = server.requests[0].body
    assert body.get("tool_choice") == word
    assert [tool["function"]["name"] for tool in body.get("tools", [])] == offered


async def test_calls_and_results_are_sent_back(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(completion())
    asked = AssistantMessage(content=[FunctionCall(id="c1", name="add", arguments='{"a": 1}')], source="a")
    done = FunctionExecutionResult(content="3", name="add", call_id="c1", is_error=False)
    await make_client().create([*HI, asked, FunctionExecutionResultMessage(content=[done])])
    assistant, tool = server.requests[0].body["messages"][1:]
    assert assistant["tool_calls"] == [call("add", '{"a": 1}', "c1")]
    assert (tool["role"], tool["tool_call_id"], tool["content"]) == ("tool", "c1", "3")


async def test_images(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(completion())
    image = Image(PillowImage.new("RGB", (1, 1)))
    await make_client(model_info=FULL).create([UserMessage(content=["What?", image], source="user")])
    text, picture = server.requests[0].body["messages"][0]["content"]
    assert text["text"] == "What?"
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    with pytest.raises(ValueError, match="does not support vision"):
        await make_client().create([UserMessage(content=[image], source="user")])


@pytest.mark.parametrize("streamed", [False, True])
async def test_structured_output_goes_into_the_settings_of_the_connector(
    server: ProtocolServer, make_client: MakeClient, streamed: bool
) -> None:
    """Structured outputs: `response_format`."""
    client = make_client(model_info=FULL)
    text = '```json\n{"name": "Rome"}\n```'
    if streamed:
        server.queue(sse(chunk({"content": text}), chunk(finish="stop")))
        _, result = await stream_of(client, HI, json_output=City)
    else:
        server.queue(completion(text))
        result = await client.create(HI, json_output=City)
    form = server.requests[0].body["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["required"] == ["name"]
    assert result.content == '{"name": "Rome"}'


async def test_json_mode_is_also_asked_for_in_words(server: ProtocolServer, make_client: MakeClient) -> None:
    """Models refuse JSON mode unless the conversation speaks of JSON."""
    server.queue(completion('{"a": 1}'))
    await make_client().create(HI, json_output=True)
    body = server.requests[0].body
    assert body["response_format"] == {"type": "json_object"}
    assert "JSON" in body["messages"][0]["content"]


async def test_settings_of_the_adapter_and_of_a_call(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(completion(), completion(), completion())
    client = make_client(prompt_settings=OpenAIChatPromptExecutionSettings(temperature=0.7, seed=1))
    await client.create(HI)
    await client.create(HI, extra_create_args={"temperature": 0.1, "kernel": Kernel()})
    own = OpenAIChatPromptExecutionSettings(top_p=0.5)
    await client.create(HI, extra_create_args={"prompt_execution_settings": own})
    first, second, third = (request.body for request in server.requests)
    assert (first["temperature"], first["seed"]) == (0.7, 1)
    assert (second["temperature"], second["seed"]) == (0.1, 1)
    assert third["top_p"] == 0.5
    assert "temperature" not in third
    server.queue(completion())
    with pytest.warns(UserWarning, match="does not know: bogus"):
        await client.create(HI, extra_create_args={"bogus": 1})


async def test_the_connector_for_ollama(server: ProtocolServer, ollama_client: SKChatCompletionAdapter) -> None:
    """api.md, "Chat request (with tools)": arguments are objects, and calls have no ids."""
    calls = [{"function": {"name": "add", "arguments": {"a": 1, "b": 2}}}]
    ending = {"done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 9}
    message = {"role": "assistant", "content": "", "tool_calls": calls}
    server.queue({"model": "llama3.2", "created_at": "2023-12-12T14:13:43.416799Z", "message": message, **ending})
    result = await ollama_client.create(HI, tools=[ADD])
    assert [tool["function"]["name"] for tool in server.requests[0].body["tools"]] == ["add"]
    assert isinstance(result.content, list)
    assert (result.content[0].name, result.content[0].arguments) == ("add", '{"a": 1, "b": 2}')
    assert result.content[0].id
    assert result.usage == RequestUsage(prompt_tokens=26, completion_tokens=9)


async def test_cancelling_a_stream_closes_the_connection(server: ProtocolServer, make_client: MakeClient) -> None:
    first = f"data: {json.dumps(chunk({'content': 'The'}))}\n\n"
    server.queue(Reply(lines=[first], kind="text/event-stream", hang=True))
    token = CancellationToken()
    answer = make_client().create_stream(HI, cancellation_token=token)
    assert await anext(answer) == "The"
    waiting = asyncio.ensure_future(anext(answer))
    await asyncio.sleep(0)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_an_interrupted_history_is_healed_before_it_is_sent(
    server: ProtocolServer, make_client: MakeClient
) -> None:
    server.queue(completion())
    lost = AssistantMessage(content=[FunctionCall(id="c1", name="add", arguments="{}")], source="a")
    await make_client().create([lost, *HI])
    assert [message["role"] for message in server.requests[0].body["messages"]] == ["assistant", "tool", "user"]


async def test_model_info_wins(server: ProtocolServer, make_client: MakeClient) -> None:
    info = ModelInfo(vision=False, function_calling=False, json_output=False, family="x", structured_output=False)
    client = make_client(model_info=info)
    for refused in ({"tools": [ADD]}, {"json_output": True}, {"json_output": City}):
        with pytest.raises(ValueError, match="does not support"):
            await client.create(HI, **refused)  # pyright: ignore[reportArgumentType] - one of several arguments
    assert server.requests == []


async def test_calls_go_through_the_public_methods_of_the_connector(
    server: ProtocolServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    whole: Any = ChatCompletionClientBase.get_chat_message_contents

    async def patched(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append("whole")
        return await whole(self, *args, **kwargs)

    monkeypatch.setattr(ChatCompletionClientBase, "get_chat_message_contents", patched)
    server.queue(completion())
    await make_client().create(HI)
    assert seen == ["whole"]


async def test_calls_are_recorded_as_events(
    server: ProtocolServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(completion(), sse(chunk({"content": "x"}), chunk(finish="stop")))
    client = make_client()
    with caplog.at_level(logging.INFO, EVENT_LOGGER_NAME):
        await client.create(HI)
        await stream_of(client, HI)
    kinds: list[object] = [type(record.msg) for record in caplog.records if record.name == EVENT_LOGGER_NAME]
    assert kinds == [LLMCallEvent, LLMStreamStartEvent, LLMStreamEndEvent]


def test_tokens_are_counted(make_client: MakeClient) -> None:
    client = make_client()
    used = client.count_tokens(HI, tools=[ADD])
    assert used > client.count_tokens(HI)
    assert client.remaining_tokens(HI, tools=[ADD]) == 4096 - used
