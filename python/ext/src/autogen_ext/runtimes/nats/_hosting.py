"""What this worker offers to others: the agent types and instances that live here, made known to all, and the work taken on.

It says what is to be known through the registry and this worker's lease, listens for messages without mailbox, and reads the
mailboxes that all workers of a stateless agent type share. Partitions are the business of `_ownership`, which is told of the
pools. Stands on the registry and the link; must not know how messages are sent, nor how they are handled.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nats.aio.subscription import Subscription as NatsSubscription

from autogen_core import AgentId, Subscription, TypePrefixSubscription, TypeSubscription
from autogen_core.exceptions import AutoGenError, NotPermittedError
from autogen_core.lowlevel import Directory

from ._direct import Direct
from ._lease import Lease
from ._link import Link, ServerAwayError, logger
from ._ownership import Ownership
from ._puller import Puller
from ._registry import INSTANCES, STATEFUL, STATELESS, AgentTypeEntry, Registry
from ._residents import Residents
from ._security import NatsRights
from ._storage import Storage
from ._subjects import Names

_ADMITTED_S = 10.0
"""How long the first sign of life may take, in seconds."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a worker was told about its agents.

    Attributes:
        worker: The worker's id.
        pool: The mailboxes that its agent types share; None: each type has its own.
        stateless: The agent types without anything to remember.
        partitions: Into how many parts the agents of a new pool are divided.
        mailbox_size: How many messages may wait for a new pool.
        drain_s: How long handlers may take when this worker stops.
        rights: What its agents may hear; None: everything.
    """

    worker: str
    pool: str | None
    stateless: frozenset[str]
    partitions: int
    mailbox_size: int
    drain_s: float
    rights: NatsRights | None


@dataclass(frozen=True, slots=True)
class House:
    """The parts of a worker that its agents live by."""

    directory: Directory
    registry: Registry
    lease: Lease
    direct: Direct
    residents: Residents
    ownership: Ownership


class Hosting:
    """Makes known what lives at this worker, and takes on its work.

    Args:
        parts: What the agents live by.
        on_server: The link, what is stored, and the names.
        make_puller: Returns a reader of a pool's mailboxes: of a partition, or of those that all share, if that is None.
        offer: What the worker was told about its agents.

    Attributes:
        leaving: Whether this worker takes on nothing more.
        queues: The subscriptions for requests to stateless agent types.
    """

    def __init__(
        self,
        parts: House,
        on_server: tuple[Link, Storage, Names],
        make_puller: Callable[[str, int | None], Puller],
        offer: Offer,
    ) -> None:
        self._parts = parts
        self._link, self._storage, self._names = on_server
        self._make_puller = make_puller
        self._offer = offer
        self.leaving = False
        self.queues: list[NatsSubscription] = []
        self._shared: dict[str, Puller] = {}
        self._pools: set[str] = set()
        self._announced: set[str] = set()

    def says(self) -> dict[str, Any]:
        """Return what this worker's sign of life tells the others."""
        return {"pools": sorted(self._pools), "leaving": self.leaving}

    def serves(self, agent_type: str) -> bool:
        """Tell whether this worker takes requests to a stateless agent type itself."""
        return agent_type in self._parts.directory.types and not self.leaving

    # Taking on

    async def admitted(self) -> None:
        """Wait for the first sign of life to be taken."""
        end = asyncio.get_running_loop().time() + _ADMITTED_S
        while not self._parts.lease.valid:
            if asyncio.get_running_loop().time() > end:
                raise ServerAwayError("The NATS server takes no sign of life from this worker.")
            await asyncio.sleep(0.005)

    async def announce(self, agent_type: str) -> None:
        """Make an agent type known to all, and take on its work."""
        if agent_type in self._announced or not self._parts.directory.can_make(AgentId(agent_type, "default")):
            return
        hosting, pool = await self.claim(agent_type)
        self._announced.add(agent_type)
        if pool not in self._pools:
            self._pools.add(pool)
            await self.listen(self._names.pool_talk(pool))
        if hosting == STATELESS:
            self.queues.append(
                await self._link.subscribe(self._names.anyone(agent_type), self._parts.direct.take, queue="q")
            )
            if pool not in self._shared:
                puller = self._shared[pool] = self._make_puller(pool, None)
                puller.start()
        else:
            self._parts.ownership.pools.add(pool)
        self._parts.lease.say(self.says())
        self._parts.ownership.changed()

    async def claim(self, agent_type: str) -> tuple[str, str]:
        """Make an agent type known as this worker hosts it; return how, and in which pool."""
        hosting = STATELESS if agent_type in self._offer.stateless else STATEFUL
        pool = agent_type if hosting == STATELESS or self._offer.pool is None else self._offer.pool
        if pool not in self._pools:
            await self._storage.open_pool(pool, self._offer.mailbox_size)
            await self._parts.registry.add_pool(pool, self._offer.partitions)
        await self._parts.registry.add_type(AgentTypeEntry(agent_type, hosting, pool))
        return hosting, pool

    async def listen(self, subject: str) -> None:
        """Take the messages without mailbox that come to a subject."""
        await self._link.subscribe(subject, self._parts.direct.take)

    async def announce_instance(self, agent: AgentId) -> None:
        """Make an agent that was registered as an instance known to all."""
        await self._parts.registry.add_type(AgentTypeEntry(agent.type, INSTANCES, ""))
        await self._parts.registry.add_instance(agent, self._offer.worker)

    async def announce_all(self) -> None:
        """Make known all that was registered before the start."""
        directory = self._parts.directory
        for agent_type in sorted(directory.types):
            await self.announce(agent_type)
        for agent in list(directory.agents):
            if not directory.can_make(agent):
                await self.announce_instance(agent)

    def may_hear(self, subscription: Subscription) -> None:
        """Raise `NotPermittedError` if this worker has no right to a subscription."""
        if self._offer.rights is None or not isinstance(subscription, TypeSubscription | TypePrefixSubscription):
            return
        exact = isinstance(subscription, TypeSubscription)
        topic = subscription.topic_type if exact else subscription.topic_type_prefix
        if not self._offer.rights.may_hear(topic, subscription.agent_type):
            raise NotPermittedError(f"This worker has no right to let {subscription.agent_type!r} hear {topic!r}.")

    # Looking after it

    async def look_after(self) -> None:
        """Notice who is alive, this worker too, and hold on to what is its own; called again and again."""
        self._parts.lease.tick()
        await self._parts.ownership.check()
        self._parts.registry.look_around()
        self._parts.direct.note_long()

    async def evict_idle(self, seconds: float) -> None:
        """Let go of agents that have had nothing to do for some time."""
        await self._parts.residents.evict_idle(seconds)

    def again(self) -> None:
        """Ask for messages anew, after a broken connection."""
        self._parts.ownership.again()
        for puller in self._shared.values():
            puller.again()

    # Leaving

    async def leave(self) -> None:
        """Take on nothing more, say so, and finish what came from shared mailboxes."""
        self.leaving = True
        self._parts.lease.say(self.says())
        self._parts.residents.stopping = True
        for queue in self.queues:
            await self._link.unsubscribe(queue)
        self.queues.clear()
        for puller in self._shared.values():
            await puller.stop()
            await self._parts.residents.drain(puller, self._offer.drain_s)
        self._shared.clear()

    async def forget_instances(self) -> None:
        """Take back that instances live here, as far as the server can be told."""
        try:
            await self._parts.registry.remove_instances(self._offer.worker)
        except AutoGenError as error:  # who looks for them sees that this worker is gone
            logger.debug("the instances of this worker stay known: %r", error)

    def clear(self) -> None:
        """Forget what was announced, so that a new start announces it again."""
        self._announced.clear()
        self._pools.clear()
        self._parts.ownership.pools.clear()
