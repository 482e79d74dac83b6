"""The cases of the core runtime. Runs with any release: it uses public names of 0.7.5 only, and prints one JSON object.

    python benchmarks/runtime.py [CASE ...]

Each figure is microseconds for one operation, the best of three repetitions within the process.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    event,
    message_handler,
)


@dataclass
class Message:
    """A small message, or a large one if its text is."""

    number: int
    text: str = ""


class Echo(RoutedAgent):
    """Answers with the message."""

    def __init__(self) -> None:
        super().__init__("echo")

    @message_handler
    async def handle(self, message: Message, ctx: MessageContext) -> Message:
        return message


class Counter(RoutedAgent):
    """Takes events and does nothing."""

    def __init__(self) -> None:
        super().__init__("counter")

    @event
    async def handle(self, message: Message, ctx: MessageContext) -> None: ...


class Ring(RoutedAgent):
    """Hands an event on to the next in the ring until its number is zero."""

    def __init__(self, following: TopicId) -> None:
        super().__init__("ring")
        self._following = following

    @event
    async def handle(self, message: Message, ctx: MessageContext) -> None:
        if message.number:
            await self.publish_message(Message(message.number - 1), self._following)


async def _echo(runtime: SingleThreadedAgentRuntime) -> AgentId:
    await Echo.register(runtime, "echo", Echo)
    recipient = AgentId("echo", "k")
    runtime.start()
    await runtime.send_message(Message(0), recipient)
    return recipient


async def _timed(work: Callable[[], Awaitable[object]], operations: int) -> float:
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        await work()
        best = min(best, time.perf_counter() - begin)
    return best / operations * 1e6


async def request(size: int = 0, count: int = 2000) -> float:
    """One request after another."""
    runtime = SingleThreadedAgentRuntime()
    recipient = await _echo(runtime)
    message = Message(1, "x" * size)

    async def work() -> None:
        for _ in range(count):
            await runtime.send_message(message, recipient)

    result = await _timed(work, count)
    await runtime.stop_when_idle()
    return result


async def request_1mb() -> float:
    """A request that carries a megabyte of text."""
    return await request(1_000_000, 20)


async def request_traced() -> float:
    """One request after another, with a tracer provider whose spans are kept in memory."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    runtime = SingleThreadedAgentRuntime(tracer_provider=provider)
    recipient = await _echo(runtime)
    message = Message(1)

    async def work() -> None:
        for _ in range(1000):
            await runtime.send_message(message, recipient)

    result = await _timed(work, 1000)
    await runtime.stop_when_idle()
    return result


async def outstanding() -> float:
    """1,000 requests at a time."""
    runtime = SingleThreadedAgentRuntime()
    recipient = await _echo(runtime)
    message = Message(1)

    async def work() -> None:
        await asyncio.gather(*(runtime.send_message(message, recipient) for _ in range(1000)))

    result = await _timed(work, 1000)
    await runtime.stop_when_idle()
    return result


async def fan_out() -> float:
    """Publish to 1,000 agents, for each delivery."""
    runtime = SingleThreadedAgentRuntime()
    for number in range(1000):
        await Counter.register(runtime, f"c{number}", Counter)
        await runtime.add_subscription(TypeSubscription("topic", f"c{number}"))
    topic = TopicId("topic", "s")

    async def work() -> None:
        runtime.start()
        for _ in range(5):
            await runtime.publish_message(Message(1), topic)
        await runtime.stop_when_idle()

    await work()
    return await _timed(work, 5000)


async def ring() -> float:
    """A token goes round a ring of 100 agents by events, for each hop."""
    runtime = SingleThreadedAgentRuntime()
    for number in range(100):
        following = TopicId(f"t{(number + 1) % 100}", "s")
        await Ring.register(runtime, f"r{number}", lambda following=following: Ring(following))
        await runtime.add_subscription(TypeSubscription(f"t{number}", f"r{number}"))

    async def work() -> None:
        runtime.start()
        await runtime.publish_message(Message(2000), TopicId("t0", "s"))
        await runtime.stop_when_idle()

    return await _timed(work, 2000)


async def _with_subscriptions(count: int) -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime()
    await Counter.register(runtime, "counter", Counter)
    for number in range(count):
        await runtime.add_subscription(TypeSubscription(f"t{number}", "counter"))
    return runtime


async def add_subscription(count: int = 10_000) -> float:
    """Add a subscription when 10,000 exist."""
    runtime = await _with_subscriptions(count)
    begin = time.perf_counter()
    for number in range(20):
        await runtime.add_subscription(TypeSubscription(f"more{number}", "counter"))
    return (time.perf_counter() - begin) / 20 * 1e6


async def add_subscription_after_topics() -> float:
    """Add a subscription after 10,000 topics were seen."""
    runtime = await _with_subscriptions(50)
    runtime.start()
    for number in range(10_000):
        await runtime.publish_message(Message(0), TopicId("nobody", str(number)))
    await runtime.stop_when_idle()
    begin = time.perf_counter()
    for number in range(20):
        await runtime.add_subscription(TypeSubscription(f"more{number}", "counter"))
    return (time.perf_counter() - begin) / 20 * 1e6


async def first_publish() -> float:
    """Publish to a topic never seen before when 10,000 subscriptions exist."""
    runtime = await _with_subscriptions(10_000)

    async def work() -> None:
        runtime.start()
        for number in range(200):
            await runtime.publish_message(Message(0), TopicId("new", f"{time.perf_counter_ns()}{number}"))
        await runtime.stop_when_idle()

    return await _timed(work, 200)


CASES: dict[str, Callable[[], Coroutine[None, None, float]]] = {
    "request": request,
    "1,000 outstanding, per request": outstanding,
    "publish to 1,000 agents, per delivery": fan_out,
    "ring of 100, per hop": ring,
    "add_subscription, 10,000 exist": add_subscription,
    "add_subscription, 10,000 topics seen": add_subscription_after_topics,
    "first publish, 10,000 subscriptions": first_publish,
    "request of 1 MB": request_1mb,
    "request, traced": request_traced,
}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(CASES)
    print(json.dumps({name: asyncio.run(CASES[name]()) for name in chosen}))
