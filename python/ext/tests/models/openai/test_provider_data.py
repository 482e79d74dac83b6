"""What a provider sent beside the protocol comes back unchanged on the next request, wherever the conversation was kept."""

import json
from typing import Any

import pytest

from autogen_core import FunctionCall
from autogen_core.model_context import BufferedChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)
from autogen_core.tools import ToolSchema

from .canned import CannedServer, call, chunk, completion, message, sse
from .conftest import MakeClient

ADD: ToolSchema = {"name": "add", "description": "Adds."}
HI = UserMessage(content="hi", source="user")
SIGNATURE = {"google": {"thought_signature": "c2lnbmF0dXJl"}}
DETAILS = [{"type": "reasoning.encrypted", "data": "b3BhcXVl", "id": "rs_1", "index": 0}]


def as_said(result: CreateResult) -> AssistantMessage:
    """Keep an answer as agents do."""
    return AssistantMessage(
        content=result.content, thought=result.thought, source="agent", provider_data=result.provider_data
    )


def as_said_before(result: CreateResult) -> AssistantMessage:
    """Keep an answer as agents do that were written for 0.7.5."""
    return AssistantMessage(content=result.content, thought=result.thought, source="agent")


async def reloaded(messages: list[LLMMessage]) -> list[LLMMessage]:
    """Save a context, as JSON, and load it into another that shows a part."""
    saved = UnboundedChatCompletionContext(initial_messages=messages)
    text = json.dumps(await saved.save_state())
    loaded = BufferedChatCompletionContext(buffer_size=3)
    await loaded.load_state(json.loads(text))
    return await loaded.get_messages()


def answered(said: AssistantMessage) -> list[LLMMessage]:
    assert isinstance(said.content, list)
    results = [FunctionExecutionResult(content="3", name="add", call_id=made.id) for made in said.content]
    return [HI, said, FunctionExecutionResultMessage(content=results)]


def called(streamed: bool) -> Any:
    """A reply with a marked call, and with opaque reasoning beside it."""
    if not streamed:
        marked = call(extra_content=SIGNATURE)
        marked["function"]["mark"] = "m"
        return completion(message(None, finish="tool_calls", tool_calls=[marked], reasoning_details=DETAILS))
    return sse(
        chunk({"role": "assistant", "reasoning_details": [{**DETAILS[0], "data": "b3Bh"}]}),
        chunk({"reasoning_details": [{**DETAILS[0], "data": "cXVl"}]}),
        chunk({"tool_calls": [{**call(arguments=""), "index": 0, "extra_content": SIGNATURE}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}', "mark": "m"}}]}),
        chunk({}, finish="tool_calls"),
    )


@pytest.mark.parametrize("keep", [as_said, as_said_before])
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_marks_a_call_comes_back_with_it_after_saving_and_trimming(
    server: CannedServer, make_client: MakeClient, streamed: bool, keep: Any
) -> None:
    server.queue(called(streamed))
    client = make_client()
    if streamed:
        *_, result = [item async for item in client.create_stream([HI], tools=[ADD])]
    else:
        result = await client.create([HI], tools=[ADD])
    assert isinstance(result, CreateResult)
    history = await reloaded([HI, HI, *answered(keep(result))])
    await client.create(history, tools=[ADD])
    sent = next(item for item in server.requests[1].body["messages"] if item["role"] == "assistant")
    assert sent["reasoning_details"] == DETAILS
    assert sent["tool_calls"] == [
        {
            "id": "call_1",
            "type": "function",
            "extra_content": SIGNATURE,
            "function": {"name": "add", "arguments": '{"a": 1}', "mark": "m"},
        }
    ]


async def test_marked_parts_of_a_text_come_back_unless_the_text_was_changed(
    server: CannedServer, make_client: MakeClient
) -> None:
    parts = [{"type": "text", "text": "Hel", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "lo"}]
    server.queue(completion(message(parts)))  # pyright: ignore[reportArgumentType] - some servers send parts
    client = make_client()
    said = as_said(await client.create([HI]))
    await client.create(await reloaded([said, HI]))
    await client.create([said.model_copy(update={"content": "Bye"}), HI])
    assert server.requests[1].body["messages"][0] == {"role": "assistant", "content": parts}
    assert server.requests[2].body["messages"][0] == {"role": "assistant", "content": "Bye"}


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_is_sent_back_within_a_turn_of_tools_only(
    server: CannedServer, make_client: MakeClient, name: str
) -> None:
    """Some servers insist on it there, and refuse it elsewhere."""
    server.queue(
        completion(message(None, finish="tool_calls", tool_calls=[call()], **{name: "Hm."})),
        completion(message("Hello", **{name: "Hm."})),
    )
    client = make_client()
    history = answered(as_said_before(await client.create([HI], tools=[ADD])))
    history.append(as_said(await client.create(history, tools=[ADD])))
    await client.create(history, tools=[ADD])
    _, with_calls, _, with_text = server.requests[2].body["messages"]
    assert with_calls[name] == "Hm."
    assert with_calls["content"] is None
    assert with_text == {"role": "assistant", "content": "Hello"}


async def test_another_server_does_not_get_it(server: CannedServer, make_client: MakeClient) -> None:
    server.queue(called(streamed=False))
    history = answered(as_said(await make_client().create([HI], tools=[ADD])))
    elsewhere = make_client(base_url=server.base_url.replace("127.0.0.1", "localhost"))
    await elsewhere.create(history, tools=[ADD])
    sent = server.requests[1].body["messages"][1]
    assert sent.keys() == {"role", "content", "tool_calls"}
    assert sent["tool_calls"][0].keys() == {"id", "type", "function"}


async def test_a_reply_without_additions_leaves_nothing_behind(server: CannedServer, make_client: MakeClient) -> None:
    server.queue(completion(message(None, finish="tool_calls", tool_calls=[call()], annotations=[], mood=None)))
    result = await make_client().create([HI], tools=[ADD])
    assert result.provider_data is None
    assert isinstance(result.content, list)
    assert result.content[0].provider_data is None
    assert result.model_dump().keys() == {"finish_reason", "content", "usage", "cached", "logprobs", "thought"}
    assert result.content == [FunctionCall(id="call_1", name="add", arguments='{"a": 1}')]
