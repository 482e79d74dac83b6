import asyncio
from collections.abc import AsyncGenerator

import pytest

from autogen_core import CancellationToken
from autogen_ext.models._shared._cancellation import cancellable, cancellable_items


async def numbers(count: int) -> AsyncGenerator[int, None]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


async def one_then_silence(cancelled: asyncio.Event) -> AsyncGenerator[int, None]:
    yield 1
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.set()
        raise


async def test_a_result_passes_through_with_and_without_a_token() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await cancellable(work(), None) == 7
    assert await cancellable(work(), CancellationToken()) == 7


async def test_cancelling_the_token_cancels_the_work() -> None:
    token = CancellationToken()
    waiting = asyncio.Event()

    async def work() -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(cancellable(work(), token))
    await waiting.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_items_pass_through_with_and_without_a_token() -> None:
    for token in (None, CancellationToken()):
        assert [item async for item in cancellable_items(numbers(3), token)] == [0, 1, 2]


async def test_cancelling_the_token_ends_a_wait_for_the_next_item() -> None:
    """The task that waits is not left marked as cancelled: it may catch the error and go on."""
    token = CancellationToken()
    cancelled = asyncio.Event()
    items = cancellable_items(one_then_silence(cancelled), token)
    assert await anext(items) == 1
    asyncio.get_running_loop().call_soon(token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await anext(items)
    assert cancelled.is_set()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_token_cancelled_between_two_items_gives_no_further_item() -> None:
    token = CancellationToken()
    items = cancellable_items(numbers(3), token)
    assert await anext(items) == 0
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(items)


async def test_a_token_cancelled_from_another_thread_ends_the_wait() -> None:
    token = CancellationToken()
    items = cancellable_items(one_then_silence(asyncio.Event()), token)
    await anext(items)
    threaded = asyncio.get_running_loop().run_in_executor(None, token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await anext(items)
    await threaded


async def test_cancelling_the_task_itself_stays_a_cancellation_of_the_task() -> None:
    waiting = asyncio.Event()

    async def read() -> None:
        async for _ in cancellable_items(one_then_silence(asyncio.Event()), CancellationToken()):
            waiting.set()

    task = asyncio.create_task(read())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_a_token_outlives_many_streams_without_growing() -> None:
    token = CancellationToken()
    for _ in range(10):
        assert [item async for item in cancellable_items(numbers(2), token)] == [0, 1]
    await asyncio.sleep(0)
    assert not token._futures
