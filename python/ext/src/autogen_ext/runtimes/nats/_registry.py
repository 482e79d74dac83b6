"""What all workers of a system know alike: agent types, where registered instances live, who hears which topic, who is alive.

It is kept in two buckets, and each worker is told of each change once it is stored. Stands on the storage; knows no message.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg

from autogen_core import AgentId, Subscription, TopicId, TypePrefixSubscription, TypeSubscription
from autogen_core.exceptions import RegistrationError, UndeliverableException
from autogen_core.lowlevel import SubscriptionTable

from ._link import Link, NobodyThereError, ServerAwayError, logger
from ._storage import ConflictError, Entry, Storage
from ._subjects import Names, token

STATEFUL, STATELESS, INSTANCES = "stateful", "stateless", "instances"
"""How the agents of a type are hosted: each on one worker at a time; on any worker; where they were registered one by one."""

_AGREE_S = 1.0
"""How long a change waits for all workers to have seen it, in seconds. One that is slower learns of it later."""


@dataclass(frozen=True)
class AgentTypeEntry:
    """What is known of an agent type."""

    type: str
    hosting: str
    pool: str


@dataclass
class Member:
    """A worker that is alive.

    Attributes:
        id: Its id.
        pools: The pools whose agents it hosts.
        leaving: Whether it hands over what it has.
        heard_at: When it gave its last sign of life, on the monotonic clock.
    """

    id: str
    pools: frozenset[str]
    leaving: bool
    heard_at: float


@dataclass
class RegistryEvents:
    """What a registry calls.

    Attributes:
        gone: When a worker is no longer alive; called with its id.
        changed: When members or pools change.
    """

    gone: Callable[[str], None]
    changed: Callable[[], None]


class Registry:
    """One worker's view of what all know.

    Args:
        link, storage, names: Where it is kept.
        lease_s: After how many seconds without a sign of life a worker counts as dead.
        events: What to call.
        worker: This worker's id.
    """

    def __init__(
        self, link: Link, storage: Storage, names: Names, lease_s: float, events: RegistryEvents, worker: str
    ) -> None:
        self._worker = worker
        self._link = link
        self._storage = storage
        self._names = names
        self._lease_s = lease_s
        self._events = events
        self._types: dict[str, AgentTypeEntry] = {}
        self._pools: dict[str, int] = {}
        self._instances: dict[AgentId, str] = {}
        self._hearers: dict[str, Subscription] = {}
        self._table = SubscriptionTable()
        self._revisions: dict[str, int] = {}
        self._seen = 0
        self._news = asyncio.Event()
        self._looked_at = time.monotonic()
        self.members: dict[str, Member] = {}

    # Reading

    @property
    def types(self) -> Iterable[str]:
        """The agent types that are known."""
        return self._types.keys()

    def find(self, agent: AgentId) -> AgentTypeEntry:
        """Return how an agent is hosted; raises `UndeliverableException` for an unknown type."""
        entry = self._types.get(agent.type)
        if entry is None:
            raise UndeliverableException.unknown_recipient(agent, set(self._types))
        return entry

    def worker_of(self, agent: AgentId) -> str:
        """Return the worker where an instance is registered; raises `UndeliverableException` if there is none alive."""
        worker = self._instances.get(agent)
        if worker is None:
            raise UndeliverableException(
                f"Agent with name {agent} not found: agents of its type are registered one by one, and this one is not.",
                recipient=agent,
            )
        if worker not in self.members:
            raise UndeliverableException(f"The worker of {agent} is gone.", recipient=agent)
        return worker

    def partitions(self, pool: str) -> int:
        """Return how many partitions a pool has."""
        return self._pools[pool]

    def recipients(self, topic: TopicId) -> Iterable[AgentId]:
        """Return the agents that hear a topic, wherever they live."""
        return self._table.recipients(topic)

    def workers_of(self, pool: str) -> list[str]:
        """Return the workers that are to have the partitions of a pool, in order."""
        members = sorted(member.id for member in self.members.values() if pool in member.pools)
        staying = [id for id in members if not self.members[id].leaving]
        return staying or members

    def hosts(self, pool: str) -> bool:
        """Tell whether a living worker hosts a pool."""
        return any(pool in member.pools for member in self.members.values())

    def subscription_named(self, id: str) -> Subscription | None:
        """Return a subscription by its id; None if there is none."""
        return next((known for known in self._hearers.values() if known.id == id), None)

    # Following

    async def start(self) -> None:
        """Take in what is known, and follow what changes."""
        await self._link.subscribe(self._names.live(self._names.directory), self._directory_changed)
        await self._link.subscribe(self._names.live(self._names.leases), self._lease_changed)
        await self._link.subscribe(self._names.everybody(), self._asked)
        await self.load()

    async def load(self) -> None:
        """Take in everything anew, as after a broken connection, during which changes were missed."""
        for entry in await self._storage.load(self._names.directory):
            self._take(entry)
        for entry in await self._storage.load(self._names.leases):
            if not self._hear(entry):
                self._lose(entry.key)
        # Whose sign is not there at all may give one soon, as after a restart of the server: the clock tells.
        self._events.changed()

    async def _directory_changed(self, message: Msg) -> None:
        headers = message.headers or {}
        key = headers["Nats-Subject"].removeprefix(self._names.bucket_subject(self._names.directory, ""))
        value = b"" if "KV-Operation" in headers else message.data
        self._take(Entry(key, value, int(headers["Nats-Sequence"])))
        self._events.changed()

    def _take(self, entry: Entry) -> None:
        self._seen = max(self._seen, entry.revision)
        self._news.set()
        if self._revisions.get(entry.key, 0) >= entry.revision:
            return
        self._revisions[entry.key] = entry.revision
        kind = entry.key.partition(".")[0]
        says: dict[str, Any] = json.loads(entry.value) if entry.value else {}
        if kind == "t" and says:
            self._types[says["type"]] = AgentTypeEntry(says["type"], says["hosting"], says["pool"])
        elif kind == "p" and says:
            self._pools[says["pool"]] = says["partitions"]
        elif kind == "i":
            self._take_instance(entry.key, says)
        elif kind == "s":
            self._take_subscription(entry.key, says)

    def _take_instance(self, key: str, says: dict[str, Any]) -> None:
        if says:
            self._instances[AgentId(says["type"], says["key"])] = says["worker"]
        else:
            gone = [agent for agent in self._instances if _instance_key(agent) == key]
            for agent in gone:
                del self._instances[agent]

    def _take_subscription(self, key: str, says: dict[str, Any]) -> None:
        known = self._hearers.pop(key, None)
        if known is not None:
            self._table.remove(known.id)
        if says:
            kind = TypePrefixSubscription if says["kind"] == "prefix" else TypeSubscription
            subscription = kind(says["topic"], says["agent_type"], says["id"])
            self._hearers[key] = subscription
            self._table.add(subscription)

    async def _lease_changed(self, message: Msg) -> None:
        headers = message.headers or {}
        key = headers["Nats-Subject"].removeprefix(self._names.bucket_subject(self._names.leases, ""))
        if "KV-Operation" in headers:
            self._lose(key)
        elif message.data:  # what runs out on the server is noticed by the clock here
            self._hear(Entry(key, message.data, int(headers["Nats-Sequence"])))

    def _hear(self, entry: Entry) -> bool:
        if not entry.value:
            return False
        says: dict[str, Any] = json.loads(entry.value)
        known = self.members.get(entry.key)
        member = Member(entry.key, frozenset(says["pools"]), says["leaving"], time.monotonic())
        self.members[entry.key] = member
        if known is None or known.pools != member.pools or known.leaving != member.leaving:
            self._events.changed()
        return True

    def _lose(self, id: str) -> None:
        if self.members.pop(id, None) is not None:
            self._events.gone(id)
            self._events.changed()

    def look_around(self) -> None:
        """Take note of the workers that gave no sign of life for too long; call it several times in that time."""
        now = time.monotonic()
        stood_still, self._looked_at = now - self._looked_at, now
        if stood_still > self._lease_s / 4 or not self._link.connected:  # this one did not listen, so nobody was silent
            for member in self.members.values():
                member.heard_at += stood_still
        latest = now - self._lease_s
        for member in list(self.members.values()):
            if member.heard_at < latest:
                logger.warning("worker %s gives no sign of life", member.id)
                self._lose(member.id)

    # Changing

    async def add_pool(self, pool: str, partitions: int) -> int:
        """Make a pool known, if it is not; return how many partitions it has."""
        key = f"p.{token(pool)}"
        if pool not in self._pools:
            await self._put_first(key, {"pool": pool, "partitions": partitions})
        return self._pools[pool]

    async def add_type(self, entry: AgentTypeEntry) -> None:
        """Make an agent type known.

        Raises:
            RegistrationError: It is known with another pool, or hosted in another way.
        """
        known = self._types.get(entry.type)
        if known is None:
            await self._put_first(
                f"t.{token(entry.type)}", {"type": entry.type, "hosting": entry.hosting, "pool": entry.pool}
            )
            known = self._types[entry.type]
        if known != entry:
            raise RegistrationError(
                f"Agent type {entry.type!r} is registered elsewhere as {known.hosting} in pool {known.pool!r}, and here as "
                f"{entry.hosting} in pool {entry.pool!r}. All workers must say the same."
            )

    async def _put_first(self, key: str, says: dict[str, Any]) -> None:
        """Write a key that is not there; if somebody else was first, take in what he wrote."""
        try:
            revision = await self._storage.put(
                self._names.directory, key, json.dumps(says).encode(), revision=self._revisions.get(key, 0)
            )
        except ConflictError:
            found = await self._storage.get(self._names.directory, key)
            if found is not None:
                self._take(found)
        else:
            self._take(Entry(key, json.dumps(says).encode(), revision))
            await self._agree(revision)

    async def add_instance(self, agent: AgentId, worker: str) -> None:
        """Make known where an instance lives; raises `RegistrationError` if it lives elsewhere."""
        holder = self._instances.get(agent)
        if holder is not None and holder != worker and holder in self.members:
            raise RegistrationError(f"Agent with id {agent} is registered at another worker. Choose another key.")
        await self._put(_instance_key(agent), {"type": agent.type, "key": agent.key, "worker": worker})

    async def remove_instances(self, worker: str) -> None:
        """Forget the instances of a worker."""
        for agent, holder in list(self._instances.items()):
            if holder == worker:
                revision = await self._storage.delete(self._names.directory, _instance_key(agent))
                self._take(Entry(_instance_key(agent), b"", revision))

    async def add_subscription(self, subscription: Subscription) -> None:
        """Make a subscription known; the same one of another worker, or of an earlier life, is this one."""
        key, says = _written(subscription)
        if key not in self._hearers:
            await self._put(key, says)

    async def remove_subscription(self, subscription: Subscription) -> None:
        """Remove a subscription, for all workers."""
        key, _ = _written(subscription)
        revision = await self._storage.delete(self._names.directory, key)
        self._take(Entry(key, b"", revision))
        await self._agree(revision)

    def check(self, subscription: Subscription) -> None:
        """Raise `ValueError` if a subscription's rule cannot travel."""
        _written(subscription)

    def clear(self) -> None:
        """Forget everything, when the runtime has stopped."""
        self._types.clear()
        self._pools.clear()
        self._instances.clear()
        self._hearers.clear()
        self._table = SubscriptionTable()
        self._revisions.clear()
        self.members.clear()
        self._seen = 0

    async def _put(self, key: str, says: dict[str, Any]) -> None:
        value = json.dumps(says).encode()
        revision = await self._storage.put(self._names.directory, key, value)
        self._take(Entry(key, value, revision))
        await self._agree(revision)

    async def _agree(self, revision: int) -> None:
        """Wait until every living worker has seen a change, so that what is sent from now on follows it."""
        waiting = set(self.members)
        done = asyncio.Event()

        def take(message: Msg) -> None:
            waiting.discard(message.data.decode())
            if not waiting:
                done.set()

        inbox = self._link.expect(take)
        try:
            await self._link.publish(self._names.everybody(), str(revision).encode(), reply=inbox)
            async with asyncio.timeout(_AGREE_S):
                await done.wait()
        except (TimeoutError, ServerAwayError):
            logger.debug("not all workers have seen revision %d yet: %s", revision, waiting)
        finally:
            self._link.forget(inbox)

    async def _asked(self, message: Msg) -> None:
        revision = int(message.data)
        try:
            async with asyncio.timeout(_AGREE_S):
                while self._seen < revision:
                    self._news.clear()
                    await self._news.wait()
            await self._link.publish(message.reply, self._worker.encode())
        except (TimeoutError, ServerAwayError, NobodyThereError):
            logger.debug("revision %d has not come yet", revision)


def _instance_key(agent: AgentId) -> str:
    return f"i.{token(agent.type)}.{token(agent.key)}"


def _written(subscription: Subscription) -> tuple[str, dict[str, Any]]:
    """Return under which key a subscription is kept, and how.

    Raises:
        ValueError: It is of a class of its own, whose rule cannot travel.
    """
    if isinstance(subscription, TypeSubscription):
        kind, topic = "exact", subscription.topic_type
    elif isinstance(subscription, TypePrefixSubscription):
        kind, topic = "prefix", subscription.topic_type_prefix
    else:
        raise ValueError(
            f"A {type(subscription).__name__} cannot be known to other workers: only TypeSubscription and "
            "TypePrefixSubscription can. Express the rule with these."
        )
    agent_type = subscription.agent_type
    says = {"id": subscription.id, "kind": kind, "topic": topic, "agent_type": agent_type}
    return f"s.{kind}.{token(topic)}.{token(agent_type)}", says
