"""A request to an agent of the publisher's own worker waits for events that were published before it, and only for those."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from autogen_core import AgentId, CancellationToken, TopicId, TypeSubscription
from autogen_core.exceptions import DeadlineExceededError, UndeliverableException
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from .agents import Speaker, Word, speak, speaker, until

NewWorker = Callable[..., Awaitable[GrpcWorkerAgentRuntime]]
NEAR = AgentId("near", "default")
NEWS = TopicId("news", "default")


@pytest.fixture
async def near(new_worker: NewWorker) -> GrpcWorkerAgentRuntime:
    """A worker whose agent hears what it publishes."""
    worker = await new_worker()
    await speak(worker, "near")
    await worker.add_subscription(TypeSubscription("news", "near"))
    return worker


@pytest.fixture
def holding(near: GrpcWorkerAgentRuntime, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Holds back what the host sends, until it is set."""
    let = asyncio.Event()
    event = near._serving.event

    async def later(taken: object) -> None:
        await let.wait()
        await event(taken)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(near._serving, "event", later)
    return let


async def heard(worker: GrpcWorkerAgentRuntime) -> Speaker:
    return await speaker(worker, "near")


async def test_a_request_waits_for_an_event_as_long_as_that_is_on_its_way(
    near: GrpcWorkerAgentRuntime, holding: asyncio.Event
) -> None:
    """Also when the host is slow: an echo is asked for after a moment, and follows the event."""
    await near.publish_message(Word("event"), NEWS)
    call = asyncio.create_task(near.send_message(Word("request"), NEAR))
    await asyncio.sleep(0.3)
    assert not call.done()
    holding.set()
    assert await call == Word("REQUEST")
    assert (await heard(near)).heard == ["event", "request"]
    assert not near._echoes.busy


async def test_a_request_to_an_agent_that_hears_nothing_of_it_does_not_wait(
    near: GrpcWorkerAgentRuntime, holding: asyncio.Event
) -> None:
    await near.publish_message(Word("event"), NEWS)
    async with asyncio.timeout(5):
        assert await near.send_message(Word("request"), AgentId("near", "other")) == Word("REQUEST")
    holding.set()


async def test_an_event_that_the_host_does_not_send_back_is_not_waited_for(
    near: GrpcWorkerAgentRuntime, new_worker: NewWorker
) -> None:
    """Another worker has removed the subscription, which this one does not know."""
    await near.add_subscription(rule := TypeSubscription("old", "near"))
    await (await new_worker()).remove_subscription(rule.id)
    await near.publish_message(Word("lost"), TopicId("old", "default"))
    async with asyncio.timeout(5):
        assert await near.send_message(Word("request"), NEAR) == Word("REQUEST")
    assert (await heard(near)).heard == ["request"]
    assert not near._echoes.busy


async def test_a_request_that_waits_ends_by_its_time_limit(
    near: GrpcWorkerAgentRuntime, holding: asyncio.Event
) -> None:
    await near.publish_message(Word("event"), NEWS)
    for limit in (0.01, 0.2):
        with pytest.raises(DeadlineExceededError):
            await near.send_message(Word("request"), NEAR, timeout=limit)
    holding.set()
    agent = await heard(near)
    await until(lambda: agent.heard == ["event"])


@pytest.mark.parametrize("by", ["token", "task"])
async def test_a_request_that_waits_can_be_given_up(
    near: GrpcWorkerAgentRuntime, holding: asyncio.Event, by: str
) -> None:
    token = CancellationToken()
    await near.publish_message(Word("event"), NEWS)
    call = asyncio.create_task(near.send_message(Word("request"), NEAR, cancellation_token=token))
    await asyncio.sleep(0.1)
    token.cancel() if by == "token" else call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 5)
    holding.set()
    assert await near.send_message(Word("next"), NEAR) == Word("NEXT")
    assert (await heard(near)).heard == ["event", "next"]


async def test_a_request_waits_no_longer_when_the_connection_breaks(
    near: GrpcWorkerAgentRuntime, holding: asyncio.Event, host: GrpcWorkerAgentRuntimeHost
) -> None:
    await near.publish_message(Word("event"), NEWS)
    call = asyncio.create_task(near.send_message(Word("request"), NEAR))
    await asyncio.sleep(0.1)
    await host.stop(grace=0)
    assert await asyncio.wait_for(call, 10) == Word("REQUEST")
    assert await near.send_message(Word("away"), NEAR) == Word("AWAY")


async def test_stopping_answers_a_request_that_waits(near: GrpcWorkerAgentRuntime, holding: asyncio.Event) -> None:
    await near.publish_message(Word("event"), NEWS)
    call = asyncio.create_task(near.send_message(Word("request"), NEAR))
    await asyncio.sleep(0.1)
    await asyncio.wait_for(near.stop(), 10)
    with pytest.raises(UndeliverableException, match="stopped"):
        await asyncio.wait_for(call, 5)


async def test_an_agent_that_publishes_to_a_neighbour_and_asks_it_while_all_hands_are_full_is_answered(
    new_worker: NewWorker,
) -> None:
    """The event waits for a free hand, and the stream with it: it is read while somebody waits for an echo."""
    worker = await new_worker(max_handling=1)
    await speak(worker, "near")
    await worker.add_subscription(TypeSubscription("news", "near"))
    busy = asyncio.create_task(worker.send_message(Word("sleep 0.5"), AgentId("near", "busy")))
    await (await speaker(worker, "near", "busy")).under_way.wait()
    await worker.publish_message(Word("event"), NEWS)
    assert await asyncio.wait_for(worker.send_message(Word("request"), NEAR), 10) == Word("REQUEST")
    assert await busy == Word("slept")
