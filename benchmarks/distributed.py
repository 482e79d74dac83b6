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
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    message_handler,
    try_get_known_serializers_for_type,
)

T = TypeVar("T")

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


class CountingEcho(Echo):
    """Answers with the message, and keeps count of them: state that changes with each."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        self._count += 1
        return await super().on_message_impl(message, ctx)

    async def save_state(self) -> Mapping[str, Any]:
        return {"count": self._count}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self._count = state["count"]


class CountingSubscriber(Subscriber):
    """The same with its count as state."""

    async def save_state(self) -> Mapping[str, Any]:
        return {"count": self._count}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self._count = state["count"]


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

    echo: "type[Echo]" = Echo
    subscriber: "type[Subscriber]" = Subscriber

    @staticmethod
    async def serve(address: str) -> None:
        """Carry messages until the process ends."""
        from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost

        host = GrpcWorkerAgentRuntimeHost(address)
        host.start()
        await parent_is_gone()
        await host.stop(grace=0)

    @classmethod
    def runtime(cls, address: str) -> Any:
        """Make the runtime of a worker."""
        from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime

        return GrpcWorkerAgentRuntime(address)


class Nats(Grpc):
    """A NATS server in a process of its own; agents without state, for which any worker is as good as any other."""

    stateless = ("echo-there", "echo-here")

    @staticmethod
    async def serve(address: str) -> None:
        """Run the server until the process ends."""
        from autogen_ext.runtimes.nats import NatsServer

        async with NatsServer(port=int(address.rpartition(":")[2])):
            await parent_is_gone()

    @classmethod
    def runtime(cls, address: str) -> Any:
        """Make the runtime of a worker."""
        from autogen_ext.runtimes.nats import NatsAgentRuntime

        return NatsAgentRuntime(f"nats://{address}", stateless_types=cls.stateless)


class NatsDurable(Nats):
    """The same with mailboxes, and agents whose state is written before they answer."""

    stateless = ()
    echo = CountingEcho
    subscriber = CountingSubscriber


def ways() -> dict[str, type[Grpc]]:
    """Return the ways to connect; a release that has no NATS runtime is measured on gRPC instead, for comparison."""
    has_nats = find_spec("autogen_ext.runtimes.nats") is not None
    return {"gRPC": Grpc, "NATS": Nats if has_nats else Grpc, "NATS, state": NatsDurable if has_nats else Grpc}


WAYS = ways()


async def answering(way: type[Grpc], address: str) -> None:
    """Be the worker that answers."""
    runtime = way.runtime(address)
    await runtime.start()
    know_messages(runtime)
    await way.echo.register(runtime, THERE.type, way.echo)
    await way.subscriber.register(runtime, "subscriber", way.subscriber)
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


async def request(way: type[Grpc], runtime: Any) -> float:
    """Requests to the other worker."""
    return await one_by_one(runtime, THERE, Message(1), 500)


async def outstanding(way: type[Grpc], runtime: Any) -> float:
    """1,000 requests at a time, to 200 agents."""

    async def work() -> None:
        await asyncio.gather(
            *(runtime.send_message(Message(1), AgentId(THERE.type, str(number % 200))) for number in range(1000))
        )

    return await timed(work, 1000)


async def publish(way: type[Grpc], runtime: Any) -> float:
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


async def same_worker(way: type[Grpc], runtime: Any) -> float:
    """Requests to an agent in the worker that asks."""
    await way.echo.register(runtime, HERE.type, way.echo)
    return await one_by_one(runtime, HERE, Message(1), 2000)


async def request_1mb(way: type[Grpc], runtime: Any) -> float:
    """Requests that carry a megabyte of text there and back."""
    return await one_by_one(runtime, THERE, Message(1, "x" * 1_000_000), 20)


WORK: dict[str, Callable[[type[Grpc], Any], Awaitable[float]]] = {
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
            return run_loop(way, asking(WAYS[way], address, WORK[work]))


def run_loop(way: str, work: Coroutine[Any, Any, T]) -> T:
    """Run an event loop: uvloop's for NATS where it is installed, as `autogen worker` does."""
    if way.startswith("NATS") and WAYS[way] is not Grpc and find_spec("uvloop") is not None:
        import uvloop

        return uvloop.run(work)
    return asyncio.run(work)


async def asking(way: type[Grpc], address: str, work: Callable[[type[Grpc], Any], Awaitable[float]]) -> float:
    """Be the worker that asks."""
    runtime = way.runtime(address)
    await runtime.start()
    know_messages(runtime)
    try:
        return await work(way, runtime)
    finally:
        await runtime.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        role, name, place = sys.argv[2:]
        run_loop(name, WAYS[name].serve(place) if role == "serve" else answering(WAYS[name], place))
    else:
        print(json.dumps({case: run(case) for case in sys.argv[1:] or CASES}))
