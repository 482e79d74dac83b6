"""`create` and `create_stream` against a server that does as the protocol says."""

import asyncio
import logging
from typing import Any

import openai
import pytest
from pydantic import BaseModel, ValidationError

from autogen_core import EVENT_LOGGER_NAME, CancellationToken, FunctionCall
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent, LLMStreamStartEvent
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, RequestUsage, SystemMessage, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models._shared import _tokens
from autogen_ext.models._shared._tokens import EncodingTable
from autogen_ext.models.openai import BaseOpenAIChatCompletionClient, OpenAIChatCompletionClient

from .canned import CannedServer, Reply, call, chunk, completion, message, sse, usage_chunk
from .conftest import MakeClient

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool(add, "Adds.", name="add")


class Answer(BaseModel):
    text: str


async def stream_of(client: ChatCompletionClient, *args: Any, **kwargs: Any) -> tuple[list[str], CreateResult]:
    """Read a stream to its end: its pieces, and the result that must be its last item."""
    *pieces, result = [item async for item in client.create_stream(*args, **kwargs)]
    assert isinstance(result, CreateResult)
    assert all(isinstance(piece, str) for piece in pieces)
    return [str(piece) for piece in pieces], result


async def test_create_posts_the_conversation_and_returns_the_answer(
    server: CannedServer, make_client: MakeClient
) -> None:
    result = await make_client().create([SystemMessage(content="Be brief."), *HI])
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret-of-the-tests"
    assert server.requests[0].body == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi", "name": "user"},
        ],
        "stream": False,
    }
    assert result == CreateResult(
        finish_reason="stop", content="Hello", usage=RequestUsage(prompt_tokens=7, completion_tokens=3), cached=False
    )


async def test_create_stream_yields_pieces_and_then_the_result(server: CannedServer, make_client: MakeClient) -> None:
    pieces, result = await stream_of(make_client(), HI, include_usage=True)
    assert pieces == ["Hel", "lo"]
    assert result.content == "Hello"
    assert result.finish_reason == "stop"
    assert result.usage == RequestUsage(prompt_tokens=7, completion_tokens=3)
    assert server.requests[0].body["stream"] is True
    assert server.requests[0].body["stream_options"] == {"include_usage": True}


async def test_a_stream_does_not_ask_for_usage_unless_told(server: CannedServer, make_client: MakeClient) -> None:
    _, result = await stream_of(make_client(), HI)
    assert "stream_options" not in server.requests[0].body
    assert result.usage == RequestUsage(prompt_tokens=0, completion_tokens=0)


async def test_usage_adds_up_over_calls(make_client: MakeClient) -> None:
    client = make_client()
    await client.create(HI)
    await stream_of(client, HI, include_usage=True)
    assert client.total_usage() == client.actual_usage() == RequestUsage(prompt_tokens=14, completion_tokens=6)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls_come_back_with_the_text_beside_them_as_thought(
    server: CannedServer, make_client: MakeClient, streamed: bool
) -> None:
    calls = [call("add", '{"a": 1}', "c1"), call("add", '{"a": 2}', "c2")]
    if streamed:
        server.queue(
            sse(
                chunk({"role": "assistant", "content": "Adding."}),
                chunk({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "add"}}]}),
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
                chunk({"tool_calls": [{**calls[1], "index": 1}]}),
                chunk({}, finish="tool_calls"),
            )
        )
        pieces, result = await stream_of(make_client(), HI, tools=[ADD])
        assert pieces == ["Adding."]
    else:
        server.queue(completion(message("Adding.", finish="tool_calls", tool_calls=calls)))
        result = await make_client().create(HI, tools=[ADD])
    assert server.requests[0].body["tool_choice"] == "auto"
    assert server.requests[0].body["tools"][0]["function"]["name"] == "add"
    assert result.finish_reason == "function_calls"
    assert result.thought == "Adding."
    assert result.content == [
        FunctionCall(id="c1", name="add", arguments='{"a": 1}'),
        FunctionCall(id="c2", name="add", arguments='{"a": 2}'),
    ]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("text", ['{"text": "x"}', '```json\n{"text": "x"}\n```', 'Here: {"text": "x"}'])
async def test_a_structured_answer_is_json_of_the_class(
    server: CannedServer, make_client: MakeClient, text: str, streamed: bool
) -> None:
    if streamed:
        server.queue(sse(chunk({"content": text[:3]}), chunk({"content": text[3:]}), chunk({}, finish="stop")))
        _, result = await stream_of(make_client(), HI, json_output=Answer)
    else:
        server.queue(completion(message(text)))
        result = await make_client().create(HI, json_output=Answer)
    sent = server.requests[0].body["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["name"] == "Answer"
    assert sent["json_schema"]["strict"] is True
    assert result.content == '{"text": "x"}'


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("text", "finish", "error"),
    [
        ("no json", "stop", ValidationError),
        ('{"other": 1}', "stop", ValidationError),
        ('{"te', "length", openai.LengthFinishReasonError),
        ("", "content_filter", openai.ContentFilterFinishReasonError),
    ],
)
async def test_an_answer_that_does_not_fit_the_class_is_the_same_error_streamed_or_not(
    server: CannedServer, make_client: MakeClient, text: str, finish: str, error: type[Exception], streamed: bool
) -> None:
    client = make_client()
    if streamed:
        server.queue(sse(chunk({"content": text}), chunk({}, finish=finish), usage_chunk()))
        with pytest.raises(error):
            await stream_of(client, HI, json_output=Answer, include_usage=True)
    else:
        server.queue(completion(message(text, finish=finish)))
        with pytest.raises(error):
            await client.create(HI, json_output=Answer)
    assert client.total_usage() == RequestUsage(prompt_tokens=7, completion_tokens=3)


async def test_structured_output_works_beside_tools_that_are_not_strict(
    server: CannedServer, make_client: MakeClient
) -> None:
    server.queue(completion(message('{"text": "x"}')))
    result = await make_client().create(HI, tools=[ADD], json_output=Answer)
    assert result.content == '{"text": "x"}'


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_cancelled_token_ends_the_call_and_closes_the_connection(
    server: CannedServer, make_client: MakeClient, streamed: bool
) -> None:
    client, token = make_client(), CancellationToken()

    async def ask() -> None:
        if streamed:
            server.queue(Reply(lines=sse(chunk({"content": "a"}), done=False).lines, hang=True))
            stream = client.create_stream(HI, cancellation_token=token)
            assert await anext(stream) == "a"
            started.set()
            await anext(stream)
        else:
            server.queue(Reply(lines=[" "], headers={"content-type": "application/json"}, hang=True))
            started.set()
            await client.create(HI, cancellation_token=token)

    started = asyncio.Event()
    asking = asyncio.create_task(ask())
    await started.wait()
    await server.asked.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_a_token_that_is_cancelled_already_sends_nothing(server: CannedServer, make_client: MakeClient) -> None:
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await make_client().create(HI, cancellation_token=token)
    with pytest.raises(asyncio.CancelledError):
        await anext(make_client().create_stream(HI, cancellation_token=token))
    assert server.requests == []


async def test_closing_the_stream_closes_the_connection(server: CannedServer, make_client: MakeClient) -> None:
    server.queue(Reply(lines=sse(chunk({"content": "a"}), done=False).lines, hang=True))
    stream = make_client().create_stream(HI)
    assert await anext(stream) == "a"
    await stream.aclose()
    await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_extra_arguments_win_over_those_of_the_client(server: CannedServer, make_client: MakeClient) -> None:
    client = make_client(temperature=0.5, seed=3)
    await client.create(
        HI,
        extra_create_args={"temperature": 0.1, "extra_body": {"top_k": 4}, "extra_headers": {"x-extra": "yes"}},
    )
    body = server.requests[0].body
    assert (body["temperature"], body["seed"], body["top_k"]) == (0.1, 3, 4)
    assert server.requests[0].headers["x-extra"] == "yes"


async def test_calls_go_through_the_public_method_of_the_sdk(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instrumentation replaces this method, and reads its arguments."""
    from openai.resources.chat.completions import AsyncCompletions

    seen: list[dict[str, Any]] = []
    original: Any = AsyncCompletions.create

    async def watched(self: AsyncCompletions, **kwargs: Any) -> Any:
        seen.append(kwargs)
        return await original(self, **kwargs)

    monkeypatch.setattr(AsyncCompletions, "create", watched)
    client = make_client()
    await client.create(HI)
    await stream_of(client, HI)
    assert [kwargs["stream"] for kwargs in seen] == [False, True]
    assert all(kwargs["model"] == "gpt-4o" and kwargs["messages"][0]["content"] == "hi" for kwargs in seen)


async def test_events_are_logged_with_the_conversation_the_answer_and_the_usage(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    with caplog.at_level(logging.INFO, logger=EVENT_LOGGER_NAME):
        await client.create(HI, tools=[ADD])
        await stream_of(client, HI, include_usage=True)
    called, started, ended = (record.msg for record in caplog.records if record.name == EVENT_LOGGER_NAME)
    assert isinstance(called, LLMCallEvent)
    assert called.kwargs["messages"] == [{"role": "user", "content": "hi", "name": "user"}]
    assert called.kwargs["response"]["choices"][0]["message"]["content"] == "Hello"
    assert called.kwargs["tools"][0]["function"]["name"] == "add"
    assert (called.prompt_tokens, called.completion_tokens) == (7, 3)
    assert isinstance(started, LLMStreamStartEvent)
    assert started.kwargs["messages"] == called.kwargs["messages"]
    assert isinstance(ended, LLMStreamEndEvent)
    assert ended.kwargs["response"]["content"] == "Hello"
    assert ended.completion_tokens == 3


async def test_no_event_is_made_when_nobody_listens(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an event was made")

    logging.getLogger(EVENT_LOGGER_NAME).setLevel(logging.WARNING)
    monkeypatch.setattr("autogen_ext.models.openai._client.LLMCallEvent", refuse)
    monkeypatch.setattr("autogen_ext.models.openai._client.LLMStreamStartEvent", refuse)
    monkeypatch.setattr("autogen_ext.models.openai._client.LLMStreamEndEvent", refuse)
    try:
        await make_client().create(HI)
        await stream_of(make_client(), HI)
    finally:
        logging.getLogger(EVENT_LOGGER_NAME).setLevel(logging.NOTSET)


async def test_the_old_tolerance_for_empty_chunks_warns_and_does_nothing(make_client: MakeClient) -> None:
    with pytest.warns(DeprecationWarning, match="max_consecutive_empty_chunk_tolerance"):
        _, result = await stream_of(make_client(), HI, max_consecutive_empty_chunk_tolerance=3)
    assert result.content == "Hello"


async def test_an_sdk_client_can_be_given(server: CannedServer) -> None:
    sdk = openai.AsyncOpenAI(api_key="any", base_url=server.base_url)
    client = BaseOpenAIChatCompletionClient(sdk, create_args={"model": "gpt-4o-mini", "seed": 1})
    result = await client.create(HI)
    await client.close()
    assert result.content == "Hello"
    assert server.requests[0].body["seed"] == 1
    assert client.model_info["family"] == "gpt-4o"


async def test_tokens_are_counted_in_the_encoding_of_the_model(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tokens, "_table", EncodingTable(lambda _: len))
    client = make_client()
    assert client.count_tokens(HI) == 17
    assert client.remaining_tokens(HI) == 128_000 - 17
    assert client.count_tokens(HI, tools=[ADD]) > 17


async def test_the_context_of_an_unknown_model_is_taken_to_be_small(make_client: MakeClient) -> None:
    info = make_client().model_info
    client = make_client(model="our-own-model", model_info=info)
    assert 0 < client.remaining_tokens(HI) < 8192


async def test_a_client_is_made_from_its_arguments_as_a_mapping() -> None:
    client = BaseOpenAIChatCompletionClient.create_from_config({"model": "gpt-4o", "api_key": "any"})
    assert isinstance(client, OpenAIChatCompletionClient)
    await client.close()
    with pytest.warns(DeprecationWarning, match="use model_info"):
        assert client.capabilities == client.model_info


async def test_without_a_model_no_client_is_made() -> None:
    sdk = openai.AsyncOpenAI(api_key="any")
    with pytest.raises(ValueError, match="model is required"):
        BaseOpenAIChatCompletionClient(sdk, create_args={})
    await sdk.close()
