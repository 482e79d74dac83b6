"""Engines: shared, loaded beside the event loop, given up at once."""

import asyncio
import gc
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from autogen_ext.models.local import ContextLengthError, GenerationError, LocalChatCompletionClient, ModelLoadError
from autogen_ext.models.local._engine import Engine, EngineSettings
from autogen_ext.models.local._pool import EngineLease, _pool
from autogen_ext.models.local._weights import find_weights

from .kit import becomes_busy, becomes_idle, user

STORY: dict[str, Any] = {"messages": [{"role": "user", "content": "Write a long story."}], "max_tokens": 600}
LONG_PROMPT: dict[str, Any] = {"messages": [{"role": "user", "content": "The cat sat. " * 700}], "max_tokens": 1}


def lease(n_ctx: int = 512) -> EngineLease:
    weights = find_weights(None)
    return EngineLease(weights, EngineSettings(weights.path, n_ctx=n_ctx, n_threads=1, slots=1))


async def test_equal_settings_share_one_engine() -> None:
    one, other, different = lease(), lease(), lease(n_ctx=640)
    first, second, third = await asyncio.gather(one.engine(), other.engine(), different.engine())
    assert first is second
    assert first is not third
    one.release()
    assert await other.engine() is first
    other.release()
    different.release()


async def test_an_engine_is_forgotten_with_its_last_user() -> None:
    one, other = lease(n_ctx=768), lease(n_ctx=768)
    first = await one.engine()
    await other.engine()
    one.release()
    one.release()
    other.release()
    again = lease(n_ctx=768)
    assert await again.engine() is not first
    again.release()


async def test_a_client_that_nobody_refers_to_gives_its_engine_back() -> None:
    client = LocalChatCompletionClient(n_ctx=896)
    settings = client._lease._settings
    await client._lease.engine()
    assert settings in _pool._engines
    del client
    gc.collect()
    assert settings not in _pool._engines


async def test_a_wait_that_is_cancelled_does_not_stop_the_loading_for_others() -> None:
    one, other = lease(n_ctx=576), lease(n_ctx=576)
    waiting = asyncio.ensure_future(one.engine())
    await asyncio.sleep(0)
    waiting.cancel()
    engine = await other.engine()
    assert await one.engine() is engine
    one.release()
    other.release()


async def test_the_event_loop_keeps_turning_while_a_model_is_loaded_and_computes() -> None:
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - before)
            await asyncio.sleep(0.001)

    watching = asyncio.ensure_future(watch())
    held = lease(n_ctx=704)
    engine = await held.engine()
    async with aclosing(engine.chat({**STORY, "max_tokens": 20})) as chunks:
        assert [chunk async for chunk in chunks]
    watching.cancel()
    held.release()
    assert longest < 0.5  # a load takes longer; a gap of the event loop is a few milliseconds


async def test_a_damaged_file_is_an_error_and_can_be_replaced(tmp_path: Path) -> None:
    good = find_weights(None).path
    path = tmp_path / "model.gguf"
    path.write_bytes(good.read_bytes()[:1_000_000])
    weights = find_weights(path)
    held = EngineLease(weights, EngineSettings(path, n_ctx=512, n_threads=1, slots=1))
    with pytest.raises(ModelLoadError, match=r"model\.gguf"):
        await held.engine()
    path.unlink()
    path.symlink_to(good)
    assert (await held.engine()).n_params > 0
    held.release()


async def test_a_closed_stream_stops_generation(engine: Engine) -> None:
    async with aclosing(engine.chat(STORY)) as chunks:
        async for chunk in chunks:
            if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                break
        assert engine.busy
    await becomes_idle(engine)


async def test_a_prompt_that_is_still_read_can_be_given_up(engine: Engine) -> None:
    async def read() -> None:
        async with aclosing(engine.chat(LONG_PROMPT)) as chunks:
            async for _ in chunks:
                pass

    reading = asyncio.ensure_future(read())
    await becomes_busy(engine)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    # All of it takes well over ten seconds; one batch of it a part of one.
    async with asyncio.timeout(5):
        await becomes_idle(engine)


async def test_a_request_that_waits_for_its_turn_can_be_given_up(engine: Engine) -> None:
    """More requests than the engine takes at a time: all of them end when they are cancelled."""
    running = [asyncio.ensure_future(_first_text(engine)) for _ in range(5)]
    await becomes_busy(engine)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await becomes_idle(engine)


async def test_a_prompt_that_is_too_long_says_by_how_much(engine: Engine) -> None:
    with pytest.raises(ContextLengthError, match="shorten the conversation") as caught:
        await _first_text(engine, {"messages": [{"role": "user", "content": "cat " * 5000}]})
    assert caught.value.prompt_tokens > caught.value.n_ctx == engine.n_ctx
    assert isinstance(caught.value, ValueError)


async def test_what_the_engine_refuses_is_raised_with_its_reason(engine: Engine) -> None:
    with pytest.raises(GenerationError, match="messages"):
        await _first_text(engine, {"messages": "Hello"})
    with pytest.raises(GenerationError, match="messages"):
        engine.count_tokens({"messages": "Hello"})


async def test_two_event_loops_can_use_one_engine(engine: Engine) -> None:
    def elsewhere() -> str:
        return asyncio.run(_first_text(engine))

    here, there = await asyncio.gather(_first_text(engine), asyncio.to_thread(elsewhere))
    assert here == there


async def test_nothing_native_is_written_to_the_terminal(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    held = lease(n_ctx=832)
    engine = await held.engine()
    await _first_text(engine)
    with pytest.raises(ContextLengthError):
        await _first_text(engine, {"messages": [{"role": "user", "content": "cat " * 2000}]})
    held.release()
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 64)
    client = LocalChatCompletionClient(bad)
    with pytest.raises(ModelLoadError):
        await client.create([user("Hello!")])
    assert capfd.readouterr() == ("", "")


async def _first_text(engine: Engine, request: dict[str, Any] = STORY) -> str:
    async with aclosing(engine.chat({**request, "temperature": 0.0})) as chunks:
        async for chunk in chunks:
            for choice in chunk["choices"]:
                if choice["delta"].get("content"):
                    return str(choice["delta"]["content"])
    return ""
