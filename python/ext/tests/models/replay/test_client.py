import asyncio
from typing import Any

import pytest

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models.replay import ReplayChatCompletionClient

SIX_WORDS: list[LLMMessage] = [SystemMessage(content="be nice please"), UserMessage(content="hi there you", source="u")]
CALL = CreateResult(
    finish_reason="function_calls",
    content=[FunctionCall(id="1", name="add", arguments="{}")],
    usage=RequestUsage(prompt_tokens=50, completion_tokens=4),
    cached=False,
    thought="adding",
)


async def stream_of(client: ChatCompletionClient, **kwargs: Any) -> list[str | CreateResult]:
    return [item async for item in client.create_stream(SIX_WORDS, **kwargs)]


async def test_answers_are_replayed_in_order() -> None:
    client = ReplayChatCompletionClient(["one two three", CALL])
    first = await client.create(SIX_WORDS)
    assert first == CreateResult(finish_reason="stop", content="one two three", usage=RequestUsage(6, 3), cached=True)
    assert await client.create(SIX_WORDS) is CALL


async def test_when_all_are_used_the_error_says_what_to_do() -> None:
    client = ReplayChatCompletionClient(["one"])
    await client.create(SIX_WORDS)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"No more mock responses available: all 1 were used.*reset\(\)"):
            await client.create(SIX_WORDS)
    with pytest.raises(ValueError, match="No more mock responses available"):
        await stream_of(client)
    assert len(client.create_calls) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello big world", ["hello ", "big ", "world"]),
        ("one", ["one"]),
        (" a  b\n\nc ", ["a ", "b ", "c"]),
        ("", []),
    ],
)
async def test_a_text_is_streamed_word_by_word_and_the_result_holds_it_unchanged(text: str, words: list[str]) -> None:
    *pieces, result = await stream_of(ReplayChatCompletionClient([text]))
    assert pieces == words
    assert isinstance(result, CreateResult)
    assert result.content == text
    assert result.usage == RequestUsage(prompt_tokens=6, completion_tokens=len(words))


async def test_a_result_is_streamed_as_it_is() -> None:
    assert await stream_of(ReplayChatCompletionClient([CALL])) == [CALL]


@pytest.mark.parametrize("streamed", [False, True])
async def test_usage_counts_words_and_adds_up(streamed: bool) -> None:
    """What a prepared result says of its prompt does not count; its answer does."""
    client = ReplayChatCompletionClient(["one two three", CALL])
    for _ in range(2):
        if streamed:
            await stream_of(client)
        else:
            await client.create(SIX_WORDS)
    assert client.actual_usage() == RequestUsage(prompt_tokens=6, completion_tokens=4)
    assert client.total_usage() == RequestUsage(prompt_tokens=12, completion_tokens=7)
    assert client.remaining_tokens(SIX_WORDS) == 10_000 - 19


async def test_what_remains_is_never_below_zero() -> None:
    client = ReplayChatCompletionClient(["word " * 10_001])
    await client.create(SIX_WORDS)
    assert client.remaining_tokens([]) == 0


def test_only_messages_that_are_text_count() -> None:
    client = ReplayChatCompletionClient([])
    calls = AssistantMessage(content=[FunctionCall(id="1", name="add", arguments="{}")], source="bot")
    assert client.count_tokens([*SIX_WORDS, calls, UserMessage(content=["three more words"], source="u")]) == 6


async def test_calls_are_written_down_streamed_or_not() -> None:
    client = ReplayChatCompletionClient(["one", "two"])
    messages = list(SIX_WORDS)
    await client.create(messages, tools=[{"name": "add"}], json_output=True, extra_create_args={"seed": 1})
    await stream_of(client)
    messages.clear()
    first, second = client.create_calls
    assert first == {
        "messages": SIX_WORDS,
        "tools": [{"name": "add"}],
        "json_output": True,
        "extra_create_args": {"seed": 1},
        "cancellation_token": None,
    }
    assert second["messages"] == SIX_WORDS


async def test_reset_begins_again_and_keeps_what_was_written_down() -> None:
    client = ReplayChatCompletionClient(["one", "two"])
    await client.create(SIX_WORDS)
    client.reset()
    assert client.total_usage() == client.actual_usage() == RequestUsage(prompt_tokens=0, completion_tokens=0)
    assert (await client.create(SIX_WORDS)).content == "one"
    assert len(client.create_calls) == 2


async def test_answers_may_be_added_later() -> None:
    client = ReplayChatCompletionClient(["one"])
    client.chat_completions.append("two")
    assert [(await client.create([])).content for _ in range(2)] == ["one", "two"]
    assert client.provided_message_count == 1


async def test_the_mark_of_a_cached_answer_can_be_set() -> None:
    client = ReplayChatCompletionClient(["one", "two"])
    assert (await client.create([])).cached
    client.set_cached_bool_value(False)
    assert not (await client.create([])).cached


async def test_streams_that_overlap_get_different_answers() -> None:
    client = ReplayChatCompletionClient(["a a", "b b"])
    one, other = client.create_stream([]), client.create_stream([])
    assert (await anext(one), await anext(other)) == ("a ", "b ")
    await one.aclose()
    await other.aclose()


async def test_a_cancelled_token_ends_the_call_and_uses_no_answer() -> None:
    client, token = ReplayChatCompletionClient(["one two"]), CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.create(SIX_WORDS, cancellation_token=token)
    with pytest.raises(asyncio.CancelledError):
        await stream_of(client, cancellation_token=token)
    assert client.create_calls == []


async def test_a_token_cancelled_in_the_middle_ends_the_stream() -> None:
    client, token = ReplayChatCompletionClient(["one two"]), CancellationToken()
    stream = client.create_stream(SIX_WORDS, cancellation_token=token)
    assert await anext(stream) == "one "
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(stream)


async def test_a_saved_client_loads_with_its_answers() -> None:
    info = ModelInfo(vision=True, function_calling=True, json_output=True, family="gpt-4o", structured_output=True)
    dumped = ReplayChatCompletionClient(["one", CALL], info).dump_component()
    assert dumped.provider == "autogen_ext.models.replay.ReplayChatCompletionClient"
    assert dumped.component_type == "replay_chat_completion_client"
    again = ChatCompletionClient.load_component(dumped.model_dump())
    assert isinstance(again, ReplayChatCompletionClient)
    assert again.chat_completions == ["one", CALL]
    assert again.model_info == info


async def test_by_default_the_model_can_do_nothing_but_text() -> None:
    client = ReplayChatCompletionClient([])
    assert set(client.model_info.values()) == {False, "unknown"}
    with pytest.warns(DeprecationWarning, match="use model_info"):
        assert client.capabilities == client.model_info
    with pytest.raises(ValueError, match="function_calling"):
        ReplayChatCompletionClient([], {"vision": True})  # pyright: ignore[reportArgumentType] - that is the mistake
    await client.close()
