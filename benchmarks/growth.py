"""Prints how the cost of the core runtime grows with subscriptions, agents and topics, and what a request's time is spent on.

python benchmarks/growth.py
"""

import asyncio
import cProfile
import pstats
import time
from collections.abc import Awaitable, Callable

from runtime import Counter, Echo, Message

from autogen_core import AgentId, SingleThreadedAgentRuntime, TopicId, TypeSubscription

SIZES = (10, 100, 1_000, 10_000)


async def subscriptions(count: int) -> float:
    """Add a subscription when `count` exist, and publish to it for the first time."""
    runtime = SingleThreadedAgentRuntime()
    await Counter.register(runtime, "counter", Counter)
    for number in range(count):
        await runtime.add_subscription(TypeSubscription(f"t{number}", "counter"))
    runtime.start()
    begin = time.perf_counter()
    for number in range(100):
        await runtime.add_subscription(TypeSubscription(f"more{number}", "counter"))
        await runtime.publish_message(Message(0), TopicId(f"more{number}", "s"))
    await runtime.stop_when_idle()
    return (time.perf_counter() - begin) / 100 * 1e6


async def agents(count: int) -> float:
    """Send a request to one of `count` agents, turn by turn."""
    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, "echo", Echo)
    runtime.start()
    ids = [AgentId("echo", str(number)) for number in range(count)]
    for recipient in ids:
        await runtime.send_message(Message(0), recipient)
    begin = time.perf_counter()
    for number in range(10_000):
        await runtime.send_message(Message(number), ids[number % count])
    took = time.perf_counter() - begin
    await runtime.stop_when_idle()
    return took / 10_000 * 1e6


async def topics(count: int) -> float:
    """Publish to a new topic after `count` others were seen."""
    runtime = SingleThreadedAgentRuntime()
    await Counter.register(runtime, "counter", Counter)
    runtime.start()
    for number in range(count):
        await runtime.publish_message(Message(0), TopicId("nobody", str(number)))
    await runtime.stop_when_idle()
    runtime.start()
    begin = time.perf_counter()
    for number in range(1_000):
        await runtime.publish_message(Message(0), TopicId("nobody", f"new {number}"))
    await runtime.stop_when_idle()
    return (time.perf_counter() - begin) / 1_000 * 1e6


def main() -> None:
    """Print the table and the profile."""
    rows: list[tuple[str, Callable[[int], Awaitable[float]]]] = [
        ("add a subscription and publish to it", subscriptions),
        ("request to one of so many agents", agents),
        ("publish to a new topic", topics),
    ]
    print(f"{'microseconds, when there are':<40}" + "".join(f"{size:>10,}" for size in SIZES))
    for name, case in rows:
        print(f"{name:<40}" + "".join(f"{asyncio.run(_float(case(size))):>10.1f}" for size in SIZES))
    profile = cProfile.Profile()
    profile.runcall(lambda: asyncio.run(_float(agents(1))))
    print("\nWhere 10,000 requests spend their time (under the profiler, which slows small functions down):")
    pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(14)


async def _float(work: Awaitable[float]) -> float:
    return await work


if __name__ == "__main__":
    main()
