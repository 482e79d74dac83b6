"""Agents that do what a message says, and leave notes for the test; and workers of one test, which are closed after it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    AgentRuntime,
    MessageContext,
    RoutedAgent,
    TopicId,
    message_handler,
    try_get_known_serializers_for_type,
)
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsServer
from autogen_ext.runtimes.nats._ownership import share_out

from .waiting import until


@dataclass
class Do:
    """What an agent is to do, in this order: wait for a gate, publish or ask, wait for a gate, fail; else it says `text`."""

    text: str = ""
    gate: str = ""
    publish: str = ""
    ask: str = ""
    then: "Do | None" = None
    end: str = ""
    fail: str = ""
    answer_bytes: int = 0


@dataclass
class Said:
    """What an agent answers, and how many messages it has handled."""

    text: str
    count: int


@dataclass
class Heard:
    """One message that was handled."""

    agent: AgentId
    text: str
    id: str
    runtime: NatsAgentRuntime
    topic: TopicId | None


class Notes:
    """What the agents of a test do, and what they wait for."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.made: list[AgentId] = []
        self.closed: list[AgentId] = []
        self.saved = 0
        self.broken: set[str] = set()
        self.at_once: dict[AgentId, int] = {}
        self.most_at_once = 0
        self._gates: dict[str, asyncio.Event] = {}

    def gate(self, name: str) -> asyncio.Event:
        """Return what a message with this gate waits for."""
        return self._gates.setdefault(name, asyncio.Event())

    def texts(self, agent: AgentId | None = None) -> list[str]:
        return [one.text for one in self.heard if agent in {None, one.agent}]

    async def have(self, *texts: str) -> None:
        """Wait until messages with these texts were begun."""
        await until(lambda: set(texts) <= set(self.texts()))


class Doer(RoutedAgent):
    """An agent without saved state."""

    def __init__(self, notes: Notes) -> None:
        super().__init__("does what it is told")
        self.notes = notes
        self.count = 0

    async def bind_id_and_runtime(self, id: AgentId, runtime: AgentRuntime) -> None:
        await super().bind_id_and_runtime(id, runtime)
        self.notes.made.append(id)

    @message_handler
    async def do(self, message: Do, ctx: MessageContext) -> Said:
        return await self.work(message, ctx)

    async def work(self, message: Do, ctx: MessageContext) -> Said:
        notes, runtime = self.notes, self.runtime
        assert isinstance(runtime, NatsAgentRuntime)
        notes.heard.append(Heard(self.id, message.text, ctx.message_id, runtime, ctx.topic_id))
        notes.at_once[self.id] = now = notes.at_once.get(self.id, 0) + 1
        notes.most_at_once = max(notes.most_at_once, now)
        self.count += 1
        try:
            if message.gate:
                await notes.gate(message.gate).wait()
            if message.publish:
                await self.publish_message(message.then or Do(message.text), TopicId.from_str(message.publish))
            elif message.ask:
                await self.send_message(message.then or Do(message.text), AgentId.from_str(message.ask))
            if message.end:
                await notes.gate(message.end).wait()
        except asyncio.CancelledError:
            notes.cancelled.append(message.text)
            raise
        finally:
            notes.at_once[self.id] -= 1
        if message.fail:
            raise ValueError(message.fail)
        notes.ended.append(message.text)
        return Said(message.text + "." * message.answer_bytes, self.count)

    async def close(self) -> None:
        self.notes.closed.append(self.id)


class Keeper(Doer):
    """An agent whose state is how many messages it has handled, and the text of the last one."""

    last = ""

    async def work(self, message: Do, ctx: MessageContext) -> Said:
        if message.text != "look":
            self.last = message.text
        said = await super().work(message, ctx)
        if message.text == "look":
            self.count -= 1
        return said

    async def save_state(self) -> Mapping[str, Any]:
        self.notes.saved += 1
        if self.last in self.notes.broken:
            raise OSError(f"cannot save {self.last}")
        return {"count": self.count, "last": self.last}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.count, self.last = state["count"], state["last"]


@dataclass
class Workers:
    """Makes workers of one system, which know the messages."""

    url: str
    namespace: str
    made: list[NatsAgentRuntime] = field(default_factory=list[NatsAgentRuntime])

    def new(self, **options: Any) -> NatsAgentRuntime:
        """Return one that is not started."""
        settings: dict[str, Any] = {"namespace": self.namespace, "partitions": 4, "drain_timeout": 3.0, **options}
        runtime = NatsAgentRuntime(settings.pop("servers", self.url), **settings)
        for kind in (Do, Said):
            runtime.add_message_serializer(try_get_known_serializers_for_type(kind))
        self.made.append(runtime)
        return runtime

    async def __call__(self, **options: Any) -> NatsAgentRuntime:
        """Return a started one."""
        runtime = self.new(**options)
        await runtime.start()
        return runtime

    async def close(self) -> None:
        for runtime in reversed(self.made):
            await runtime.close()


@pytest.fixture
async def workers(nats_server: NatsServer, namespace: str) -> AsyncIterator[Workers]:
    """Workers of a namespace of their own. After the test all are closed, and none of their tasks and threads is left."""
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    made = Workers(nats_server.url, namespace)
    try:
        yield made
    finally:
        await made.close()
    own = tasks | {asyncio.current_task()}
    await until(lambda: asyncio.all_tasks() <= own)
    await until(lambda: not [one for one in set(threading.enumerate()) - threads if one.name.startswith("lease")])


async def until_so(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is true that has to be asked for."""
    async with asyncio.timeout(20):
        while True:
            if await true():
                return
            await asyncio.sleep(0.01)


async def register(runtime: NatsAgentRuntime, notes: Notes, name: str, kind: type[Doer] = Keeper) -> None:
    """Let agents of a type live at a worker."""
    await kind.register(runtime, name, lambda: kind(notes))


async def settled(*runtimes: NatsAgentRuntime) -> None:
    """Wait until each of the workers has its share of all partitions, and nothing else."""

    def is_settled(runtime: NatsAgentRuntime) -> bool:
        ownership, registry = runtime._ownership, runtime._registry
        wanted: set[tuple[str, int]] = set()
        for pool in ownership.pools:
            hosts = sorted(one.id for one in runtimes if pool in one._ownership.pools)
            if registry.workers_of(pool) != hosts:
                return False
            owners = share_out(pool, registry.partitions(pool), hosts)
            wanted |= {(pool, place) for place, owner in enumerate(owners) if owner == runtime.id}
        return set(ownership._pullers) == wanted and all(one.has_it for one in ownership._pullers.values())

    await until(lambda: all(is_settled(runtime) for runtime in runtimes))


def key_at(runtime: NatsAgentRuntime, agent_type: str) -> AgentId:
    """Return an agent that lives at a worker."""
    for number in range(1_000):
        agent = AgentId(agent_type, f"k{number}")
        if at(agent, runtime):
            return agent
    raise AssertionError(f"no agent of type {agent_type} lives there")


def at(agent: AgentId, runtime: NatsAgentRuntime) -> bool:
    """Tell whether an agent's partition is a worker's."""
    route = runtime._sending.route(agent)
    assert route is not None
    place = int(route.subject.split(".")[3])
    return (route.pool, place) in runtime._ownership._pullers
