"""A cache in a folder outlives the program and is shared by processes."""

import asyncio
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import diskcache  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest

from autogen_core import ComponentModel
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_ext.cache_store.diskcache import DiskCacheStore
from autogen_ext.models.cache import CHAT_CACHE_VALUE_TYPE, ChatCompletionCache
from autogen_ext.models.replay import ReplayChatCompletionClient

RESULT = CreateResult(
    finish_reason="stop", content="x", usage=RequestUsage(prompt_tokens=1, completion_tokens=2), cached=False
)


@pytest.fixture
def folder(tmp_path: Path) -> Generator["diskcache.Cache"]:
    with diskcache.Cache(str(tmp_path)) as cache:
        yield cache


def test_values_come_back_as_they_were(folder: "diskcache.Cache") -> None:
    store: DiskCacheStore[CHAT_CACHE_VALUE_TYPE] = DiskCacheStore(folder)
    store.set("one", RESULT)
    store.set("several", ["a", RESULT])
    assert store.get("one") == RESULT
    assert store.get("several") == ["a", RESULT]
    assert store.cache is folder


def test_what_is_not_there_is_the_default(folder: "diskcache.Cache") -> None:
    store: DiskCacheStore[int] = DiskCacheStore(folder)
    assert store.get("none") is None
    assert store.get("none", 3) == 3


def test_another_process_is_answered_from_it(folder: "diskcache.Cache", tmp_path: Path) -> None:
    hi = [UserMessage(content="hi", source="u")]
    cached = ChatCompletionCache(ReplayChatCompletionClient([RESULT]), DiskCacheStore(folder))
    asyncio.run(cached.create(hi))
    program = f"""
import asyncio, diskcache
from autogen_core.models import UserMessage
from autogen_ext.cache_store.diskcache import DiskCacheStore
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.replay import ReplayChatCompletionClient
with diskcache.Cache({str(tmp_path)!r}) as folder:
    client = ChatCompletionCache(ReplayChatCompletionClient([]), DiskCacheStore(folder))
    print(asyncio.run(client.create([UserMessage(content="hi", source="u")])).model_dump_json())
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, timeout=50)
    assert CreateResult.model_validate_json(printed.stdout) == RESULT.model_copy(update={"cached": True})


def test_it_dumps_and_loads(folder: "diskcache.Cache", tmp_path: Path) -> None:
    store: DiskCacheStore[int] = DiskCacheStore(folder)
    store.set("key", 1)
    dumped = store.dump_component()
    assert dumped.provider == "autogen_ext.cache_store.diskcache.DiskCacheStore"
    assert dumped.config == {"directory": str(tmp_path)}
    loaded: DiskCacheStore[int] = DiskCacheStore[int].load_component(
        ComponentModel.model_validate_json(dumped.model_dump_json())
    )
    assert loaded.get("key") == 1
    loaded.cache.close()
