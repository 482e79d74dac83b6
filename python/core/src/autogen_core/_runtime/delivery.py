"""The hot path: from an envelope to the handlers of its recipients, and from their answers back to the sender.

Each handler has a task of its own, whose first step runs at once (see `eager`). Stands on the directory, the subscription
table, the interventions and the observer; knows neither start nor stop.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from autogen_core._context import MessageHandlerContext
from autogen_core._identity import AgentId, TopicId
from autogen_core._intervention import Interventions
from autogen_core._message_context import MessageContext
from autogen_core._runtime.directory import Directory
from autogen_core._runtime.eager import start_eagerly
from autogen_core._runtime.envelope import Envelope
from autogen_core._runtime.mailbox import Mailbox
from autogen_core._runtime.observer import Observer
from autogen_core._subscriptions import SubscriptionTable
from autogen_core.exceptions import MessageDroppedException
from autogen_core.logging import MessageKind

_handling_agent = MessageHandlerContext.ambient.variable


class Delivery:
    """Delivers envelopes.

    Args:
        directory: Where agents are found.
        subscriptions: Who hears a topic.
        mailbox: Where work is counted until it is finished.
        interventions: Who may change or drop a message.
        observer: Who is told.
        report: Called with the error of a handler that nobody waits for.
    """

    def __init__(
        self,
        directory: Directory,
        subscriptions: SubscriptionTable,
        mailbox: Mailbox,
        interventions: Interventions,
        observer: Observer,
        report: Callable[[BaseException], None],
    ) -> None:
        self._directory = directory
        self._subscriptions = subscriptions
        self._mailbox = mailbox
        self._interventions = interventions
        self._observer = observer
        self._report = report
        self.tasks: dict[asyncio.Task[Any], tuple[Envelope, AgentId]] = {}
        """The handlers under way that have suspended; their owner, the runtime, ends them when it stops."""

    async def deliver(self, envelope: Envelope) -> None:
        """Deliver an envelope that waited in the mailbox: intervene, then start its handlers."""
        try:
            if self._interventions:
                await self._intervene(envelope)
            if envelope.context is None:
                self.start(envelope)
            else:
                envelope.context.run(self.start, envelope)
        except Exception as error:  # noqa: BLE001 - it belongs to the sender, or to the runtime
            self._fail(envelope, error)
        finally:
            self._mailbox.finished()

    def start(self, envelope: Envelope) -> None:
        """Start the handlers of an envelope; those that do not suspend are done when this returns."""
        to = envelope.to
        loop = asyncio.get_running_loop()
        if isinstance(to, AgentId):
            self._start_one(envelope, to, None, loop)
            return
        recipients = self._subscriptions.recipients(to)
        if envelope.watch is not None:
            self._observer.dispatched(envelope, len(recipients))
        if not recipients:
            self._observer.unheard(envelope)
        sender = envelope.sender
        for recipient in recipients:
            if sender is None or recipient != sender:
                self._start_one(envelope, recipient, to, loop)

    def start_for(self, envelope: Envelope, recipient: AgentId) -> None:
        """Start one handler of an envelope, whoever else hears its topic; `reply` tells how it ended, also for a topic."""
        topic = envelope.to if isinstance(envelope.to, TopicId) else None
        self._start_one(envelope, recipient, topic, asyncio.get_running_loop())

    def _start_one(
        self, envelope: Envelope, recipient: AgentId, topic: TopicId | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        is_rpc = topic is None
        context = MessageContext(envelope.sender, topic, is_rpc, envelope.token, envelope.id)
        work = self._handle(envelope, recipient, context)
        if envelope.watch is not None:
            work = self._observer.handling(envelope, recipient, work)
        task = start_eagerly(work, loop)
        if is_rpc or envelope.reply is not None:
            envelope.task = task
        if task.done():
            if envelope.reply is not None or task.cancelled() or task.exception() is not None:
                self._settle(envelope, recipient, task)
        else:
            self._mailbox.begun()
            self.tasks[task] = envelope, recipient
            envelope.token.link_future(task)
            task.add_done_callback(partial(self._finish, envelope, recipient))

    def is_busy(self, agent: AgentId) -> bool:
        """Tell whether an agent is handling a message."""
        return any(recipient == agent for _, recipient in self.tasks.values())

    def is_handling(self, task: asyncio.Task[Any] | None) -> bool:
        """Tell whether a task is a handler, also one that is in its first step."""
        return task is not None and getattr(task.get_coro(), "cr_code", None) in _HANDLERS

    async def _handle(self, envelope: Envelope, recipient: AgentId, context: MessageContext) -> Any:
        """Let one agent handle a message; runs in a task, and so in a context, of its own."""
        agent = self._directory.agents.get(recipient)
        if agent is None:
            agent = await self._directory.activate(recipient)
        _handling_agent.set(recipient)
        if envelope.watch is not None:
            self._observer.delivered(envelope, recipient)
        answer = await agent.on_message(envelope.message, context)
        if context.is_rpc:
            if self._interventions:
                answer = await self._intervene_answer(envelope, recipient, answer)
            if envelope.watch is not None:
                self._observer.answered(envelope, answer)
        return answer

    def _finish(self, envelope: Envelope, recipient: AgentId, task: asyncio.Task[Any]) -> None:
        """Take note that a handler which had suspended has ended."""
        del self.tasks[task]
        self._settle(envelope, recipient, task)
        self._mailbox.finished()

    def _settle(self, envelope: Envelope, recipient: AgentId, task: asyncio.Task[Any]) -> None:
        """Hand a handler's outcome to the sender who waits, or report its failure where nobody does."""
        reply = envelope.reply
        if task.cancelled():
            if reply is not None:
                reply.cancel()
            return
        error = task.exception()
        if error is not None:
            self._observer.failed(envelope, recipient, error)
            if recipient is not envelope.to:
                self._report(error)
        if reply is not None and not reply.done():
            if error is None:
                reply.set_result(task.result())
            else:
                reply.set_exception(error)

    async def _intervene(self, envelope: Envelope) -> None:
        to = envelope.to
        is_rpc = isinstance(to, AgentId)
        context = MessageContext(envelope.sender, None if is_rpc else to, is_rpc, envelope.token, envelope.id)
        if is_rpc:
            envelope.message = await self._interventions.send(envelope.message, context, to)
        else:
            envelope.message = await self._interventions.publish(envelope.message, context)

    async def _intervene_answer(self, envelope: Envelope, recipient: AgentId, answer: Any) -> Any:
        try:
            return await self._interventions.respond(answer, recipient, envelope.sender)
        except MessageDroppedException:
            self._observer.dropped(envelope, answer, MessageKind.RESPOND)
            raise

    def _fail(self, envelope: Envelope, error: Exception) -> None:
        """Give an error that happened before any handler ran to whom it concerns."""
        self._observer.undelivered(envelope, error)
        is_topic = isinstance(envelope.to, TopicId)
        if isinstance(error, MessageDroppedException):
            self._observer.dropped(envelope, envelope.message, MessageKind.PUBLISH if is_topic else MessageKind.DIRECT)
        elif is_topic:
            self._report(error)
        if envelope.reply is not None and not envelope.reply.done():
            envelope.reply.set_exception(error)


_HANDLERS = (Delivery._handle.__code__, Observer.handling.__code__)
