"""`NatsAgentRuntime`: agents of many processes behind one runtime, whose messages and state a NATS server keeps.

It puts the parts together, and owns their life. What users say to agents is in `_front`, the way of each message in
`_sending`, what this worker offers in `_hosting`, and what keeps it going in `_upkeep`. Mailboxes are in `_puller` and
`_residents`, who has which in `_ownership`, messages without mailbox in `_direct`, those that wait for answers in `_calls`, and
what all workers know alike in `_registry`. It must not know what a message looks like, nor how the server keeps it.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from nats.aio.msg import Msg

from autogen_core import (
    Agent,
    AgentId,
    AgentType,
    MessageHandlerContext,
    Subscription,
)
from autogen_core.lowlevel import Delivery, Interventions, Mailbox, Observer
from autogen_ext.runtimes._shared.payloads import UnreadableError
from autogen_ext.runtimes._shared.signals import wait_for_signal

from ._connection import SubjectNotPermittedError
from ._dead_letters import DeadLetter, DeadLetters
from ._direct import Direct
from ._front import Front
from ._handling import handling
from ._hosting import Hosting, House, Offer
from ._intake import Intake, Parts
from ._lease import Lease
from ._link import Link, LinkEvents, logger
from ._ownership import Ownership
from ._puller import Puller
from ._registry import Registry, RegistryEvents
from ._residents import Residents
from ._security import NatsSecurity
from ._sending import Sending, Terms
from ._states import States
from ._storage import Storage
from ._subjects import Names
from ._timers import Timers
from ._upkeep import Upkeep

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

T = TypeVar("T", bound=Agent)

_MAX_HANDLING = 10_000


class NatsAgentRuntime(Front):
    """A runtime whose agents live in many processes, on NATS JetStream.

    Agent types that are registered with a factory have durable mailboxes: a message waits there until it is handled, also while
    no worker is alive. Each agent lives on one of the workers that register its type, and moves to another when that one leaves
    or dies; if its class has `save_state`, its state moves with it, and each message has its effect on it once. Agents that are
    registered as instances live where they were registered, and end with their process.

    What must be the same at all workers of a system: `namespace`, `pool`, `stateless_types`, `lease`.

    Args:
        servers: The NATS server, or several of one cluster.
        namespace: The system's name on the server; systems with different ones do not see each other.
        pool: The name of the mailboxes of this worker's agent types, if they are to share them: then all its workers must
            register the same types. None: each type has mailboxes of its own, and may be registered by any workers.
        stateless_types: Agent types without anything to remember: requests go to any worker at once, without mailbox, and if
            that one dies, to another. Their events are stored as those of others.
        security: Who this worker is, and which servers it trusts.
        tracer_provider: Makes the spans; the global one if not given.
        timeout: In how many seconds a request must be answered, if its sender does not say; None: no limit.
        partitions: Into how many parts a pool's agents are divided, each on one worker; fixed when a pool is first used.
        mailbox_size: How many messages may wait for a pool; fixed when it is first used.
        replicas: On how many servers of a cluster everything is kept; None: on three, if there are as many.
        lease: After how many seconds without a sign of life a worker counts as dead.
        reconnect_timeout: How many seconds the server, or all workers of an agent type, may be away before those who wait for
            answers are told so.
        drain_timeout: How many seconds handlers may take when this worker stops or hands agents over.

    Attributes:
        id: This worker's id.
    """

    def __init__(
        self,
        servers: str | Sequence[str] = "nats://127.0.0.1:4222",
        *,
        namespace: str = "autogen",
        pool: str | None = None,
        stateless_types: Collection[str] = (),
        security: NatsSecurity | None = None,
        tracer_provider: "TracerProvider | None" = None,
        timeout: float | None = None,
        partitions: int = 16,
        mailbox_size: int = 100_000,
        replicas: int | None = None,
        lease: float = 2.0,
        reconnect_timeout: float = 60.0,
        drain_timeout: float = 30.0,
    ) -> None:
        super().__init__()
        if pool is not None and pool.startswith("$"):
            raise ValueError(
                f"The name of a pool does not begin with '$', which is for the runtime itself; got {pool!r}."
            )
        if partitions < 1 or mailbox_size < 1 or lease < 0.5:
            raise ValueError("partitions and mailbox_size must be positive, and lease at least 0.5 seconds.")
        addresses = [servers] if isinstance(servers, str) else list(servers)
        self.id = uuid4().hex[:16]
        self._names = names = Names(namespace)
        self._drain_timeout = drain_timeout
        rights = None if security is None else security.rights
        self._link = link = Link(addresses, security, names, self.id, LinkEvents(self._away, self._back, self._refused))
        self._storage = storage = Storage(link, names, replicas)
        events = RegistryEvents(self._gone, self._changed)
        self._registry = registry = Registry(link, storage, names, lease, events, self.id)
        self._lease = Lease(addresses, security, names, self.id, lease)
        mailbox = Mailbox()
        self._observer = observer = Observer(tracer_provider, runtime="NatsAgentRuntime")
        delivery = Delivery(self._directory, self._subscriptions, mailbox, Interventions([]), observer, _noted)
        parts = Parts(self._directory, self._serializers, mailbox, observer, delivery)
        self._on_server = link, storage, names
        self._dead = DeadLetters(link, storage, names)
        intake = Intake(parts)
        self._direct = Direct(parts, intake, link, self.id, _MAX_HANDLING)
        states = States(link, storage, names)
        self._residents = Residents(parts, intake, link, states, self._dead, self._lease)
        self._ownership = Ownership(registry, self._residents, self._lease, self._make_puller, self.id, drain_timeout)
        house = House(self._directory, registry, self._lease, self._direct, self._residents, self._ownership)
        offer = Offer(self.id, pool, frozenset(stateless_types), partitions, mailbox_size, drain_timeout, rights)
        self._hosting = Hosting(house, self._on_server, self._make_puller, offer)
        terms = Terms(timeout, reconnect_timeout, rights)
        self._sending = Sending(parts, self._on_server, registry, self._direct, self._hosting.serves, terms)
        self._calls, self._lanes = self._sending.calls, self._sending.lanes
        self._timers = Timers(self._on_server, self._sending.send_due, self._unreadable)
        self._upkeep = Upkeep(storage, registry, self._sending, self._hosting, self._timers)
        self._stopping: asyncio.Task[None] | None = None

    # Life

    @property
    def ready(self) -> bool:
        """Whether this worker is connected, counts as alive, and takes on work."""
        return self._started and not self._hosting.leaving and self._link.connected and self._lease.valid

    @property
    def _started(self) -> bool:
        return self._upkeep.running

    async def start(self) -> None:
        """Connect, and take on work. Agent types and subscriptions that are registered already become known to all.

        Raises:
            ValueError: It is started already.
            ConnectionError: There is no server.
            NotPermittedError: The server does not admit this worker.
            RegistrationError: Another worker says otherwise about an agent type.
        """
        if self._started:
            raise ValueError("Runtime is already running.")
        await self._link.start()
        self._upkeep.running, self._hosting.leaving = True, False
        await self._sending.open()
        self._residents.stopping = False
        try:
            await self._storage.open()
            self._lease.start(self._hosting.says())
            self._upkeep.start()
            await self._hosting.admitted()
            await self._registry.start()
            await self._hosting.listen(self._names.worker(self.id))
            self._ownership.start()
            await self._timers.start()
            await self._hosting.announce_all()
            for subscription in list(self._subscriptions):
                await self._registry.add_subscription(subscription)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Finish what is being handled, hand all agents over to other workers, and disconnect.

        What waits in mailboxes stays there. Handlers that take longer than `drain_timeout` are cancelled; their messages are
        delivered again. Those here who wait for agents elsewhere get an error. Cancelling this does not keep the runtime from
        stopping. Called by a handler, it returns at once, and the runtime stops when that handler has ended.

        Raises:
            RuntimeError: It is not started.
        """
        if not self._started:
            raise RuntimeError("Runtime is not running.")
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._shut_down(), name="stopping the NATS runtime")
            self._stopping.add_done_callback(self._has_stopped)
        if handling.get() is None and not self._within_handler():
            await asyncio.shield(self._stopping)

    def _within_handler(self) -> bool:
        """Tell whether the code that runs is that of an agent here, whose message was handed over in the process."""
        try:
            return MessageHandlerContext.agent_id() in self._directory.agents
        except RuntimeError:
            return False

    def _has_stopped(self, stopping: asyncio.Task[None]) -> None:
        self._stopping = None
        if not stopping.cancelled() and (error := stopping.exception()) is not None:
            logger.error("the runtime did not stop in order", exc_info=error)

    async def _shut_down(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._drain_timeout
        await self._hosting.leave()
        await self._timers.stop()
        await self._ownership.stop()
        await self._direct.stop(max(0.0, end - loop.time()))
        await self._sending.finish_here(end)
        if self._link.connected:
            await self._sending.rest()
            await self._hosting.forget_instances()
            await self._link.settle()
        self._upkeep.running = False
        await self._sending.stop()
        await self._residents.stop()
        await self._upkeep.stop()
        await self._lease.stop()
        await self._link.stop()
        await self._directory.stop()
        self._registry.clear()
        self._lanes.clear()
        self._hosting.clear()

    async def stop_when_signal(self, signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)) -> None:
        """Work until the process gets one of the signals, then stop as `stop` does."""
        await wait_for_signal(signals)
        await self.stop()

    async def close(self) -> None:
        """Stop if it is started, and close all agents, each once."""
        if self._started:
            await self.stop()
        await self._directory.close()

    # What the parts tell one another; they are made one after the other, so that it goes through here

    def _away(self) -> None:
        self._upkeep.away()

    def _back(self) -> None:
        self._upkeep.back()

    def _refused(self, error: SubjectNotPermittedError) -> None:
        self._sending.refused(error)

    def _gone(self, worker: str) -> None:
        self._calls.gone(worker)

    def _changed(self) -> None:
        self._ownership.changed()

    def _make_puller(self, pool: str, place: int | None) -> Puller:
        return Puller(self._on_server, pool, place, self._residents.take, self._unreadable)

    def _unreadable(self, raw: Msg, error: UnreadableError) -> None:
        self._upkeep.own(self._bury(raw, error))

    async def _bury(self, raw: Msg, error: UnreadableError) -> None:
        await self._dead.bury_unreadable(raw.data, error)
        await self._link.publish(raw.reply, b"+TERM")

    # Agents and subscriptions

    async def register_factory(
        self,
        type: str | AgentType,
        agent_factory: Callable[[], T | Awaitable[T]],
        *,
        expected_class: type[T] | None = None,
    ) -> AgentType:
        """Say how agents of a type are made; as `AgentRuntime.register_factory`. Any number of workers may say so.

        Raises:
            RegistrationError: The type is registered here, or elsewhere in another way.
        """
        name = type.type if isinstance(type, AgentType) else type
        if self._started and not self._directory.can_make(AgentId(name, "default")):
            await self._hosting.claim(name)  # before it is known here: what is refused leaves nothing
        agent_type = await super().register_factory(type, agent_factory, expected_class=expected_class)
        if self._started:
            await self._hosting.announce(agent_type.type)
        return agent_type

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Let an agent that exists already live here; as `AgentRuntime.register_agent_instance`."""
        await super().register_agent_instance(agent_instance, agent_id)
        if self._started:
            try:
                await self._hosting.announce_instance(agent_id)
            except BaseException:
                self._directory.agents.pop(agent_id, None)
                raise
        return agent_id

    async def add_subscription(self, subscription: Subscription) -> None:
        """Add a subscription, for all workers; it stays also when this one ends.

        Raises:
            ValueError: It exists here already, or is of a class of its own, which cannot travel.
            NotPermittedError: This worker has no right to it.
        """
        self._registry.check(subscription)
        self._hosting.may_hear(subscription)
        await super().add_subscription(subscription)
        if self._started:
            try:
                await self._registry.add_subscription(subscription)
            except BaseException:
                await super().remove_subscription(subscription.id)
                raise

    async def remove_subscription(self, id: str) -> None:
        """Remove a subscription, for all workers; raises `ValueError` if there is none with this id."""
        here = next((known for known in self._subscriptions if known.id == id), None)
        known = here or self._registry.subscription_named(id)
        if here is not None or known is None:
            await super().remove_subscription(id)
        if self._started and known is not None:
            await self._registry.remove_subscription(known)

    # Dead letters

    async def dead_letters(self, *, after: int = 0, most: int = 1_000) -> list[DeadLetter]:
        """Return messages that could not be handled, the oldest first.

        Args:
            after: Only those with a greater number.
            most: How many at most.
        """
        self._require_started()
        return await self._dead.read(after, most)


def _noted(error: BaseException) -> None:
    """Do nothing more about the failure of an event's handler: the observer has logged and counted it."""
