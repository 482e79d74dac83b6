"""`SingleThreadedAgentRuntime`: agents in one process, on one event loop.

It owns the parts and their life, from start to stop. What agents there are is in `base`, and what happens to a message on its
way is in `delivery`.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from autogen_core._cancellation import CancellationToken
from autogen_core._identity import AgentId, TopicId
from autogen_core._intervention import InterventionHandler, Interventions
from autogen_core._names import ROOT_LOGGER_NAME
from autogen_core._runtime.base import BaseRuntime
from autogen_core._runtime.delivery import Delivery
from autogen_core._runtime.directory import SaveState
from autogen_core._runtime.envelope import Envelope, new_message_id
from autogen_core._runtime.mailbox import Mailbox
from autogen_core._runtime.observer import ExceptionHook, Observer
from autogen_core.exceptions import UndeliverableException

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

_logger = logging.getLogger(ROOT_LOGGER_NAME)

_MAX_NESTING = 16
"""How many handlers may run inside one another's first step before one goes through the mailbox, to spare the stack."""

_TURN = 64
"""How many messages are handled without a suspension before other tasks of the event loop get their turn."""

_GRACE_S = 1.0
"""How long `stop` waits for handlers under way, in seconds, before it cancels them; and then for them to end."""


class SingleThreadedAgentRuntime(BaseRuntime):
    """A runtime for agents in one process, on one event loop. Not safe to use from several threads.

    Messages are begun in the order in which they came, and handled concurrently. A request whose handler does not suspend is
    answered without a detour over the event loop, unless messages that came before it wait.

    Args:
        intervention_handlers: See each message before it is delivered, in this order; each sees what the one before it
            returned.
        tracer_provider: Makes the spans; the global one if not given, from the moment the program configures it. None are
            made where the environment variable `AUTOGEN_DISABLE_RUNTIME_TRACING` is `true`.
        ignore_unhandled_exceptions: What becomes of the exception of a handler that nobody waits for, because the message was
            published: if true, it is logged and counted; if false, the runtime halts, and the next `process_next`,
            `stop_when_idle`, `stop_when` or `stop` raises it.
        on_unhandled_exception: Called with each such exception, the id of the agent that raised it (None: an intervention
            handler refused the message), the message and its context. What it raises itself is logged.
    """

    def __init__(
        self,
        *,
        intervention_handlers: list[InterventionHandler] | None = None,
        tracer_provider: "TracerProvider | None" = None,
        ignore_unhandled_exceptions: bool = True,
        on_unhandled_exception: ExceptionHook | None = None,
    ) -> None:
        super().__init__()
        self._ignore_unhandled_exceptions = ignore_unhandled_exceptions
        self._interventions = Interventions(intervention_handlers or [])
        self._mailbox = Mailbox()
        self._observer = Observer(tracer_provider, on_unhandled_exception)
        self._delivery = Delivery(
            self._directory, self._subscriptions, self._mailbox, self._interventions, self._observer, self._report
        )
        self._pump: asyncio.Task[None] | None = None
        self._stopped = False  # once by `stop`: nobody will answer until the next `start`
        self._failure: BaseException | None = None
        self._nesting = 0
        self._unyielded = 0

    @property
    def unprocessed_messages_count(self) -> int:
        """How many messages wait in the mailbox; those that are being handled do not count."""
        return len(self._mailbox)

    # Messages

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message to one agent and wait for its answer; promises as `AgentRuntime.send_message`.

        Before `start`, the message waits in the mailbox for it, or for `process_next`.
        """
        if recipient not in self._directory.agents and not self._directory.knows(recipient):
            unknown = UndeliverableException.unknown_recipient(recipient, self._directory.types)
            self._observer.undeliverable(message, recipient, sender, unknown, "unknown_recipient")
            raise unknown
        if self._stopped:
            stopped = UndeliverableException.runtime_stopped(recipient)
            self._observer.undeliverable(message, recipient, sender, stopped, "stopped")
            raise stopped from self._failure
        token = cancellation_token or CancellationToken()
        if token.is_cancelled():
            raise asyncio.CancelledError(f"The cancellation token of the message for {recipient} is cancelled already.")
        envelope = Envelope(message, sender, recipient, token, message_id or new_message_id(), self._observer.watch())
        if envelope.watch is not None:
            self._observer.sent(envelope)
        if self._can_start_at_once():
            task = self._start_at_once(envelope)
            if task.done():
                self._unyielded += 1
                if self._unyielded >= _TURN:
                    self._unyielded = 0
                    await asyncio.sleep(0)
                return task.result()
            envelope.reply = asyncio.get_running_loop().create_future()
        else:
            envelope.reply = asyncio.get_running_loop().create_future()
            if self._interventions.under_way:
                self._mailbox.begun()
                await self._delivery.deliver(
                    envelope
                )  # in the mailbox it would wait for the intervention that sends it
            else:
                self._enqueue(envelope)
        return await self._answer(envelope, own_token=cancellation_token is None)

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> None:
        """Hand a message to all who hear the topic; promises as `AgentRuntime.publish_message`.

        While the runtime is not running, the message waits in the mailbox for the next `start` or `process_next`.
        """
        token = cancellation_token or CancellationToken()
        envelope = Envelope(message, sender, topic_id, token, message_id or new_message_id(), self._observer.watch())
        if envelope.watch is not None:
            self._observer.sent(envelope)
        self._enqueue(envelope)

    def _can_start_at_once(self) -> bool:
        """Whether a request would overtake nobody, need not be seen by interventions, and does not nest too deep."""
        return (
            self._pump is not None
            and not len(self._mailbox)
            and not self._interventions
            and self._nesting < _MAX_NESTING
            and not self._pump.done()
        )

    def _start_at_once(self, envelope: Envelope) -> asyncio.Task[Any]:
        self._nesting += 1
        try:
            self._delivery.start(envelope)
        finally:
            self._nesting -= 1
        assert envelope.task is not None
        return envelope.task

    def _enqueue(self, envelope: Envelope) -> None:
        if envelope.watch is not None:
            self._observer.on_its_way(envelope)
        envelope.context = contextvars.copy_context()
        if self._interventions.under_way:
            envelope.context.run(self._interventions.leave)
        self._mailbox.put(envelope)

    async def _answer(self, envelope: Envelope, *, own_token: bool) -> Any:
        """Wait for the answer; a sender that gives up takes the handler with it."""
        assert envelope.reply is not None
        envelope.token.link_future(envelope.reply)
        try:
            return await envelope.reply
        except asyncio.CancelledError:
            envelope.reply.cancel()
            if envelope.task is not None and not envelope.task.cancelling():  # the token may have done it
                envelope.task.cancel()
            if own_token:
                try:
                    envelope.token.cancel()
                except Exception:
                    _logger.exception("cancelling the message %s for %s", envelope.id, envelope.to)
            raise
        finally:
            if envelope.watch is not None:
                self._observer.settled(envelope)

    def _report(self, error: BaseException) -> None:
        """Take note of a failure that nobody waits for; halt where the program wants to know of it."""
        if self._ignore_unhandled_exceptions or self._failure is not None:
            return
        self._failure = error
        if self._pump is not None:
            self._stopped = True
            self._refuse_waiting()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    # Life

    def start(self) -> None:
        """Begin to process messages, in the background, until one of the stop methods is called.

        Raises:
            RuntimeError: It is started already, or no event loop is running.
        """
        if self._pump is not None and not self._pump.done():
            raise RuntimeError("Runtime is already started")
        loop = asyncio.get_running_loop()
        self._interventions.renew()
        self._stopped = False
        self._pump = loop.create_task(self._run(), name="autogen_core runtime")

    async def _run(self) -> None:
        """Take envelopes in their order and begin them, one at a time, until the runtime is stopped."""
        begun = 0
        while not self._stopped:
            envelope = self._mailbox.take()
            if envelope is None:
                await self._mailbox.changed()
                continue
            await self._process(envelope)
            begun += 1
            if begun % _TURN == 0:
                await asyncio.sleep(0)

    async def _process(self, envelope: Envelope) -> None:
        if envelope.token.is_cancelled() or (envelope.reply is not None and envelope.reply.cancelled()):
            self._observer.undelivered(envelope, asyncio.CancelledError())
            self._mailbox.finished()  # its sender gave up while it waited
            return
        try:
            await self._delivery.deliver(envelope)
        except asyncio.CancelledError:
            _logger.warning("the runtime stopped while a message for %s was intercepted; it is lost", envelope.to)
            _refuse(envelope)
            self._observer.undelivered(envelope, UndeliverableException.runtime_stopped(envelope.to))
            raise

    async def process_next(self) -> None:
        """Take the next message from the mailbox and begin it; waits for one if there is none.

        For programs that step through messages themselves instead of calling `start`.

        Raises:
            Exception: A handler that nobody waited for failed; see `ignore_unhandled_exceptions`.
        """
        self._raise_failure()
        while (envelope := self._mailbox.take()) is None:
            await self._mailbox.changed()
        await self._process(envelope)
        await asyncio.sleep(0)
        self._raise_failure()

    async def stop(self) -> None:
        """Stop now: handlers under way get a second to finish and are then cancelled, and every sender is answered.

        Requests that wait are answered with `UndeliverableException`; published messages that wait stay for the next `start`.

        Raises:
            RuntimeError: It is not started.
            Exception: A handler that nobody waited for failed; see `ignore_unhandled_exceptions`.
        """
        self._require_started()
        await self._shut_down()
        self._raise_failure()

    async def stop_when_idle(self) -> None:
        """Stop once no message waits or is being handled.

        Raises:
            RuntimeError: It is not started; or called from a handler, which is never idle itself.
            Exception: A handler that nobody waited for failed; see `ignore_unhandled_exceptions`.
        """
        self._require_started()
        if self._delivery.is_handling(asyncio.current_task()):
            raise RuntimeError("stop_when_idle() was called by a handler, which would wait for itself. Call stop().")
        while not self._mailbox.idle and self._failure is None:
            await self._mailbox.changed()
        await self._shut_down()
        self._raise_failure()

    async def stop_when(self, condition: Callable[[], bool]) -> None:
        """Stop once a condition holds; it is asked after each message, and every 0.05 seconds.

        Raises:
            RuntimeError: It is not started.
            Exception: A handler that nobody waited for failed; see `ignore_unhandled_exceptions`.
        """
        self._require_started()
        while not condition() and self._failure is None:
            await self._mailbox.changed(timeout_s=0.05)
        await self._shut_down()
        self._raise_failure()

    async def close(self) -> None:
        """Stop if it is started, and close all agents, each once.

        Raises:
            ExceptionGroup: Agents could not be closed; the others are.
            Exception: A handler that nobody waited for failed; see `ignore_unhandled_exceptions`.
        """
        if self._pump is not None:
            await self._shut_down()
        await self._directory.close()
        self._raise_failure()

    async def evict(self, agent: AgentId, *, save: SaveState | None = None) -> bool:
        """Forget an agent's object if it is handling no message; the next message to the agent makes a new one.

        Messages that come meanwhile wait. Where the state cannot be saved, the agent stays.

        Args:
            agent: The agent. If it was registered as an instance, there is no such agent afterwards.
            save: Called with the agent's id and state, before it is closed; may be async.

        Returns:
            Whether there was such an object, and it was idle.
        """
        await asyncio.sleep(0)  # a handler that calls this in its first step counts as busy once it has suspended
        if agent not in self._directory.agents or self._delivery.is_busy(agent):
            return False
        await self._directory.evict(agent, save)
        return True

    async def evict_idle(self, *, save: SaveState | None = None) -> list[AgentId]:
        """Forget the objects of all agents that have a factory and are handling no message; see `evict`.

        Returns:
            Their ids.
        """
        idle = [agent for agent in self._directory.agents if self._directory.can_make(agent)]
        return [agent for agent in idle if await self.evict(agent, save=save)]

    def _require_started(self) -> None:
        if self._pump is None:
            raise RuntimeError("Runtime is not started")

    async def _shut_down(self) -> None:
        """End the pump and the handlers; answer every sender."""
        assert self._pump is not None
        pump, self._pump, self._stopped = self._pump, None, True
        self._mailbox.wake()
        self._refuse_waiting()
        await _end([pump], None)
        own = asyncio.current_task()
        under_way = [task for task in self._delivery.tasks if task is not own]
        await _end(under_way, self._give_up)
        await self._directory.stop()

    def _give_up(self, task: asyncio.Task[Any]) -> None:
        """Tell whom it concerns that a handler is cut short."""
        envelope, _ = self._delivery.tasks[task]
        _refuse(envelope)
        if envelope.reply is None:
            self._observer.undelivered(envelope, UndeliverableException.runtime_stopped(envelope.to))

    def _refuse_waiting(self) -> None:
        """Answer the requests that wait in the mailbox; leave what was published there."""
        for _ in range(len(self._mailbox)):
            envelope = self._mailbox.take()
            assert envelope is not None
            if envelope.reply is None:
                self._mailbox.put(envelope)
            else:
                _refuse(envelope)
            self._mailbox.finished()


async def _end(tasks: Iterable[asyncio.Task[Any]], before_cancel: Callable[[asyncio.Task[Any]], None] | None) -> None:
    """Let tasks end by themselves for a while, then cancel them, and wait once more."""
    pending = {task for task in tasks if not task.done()}
    if pending:
        _, pending = await asyncio.wait(pending, timeout=_GRACE_S)
    for task in pending:
        if before_cancel is not None:
            before_cancel(task)
        task.cancel()
    if pending:
        _, pending = await asyncio.wait(pending, timeout=_GRACE_S)
    for task in pending:
        _logger.error("%r ignores its cancellation and still runs after the runtime stopped", task)


def _refuse(envelope: Envelope) -> None:
    """Tell a sender that the runtime stopped before its message was handled."""
    if envelope.reply is not None and not envelope.reply.done():
        envelope.reply.set_exception(UndeliverableException.runtime_stopped(envelope.to))
