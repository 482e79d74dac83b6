"""The way out: where a message goes, and how it gets there.

Requests go through `_calls`, events and what timers send through a `_lane` for each pool, messages to agents of this process
straight to their handlers. Stands on the registry, which says who lives where; must not know how this worker came by its
agents, nor when it starts and stops: it is told.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autogen_core import AgentId, CancellationToken, TopicId
from autogen_core.exceptions import MessageTooLargeError, NotPermittedError, UndeliverableException
from autogen_core.lowlevel import Envelope, new_message_id
from autogen_ext.runtimes._shared import errors, payloads
from autogen_ext.runtimes._shared.deadlines import time_left
from autogen_ext.runtimes._shared.local import Local
from autogen_ext.runtimes._shared.payloads import Written

from ._calls import ANYONE, DIRECT, STORED, Calls, Route
from ._connection import SubjectNotPermittedError
from ._direct import Direct
from ._handling import handling, next_id
from ._intake import Parts
from ._lane import Lane
from ._link import Link, logger
from ._registry import INSTANCES, STATELESS, Registry
from ._security import NatsRights
from ._storage import Storage
from ._subjects import Names, partition
from ._wire import EVENT, NOTHING, REQUEST, Message

_REST_S = 2.0
"""How long what is still on its way is waited for at a stop, in seconds."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a worker sends.

    Attributes:
        timeout_s: In how many seconds a request must be answered, if its sender does not say; None: no limit.
        patience_s: How long the workers of an agent type may be away before those who wait for them are told so.
        rights: To which topics this worker may publish; None: to all.
    """

    timeout_s: float | None
    patience_s: float
    rights: NatsRights | None


class Sending:
    """Sends what this worker's agents, and whoever uses the runtime, have to say.

    Args:
        parts: The runtime's parts.
        on_server: The link, what is stored, and the names.
        registry: Who lives where.
        direct: Handles events for instances of this process.
        serves: Tells whether this worker itself takes requests to a stateless agent type.
        terms: On which terms it sends.

    Attributes:
        calls: The messages that others have to answer.
        lanes: The ways into the mailboxes of pools, by pool.
    """

    def __init__(
        self,
        parts: Parts,
        on_server: tuple[Link, Storage, Names],
        registry: Registry,
        direct: Direct,
        serves: Callable[[str], bool],
        terms: Terms,
    ) -> None:
        self._parts = parts
        self._link, self._storage, self._names = on_server
        self._registry = registry
        self._direct = direct
        self._serves = serves
        self._terms = terms
        self._local = Local(parts.directory, parts.delivery, parts.mailbox)
        self.lanes: dict[str, Lane] = {}
        self.calls = Calls(on_server, registry, self._lane, terms.patience_s)
        self._unstored: set[asyncio.Future[int]] = set()
        self._first_unstored: BaseException | None = None
        self._missed = False

    # The way

    def route(self, recipient: AgentId) -> Route | None:
        """Return the way to an agent; None if it is handed over within the process."""
        entry = self._registry.find(recipient)
        if entry.hosting == INSTANCES:
            if recipient in self._parts.directory.agents:
                return None
            worker = self._registry.worker_of(recipient)
            return Route(DIRECT, self._names.worker(worker), "", worker)
        if entry.hosting == STATELESS:
            if self._serves(recipient.type):
                return None
            return Route(ANYONE, self._names.anyone(recipient.type), entry.pool)
        place = partition(recipient.key, self._registry.partitions(entry.pool))
        return Route(STORED, self._names.stored(entry.pool, place, "d"), entry.pool)

    def _lane(self, pool: str) -> Lane:
        lane = self.lanes.get(pool)
        if lane is None:
            lane = self.lanes[pool] = Lane(self._link, self._storage, pool)
            if self._missed:
                lane.hold()
        return lane

    # Requests

    async def send(
        self,
        message: Any,
        recipient: AgentId,
        *,
        sender: AgentId | None,
        cancellation_token: CancellationToken | None,
        message_id: str | None,
        timeout_s: float | None,
    ) -> Any:
        """Send a request and return its answer; see `NatsAgentRuntime.send_message`."""
        token = cancellation_token or CancellationToken()
        if token.is_cancelled():
            raise asyncio.CancelledError(f"The cancellation token of the message for {recipient} is cancelled already.")
        left = time_left(timeout_s, self._terms.timeout_s)
        watch = self._parts.observer.watch()
        try:
            route = self.route(recipient)
        except UndeliverableException as error:
            self._parts.observer.undeliverable(message, recipient, sender, error, "unknown_recipient")
            raise
        if route is None:
            envelope = Envelope(message, sender, recipient, token, message_id or new_message_id(), watch)
            if watch is not None:
                self._parts.observer.sent(envelope)
            return await self._local.send(envelope, recipient, left, own_token=cancellation_token is None)
        payload = payloads.write(message, self._parts.serializers)
        id = next_id(message_id, str(recipient), payload.data)
        envelope = Envelope(message, sender, recipient, token, id, watch)
        if watch is not None:
            self._parts.observer.sent(envelope)
            self._parts.observer.on_its_way(envelope)
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
                self._parts.observer.settled(envelope)

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
            carrier=self._parts.observer.carrier(envelope),
        )
        answer = await self.calls.call(written, route, recipient, timeout_s, envelope.token)
        if answer.error is not None:
            raise errors.revive(answer.error, answer.metadata, recipient, envelope.id)
        if answer.payload is None:
            return None
        return payloads.read(answer.payload, self._parts.serializers)

    async def ask_agent(self, kind: str, agent: AgentId, payload: Written = NOTHING) -> Any:
        """Ask the worker where an agent lives about it; return what the answer says."""
        route = self.route(agent)
        assert route is not None
        envelope = Envelope(None, None, agent, CancellationToken(), new_message_id())
        return await self._call(envelope, kind, payload, route, time_left(None, self._terms.timeout_s))

    # Events

    async def publish(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None,
        cancellation_token: CancellationToken | None,
        message_id: str | None,
    ) -> None:
        """Publish an event; see `NatsAgentRuntime.publish_message`."""
        if cancellation_token is not None and cancellation_token.is_cancelled():
            return  # whoever gave up already wants no delivery; nobody cancelled this task
        if self._terms.rights is not None and not self._terms.rights.may_publish(topic_id.type):
            raise NotPermittedError(
                f"This worker has no right to publish to topic type {topic_id.type!r}.", recipient=topic_id
            )
        payload = payloads.write(message, self._parts.serializers)
        id = next_id(message_id, str(topic_id), payload.data)
        token = cancellation_token or CancellationToken()
        envelope = Envelope(message, sender, topic_id, token, id, self._parts.observer.watch())
        if envelope.watch is not None:
            self._parts.observer.sent(envelope)
            self._parts.observer.on_its_way(envelope)
        carrier = self._parts.observer.carrier(envelope)
        heard = await self._publish(Message(EVENT, id, payload, sender=sender, topic=topic_id, carrier=carrier))
        if not heard:
            self._parts.observer.unheard(envelope)
        if envelope.watch is not None:
            self._parts.observer.dispatched(envelope, heard)

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
        if agent in self._parts.directory.agents:
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
        await self.calls.tell(event, route, agent)

    async def send_due(self, message: Message) -> None:
        """Send a message of a timer; what its recipient answers goes nowhere."""
        if message.topic is not None:
            await self._publish(message)
            return
        assert message.recipient is not None
        route = self.route(message.recipient)
        if route is None:
            self._direct.handle(message, message.recipient)
        elif route.way == STORED:
            await (await self._lane(route.pool).store(route.subject, message.encode(), message.id))
        else:
            await self._link.publish(route.subject, message.encode())

    # The link, and the end

    async def open(self) -> None:
        """Hold nothing back any more: the link is connected, perhaps after an earlier stop."""
        self._missed = False
        await self.calls.send_again()

    def hold(self) -> None:
        """Hold back what is to be sent: the server is away."""
        self._missed = True
        for lane in self.lanes.values():
            lane.hold()
        self.calls.hold()

    async def send_again(self) -> None:
        """Send what may be lost again, and what was held back: the server is there again."""
        for lane in self.lanes.values():
            await lane.send_again(all=True)
        await self.calls.send_again()
        self._missed = not self._link.connected

    async def send_again_unanswered(self) -> None:
        """Send again what the server has not said to be stored for a while."""
        for lane in self.lanes.values():
            await lane.send_again(all=False)

    def refused(self, error: SubjectNotPermittedError) -> None:
        """Tell those who wait that the server does not let this worker send their messages."""
        self.calls.refused(error)
        for lane in self.lanes.values():
            lane.refused(error)

    async def finish_here(self, end: float) -> None:
        """Let handlers of messages from this process be finished; those who wait for what takes longer are told."""
        tasks = self._parts.delivery.tasks
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

    async def rest(self) -> None:
        """Wait a little for what is still on its way."""
        for lane in self.lanes.values():
            await lane.empty(_REST_S)
        await self.calls.arrived(_REST_S)

    async def stop(self) -> None:
        """Send nothing more; those who wait for something are told that the runtime stopped."""
        self.calls.fail("the runtime stopped")
        for lane in self.lanes.values():
            lane.fail("the runtime stopped")
        await self.calls.stop()
