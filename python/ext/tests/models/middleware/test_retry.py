"""Calls are repeated after failures that pass, and only then."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from autogen_core import CancellationToken
from autogen_core.models import CreateResult
from autogen_ext.models.errors import AuthenticationError, RateLimitedError, ServerError
from autogen_ext.models.middleware import RetryClient

from .kit import HANG, HI, ScriptedClient, VirtualTime, bad_key, rate_limited, read, result, server_error, settle


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_is_repeated_until_it_is_answered(streamed: bool) -> None:
    time = VirtualTime()
    model = ScriptedClient([server_error(), rate_limited(), result("There.")])
    client = RetryClient(model, clock=time.clock)
    if streamed:
        assert (await time.run(read(client)))[0] == ["There.", result("There.")]
    else:
        assert await time.run(client.create(HI)) == [result("There.")]
    assert len(model.calls) == 3


async def test_the_wait_is_never_shorter_than_the_provider_asked() -> None:
    for _ in range(50):
        time = VirtualTime()
        client = RetryClient(ScriptedClient([rate_limited(2.0)]), clock=time.clock)
        await time.run(client.create(HI))
        assert 2.0 <= time.slept[0] <= 2.5


async def test_without_advice_waits_double_and_are_spread() -> None:
    firsts: set[float] = set()
    for _ in range(10):
        time = VirtualTime()
        client = RetryClient(ScriptedClient([server_error()] * 4), max_attempts=5, first_delay_s=1, clock=time.clock)
        await time.run(client.create(HI))
        assert all(2**n <= slept <= 2**n + 1 for n, slept in enumerate(time.slept))
        firsts.add(time.slept[0])
    assert len(firsts) > 1


async def test_after_the_last_attempt_the_error_comes_as_it_is_with_a_note() -> None:
    time, error = VirtualTime(), rate_limited()
    model = ScriptedClient([server_error(), server_error(), error])
    outcome = (await time.run(RetryClient(model, max_attempts=3, clock=time.clock).create(HI)))[0]
    assert outcome is error
    assert error.__notes__ == ["3 attempts were made."]


async def test_an_error_that_does_not_pass_is_raised_at_once() -> None:
    model = ScriptedClient([bad_key()])
    with pytest.raises(AuthenticationError):
        await RetryClient(model).create(HI)
    assert len(model.calls) == 1


async def test_a_provider_that_asks_for_too_much_patience_is_not_waited_for() -> None:
    model = ScriptedClient([rate_limited(61)])
    with pytest.raises(RateLimitedError):
        await RetryClient(model, max_delay_s=60).create(HI)
    assert len(model.calls) == 1


async def test_a_stream_that_breaks_after_a_piece_was_handed_on_is_not_repeated() -> None:
    model = ScriptedClient([["Hel", server_error()]])
    stream = RetryClient(model).create_stream(HI)
    assert await anext(stream) == "Hel"
    with pytest.raises(ServerError):
        await anext(stream)
    assert len(model.calls) == 1


async def test_cancelling_ends_the_wait_at_once() -> None:
    time = VirtualTime()
    model = ScriptedClient([rate_limited(30)])
    task = asyncio.create_task(RetryClient(model, clock=time.clock).create(HI))
    await settle()
    assert time.slept
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(model.calls) == 1


async def test_the_callers_token_ends_the_wait_as_well() -> None:
    time, token = VirtualTime(), CancellationToken()
    task = asyncio.create_task(
        RetryClient(ScriptedClient([rate_limited(30)]), clock=time.clock).create(HI, cancellation_token=token)
    )
    await settle()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stream_cancelled_before_its_first_piece_is_closed() -> None:
    model = ScriptedClient([[HANG]])
    task = asyncio.create_task(read(RetryClient(model)))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.calls[0].closed
    assert model.in_flight == 0


async def test_a_stream_that_fails_at_once_is_closed_before_the_next_attempt() -> None:
    """Clients may return streams of their own making, which do not end by raising."""

    class Stream(AsyncGenerator[str | CreateResult, None]):
        closed = False

        async def __anext__(self) -> str:
            raise server_error()

        async def aclose(self) -> None:
            self.closed = True

        async def asend(self, value: None, /) -> str:
            raise NotImplementedError

        async def athrow(self, *error: Any) -> str:
            raise NotImplementedError

    class Client(ScriptedClient):
        def create_stream(self, *arguments: Any, **options: Any) -> AsyncGenerator[str | CreateResult, None]:
            streams.append(Stream())
            return streams[-1]

    streams: list[Stream] = []
    time = VirtualTime()
    await time.run(read(RetryClient(Client(), max_attempts=2, clock=time.clock)))
    assert [stream.closed for stream in streams] == [True, True]


async def test_an_empty_stream_stays_empty() -> None:
    assert await read(RetryClient(ScriptedClient([[]]))) == []


def test_no_attempt_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="max_attempts must be 1 or more"):
        RetryClient(ScriptedClient(), max_attempts=0)
