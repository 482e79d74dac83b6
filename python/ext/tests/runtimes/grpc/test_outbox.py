import asyncio

import pytest

from autogen_ext.runtimes.grpc._outbox import Outbox

from .agents import until


class Stream:
    """Takes messages, each only when it is let."""

    def __init__(self, *, open: bool = True) -> None:
        self.taken: list[int] = []
        self.gate = asyncio.Event()
        self.broken: Exception | None = None
        if open:
            self.gate.set()

    async def write(self, message: int) -> None:
        await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        self.taken.append(message)


async def test_messages_are_written_in_their_order() -> None:
    box, stream = Outbox[int](10), Stream()
    box.put(0)
    writing = asyncio.create_task(box.write_to(stream.write))
    box.put(1)
    await asyncio.sleep(0)
    box.put(2)
    assert await box.written(10)
    box.close()
    await writing
    assert stream.taken == [0, 1, 2]


async def test_a_message_that_finds_the_stream_idle_is_written_at_once() -> None:
    box, stream = Outbox[int](10), Stream()
    writing = asyncio.create_task(box.write_to(stream.write))
    await asyncio.sleep(0)
    box.put(7)
    assert stream.taken == [7]
    box.close()
    await writing


async def test_a_full_one_holds_back_until_there_is_space() -> None:
    box, stream = Outbox[int](2), Stream()
    box.put(1)
    box.put(2)
    assert not await box.space(0.01)
    waiting = asyncio.create_task(box.space(10))
    await asyncio.sleep(0)
    writing = asyncio.create_task(box.write_to(stream.write))
    assert await waiting
    box.close()
    await writing


async def test_closing_lets_all_go_after_what_is_left_is_written() -> None:
    box, stream = Outbox[int](1), Stream()
    box.put(1)
    writer = asyncio.create_task(box.space(10))
    await asyncio.sleep(0)
    box.close()
    assert await writer
    box.put(2)
    await asyncio.wait_for(box.write_to(stream.write), 10)
    assert stream.taken == [1]


async def test_closing_while_something_is_written_waits_for_that() -> None:
    box, stream = Outbox[int](1), Stream(open=False)
    writing = asyncio.create_task(box.write_to(stream.write))
    await asyncio.sleep(0)
    box.put(1)
    box.close()
    stream.gate.set()
    await asyncio.wait_for(writing, 10)
    assert stream.taken == [1]


async def test_it_is_written_once_the_stream_has_taken_all() -> None:
    box, stream = Outbox[int](10), Stream(open=False)
    assert await box.written(0)
    writing = asyncio.create_task(box.write_to(stream.write))
    await asyncio.sleep(0)
    box.put(1)
    assert len(box) == 0
    assert not await box.written(0.01)
    stream.gate.set()
    assert await box.written(10)
    box.close()
    await writing


@pytest.mark.parametrize("end", ["broken", "cancelled"])
async def test_what_could_not_be_written_is_the_first_for_the_next_stream(end: str) -> None:
    box, first, second = Outbox[int](10), Stream(open=False), Stream()
    for number in range(3):
        box.put(number)
    writing = asyncio.create_task(box.write_to(first.write))
    await asyncio.sleep(0)
    if end == "broken":
        first.broken = ConnectionError("gone")
        first.gate.set()
        with pytest.raises(ConnectionError):
            await writing
    else:
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    box.discard(lambda number: number == 1)
    assert len(box) == 2
    again = asyncio.create_task(box.write_to(second.write))
    await until(lambda: second.taken == [0, 2])
    box.close()
    await again


async def test_messages_can_be_taken_one_by_one_until_it_is_closed() -> None:
    box = Outbox[int](2)
    taken: list[int] = []

    async def take() -> None:
        async for message in box.messages():
            taken.append(message)  # noqa: PERF401 - one by one is what is tested

    box.put(0)
    taking = asyncio.create_task(take())
    await until(lambda: taken == [0])
    box.put(1)
    box.put(2)
    assert box.full
    assert await box.space(10)
    assert await box.written(10)
    assert taken == [0, 1, 2]
    box.put(3)
    box.close()
    box.put(4)
    await taking
    assert taken == [0, 1, 2, 3]


async def test_a_message_counts_as_written_when_the_next_one_is_asked_for() -> None:
    box = Outbox[int](2)
    box.put(0)
    messages = box.messages()
    assert await anext(messages) == 0
    assert not await box.written(0.05)
    asking = asyncio.ensure_future(anext(messages, None))
    assert await box.written(10)
    box.close()
    assert await asking is None


async def test_who_waits_for_messages_can_be_cancelled_and_come_back() -> None:
    box = Outbox[int](2)
    waiting = asyncio.ensure_future(anext(box.messages()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    box.put(1)
    assert await anext(box.messages()) == 1
