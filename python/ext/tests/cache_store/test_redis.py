"""A cache in a real Redis server."""

import json
import logging
from collections.abc import Generator
from typing import Any

import pytest
import redis
from pydantic import BaseModel, ValidationError
from redis.backoff import NoBackoff
from redis.retry import Retry

from autogen_core import CacheStore, ComponentModel
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_ext.cache_store.redis import RedisStore, RedisStoreConfig
from autogen_ext.models.cache import CHAT_CACHE_VALUE_TYPE, ChatCompletionCache
from autogen_ext.models.replay import ReplayChatCompletionClient

from .conftest import PASSWORD, RedisServer


class Person(BaseModel):
    name: str


@pytest.fixture
def client(redis_server: RedisServer) -> Generator["redis.Redis"]:
    with redis.Redis("127.0.0.1", redis_server.port) as connected:
        connected.flushall()  # pyright: ignore[reportUnknownMemberType] - the SDK leaves its keywords open
        yield connected


@pytest.mark.parametrize(
    ("value", "comes_back"),
    [
        ("text", "text"),
        ("é\n", "é\n"),
        (5, 5),
        ({"a": [1]}, {"a": [1]}),
        ([1, "b"], [1, "b"]),
        (Person(name="Ann"), {"name": "Ann"}),
        (["a", Person(name="Ann")], ["a", {"name": "Ann"}]),
        ({"who": Person(name="Ann")}, {"who": {"name": "Ann"}}),
        (b"bytes", "bytes"),
    ],
)
def test_values_come_back_as_json_makes_them(client: "redis.Redis", value: Any, comes_back: Any) -> None:
    store: RedisStore[Any] = RedisStore(client)
    store.set("key", value)
    assert store.get("key") == comes_back


def test_what_is_not_there_is_the_default(client: "redis.Redis") -> None:
    store: RedisStore[str] = RedisStore(client)
    assert store.get("none") is None
    assert store.get("none", "default") == "default"


def test_a_later_value_takes_the_place_of_the_one_before(client: "redis.Redis") -> None:
    store: RedisStore[int] = RedisStore(client)
    store.set("key", 1)
    store.set("key", 2)
    assert store.get("key") == 2


def test_a_client_that_decodes_by_itself_serves_as_well(redis_server: RedisServer) -> None:
    with redis.Redis("127.0.0.1", redis_server.port, decode_responses=True) as client:
        store: RedisStore[Any] = RedisStore(client)
        store.set("key", Person(name="Ann"))
        assert store.get("key") == {"name": "Ann"}


def test_what_is_no_text_counts_as_not_there(client: "redis.Redis", caplog: pytest.LogCaptureFixture) -> None:
    client.set("key", b"\xff\xfe")
    assert RedisStore[str](client).get("key", "default") == "default"
    assert "is not text" in caplog.text


def test_what_json_cannot_hold_is_not_kept_and_that_is_told(
    client: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    store: RedisStore[Any] = RedisStore(client)
    store.set("key", object())
    assert store.get("key") is None
    assert "object cannot be written as JSON" in caplog.text


def test_a_server_that_is_gone_counts_as_an_empty_cache(caplog: pytest.LogCaptureFixture) -> None:
    with redis.Redis("127.0.0.1", 1, retry=Retry(NoBackoff(), 0)) as client, caplog.at_level(logging.WARNING):
        store: RedisStore[str] = RedisStore(client)
        store.set("key", "value")
        assert store.get("key", "default") == "default"
    assert len(caplog.records) == 2


def test_entries_of_0_7_5_are_read(client: "redis.Redis") -> None:
    """Recorded from 0.7.5."""
    client.set(
        "key",
        '["a", "b", {"finish_reason": "stop", "content": "x", "usage": {"prompt_tokens": 1, "completion_tokens": 2}, '
        '"cached": false, "logprobs": null, "thought": null}]',
    )
    kept: Any = RedisStore[Any](client).get("key")
    assert kept[:2] == ["a", "b"]
    assert CreateResult.model_validate(kept[2]).content == "x"


@pytest.mark.parametrize("streamed", [False, True])
async def test_it_keeps_the_answers_of_a_model(client: "redis.Redis", streamed: bool) -> None:
    store: RedisStore[CHAT_CACHE_VALUE_TYPE] = RedisStore(client)
    result = CreateResult(
        finish_reason="stop", content="one two", usage=RequestUsage(prompt_tokens=1, completion_tokens=2), cached=False
    )
    hi = [UserMessage(content="hi", source="u")]
    cached = ChatCompletionCache(ReplayChatCompletionClient([result]), store)
    if streamed:
        assert [item async for item in cached.create_stream(hi)] == [result]
    else:
        await cached.create(hi)
    other = ChatCompletionCache(ReplayChatCompletionClient([]), RedisStore(client))
    assert await other.create(hi) == result.model_copy(update={"cached": True})
    assert client.dbsize() == 1  # pyright: ignore[reportUnknownMemberType] - the SDK leaves its keywords open


def test_it_dumps_and_loads_with_its_password_hidden_in_json(redis_server: RedisServer) -> None:
    with redis.Redis("127.0.0.1", redis_server.guarded_port, db=3, password=PASSWORD, socket_timeout=2.5) as client:
        store: RedisStore[str] = RedisStore(client)
        store.set("key", "value")
        dumped = store.dump_component()
    assert dumped.provider == "autogen_ext.cache_store.redis.RedisStore"
    loaded: RedisStore[str] = CacheStore[str].load_component(dumped, RedisStore[str])
    assert loaded.get("key") == "value"
    assert loaded.dump_component() == dumped
    loaded.cache.close()
    written = dumped.model_dump_json()
    assert PASSWORD not in written
    assert PASSWORD not in repr(dumped)
    assert json.loads(written)["config"] == {
        "host": "127.0.0.1",
        "port": redis_server.guarded_port,
        "db": 3,
        "password": "**********",
        "ssl": False,
        "socket_timeout": 2.5,
    }
    with pytest.raises(ValidationError, match="the password was hidden"):
        RedisStore[str].load_component(ComponentModel.model_validate_json(written))


def test_a_configuration_of_0_7_5_loads(redis_server: RedisServer) -> None:
    store: RedisStore[str] = RedisStore[str].load_component(
        {
            "provider": "autogen_ext.cache_store.redis.RedisStore",
            "component_type": "cache_store",
            "version": 1,
            "config": {"host": "127.0.0.1", "port": redis_server.guarded_port, "password": PASSWORD, "ssl": False},
        }
    )
    store.set("key", "value")
    assert store.get("key") == "value"
    store.cache.close()


def test_encryption_is_part_of_a_dump() -> None:
    with redis.Redis("127.0.0.1", 1, ssl=True) as client:
        dumped = RedisStore[str](client).dump_component()
    assert dumped.config["ssl"] is True
    loaded: RedisStore[str] = RedisStore[str].load_component(dumped)
    assert loaded.dump_component() == dumped
    loaded.cache.close()


def test_a_store_behind_a_socket_file_says_that_it_cannot_be_dumped() -> None:
    with redis.Redis(unix_socket_path="redis.sock") as client, pytest.raises(ValueError, match="host and a port"):
        RedisStore[str](client).dump_component()


def test_the_schema_of_the_configuration_is_that_of_the_contract() -> None:
    password = RedisStoreConfig.model_json_schema()["properties"]["password"]
    assert password["anyOf"] == [{"type": "string"}, {"type": "null"}]
