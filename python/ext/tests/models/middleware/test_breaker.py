"""A provider that fails again and again is left alone for a while."""

import asyncio

import pytest

from autogen_ext.models.errors import ServerError
from autogen_ext.models.middleware import CircuitBreakerClient, CircuitOpenError, FallbackClient

from .kit import (
    HANG,
    HI,
    ScriptedClient,
    VirtualTime,
    bad_key,
    rate_limited,
    read,
    result,
    server_error,
    settle,
)


async def broken(model: ScriptedClient, time: VirtualTime, **settings: object) -> CircuitBreakerClient:
    """A client whose circuit is open after two failures."""
    client = CircuitBreakerClient(model, max_failures=2, open_s=10, clock=time.clock)
    model.script[:0] = [server_error(), TimeoutError()]
    await time.run(client.create(HI))
    await time.run(read(client))
    assert client.circuit.is_open
    return client


async def test_after_failures_in_a_row_calls_are_refused_without_being_sent() -> None:
    time, model = VirtualTime(), ScriptedClient()
    client = await broken(model, time)
    time.now += 4
    with pytest.raises(CircuitOpenError, match=r"let through in 6.0 s") as caught:
        await client.create(HI)
    assert caught.value.retry_after == 6
    with pytest.raises(ServerError):
        await read(client)
    assert len(model.calls) == 2


async def test_after_a_while_one_call_may_try_and_its_answer_lets_all_through() -> None:
    time, model = VirtualTime(), ScriptedClient(latency=lambda: time.sleep(1))
    client = await broken(model, time)
    time.now += 10
    outcomes = await time.run(client.create(HI), client.create(HI), client.create(HI))
    assert outcomes[0] == result()
    assert all(isinstance(outcome, CircuitOpenError) for outcome in outcomes[1:])
    assert not client.circuit.is_open
    assert await time.run(client.create(HI), client.create(HI)) == [result(), result()]


async def test_if_the_trial_fails_the_time_begins_again() -> None:
    time, model = VirtualTime(), ScriptedClient([server_error()])
    client = await broken(model, time)
    time.now += 10
    with pytest.raises(ServerError):
        await client.create(HI)
    with pytest.raises(CircuitOpenError) as caught:
        await client.create(HI)
    assert caught.value.retry_after == 10


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_cancelled_trial_leaves_the_trial_to_the_next_call(streamed: bool) -> None:
    time, model = VirtualTime(), ScriptedClient([[HANG] if streamed else HANG])
    client = await broken(model, time)
    time.now += 10
    trial = asyncio.ensure_future(read(client) if streamed else client.create(HI))
    await settle()
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    assert await client.create(HI) == result()


async def test_the_first_piece_of_a_stream_closes_the_circuit() -> None:
    time, model = VirtualTime(), ScriptedClient([["a", HANG]])
    client = await broken(model, time)
    time.now += 10
    stream = client.create_stream(HI)
    await anext(stream)
    assert not client.circuit.is_open
    await stream.aclose()


async def test_failures_count_only_in_a_row() -> None:
    model = ScriptedClient([server_error(), result(), server_error(), bad_key(), server_error()])
    client = CircuitBreakerClient(model, max_failures=2)
    for _ in range(5):
        await asyncio.gather(client.create(HI), return_exceptions=True)
    assert not client.circuit.is_open


async def test_a_rate_limit_is_no_failure_of_the_provider() -> None:
    client = CircuitBreakerClient(ScriptedClient([rate_limited()] * 9), max_failures=1)
    for _ in range(9):
        await asyncio.gather(client.create(HI), return_exceptions=True)
    assert not client.circuit.is_open


async def test_a_provider_that_asks_for_longer_is_left_alone_for_longer() -> None:
    time, error = VirtualTime(), server_error()
    error.retry_after = 90
    client = CircuitBreakerClient(ScriptedClient([error]), max_failures=1, open_s=10, clock=time.clock)
    await time.run(client.create(HI))
    with pytest.raises(CircuitOpenError) as caught:
        await client.create(HI)
    assert caught.value.retry_after == 90


async def test_the_fallback_takes_over_at_once_while_the_circuit_is_open() -> None:
    time, model = VirtualTime(), ScriptedClient()
    client = FallbackClient([await broken(model, time), ScriptedClient(then=result("Second."))])
    assert await client.create(HI) == result("Second.")
    assert len(model.calls) == 2


def test_clients_of_one_key_share_the_circuit() -> None:
    first = CircuitBreakerClient(ScriptedClient(), key="provider")
    assert CircuitBreakerClient(ScriptedClient(), key="provider").circuit is first.circuit
