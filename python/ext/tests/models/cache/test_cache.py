"""Repeated calls are answered from a store, and a store of 0.7.5 stays of use."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import diskcache  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest
from pydantic import BaseModel

from autogen_core import ComponentModel, FunctionCall, InMemoryStore
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.cache_store.diskcache import DiskCacheStore
from autogen_ext.models.cache import CHAT_CACHE_VALUE_TYPE, ChatCompletionCache
from autogen_ext.models.replay import ReplayChatCompletionClient

INFO = ModelInfo(vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True)
HI: list[LLMMessage] = [UserMessage(content="hi", source="u")]
CALL = CreateResult(
    finish_reason="function_calls",
    content=[FunctionCall(id="1", name="f", arguments="{}")],
    usage=RequestUsage(prompt_tokens=1, completion_tokens=2),
    cached=False,
    thought="t",
)


class Answer(BaseModel):
    x: int


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


ADD = FunctionTool(add, "Adds")
EXTRA = {"b": 1, "a": [2]}


def model(*answers: str | CreateResult) -> ReplayChatCompletionClient:
    client = ReplayChatCompletionClient(answers, INFO)
    client.set_cached_bool_value(False)
    return client


def cached(*answers: str | CreateResult) -> tuple[ChatCompletionCache, InMemoryStore[CHAT_CACHE_VALUE_TYPE]]:
    store: InMemoryStore[CHAT_CACHE_VALUE_TYPE] = InMemoryStore()
    return ChatCompletionCache(model(*answers), store), store


async def read(client: ChatCompletionClient, messages: list[LLMMessage] = HI, **kwargs: Any) -> list[Any]:
    return [item async for item in client.create_stream(messages, **kwargs)]


async def test_a_repeated_call_is_answered_from_the_store_and_marked() -> None:
    client, _ = cached("one two")
    first = await client.create(HI)
    second = await client.create(HI)
    assert (first.content, first.cached) == ("one two", False)
    assert second == first.model_copy(update={"cached": True})
    assert client.total_usage() == client.actual_usage() == RequestUsage(prompt_tokens=1, completion_tokens=2)


async def test_a_repeated_stream_comes_in_the_same_pieces() -> None:
    client, _ = cached("one two")
    assert (await read(client))[:-1] == (await read(client))[:-1] == ["one ", "two"]
    assert (await read(client))[-1].cached


async def test_a_streamed_answer_serves_other_calls_and_the_reverse() -> None:
    client, _ = cached("one two", "three", CALL)
    await read(client)
    assert (await client.create(HI)).content == "one two"
    other: list[LLMMessage] = [UserMessage(content="other", source="u")]
    await client.create(other)
    assert [getattr(item, "content", item) for item in await read(client, other)] == ["three", "three"]
    call: list[LLMMessage] = [UserMessage(content="call", source="u")]
    await client.create(call)
    assert await read(client, call) == [CALL.model_copy(update={"cached": True})]


@pytest.mark.parametrize(
    "different",
    [
        {"tools": [ADD]},
        {"tool_choice": "required"},
        {"json_output": True},
        {"json_output": Answer},
        {"extra_create_args": {"seed": 1}},
        {"messages": [UserMessage(content="hi", source="v")]},
    ],
)
async def test_calls_that_differ_are_not_answered_by_each_other(different: dict[str, Any]) -> None:
    client, store = cached("one", "two")
    await client.create(HI)
    arguments: dict[str, Any] = {"messages": HI, **different}
    assert (await client.create(**arguments)).content == "two"
    assert len(store.store) == 2


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({}, "d716aff7f947d7e48c950e7848e1bfe0b34fb775bcbc86c15ed9a42104d0dbb0"),
        ({"tools": [ADD]}, "2285425df6951c51d90c92cc7c29278dd3b9e63d18070fb8973e3ddd210ec4a6"),
        ({"json_output": Answer}, "b3a4ca39753be2867879bafff1a253a4b9602123031c379edc5d23e0b39ac9c1"),
        (
            {"json_output": True, "extra_create_args": {"b": 1, "a": [2]}},
            "b7c87263f49025e68d93af565ffe11725adc928a7755a6229ec5176e4e144e90",
        ),
    ],
)
async def test_keys_are_those_of_0_7_5(arguments: dict[str, Any], key: str) -> None:
    """Recorded from 0.7.5, so that its stores stay of use."""
    client, store = cached("x")
    await client.create(HI, **arguments)
    assert list(store.store) == [key]


@pytest.mark.parametrize(
    "kept",
    [
        CALL,
        CALL.model_dump(),
        CALL.model_dump_json(),
        [CALL],
        ["a", CALL.model_dump(mode="json")],
    ],
)
async def test_what_stores_make_of_an_answer_is_read(kept: Any) -> None:
    client, store = cached("new")
    await client.create(HI)
    key = next(iter(store.store))
    store.store[key] = kept
    assert await client.create(HI) == CALL.model_copy(update={"cached": True})


@pytest.mark.parametrize("kept", ["garbage", {"a": 1}, [], [1], 7])
async def test_what_is_no_answer_is_passed_over_with_a_warning(kept: Any, caplog: pytest.LogCaptureFixture) -> None:
    client, store = cached("old", "new")
    await client.create(HI)
    store.store[next(iter(store.store))] = kept
    with caplog.at_level(logging.WARNING, "autogen_ext.models.middleware"):
        assert (await client.create(HI)).content == "new"
    assert "is no answer of a model" in caplog.text
    assert (await client.create(HI)).content == "new"


async def test_a_stream_that_was_not_read_to_its_end_is_not_kept() -> None:
    client, store = cached("one two", "three")
    stream = client.create_stream(HI)
    await anext(stream)
    await stream.aclose()
    assert not store.store
    assert (await client.create(HI)).content == "three"


async def test_a_failed_call_is_not_kept() -> None:
    client, store = cached()
    with pytest.raises(ValueError, match="No more mock responses"):
        await client.create(HI)
    assert not store.store


async def test_changing_an_answer_does_not_change_what_is_kept() -> None:
    client, _ = cached("one")
    await client.create(HI)
    (await client.create(HI)).content = "changed"
    assert (await client.create(HI)).content == "one"


async def test_a_store_on_the_network_does_not_hold_up_the_event_loop() -> None:
    class SlowStore(InMemoryStore[CHAT_CACHE_VALUE_TYPE]):
        waits_on_network = True

        def get(self, key: str, default: CHAT_CACHE_VALUE_TYPE | None = None) -> CHAT_CACHE_VALUE_TYPE | None:
            assert asyncio._get_running_loop() is None  # it runs in a thread
            return super().get(key, default)

        def set(self, key: str, value: CHAT_CACHE_VALUE_TYPE) -> None:
            assert asyncio._get_running_loop() is None
            super().set(key, value)

    client = ChatCompletionCache(model("one", "two"), SlowStore())
    await client.create(HI)
    assert (await client.create(HI)).cached
    assert (await read(client))[-1].cached


def test_it_dumps_and_loads_with_its_store(tmp_path: Path) -> None:
    with diskcache.Cache(str(tmp_path)) as folder:
        client = ChatCompletionCache(model("one"), DiskCacheStore(folder))
        dumped = client.dump_component()
        assert dumped.provider == "autogen_ext.models.cache.ChatCompletionCache"
        assert dumped.component_type == "chat_completion_cache"
        loaded = ChatCompletionCache.load_component(ComponentModel.model_validate_json(dumped.model_dump_json()))
        assert loaded.dump_component() == dumped
        assert isinstance(loaded.store, DiskCacheStore)
        loaded.store.cache.close()


def test_a_configuration_of_0_7_5_loads() -> None:
    config = {
        "provider": "autogen_ext.models.cache.ChatCompletionCache",
        "component_type": "chat_completion_cache",
        "version": 1,
        "component_version": 1,
        "description": "x",
        "label": "ChatCompletionCache",
        "config": {
            "client": {
                "provider": "autogen_ext.models.replay.ReplayChatCompletionClient",
                "component_type": "replay_chat_completion_client",
                "version": 1,
                "config": {"chat_completions": ["one two"]},
            }
        },
    }
    client = ChatCompletionCache.load_component(config)
    assert isinstance(client.client, ReplayChatCompletionClient)
    assert isinstance(client.store, InMemoryStore)
    assert client.dump_component().config.keys() == {"client"}
