"""The cancellation token."""

import asyncio
import threading

import pytest

from autogen_core import CancellationToken


async def test_cancelling_cancels_linked_futures_and_runs_callbacks_once() -> None:
    token = CancellationToken()
    future = token.link_future(asyncio.get_running_loop().create_future())
    calls: list[int] = []
    token.add_callback(lambda: calls.append(1))
    token.cancel()
    token.cancel()
    assert future.cancelled()
    assert calls == [1]
    assert token.is_cancelled()


async def test_a_cancelled_token_cancels_and_calls_at_once() -> None:
    token = CancellationToken()
    token.cancel()
    calls: list[int] = []
    token.add_callback(lambda: calls.append(1))
    assert calls == [1]
    assert token.link_future(asyncio.get_running_loop().create_future()).cancelled()


def test_a_callback_may_ask_the_token_and_cancel_it_again() -> None:
    token = CancellationToken()
    seen: list[bool] = []

    def callback() -> None:
        token.cancel()
        seen.append(token.is_cancelled())

    token.add_callback(callback)
    thread = threading.Thread(target=token.cancel)
    thread.start()
    thread.join(timeout=5)
    assert not thread.is_alive(), "cancel() waits for itself"
    assert seen == [True]


async def test_a_token_linked_100_000_times_does_not_grow() -> None:
    token = CancellationToken()
    loop = asyncio.get_running_loop()
    for _ in range(100_000):
        token.link_future(loop.create_future()).set_result(None)
        if _ % 1000 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not token._futures


async def test_a_finished_future_is_left_alone() -> None:
    token = CancellationToken()
    future = asyncio.get_running_loop().create_future()
    future.set_result(1)
    token.link_future(future)
    token.cancel()
    assert await future == 1


def test_all_callbacks_run_although_one_fails_and_its_error_is_raised() -> None:
    token = CancellationToken()
    calls: list[int] = []

    def fail() -> None:
        raise KeyError("boom")

    token.add_callback(fail)
    token.add_callback(lambda: calls.append(1))
    with pytest.raises(ExceptionGroup) as caught:
        token.cancel()
    assert calls == [1]
    assert isinstance(caught.value.exceptions[0], KeyError)


async def test_a_future_of_the_loop_is_cancelled_from_another_thread() -> None:
    token = CancellationToken()
    future = token.link_future(asyncio.get_running_loop().create_future())
    threading.Thread(target=token.cancel).start()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(future), 5)
