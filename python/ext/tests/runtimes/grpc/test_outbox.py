import asyncio

import pytest

from autogen_ext.runtimes.grpc._outbox import ClosedError, Outbox


async def test_messages_come_in_their_order() -> None:
    box = Outbox[int](10)
    for number in range(3):
        box.put(number)
    assert [await box.get() for _ in range(3)] == [0, 1, 2]


async def test_one_who_waits_gets_the_next() -> None:
    box = Outbox[int](10)
    waiting = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    box.put(7)
    assert await waiting == 7


async def test_a_full_one_holds_back_until_there_is_space() -> None:
    box = Outbox[int](2)
    box.put(1)
    box.put(2)
    assert not await box.space(0.01)
    waiting = asyncio.create_task(box.space(10))
    await asyncio.sleep(0)
    await box.get()
    assert await waiting


async def test_closing_lets_all_go_after_what_is_left() -> None:
    box = Outbox[int](1)
    box.put(1)
    writer = asyncio.create_task(box.space(10))
    await asyncio.sleep(0)
    box.close()
    assert await writer
    box.put(2)
    assert await box.get() == 1
    with pytest.raises(ClosedError):
        await box.get()


async def test_it_is_written_once_the_reader_comes_back() -> None:
    box = Outbox[int](10)
    box.put(1)
    assert not await box.written(0.01)
    await box.get()
    assert not await box.written(0.01)
    reader = asyncio.create_task(box.get())
    assert await box.written(10)
    reader.cancel()


async def test_what_could_not_be_written_is_next_again() -> None:
    box = Outbox[int](10)
    box.put(1)
    box.put(2)
    box.put_back(await box.get())
    assert await box.get() == 1
    box.discard(lambda number: number == 2)
    assert len(box) == 0
