"""What waits where, when somebody is slower than those who send: nowhere more than a fixed number of messages."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from autogen_core import AgentId, MessageContext, RoutedAgent, TopicId, TypeSubscription, event
from autogen_core.exceptions import MailboxFullError
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost, _calls, _publishing, _serving

from .agents import Word, knows_messages, speak, speaker, until

NewWorker = Callable[..., Awaitable[GrpcWorkerAgentRuntime]]
TOPIC = TopicId("flood", "k")
CAPACITY, HANDLING = 10_000, 20


class Slow(RoutedAgent):
    """Suspends at each event."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.heard: list[str] = []
        self.gate = asyncio.Event()

    @event
    async def word(self, message: Word, ctx: MessageContext) -> None:
        await self.gate.wait()
        await asyncio.sleep(0)
        self.heard.append(message.text)


class Gauge:
    """The most that was seen to wait in each place."""

    def __init__(
        self, host: GrpcWorkerAgentRuntimeHost, publisher: GrpcWorkerAgentRuntime, hearer: GrpcWorkerAgentRuntime
    ) -> None:
        assert host._servicer is not None
        self._clients = host._servicer._router.members.clients
        self._publisher = publisher
        self._hearer = hearer
        self.most = {"publisher": 0, "host": 0, "put by": 0, "handlers": 0}

    def look(self) -> None:
        channels = [client.channel for client in self._clients.values()]
        now = {
            "publisher": len(self._publisher._link.outbox),
            "host": max(len(channel) for channel in channels if channel is not None),
            "put by": len(self._hearer._serving._later),
            "handlers": len(self._hearer._delivery.tasks),
        }
        self.most = {place: max(most, now[place]) for place, most in self.most.items()}


async def hearing(new_worker: NewWorker) -> tuple[GrpcWorkerAgentRuntime, Slow]:
    worker = await new_worker(max_handling=HANDLING, drain_timeout=0.1)
    await Slow.register(worker, "slow", Slow)
    await worker.add_subscription(TypeSubscription("flood", "slow"))
    return worker, await worker.try_get_underlying_agent_instance(AgentId("slow", "k"), Slow)


async def test_a_flood_is_held_back_at_its_source_and_arrives_whole(
    host: GrpcWorkerAgentRuntimeHost, new_worker: NewWorker
) -> None:
    publisher = knows_messages(await new_worker())
    worker, slow = await hearing(new_worker)
    gauge = Gauge(host, publisher, worker)
    count = 50_000

    async def flood() -> None:
        for number in range(count):
            await publisher.publish_message(Word(str(number)), TOPIC)
            if number % 50 == 0:
                gauge.look()

    flooding = asyncio.create_task(flood())
    await until(lambda: publisher._link.outbox.full)
    assert not flooding.done()
    slow.gate.set()
    async with asyncio.timeout(120):
        while len(slow.heard) < count:
            gauge.look()
            await asyncio.sleep(0.01)
    await flooding
    assert slow.heard == [str(number) for number in range(count)]
    assert gauge.most["publisher"] <= CAPACITY
    assert gauge.most["host"] <= CAPACITY
    assert gauge.most["put by"] <= 1
    assert gauge.most["handlers"] <= HANDLING


async def test_who_is_held_back_too_long_is_told(new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_publishing, "_SPACE_S", 0.3)
    monkeypatch.setattr(_calls, "_SPACE_S", 0.3)
    publisher = knows_messages(await new_worker())
    await hearing(new_worker)

    async def flood() -> None:
        for _ in range(100_000):
            await publisher.publish_message(Word("x" * 2_000), TOPIC)

    with pytest.raises(MailboxFullError):
        await flood()
    with pytest.raises(MailboxFullError):
        await publisher.send_message(Word("x"), AgentId("slow", "k"))
    assert len(publisher._link.outbox) <= CAPACITY


async def test_answers_come_through_a_flood_of_events(new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that must not take more reads on while it waits for an answer, and keeps no more than a fixed number."""
    monkeypatch.setattr(_serving, "_LATER", 100)
    publisher, far = knows_messages(await new_worker()), await new_worker()
    await speak(far, "far")
    worker, slow = await hearing(new_worker)
    knows_messages(worker)
    call = asyncio.create_task(worker.send_message(Word("sleep 0.5"), AgentId("far", "k")))
    await (await speaker(far, "far", "k")).under_way.wait()
    for number in range(1_000):
        await publisher.publish_message(Word(str(number)), TOPIC)
    await until(lambda: len(worker._serving._later) == 100)
    assert await call == Word("slept")
    slow.gate.set()
    await until(lambda: not worker._delivery.tasks and not worker._serving._later)
    first = [str(number) for number in range(HANDLING + 100)]
    assert slow.heard[: len(first)] == first
