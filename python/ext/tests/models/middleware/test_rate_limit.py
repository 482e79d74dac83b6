"""Calls wait until the provider will take them, in order, and nobody's permit is lost."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autogen_core import CancellationToken
from autogen_ext.models.errors import RateLimitedError
from autogen_ext.models.middleware import RateLimitClient, RetryClient
from autogen_ext.models.openai import OpenAIChatCompletionClient

from .kit import (
    HANG,
    HI,
    ScriptedClient,
    ThrottlingServer,
    VirtualTime,
    rate_limited,
    read,
    result,
    server_error,
    settle,
)


async def test_ten_agents_behind_one_limiter_make_at_most_twelve_calls_and_none_early() -> None:
    """The server answers 429 with `retry-after: 2`; here time is real."""
    async with ThrottlingServer(busy_s=2.0) as server:
        clients = [
            OpenAIChatCompletionClient(model="gpt-4o", api_key="k", base_url=server.base_url, max_retries=0)
            for _ in range(10)
        ]
        agents = [RetryClient(RateLimitClient(client, key="account", max_concurrency=2)) for client in clients]
        answers = await asyncio.gather(*(agent.create(HI) for agent in agents))
        await asyncio.gather(*(agent.close() for agent in agents))
    assert [answer.content for answer in answers] == ["Hello"] * 10
    assert len(server.answered) == 10
    assert len(server.refused) + len(server.answered) <= 12
    assert all(arrived - max(server.refused) >= 2.0 for arrived in server.answered)


async def test_no_more_calls_are_under_way_than_allowed() -> None:
    time = VirtualTime()
    model = ScriptedClient(latency=lambda: time.sleep(1))
    client = RateLimitClient(model, max_concurrency=3, clock=time.clock)
    await time.run(*(client.create(HI) for _ in range(5)), *(read(client) for _ in range(5)))
    assert model.most_in_flight == 3
    assert len(model.calls) == 10
    assert client.limit.in_flight == client.limit.waiting == 0


@settings(max_examples=40, deadline=None)
@given(gaps=st.lists(st.floats(0, 40), min_size=1, max_size=25), limit=st.integers(1, 6), sizes=st.integers(1, 8))
def test_in_no_minute_are_there_more_calls_or_tokens_than_allowed(gaps: list[float], limit: int, sizes: int) -> None:
    sent: list[float] = []

    async def run() -> None:
        time = VirtualTime()

        async def note() -> None:
            sent.append(time.now)

        model = ScriptedClient(then=result(prompt=sizes, completion=0), latency=note)
        client = RateLimitClient(model, requests_per_minute=limit, tokens_per_minute=20, clock=time.clock)

        async def agent(start: float) -> None:
            await time.sleep(start)
            await client.create(HI)

        await time.run(*(agent(sum(gaps[: n + 1])) for n in range(len(gaps))))

    asyncio.run(run())
    assert len(sent) == len(gaps)
    for start in sent:
        within = [moment for moment in sent if start <= moment < start + 59.999]
        assert len(within) <= limit
        assert len(within) * sizes <= 20 + sizes  # what a call uses beyond its conversation is known only afterwards


async def test_what_a_call_used_corrects_what_was_expected() -> None:
    time = VirtualTime()
    client = RateLimitClient(
        ScriptedClient(then=result(prompt=60, completion=40)), tokens_per_minute=100, clock=time.clock
    )
    await time.run(client.create(HI))
    await time.run(client.create(HI))
    assert time.slept == [60.0]


async def test_a_call_larger_than_a_minutes_tokens_goes_alone_instead_of_waiting_for_ever() -> None:
    time = VirtualTime()
    client = RateLimitClient(
        ScriptedClient(then=result(prompt=500, completion=0)), tokens_per_minute=100, clock=time.clock
    )
    await time.run(client.create(HI), client.create(HI))
    assert time.slept == [60.0]


async def test_a_refusal_holds_all_clients_of_the_key_and_then_lets_one_try() -> None:
    time = VirtualTime()
    arrived: list[tuple[float, int]] = []

    async def note() -> None:
        arrived.append((time.now, model.in_flight))
        await time.sleep(0.5)

    model = ScriptedClient([rate_limited(5), *(result() for _ in range(8))], latency=note)
    clients = [RateLimitClient(model, key="shared", clock=time.clock) for _ in range(5)]
    first = (await time.run(clients[0].create(HI)))[0]
    assert isinstance(first, RateLimitedError)
    await time.run(*(client.create(HI) for client in clients))
    assert arrived[1] == (1005.5, 1)
    assert [moment for moment, _ in arrived[2:]] == [1006.0] * 4


async def test_refusals_without_advice_pause_twice_as_long_each_time() -> None:
    time = VirtualTime()
    model = ScriptedClient([rate_limited(), rate_limited(), rate_limited()])
    client = RateLimitClient(model, clock=time.clock)
    for _ in range(4):
        await time.run(client.create(HI))
    assert time.slept == [1.0, 2.0, 4.0]


async def test_calls_are_served_in_order() -> None:
    time, order = VirtualTime(), list[int]()
    client = RateLimitClient(ScriptedClient(latency=lambda: time.sleep(1)), max_concurrency=1, clock=time.clock)

    async def agent(number: int) -> None:
        await client.create(HI)
        order.append(number)

    await time.run(*(agent(number) for number in range(6)))
    assert order == list(range(6))


@pytest.mark.parametrize("how", ["task", "token"])
async def test_cancelling_one_that_waits_takes_it_out_of_the_line(how: str) -> None:
    model, token = ScriptedClient([HANG]), CancellationToken()
    client = RateLimitClient(model, max_concurrency=1)
    holder = asyncio.create_task(client.create(HI))
    await settle()
    waiter = asyncio.create_task(client.create(HI, cancellation_token=token))
    last = asyncio.create_task(client.create(HI))
    await settle()
    assert client.limit.waiting == 2
    if how == "task":
        waiter.cancel()
    else:
        token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    holder.cancel()
    assert await last == result()
    assert client.limit.in_flight == client.limit.waiting == 0


async def test_a_permit_given_in_the_moment_of_cancellation_is_not_lost() -> None:
    for turns in range(12):
        model = ScriptedClient([HANG])
        client = RateLimitClient(model, max_concurrency=1)
        holder = asyncio.create_task(client.create(HI))
        await settle()
        waiter = asyncio.create_task(client.create(HI, cancellation_token=CancellationToken()))
        await settle()
        holder.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(holder, waiter, return_exceptions=True)
        await asyncio.wait_for(client.create(HI), 5)
        assert client.limit.in_flight == 0


@pytest.mark.parametrize("end", ["closed", "cancelled", "failed"])
async def test_a_permit_comes_back_however_a_stream_ends(end: str) -> None:
    client = RateLimitClient(ScriptedClient([["a", server_error() if end == "failed" else HANG]]), max_concurrency=1)
    stream = client.create_stream(HI)
    assert await anext(stream) == "a"
    assert client.limit.in_flight == 1
    rest: asyncio.Task[Any] = asyncio.ensure_future(anext(stream)) if end != "closed" else asyncio.create_task(settle())
    await settle()
    if end == "closed":
        await stream.aclose()
    else:
        rest.cancel()
    await asyncio.gather(rest, return_exceptions=True)
    assert client.limit.in_flight == 0
    assert await client.create(HI) == result()


async def test_a_finished_stream_that_is_still_open_holds_no_permit() -> None:
    """A reader may act on the result, and make other calls, before it closes the stream."""
    client = RateLimitClient(ScriptedClient([["a", result("a"), HANG]]), max_concurrency=1)
    stream = client.create_stream(HI)
    await anext(stream)
    await anext(stream)
    assert await asyncio.wait_for(client.create(HI), 5) == result()
    await stream.aclose()
    assert client.limit.in_flight == 0


async def test_a_cancelled_token_makes_no_call() -> None:
    token, model = CancellationToken(), ScriptedClient()
    token.cancel()
    client = RateLimitClient(model, max_concurrency=1)
    with pytest.raises(asyncio.CancelledError):
        await client.create(HI, cancellation_token=token)
    assert not model.calls
    assert client.limit.in_flight == client.limit.waiting == 0


def test_a_limit_serves_one_event_loop_after_another() -> None:
    client = RateLimitClient(ScriptedClient(), max_concurrency=1)

    async def several() -> None:
        await asyncio.gather(*(client.create(HI) for _ in range(3)))

    asyncio.run(several())
    asyncio.run(several())
    assert client.limit.in_flight == 0


def test_one_key_has_one_limit_and_other_numbers_are_refused() -> None:
    first = RateLimitClient(ScriptedClient(), key="one", max_concurrency=1)
    assert RateLimitClient(ScriptedClient(), key="one", max_concurrency=1).limit is first.limit
    assert RateLimitClient(ScriptedClient(), max_concurrency=1).limit is not first.limit
    with pytest.raises(ValueError, match="RateLimit 'one' already, with other settings"):
        RateLimitClient(ScriptedClient(), key="one", max_concurrency=2)
