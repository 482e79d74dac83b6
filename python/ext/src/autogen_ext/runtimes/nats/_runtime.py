"""`NatsAgentRuntime`: agents of many processes behind one runtime, whose messages and state a NATS server keeps.

It owns the parts and their life, and chooses the way of each message. Mailboxes are in `_puller` and `_residents`, who has
which in `_ownership`, messages without mailbox in `_direct`, those that wait for answers in `_calls`, and what all workers know
alike in `_registry`.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from autogen_core import (
    Agent,
    AgentId,
    AgentMetadata,
    AgentType,
    CancellationToken,
    MessageHandlerContext,
    Subscription,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
)
from autogen_core.exceptions import (
    AutoGenError,
    MessageTooLargeError,
    NotAccessibleError,
    NotPermittedError,
    UndeliverableException,
)
from autogen_core.lowlevel import BaseRuntime, Delivery, Envelope, Interventions, Mailbox, Observer, new_message_id
from autogen_ext.runtimes._shared import errors, payloads
from autogen_ext.runtimes._shared.deadlines import time_left
from autogen_ext.runtimes._shared.local import Local
from autogen_ext.runtimes._shared.payloads import UnreadableError, Written
from autogen_ext.runtimes._shared.signals import wait_for_signal

from ._calls import ANYONE, DIRECT, STORED, Calls, Route
from ._connection import SubjectNotPermittedError
from ._control import json_payload
from ._dead_letters import DeadLetter, DeadLetters
from ._direct import Direct
from ._handling import handling, next_id
from ._intake import Intake, Parts
from ._lane import Lane
from ._lease import Lease
from ._link import Link, LinkEvents, ServerAwayError, logger
from ._ownership import Ownership
from ._puller import Puller
from ._registry import INSTANCES, STATEFUL, STATELESS, AgentTypeEntry, Registry, RegistryEvents
from ._residents import Residents
from ._security import NatsSecurity
from ._states import States
from ._storage import Storage
from ._subjects import Names, partition
from ._timers import Timers
from ._wire import EVENT, LOAD, NOTHING, REQUEST, SAVE, TELL, Message

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

T = TypeVar("T", bound=Agent)

_TICK_S = 0.1
_ADMITTED_S = 10.0
_IDLE_S = 300.0
_REST_S = 2.0
_MAX_HANDLING = 10_000


class NatsAgentRuntime(BaseRuntime):
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
        self._pool, self._stateless = pool, frozenset(stateless_types)
        self._rights = None if security is None else security.rights
        self._timeout, self._partitions, self._mailbox_size = timeout, partitions, mailbox_size
        self._drain_timeout = drain_timeout
        self._link = link = Link(addresses, security, names, self.id, LinkEvents(self._away, self._back, self._refused))
        self._storage = storage = Storage(link, names, replicas)
        self._registry = Registry(link, storage, names, lease, RegistryEvents(self._gone, self._changed), self.id)
        self._lease = Lease(addresses, security, names, self.id, lease)
        self._mailbox = mailbox = Mailbox()
        self._observer = observer = Observer(tracer_provider, runtime="NatsAgentRuntime")
        self._delivery = Delivery(self._directory, self._subscriptions, mailbox, Interventions([]), observer, _noted)
        self._local = Local(self._directory, self._delivery, mailbox)
        self._parts = Parts(self._directory, self._serializers, mailbox, observer, self._delivery)
        self._on_server = link, storage, names
        self._dead = DeadLetters(link, storage, names)
        self._lanes: dict[str, Lane] = {}
        self._calls = Calls(self._on_server, self._registry, self._lane, reconnect_timeout)
        self._intake = Intake(self._parts)
        self._direct = Direct(self._parts, self._intake, link, self.id, _MAX_HANDLING)
        states = States(link, storage, names)
        self._residents = Residents(self._parts, self._intake, link, states, self._dead, self._lease)
        self._ownership = Ownership(
            self._registry, self._residents, self._lease, self._make_puller, self.id, drain_timeout
        )
        self._timers = Timers(self._on_server, self._send_due, self._unreadable)
        self._shared: dict[str, Puller] = {}
        self._queues: list[NatsSubscription] = []
        self._pools: set[str] = set()
        self._announced: set[str] = set()
        self._instances: set[AgentId] = set()
        self._started = self._leaving = self._missed = False
        self._ticker: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._unstored: set[asyncio.Future[int]] = set()
        self._first_unstored: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # Life

    @property
    def ready(self) -> bool:
        """Whether this worker is connected, counts as alive, and takes on work."""
        return self._started and not self._leaving and self._link.connected and self._lease.valid

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
        self._started, self._leaving, self._missed = True, False, False
        await self._calls.send_again()  # nothing is held back any more since an earlier stop
        self._residents.stopping = False
        try:
            await self._storage.open()
            self._lease.start(self._says())
            self._ticker = asyncio.create_task(self._tick(), name="NATS runtime")
            await self._admitted()
            await self._registry.start()
            await self._listen(self._names.worker(self.id))
            self._ownership.start()
            await self._timers.start()
            for agent_type in sorted(self._directory.types):
                await self._announce(agent_type)
            for agent in list(self._directory.agents):
                if not self._directory.can_make(agent):
                    await self._announce_instance(agent)
            for subscription in list(self._subscriptions):
                await self._registry.add_subscription(subscription)
        except BaseException:
            await self.stop()
            raise

    async def _admitted(self) -> None:
        """Wait for the first sign of life to be taken."""
        end = asyncio.get_running_loop().time() + _ADMITTED_S
        while not self._lease.valid:
            if asyncio.get_running_loop().time() > end:
                raise ServerAwayError("The NATS server takes no sign of life from this worker.")
            await asyncio.sleep(0.005)

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
        self._leaving = True
        self._lease.say(self._says())
        self._residents.stopping = True
        await self._leave_queues()
        await self._timers.stop()
        await self._ownership.stop()
        end = asyncio.get_running_loop().time() + self._drain_timeout
        await self._direct.stop(self._drain_timeout)
        await self._finish_here(end)
        if self._link.connected:
            for lane in self._lanes.values():
                await lane.empty(_REST_S)
            await self._calls.arrived(_REST_S)
            await self._forget_instances()
            await self._link.settle()
        self._started = False
        self._calls.fail("the runtime stopped")
        for lane in self._lanes.values():
            lane.fail("the runtime stopped")
        await self._calls.stop()
        await self._residents.stop()
        await self._end_tasks()
        await self._lease.stop()
        await self._link.stop()
        await self._directory.stop()
        self._registry.clear()
        self._lanes.clear()
        self._announced.clear()
        self._pools.clear()
        self._ownership.pools.clear()

    async def _finish_here(self, end: float) -> None:
        """Let handlers of messages from this process be finished; those who wait for what takes longer are told."""
        tasks = self._delivery.tasks
        left = end - asyncio.get_running_loop().time()
        if tasks and left > 0:
            await asyncio.wait(list(tasks), timeout=left)
        late = dict(tasks)
        for task, (envelope, agent) in late.items():
            if envelope.reply is not None and not envelope.reply.done():
                envelope.reply.set_exception(UndeliverableException.runtime_stopped(agent))
                envelope.reply.exception()  # seen here: its sender may have gone
            task.cancel()
        if late:
            await asyncio.wait(list(late), timeout=1)

    async def _leave_queues(self) -> None:
        for queue in self._queues:
            await self._link.unsubscribe(queue)
        self._queues.clear()
        for puller in self._shared.values():
            await puller.stop()
            await self._residents.drain(puller, self._drain_timeout)
        self._shared.clear()

    async def _forget_instances(self) -> None:
        try:
            await self._registry.remove_instances(self.id)
        except AutoGenError as error:  # who looks for them sees that this worker is gone
            logger.debug("the instances of this worker stay known: %r", error)

    async def _end_tasks(self) -> None:
        ticker, self._ticker = self._ticker, None
        tasks = [*self._tasks, *([] if ticker is None else [ticker])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def stop_when_signal(self, signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)) -> None:
        """Work until the process gets one of the signals, then stop as `stop` does."""
        await wait_for_signal(signals)
        await self.stop()

    async def close(self) -> None:
        """Stop if it is started, and close all agents, each once."""
        if self._started:
            await self.stop()
        await self._directory.close()

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_S)
            ticks += 1
            try:
                self._lease.tick()
                await self._ownership.check()
                self._registry.look_around()
                self._direct.note_long()
                await self._calls.look_after()
                if ticks % 20 == 0:
                    for lane in self._lanes.values():
                        await lane.send_again(all=False)
                    await self._residents.evict_idle(_IDLE_S)
            except AutoGenError as error:
                logger.debug("the server is away: %r", error)
            except Exception:
                logger.exception("looking after the runtime failed; it goes on")

    # The link

    def _away(self) -> None:
        if self._started and not self._leaving:
            logger.warning("the connection to the NATS server broke; it is made again")
        self._missed = True
        for lane in self._lanes.values():
            lane.hold()
        self._calls.hold()

    def _back(self) -> None:
        self._own(self._come_back())

    async def _come_back(self) -> None:
        """Take in what was missed while the server was away, and send what may be lost again."""
        while self._started:
            try:
                await self._storage.open()
                await self._registry.load()
                self._ownership.again()
                self._timers.again()
                for puller in self._shared.values():
                    puller.again()
                for lane in self._lanes.values():
                    await lane.send_again(all=True)
                await self._calls.send_again()
                self._missed = not self._link.connected
            except AutoGenError as error:
                logger.debug("the server is not ready yet: %r", error)
                await asyncio.sleep(0.2)
            else:
                logger.info("connected to the NATS server again")
                return

    def _refused(self, error: SubjectNotPermittedError) -> None:
        self._calls.refused(error)
        for lane in self._lanes.values():
            lane.refused(error)

    def _gone(self, worker: str) -> None:
        self._calls.gone(worker)

    def _changed(self) -> None:
        self._ownership.changed()

    def _own(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a part of the runtime failed; it goes on", exc_info=error)

    # Messages

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it travels with the message, and so holds for what that causes
    ) -> Any:
        """Send a message to one agent, wherever it lives, and wait for its answer; as `AgentRuntime.send_message`.

        A message whose id the recipient has handled already is not handled again: the answer is that of the first time. With
        `timeout`, the answer must be there within so many seconds, and what the handler sends in turn must be answered earlier
        still.

        Raises:
            ValueError: The runtime is not started, or the message cannot be written.
            UndeliverableException: There is no such agent type, or no worker for it has come back in time.
            DeadlineExceededError: No answer in time; the handler is cancelled.
            MailboxFullError: As many messages wait for the recipient's pool as may.
            MessageTooLargeError: The message is longer than the server takes.
            NotPermittedError: The server does not let this worker call the recipient.
            RemoteError: The handler raised. Where its error is one of Python's own, this one is caught by the same class.
        """
        self._require_started()
        token = cancellation_token or CancellationToken()
        if token.is_cancelled():
            raise asyncio.CancelledError(f"The cancellation token of the message for {recipient} is cancelled already.")
        left = time_left(timeout, self._timeout)
        watch = self._observer.watch()
        try:
            route = self._route(recipient)
        except UndeliverableException as error:
            self._observer.undeliverable(message, recipient, sender, error, "unknown_recipient")
            raise
        if route is None:
            envelope = Envelope(message, sender, recipient, token, message_id or new_message_id(), watch)
            if watch is not None:
                self._observer.sent(envelope)
            return await self._local.send(envelope, recipient, left, own_token=cancellation_token is None)
        payload = payloads.write(message, self._serializers)
        id = next_id(message_id, str(recipient), payload.data)
        envelope = Envelope(message, sender, recipient, token, id, watch)
        if watch is not None:
            self._observer.sent(envelope)
            self._observer.on_its_way(envelope)
        return await self._call(envelope, REQUEST, payload, route, left)

    async def _call(
        self, envelope: Envelope, kind: str, payload: Written, route: Route, timeout_s: float | None
    ) -> Any:
        """Send a message and return what its answer says; the envelope is told of it, too."""
        outcome = envelope.reply = asyncio.get_running_loop().create_future()
        try:
            result = await self._ask(envelope, kind, payload, route, timeout_s)
        except asyncio.CancelledError:
            outcome.cancel()
            raise
        except Exception as error:
            outcome.set_exception(error)
            outcome.exception()  # seen here: nobody awaits it
            raise
        else:
            outcome.set_result(result)
            return result
        finally:
            if envelope.watch is not None:
                self._observer.settled(envelope)

    async def _ask(self, envelope: Envelope, kind: str, payload: Written, route: Route, timeout_s: float | None) -> Any:
        recipient = envelope.to
        assert isinstance(recipient, AgentId)
        current = handling.get()
        written = Message(
            kind,
            envelope.id,
            payload,
            sender=envelope.sender,
            recipient=recipient,
            chain=[] if current is None else current.chain,
            carrier=self._observer.carrier(envelope),
        )
        answer = await self._calls.call(written, route, recipient, timeout_s, envelope.token)
        if answer.error is not None:
            raise errors.revive(answer.error, answer.metadata, recipient, envelope.id)
        if answer.payload is None:
            return None
        return payloads.read(answer.payload, self._serializers)

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> None:
        """Store a message for all who hear the topic; as `AgentRuntime.publish_message`.

        It returns once the message is on its way to the server, and is sent again until it is stored. `flush` waits for that,
        and so does `stop`. A message that is being handled counts as handled only when all that its handler has published is
        stored. Where mailboxes are nearly full, it returns once the message is stored.

        Raises:
            ValueError: The runtime is not started, or the message cannot be written.
            MailboxFullError: As many messages wait for a hearer's pool as may.
            MessageTooLargeError: The message is longer than the server takes.
            NotPermittedError: This worker has no right to publish to topics of this type.
        """
        self._require_started()
        if cancellation_token is not None and cancellation_token.is_cancelled():
            return  # whoever gave up already wants no delivery; nobody cancelled this task
        if self._rights is not None and not self._rights.may_publish(topic_id.type):
            raise NotPermittedError(
                f"This worker has no right to publish to topic type {topic_id.type!r}.", recipient=topic_id
            )
        payload = payloads.write(message, self._serializers)
        id = next_id(message_id, str(topic_id), payload.data)
        token = cancellation_token or CancellationToken()
        envelope = Envelope(message, sender, topic_id, token, id, self._observer.watch())
        if envelope.watch is not None:
            self._observer.sent(envelope)
            self._observer.on_its_way(envelope)
        carrier = self._observer.carrier(envelope)
        heard = await self._publish(Message(EVENT, id, payload, sender=sender, topic=topic_id, carrier=carrier))
        if not heard:
            self._observer.unheard(envelope)
        if envelope.watch is not None:
            self._observer.dispatched(envelope, heard)

    async def _publish(self, message: Message) -> int:
        """Pass an event on to each pool, and each instance, that hears it; return how many agents that are."""
        topic = message.topic
        assert topic is not None
        pools: dict[tuple[str, bool], list[str]] = {}
        heard = 0
        for agent in self._registry.recipients(topic):
            heard += 1
            try:
                entry = self._registry.find(agent)
                if entry.hosting == INSTANCES:
                    await self._publish_to(agent, message)
                else:
                    pools.setdefault((entry.pool, entry.hosting == STATELESS), []).append(agent.type)
            except UndeliverableException as error:
                logger.warning("%s does not hear %s: %s", agent, topic, error)
        current = handling.get()
        stored: list[asyncio.Future[int]] = []
        for (pool, shared), hearers in pools.items():
            message.hearers = hearers
            data = message.encode()
            if len(data) > self._link.max_bytes:
                text = f"The message for {topic} has {len(data)} bytes; the server takes {self._link.max_bytes}."
                raise MessageTooLargeError(text, recipient=topic)
            place = "q" if shared else partition(topic.source, self._registry.partitions(pool))
            id = f"{topic.type}/{len(topic.source)}/{topic.source}/{message.id}"  # requests may have the same
            stored.append(await self._lane(pool).store(self._names.stored(pool, place, "e"), data, id))
        for one in stored:
            if current is not None:
                current.publishes(one)
            elif one.done():
                one.result()  # mailboxes that are nearly full are waited for
            else:
                self._unstored.add(one)
                one.add_done_callback(self._was_stored)
        return heard

    def _was_stored(self, stored: "asyncio.Future[int]") -> None:
        self._unstored.discard(stored)
        if not stored.cancelled() and (error := stored.exception()) is not None:
            logger.error("a published message was not stored: %s", error)
            self._first_unstored = self._first_unstored or error

    async def flush(self) -> None:
        """Wait until everything that was published here, outside of handlers, is stored.

        Raises:
            Exception: Something could not be stored since this was last called; the first such error.
        """
        if self._unstored:
            await asyncio.wait(set(self._unstored))
        error, self._first_unstored = self._first_unstored, None
        if error is not None:
            raise error

    async def _publish_to(self, agent: AgentId, message: Message) -> None:
        """Pass an event on to an instance."""
        if agent in self._directory.agents:
            if agent != message.sender:
                self._direct.handle(message, agent)
            return
        worker = self._registry.worker_of(agent)
        route = Route(DIRECT, self._names.worker(worker), "", worker)
        event = Message(
            EVENT,
            message.id,
            message.payload,
            message.sender,
            None,
            message.topic,
            [agent.type],
            carrier=message.carrier,
        )
        await self._calls.tell(event, route, agent)

    def _route(self, recipient: AgentId) -> Route | None:
        """Return the way to an agent; None if it is handed over within the process."""
        entry = self._registry.find(recipient)
        if entry.hosting == INSTANCES:
            if recipient in self._directory.agents:
                return None
            worker = self._registry.worker_of(recipient)
            return Route(DIRECT, self._names.worker(worker), "", worker)
        if entry.hosting == STATELESS:
            if recipient.type in self._directory.types and not self._leaving:
                return None
            return Route(ANYONE, self._names.anyone(recipient.type), entry.pool)
        place = partition(recipient.key, self._registry.partitions(entry.pool))
        return Route(STORED, self._names.stored(entry.pool, place, "d"), entry.pool)

    def _lane(self, pool: str) -> Lane:
        lane = self._lanes.get(pool)
        if lane is None:
            lane = self._lanes[pool] = Lane(self._link, self._storage, pool)
            if self._missed:
                lane.hold()
        return lane

    def _require_started(self) -> None:
        if not self._started:
            raise ValueError("Runtime must be running before messages can be sent. Call start() first.")

    # Later

    async def send_message_later(
        self,
        message: Any,
        recipient: AgentId | TopicId,
        *,
        after: timedelta | datetime | None = None,
        every: timedelta | None = None,
        sender: AgentId | None = None,
        timer_id: str | None = None,
    ) -> str:
        """Send a message to an agent, or publish it to a topic, at a later time, or again and again.

        The server keeps it, so it is sent also if this process has ended by then, as soon as any worker is alive. What the
        recipient answers goes nowhere; an error becomes a log entry there.

        Args:
            message: The message.
            recipient: The agent, or the topic.
            after: In how much time, or when.
            every: The time between two messages, at least a second; the first is sent after as long.
            sender: Who sends it.
            timer_id: A name for the timer; one of the same name is replaced. One is made if not given.

        Returns:
            The timer's name, for `cancel_timer`.

        Raises:
            ValueError: Neither or both of `after` and `every`, or the message cannot be written.
        """
        self._require_started()
        if (after is None) == (every is None):
            raise ValueError("Give `after`, for a message that is sent once, or `every`, for one that is repeated.")
        id = timer_id or new_message_id()
        payload = payloads.write(message, self._serializers)
        if isinstance(recipient, TopicId):
            written = Message(EVENT, id, payload, sender=sender, topic=recipient)
        else:
            written = Message(REQUEST, id, payload, sender=sender, recipient=recipient)
        await self._timers.set(id, written, after or timedelta(), every)
        return id

    async def cancel_timer(self, timer_id: str) -> bool:
        """Take back a message of `send_message_later`; return whether it was still to be sent."""
        self._require_started()
        return await self._timers.cancel(timer_id)

    async def _send_due(self, message: Message) -> None:
        if message.topic is not None:
            await self._publish(message)
            return
        assert message.recipient is not None
        route = self._route(message.recipient)
        if route is None:
            self._direct.handle(message, message.recipient)
        elif route.way == STORED:
            await (await self._lane(route.pool).store(route.subject, message.encode(), message.id))
        else:
            await self._link.publish(route.subject, message.encode())

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
            await self._claim(name)  # before it is known here: what is refused leaves nothing
        agent_type = await super().register_factory(type, agent_factory, expected_class=expected_class)
        if self._started:
            await self._announce(agent_type.type)
        return agent_type

    async def _announce(self, agent_type: str) -> None:
        """Make an agent type known to all, and take on its work."""
        if agent_type in self._announced or not self._directory.can_make(AgentId(agent_type, "default")):
            return
        hosting, pool = await self._claim(agent_type)
        self._announced.add(agent_type)
        if pool not in self._pools:
            self._pools.add(pool)
            await self._listen(self._names.pool_talk(pool))
        if hosting == STATELESS:
            self._queues.append(
                await self._link.subscribe(self._names.anyone(agent_type), self._direct.take, queue="q")
            )
            if pool not in self._shared:
                puller = self._shared[pool] = Puller(
                    self._on_server, pool, None, self._residents.take, self._unreadable
                )
                puller.start()
        else:
            self._ownership.pools.add(pool)
        self._lease.say(self._says())
        self._ownership.changed()

    async def _claim(self, agent_type: str) -> tuple[str, str]:
        """Make an agent type known as this worker hosts it; return how, and in which pool."""
        hosting = STATELESS if agent_type in self._stateless else STATEFUL
        pool = agent_type if hosting == STATELESS or self._pool is None else self._pool
        if pool not in self._pools:
            await self._storage.open_pool(pool, self._mailbox_size)
            await self._registry.add_pool(pool, self._partitions)
        await self._registry.add_type(AgentTypeEntry(agent_type, hosting, pool))
        return hosting, pool

    def _says(self) -> dict[str, Any]:
        return {"pools": sorted(self._pools), "leaving": self._leaving}

    async def _listen(self, subject: str) -> None:
        await self._link.subscribe(subject, self._direct.take)

    def _make_puller(self, pool: str, place: int) -> Puller:
        return Puller(self._on_server, pool, place, self._residents.take, self._unreadable)

    def _unreadable(self, raw: Msg, error: UnreadableError) -> None:
        self._own(self._bury(raw, error))

    async def _bury(self, raw: Msg, error: UnreadableError) -> None:
        await self._dead.bury_unreadable(raw.data, error)
        await self._link.publish(raw.reply, b"+TERM")

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Let an agent that exists already live here; as `AgentRuntime.register_agent_instance`."""
        await super().register_agent_instance(agent_instance, agent_id)
        if self._started:
            try:
                await self._announce_instance(agent_id)
            except BaseException:
                self._directory.agents.pop(agent_id, None)
                raise
        return agent_id

    async def _announce_instance(self, agent: AgentId) -> None:
        await self._registry.add_type(AgentTypeEntry(agent.type, INSTANCES, ""))
        await self._registry.add_instance(agent, self.id)

    async def add_subscription(self, subscription: Subscription) -> None:
        """Add a subscription, for all workers; it stays also when this one ends.

        Raises:
            ValueError: It exists here already, or is of a class of its own, which cannot travel.
            NotPermittedError: This worker has no right to it.
        """
        self._registry.check(subscription)
        self._may_hear(subscription)
        await super().add_subscription(subscription)
        if self._started:
            await self._registry.add_subscription(subscription)

    def _may_hear(self, subscription: Subscription) -> None:
        if self._rights is None or not isinstance(subscription, TypeSubscription | TypePrefixSubscription):
            return
        exact = isinstance(subscription, TypeSubscription)
        topic = subscription.topic_type if exact else subscription.topic_type_prefix
        if not self._rights.may_hear(topic, subscription.agent_type):
            raise NotPermittedError(f"This worker has no right to let {subscription.agent_type!r} hear {topic!r}.")

    async def remove_subscription(self, id: str) -> None:
        """Remove a subscription, for all workers; raises `ValueError` if there is none with this id."""
        here = next((known for known in self._subscriptions if known.id == id), None)
        known = here or self._registry.subscription_named(id)
        if here is not None or known is None:
            await super().remove_subscription(id)
        if self._started and known is not None:
            await self._registry.remove_subscription(known)

    async def try_get_underlying_agent_instance(self, id: AgentId, type: type[T] = Agent) -> T:  # type: ignore[assignment]  # any agent by default
        """Return an agent's object; as `AgentRuntime.try_get_underlying_agent_instance`.

        Raises:
            NotAccessibleError: It does not live here now.
            TypeError: It is not of the given class.
        """
        if self._started and id not in self._directory.agents:
            await self.agent_metadata(id)
        if id not in self._directory.agents:
            raise NotAccessibleError(f"Agent {id} does not live in this process, so its object cannot be had here.")
        return await super().try_get_underlying_agent_instance(id, type)

    async def get(
        self, id_or_type: AgentId | AgentType | str, /, key: str = "default", *, lazy: bool = True
    ) -> AgentId:
        """Return the id of an agent; not lazy, it is made if it does not exist yet, wherever it lives."""
        agent = id_or_type if isinstance(id_or_type, AgentId) else AgentId(id_or_type, key)
        if not lazy:
            await self.agent_metadata(agent)
        return agent

    # State

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        """Return what an agent tells about itself, wherever it lives; raises `LookupError` for an unknown type."""
        if self._lives_here(agent):
            return await super().agent_metadata(agent)
        return AgentMetadata(**await self._ask_agent(TELL, agent))

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return the state of an agent, wherever it lives; raises `LookupError` for an unknown type."""
        if self._lives_here(agent):
            return await super().agent_save_state(agent)
        return await self._ask_agent(SAVE, agent)

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give an agent a state, wherever it lives; raises `LookupError` for an unknown type."""
        if self._lives_here(agent):
            await super().agent_load_state(agent, state)
        else:
            await self._ask_agent(LOAD, agent, json_payload(dict(state)))

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `save_state` returned; states of agent types that are not known are left out."""
        known = set(self._registry.types) if self._started else self._directory.types
        for text, agent_state in state.items():
            agent = AgentId.from_str(text)
            if agent.type in known:
                await self.agent_load_state(agent, agent_state)

    def _lives_here(self, agent: AgentId) -> bool:
        """Tell whether an agent is this worker's own business: an instance, or any agent before the start."""
        if not self._started:
            return True
        return self._route(agent) is None

    async def _ask_agent(self, kind: str, agent: AgentId, payload: Written = NOTHING) -> Any:
        route = self._route(agent)
        assert route is not None
        envelope = Envelope(None, None, agent, CancellationToken(), new_message_id())
        return await self._call(envelope, kind, payload, route, time_left(None, self._timeout))

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
