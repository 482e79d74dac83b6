"""Interrupting an await: with the token, without leaving a trace on the task."""

import asyncio

import pytest

from autogen_core import CancellationToken
from autogen_core.lowlevel import Interrupt


async def answer(delay: float = 0) -> int:
    if delay:
        await asyncio.sleep(delay)
    return 42


async def test_work_that_does_not_wait_returns_at_once() -> None:
    assert await Interrupt(CancellationToken()).wait(answer()) == 42


async def test_work_that_waits_returns_its_value() -> None:
    assert await Interrupt(CancellationToken()).wait(answer(0.001)) == 42


async def test_futures_can_be_waited_for() -> None:
    assert await Interrupt(CancellationToken()).wait(asyncio.ensure_future(answer(0.001))) == 42


async def test_the_works_error_comes_through() -> None:
    async def fail(delay: float) -> None:
        await answer(delay)
        raise KeyError("x")

    for delay in (0, 0.001):
        with pytest.raises(KeyError):
            await Interrupt(CancellationToken()).wait(fail(delay))


async def test_the_token_ends_work_that_does_not_know_it() -> None:
    token = CancellationToken()
    asyncio.get_running_loop().call_later(0.01, token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await Interrupt(token).wait(answer(30))


async def test_the_work_can_clean_up() -> None:
    token, cleaned = CancellationToken(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.001)
            cleaned.set()

    asyncio.get_running_loop().call_later(0.01, token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await Interrupt(token).wait(work())
    assert cleaned.is_set()


async def test_the_task_goes_on_after_an_interrupt_it_caught() -> None:
    """The interrupt takes back its cancellation, so that `asyncio.timeout` and task groups see an uncancelled task."""
    token = CancellationToken()
    asyncio.get_running_loop().call_later(0.01, token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await Interrupt(token).wait(answer(30))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    async with asyncio.timeout(5):
        await asyncio.sleep(0)


async def test_cancelling_the_task_itself_still_cancels_it() -> None:
    token = CancellationToken()
    task = asyncio.ensure_future(_wait(token))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def _wait(token: CancellationToken) -> int:
    return await Interrupt(token).wait(answer(30))


async def test_a_timeout_around_it_stays_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await Interrupt(CancellationToken()).wait(answer(30))


async def test_work_that_swallows_the_cancellation_returns_and_the_next_check_raises() -> None:
    token = CancellationToken()
    interrupt = Interrupt(token)

    async def stubborn() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "late"
        return "never"

    asyncio.get_running_loop().call_later(0.01, token.cancel)
    assert await interrupt.wait(stubborn()) == "late"
    with pytest.raises(asyncio.CancelledError):
        interrupt.check()


async def test_nothing_stays_linked_to_the_token() -> None:
    """A token may live as long as the program; what is done leaves it."""
    token = CancellationToken()
    for _ in range(3):
        await Interrupt(token).wait(answer(0.001))
    await asyncio.sleep(0)
    assert not token._futures


async def test_cancelling_from_another_thread_works() -> None:
    token = CancellationToken()
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, lambda: loop.run_in_executor(None, token.cancel))
    with pytest.raises(asyncio.CancelledError):
        await Interrupt(token).wait(answer(30))
