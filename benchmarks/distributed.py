"""The cases of the distributed runtimes. Runs with any release: it uses public names of 0.7.5 only, and prints one JSON object.

    python benchmarks/distributed.py [CASE ...]

A case is a way to connect and a piece of work, such as `gRPC: request`. What carries the messages, the worker that answers, and
the worker that asks, which is this process, are processes of their own on loopback. Each figure is microseconds for one
operation, the best of three repetitions.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    message_handler,
    try_get_known_serializers_for_type,
)

REPETITIONS = 3
THERE, HERE = AgentId("echo-there", "k"), AgentId("echo-here", "k")


@dataclass
class Message:
    """A small message, or a large one if its text is."""

    number: int
    text: str = ""


@dataclass
class Done:
    """How many events the subscriber has heard."""

    count: int


class Echo(RoutedAgent):
    """Answers with the message."""

    def __init__(self) -> None:
        super().__init__("echo")

    @message_handler
    async def handle(self, message: Message, ctx: MessageContext) -> Message:
        return message


class Subscriber(RoutedAgent):
    """Counts events, and tells when one has the number zero, which is the last."""

    def __init__(self) -> None:
        super().__init__("subscriber")
        self._count = 0

    @message_handler
    async def handle(self, message: Message, ctx: MessageContext) -> None:
        self._count += 1
        if message.number == 0:
            await self.publish_message(Done(self._count), TopicId("done", "k"))
            self._count = 0


class Publisher(RoutedAgent):
    """Hears that all events have arrived."""

    heard: "asyncio.Queue[int]"

    def __init__(self) -> None:
        super().__init__("publisher")

    @message_handler
    async def handle(self, message: Done, ctx: MessageContext) -> None:
        Publisher.heard.put_nowait(message.count)


# Ways to connect


class Grpc:
    """A host in a process of its own, and workers at it."""

    @staticmethod
    async def serve(address: str) -> None:
        """Carry messages until the process ends."""
        from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost

        host = GrpcWorkerAgentRuntimeHost(address)
        host.start()
        await parent_is_gone()
        await host.stop(grace=0)

    @staticmethod
    def runtime(address: str) -> Any:
        """Make the runtime of a worker."""
        from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime

        return GrpcWorkerAgentRuntime(address)


WAYS: dict[str, type[Grpc]] = {"gRPC": Grpc}


async def answering(way: type[Grpc], address: str) -> None:
    """Be the worker that answers."""
    runtime = way.runtime(address)
    await runtime.start()
    know_messages(runtime)
    await Echo.register(runtime, THERE.type, Echo)
    await Subscriber.register(runtime, "subscriber", Subscriber)
    await runtime.add_subscription(TypeSubscription("events", "subscriber"))
    print("ready", flush=True)
    await parent_is_gone()
    await runtime.stop()


def know_messages(runtime: Any) -> None:
    """Let a runtime read what is sent here."""
    for kind in (Message, Done):
        runtime.add_message_serializer(try_get_known_serializers_for_type(kind))


async def parent_is_gone() -> None:
    """Wait until whoever started this process closes its input, or dies."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


# Pieces of work; each takes a runtime that is started, and returns microseconds for one operation


async def timed(work: Callable[[], Awaitable[object]], operations: int) -> float:
    """Return microseconds for one operation, the best of some repetitions after one that does not count."""
    await work()
    best = float("inf")
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        await work()
        best = min(best, time.perf_counter() - begin)
    return best / operations * 1e6


async def one_by_one(runtime: Any, recipient: AgentId, message: Message, count: int) -> float:
    """One request after another."""

    async def work() -> None:
        for _ in range(count):
            await runtime.send_message(message, recipient)

    return await timed(work, count)


async def request(runtime: Any) -> float:
    """Requests to the other worker."""
    return await one_by_one(runtime, THERE, Message(1), 500)


async def outstanding(runtime: Any) -> float:
    """1,000 requests at a time."""

    async def work() -> None:
        await asyncio.gather(*(runtime.send_message(Message(1), THERE) for _ in range(1000)))

    return await timed(work, 1000)


async def publish(runtime: Any) -> float:
    """Events to one subscriber in the other worker, until all are heard."""
    Publisher.heard = asyncio.Queue()
    await Publisher.register(runtime, "publisher", Publisher)
    await runtime.add_subscription(TypeSubscription("done", "publisher"))
    topic = TopicId("events", "k")

    async def work() -> None:
        for number in range(2000, 0, -1):
            await runtime.publish_message(Message(number - 1), topic)
        count = await asyncio.wait_for(Publisher.heard.get(), 60)
        if count != 2000:
            raise RuntimeError(f"Of 2000 events, {count} were heard.")

    return await timed(work, 2000)


async def same_worker(runtime: Any) -> float:
    """Requests to an agent in the worker that asks."""
    await Echo.register(runtime, HERE.type, Echo)
    return await one_by_one(runtime, HERE, Message(1), 2000)


async def request_1mb(runtime: Any) -> float:
    """Requests that carry a megabyte of text there and back."""
    return await one_by_one(runtime, THERE, Message(1, "x" * 1_000_000), 20)


WORK: dict[str, Callable[[Any], Awaitable[float]]] = {
    "request": request,
    "1,000 outstanding, per request": outstanding,
    "publish, per delivery": publish,
    "request in the same worker": same_worker,
    "request of 1 MB": request_1mb,
}

CASES = [f"{way}: {work}" for way in WAYS for work in WORK]


# Processes


@contextmanager
def process(role: str, way: str, address: str) -> Generator[subprocess.Popen[str]]:
    """Run this file in another role; it ends with this process at the latest."""
    started = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, "--role", role, way, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def free_address() -> str:
    """Return an address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def wait_for_listener(address: str) -> None:
    """Return once somebody listens."""
    host, port = address.split(":")
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def run(case: str) -> float:
    """Run one case with processes of its own."""
    way, _, work = case.partition(": ")
    address = free_address()
    with process("serve", way, address):
        wait_for_listener(address)
        with process("answer", way, address) as worker:
            assert worker.stdout is not None
            if worker.stdout.readline() != "ready\n":
                raise RuntimeError("The worker that answers did not start.")
            return asyncio.run(asking(WAYS[way], address, WORK[work]))


async def asking(way: type[Grpc], address: str, work: Callable[[Any], Awaitable[float]]) -> float:
    """Be the worker that asks."""
    runtime = way.runtime(address)
    await runtime.start()
    know_messages(runtime)
    try:
        return await work(runtime)
    finally:
        await runtime.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        role, name, place = sys.argv[2:]
        asyncio.run(WAYS[name].serve(place) if role == "serve" else answering(WAYS[name], place))
    else:
        print(json.dumps({case: run(case) for case in sys.argv[1:] or CASES}))
