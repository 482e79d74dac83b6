"""Time limits of the distributed runtimes: per call and by default, and they hold for all that a call causes."""

import asyncio
import time

import pytest

from autogen_core import AgentId
from autogen_core.exceptions import DeadlineExceededError

from .core_agents import DOER, Answer, Order, doers
from .runtimes import System, World, until

SLOW = Order("slow", sleep=30)

pytestmark = pytest.mark.only(
    ("grpc", "nats"), "the contract's `send_message` has no `timeout`, and so the local runtime"
)


async def test_a_request_that_takes_too_long_ends_by_its_time_limit_and_its_handler_is_cancelled(world: World) -> None:
    notes = await doers(world)
    begun = time.monotonic()
    with pytest.raises(DeadlineExceededError) as caught:
        await world.ask(SLOW, DOER, timeout=0.5)
    assert time.monotonic() - begun >= 0.45
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.recipient == DOER
    await until(lambda: notes.cancelled == ["slow"])


async def test_a_request_in_time_is_answered(world: World) -> None:
    await doers(world)
    assert await world.ask(Order("in time", sleep=0.01), DOER, timeout=10) == Answer("in time")


async def test_a_time_limit_travels_with_what_the_handler_sends(world: World) -> None:
    notes = await doers(world)
    other = await doers(world, "other", here=True)
    order = Order("outer", ask="other/b", then=Order("middle", ask="doer/c", then=SLOW))
    with pytest.raises(DeadlineExceededError):
        await world.ask(order, DOER, timeout=0.5)
    await until(lambda: set(notes.cancelled) | set(other.cancelled) >= {"slow"})
    await until(lambda: len(notes.ended) + len(other.ended) == 0 and "slow" in notes.cancelled)


async def test_a_handler_that_catches_the_limit_of_what_it_sent_is_bound_by_its_own(world: World) -> None:
    """The deadline of the whole call is over by then, so it cannot ask anybody else."""
    notes = await doers(world)
    await doers(world, "other", here=True)
    with pytest.raises(DeadlineExceededError):
        await world.ask(Order("outer", ask="other/b", then=SLOW), DOER, timeout=0.3)
    await world.runtime.send_message(Order("serves on"), DOER)
    assert notes.texts()[-1] == "serves on"


async def test_a_limit_of_nothing_is_over_at_once(world: World) -> None:
    await doers(world)
    async with asyncio.timeout(2):
        with pytest.raises(DeadlineExceededError):
            await world.ask(Order("x", sleep=0.1), DOER, timeout=0)


async def test_a_runtime_may_have_a_limit_for_all_its_requests(system: System) -> None:
    async with system.world(timeout=0.3) as world:
        notes = await doers(world)
        with pytest.raises(DeadlineExceededError):
            await world.runtime.send_message(SLOW, DOER)
        await until(lambda: notes.cancelled == ["slow"])
        assert await world.ask(Order("longer", sleep=0.5), DOER, timeout=20) == Answer("longer")


async def test_the_limits_of_requests_at_a_time_are_their_own(world: World) -> None:
    notes = await doers(world)
    short = asyncio.create_task(world.ask(SLOW, DOER, timeout=0.3))
    long = asyncio.create_task(world.ask(Order("long", sleep=0.6), AgentId("doer", "b"), timeout=20))
    with pytest.raises(DeadlineExceededError):
        await short
    assert await long == Answer("long")
    await until(lambda: notes.cancelled == ["slow"])
