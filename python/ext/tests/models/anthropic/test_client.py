"""`create` and `create_stream` against a server that replays exchanges of the public API reference."""

import asyncio
from typing import Any

import anthropic
import pytest

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models._shared import _tokens
from autogen_ext.models._shared._tokens import EncodingTable
from autogen_ext.models.anthropic import BaseAnthropicChatCompletionClient

from .canned import CannedServer, Reply, events_of, message, sse, streamed, text, tool_use
from .conftest import KEY, MakeClient, Whole, reply

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool(add, "Adds.", name="add")


async def test_create_posts_the_conversation_and_returns_the_answer(
    server: CannedServer, make_client: MakeClient
) -> None:
    """See https://platform.claude.com/docs/en/api/messages/create."""
    result = await make_client().create([SystemMessage(content="Be brief."), *HI])
    assert server.requests[0].path == "/v1/messages"
    assert server.requests[0].key == KEY
    assert server.body == {
        "model": "claude-opus-5-5",
        "max_tokens": 4096,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "hi"}],
    }
    assert result == CreateResult(
        finish_reason="stop", content="Hello!", usage=RequestUsage(prompt_tokens=7, completion_tokens=3), cached=False
    )


async def test_create_stream_yields_pieces_and_then_the_result(server: CannedServer, make_client: MakeClient) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/streaming#basic-streaming-request."""
    *pieces, result = [item async for item in make_client().create_stream(HI)]
    assert pieces == ["Hel", "lo!"]
    assert result == CreateResult(
        finish_reason="stop", content="Hello!", usage=RequestUsage(prompt_tokens=7, completion_tokens=3), cached=False
    )
    assert server.body["stream"] is True


async def test_usage_adds_up_over_calls(make_client: MakeClient, ask: Whole) -> None:
    client = make_client()
    await ask(client, HI)
    await ask(client, HI)
    assert client.total_usage() == client.actual_usage() == RequestUsage(prompt_tokens=14, completion_tokens=6)


async def test_tokens_of_the_providers_cache_count_and_are_told_apart(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance."""
    usage = {
        "input_tokens": 50,
        "cache_read_input_tokens": 100_000,
        "cache_creation_input_tokens": 1000,
        "output_tokens": 503,
        "output_tokens_details": {"thinking_tokens": 400},
    }
    server.queue(streamed(text(), usage=usage) if ask.streams else message(usage=usage))
    result = await ask(make_client(), HI)
    assert result.usage == RequestUsage(prompt_tokens=101_050, completion_tokens=503)
    assert vars(result.usage) == {
        "prompt_tokens": 101_050,
        "completion_tokens": 503,
        "cached_tokens": 100_000,
        "cache_write_tokens": 1000,
        "reasoning_tokens": 400,
    }


async def test_tool_calls_come_back_with_the_text_beside_them_as_thought(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    """See https://platform.claude.com/docs/en/agents-and-tools/tool-use/parallel-tool-use."""
    calls = [tool_use("add", {"a": 1}, "toolu_1"), tool_use("add", {}, "toolu_2")]
    server.queue(reply(ask, text("Adding."), *calls, stop="tool_use"))
    result = await ask(make_client(), HI, tools=[ADD])
    assert "".join(ask.pieces) == ("Adding." if ask.streams else "")
    assert result.finish_reason == "function_calls"
    assert result.thought == "Adding."
    assert result.content == [
        FunctionCall(id="toolu_1", name="add", arguments='{"a": 1}'),
        FunctionCall(id="toolu_2", name="add", arguments="{}"),
    ]
    assert result.provider_data is None
    assert server.body["tool_choice"] == {"type": "auto"}
    assert server.body["tools"] == [{"name": "add", "description": "Adds.", "input_schema": ADD.schema["parameters"]}]  # pyright: ignore[reportTypedDictNotRequiredAccess] - a function's tool has parameters


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        (ADD, {"type": "tool", "name": "add"}),
    ],
)
async def test_a_tool_choice_is_said_in_anthropics_words(
    server: CannedServer, make_client: MakeClient, choice: Any, sent: dict[str, str]
) -> None:
    """See https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools#controlling-claudes-output."""
    await make_client().create(HI, tools=[ADD], tool_choice=choice)
    assert server.body["tool_choice"] == sent


async def test_results_go_back_right_behind_their_calls(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    """See https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls."""
    client = make_client()
    server.queue(reply(ask, tool_use(), stop="tool_use"))
    result = await ask(client, HI, tools=[ADD])
    assert isinstance(result.content, list)
    call = result.content[0]
    failed = FunctionExecutionResult(content="No such city.", name="add", call_id=call.id, is_error=True)
    history: list[LLMMessage] = [
        *HI,
        AssistantMessage(content=result.content, thought=result.thought, source="agent"),
        FunctionExecutionResultMessage(content=[failed]),
    ]
    await ask(client, history, tools=[ADD])
    assert server.body["messages"][1:] == [
        {"role": "assistant", "content": [tool_use()]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "No such city.", "is_error": True}],
        },
    ]


async def test_a_conversation_with_calls_is_sent_with_its_tools_even_if_none_are_offered(
    server: CannedServer, make_client: MakeClient
) -> None:
    """The API wants tools defined as long as there are blocks of them, and the caller wants none to be called."""
    client = make_client()
    await client.create(HI, tools=[ADD])
    known = server.body["tools"][0]
    history: list[LLMMessage] = [
        *HI,
        AssistantMessage(
            content=[FunctionCall("c1", '{"a": 1}', "add"), FunctionCall("c2", "{}", "other")], source="agent"
        ),
        FunctionExecutionResultMessage(
            content=[
                FunctionExecutionResult(content="3", name="add", call_id="c1"),
                FunctionExecutionResult(content="4", name="other", call_id="c2"),
            ]
        ),
    ]
    await client.create(history)
    assert server.body["tools"] == [known, {"name": "other", "description": "", "input_schema": {"type": "object"}}]
    assert server.body["tool_choice"] == {"type": "none"}


async def test_an_interrupted_call_gets_a_result_before_it_is_sent(
    server: CannedServer, make_client: MakeClient
) -> None:
    history: list[LLMMessage] = [
        *HI,
        AssistantMessage(content=[FunctionCall("c1", "{}", "add")], source="agent"),
        UserMessage(content="Still there?", source="user"),
    ]
    await make_client().create(history, tools=[ADD])
    result, words = server.body["messages"][-1]["content"]
    assert result["tool_use_id"] == "c1"
    assert result["is_error"] is True
    assert words == text("Still there?")


async def test_thinking_is_a_thought_and_goes_back_unchanged(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/thinking-tool-workflows."""
    blocks = [
        {
            "type": "thinking",
            "thinking": "The user wants a sum.",
            "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl",
        },
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr"},
        text("I add."),
        tool_use(),
    ]
    client = make_client(thinking={"type": "adaptive"})
    server.queue(reply(ask, *blocks, stop="tool_use"))
    result = await ask(client, HI, tools=[ADD])
    assert server.body["thinking"] == {"type": "adaptive"}
    assert result.thought == "The user wants a sum."
    if ask.streams:
        assert "".join(ask.pieces) == "<think>The user wants a sum.</think>I add."
    assert isinstance(result.content, list)
    said = AssistantMessage(
        content=result.content, thought=result.thought, source="agent", provider_data=result.provider_data
    )
    saved = AssistantMessage.model_validate_json(said.model_dump_json())
    answered = FunctionExecutionResult(content="3", name="add", call_id=result.content[0].id, is_error=False)
    await ask(client, [*HI, saved, FunctionExecutionResultMessage(content=[answered])], tools=[ADD])
    assert server.body["messages"][1] == {"role": "assistant", "content": blocks}


async def test_thoughts_travel_with_the_calls_alone(server: CannedServer, make_client: MakeClient, ask: Whole) -> None:
    """An agent that passes on nothing but the content of a result loses none of it."""
    blocks = [{"type": "thinking", "thinking": "", "signature": "Eq8="}, tool_use()]
    client = make_client()
    server.queue(reply(ask, *blocks, stop="tool_use"))
    result = await ask(client, HI, tools=[ADD])
    await ask(client, [*HI, AssistantMessage(content=result.content, source="agent")], tools=[ADD])
    assert server.body["messages"][1]["content"] == blocks


async def test_the_providers_own_tools_and_unknown_fields_go_back_unchanged(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    """See https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool#response."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
    found = {
        "type": "web_search_result",
        "url": "https://en.wikipedia.org/wiki/Claude_Shannon",
        "title": "Claude Shannon",
        "encrypted_content": "EqgfCioIARgBIiQ3YTAwMjY1Mi1mZjM5LTQ1NGUtODgxNC1kNjNjNTk1ZWI3Y",
        "page_age": "April 30, 2025",
        "novel_field": 7,
    }
    blocks = [
        {"type": "server_tool_use", "id": "srvtoolu_01", "name": "web_search", "input": {"query": "claude shannon"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_01", "content": [found]},
        text("He was born on April 30, 1916."),
    ]
    client = make_client(tools=[search])
    server.queue(reply(ask, *blocks))
    result = await ask(client, HI)
    assert server.body["tools"] == [search]
    assert result.content == "He was born on April 30, 1916."
    said = AssistantMessage(content=result.content, source="agent", provider_data=result.provider_data)
    await ask(client, [*HI, said, *HI])
    assert server.body["messages"][1] == {"role": "assistant", "content": blocks}


async def test_marks_for_the_cache_arrive(server: CannedServer, make_client: MakeClient) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/prompt-caching."""
    mark = {"type": "ephemeral"}
    tool: Any = {**ADD.schema, "cache_control": mark}
    system = [{"type": "text", "text": "A long text.", "cache_control": mark}]
    client = make_client(cache_control=mark)
    await client.create([SystemMessage(content="Be brief."), *HI], tools=[tool], extra_create_args={"system": system})
    assert server.body["cache_control"] == mark
    assert server.body["tools"][0]["cache_control"] == mark
    assert server.body["system"] == [*system, {"type": "text", "text": "Be brief."}]


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "unknown"),
    ],
)
async def test_reasons_to_stop_are_translated(
    server: CannedServer,
    make_client: MakeClient,
    ask: Whole,
    stop: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons."""
    server.queue(reply(ask, text(), stop=stop))
    assert (await ask(make_client(), HI)).finish_reason == reason
    assert "odd reply" not in caplog.text


async def test_a_call_that_was_cut_off_is_not_taken_for_a_whole_one(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons#max-tokens."""
    server.queue(reply(ask, tool_use(), stop="max_tokens"))
    assert (await ask(make_client(), HI, tools=[ADD])).finish_reason == "length"


async def test_a_long_answer_is_streamed_behind_the_scenes(server: CannedServer, make_client: MakeClient) -> None:
    """See https://platform.claude.com/docs/en/api/errors#long-requests."""
    result = await make_client(max_tokens=64_000).create(HI)
    assert server.body["stream"] is True
    assert result.content == "Hello!"


async def test_cancelling_the_token_closes_the_connection(server: CannedServer, make_client: MakeClient) -> None:
    server.queue(Reply(parts=[], hang=True, headers={"content-type": "application/json"}))
    token = CancellationToken()
    task = asyncio.create_task(make_client().create(HI, cancellation_token=token))
    await server.asked.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        await server.hung_up.wait()


@pytest.mark.parametrize("how", ["token", "close"])
async def test_a_stream_that_is_given_up_closes_the_connection(
    server: CannedServer, make_client: MakeClient, how: str
) -> None:
    begun = sse(*events_of(text())[:4])
    begun.hang = True
    server.queue(begun)
    token = CancellationToken()
    stream = make_client().create_stream(HI, cancellation_token=token)
    assert await anext(stream) == "Hel"
    if how == "token":
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(10):
        await server.hung_up.wait()


async def test_a_client_of_the_sdk_can_be_brought_along(server: CannedServer) -> None:
    sdk = anthropic.AsyncAnthropic(api_key="x", base_url=server.base_url)
    client = BaseAnthropicChatCompletionClient(sdk, create_args={"model": "claude-opus-5-5"})
    assert (await client.create(HI)).content == "Hello!"
    await client.close()
    assert sdk.is_closed()


def test_tokens_are_counted_without_the_network(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_table(_: str) -> Any:
        raise OSError

    monkeypatch.setattr(_tokens, "_table", EncodingTable(no_table))
    client = make_client()
    few, more = client.count_tokens(HI), client.count_tokens(HI, tools=[ADD])
    assert 0 < few < more
    assert client.count_tokens([SystemMessage(content="Be brief."), *HI]) > few
    assert client.remaining_tokens(HI, tools=[ADD]) == 1_000_000 - more
    assert client.count_tokens([]) == 0
