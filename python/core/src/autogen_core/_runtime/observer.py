"""Watching a runtime: event records, spans, metrics, words for developers, and the hook for errors that nobody waits for.

Watching changes nothing: with nobody listening it costs one test, it never raises into delivery, and it never makes an agent.
Stands on logging and telemetry, whose parts that need OpenTelemetry are imported once somebody listens there; knows no mailbox
and no directory.
"""

import logging
import sys
import time
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from autogen_core._identity import AgentId, TopicId
from autogen_core._message_context import MessageContext
from autogen_core._names import EVENT_LOGGER_NAME, ROOT_LOGGER_NAME, TRACE_LOGGER_NAME
from autogen_core._runtime.envelope import Envelope, Watch
from autogen_core._serialization import describe
from autogen_core._telemetry import (
    global_meter_provider,
    global_tracer_provider,
    may_be_configured,
    runtime_tracing_disabled,
)
from autogen_core.exceptions import MessageDroppedException, UndeliverableException
from autogen_core.logging import (
    DeliveryStage,
    MessageDroppedEvent,
    MessageEvent,
    MessageHandlerExceptionEvent,
    MessageKind,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

    from autogen_core._telemetry.metrics import Meters
    from autogen_core._telemetry.tracing import Tracing

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger(ROOT_LOGGER_NAME)
_event_logger = logging.getLogger(EVENT_LOGGER_NAME)
_trace_logger = logging.getLogger(TRACE_LOGGER_NAME)
_modules = sys.modules

ExceptionHook = Callable[[BaseException, AgentId | None, Any, MessageContext], None]
"""Called with an error that nobody waits for, the agent that raised it (None: an intervention handler refused the message),
the message, and its circumstances."""


_REASONS: list[tuple[type[BaseException], str]] = [
    (MessageDroppedException, "dropped"),
    (UndeliverableException, "stopped"),
    (CancelledError, "given_up"),
]
"""Why a message is not delivered, by the error that says so; by any other, an intervention handler refused it."""


def _harmless(method: Callable[P, T]) -> Callable[P, T | None]:
    """Let a method that watches fail without harm to what it watches: its error is logged."""

    @wraps(method)
    def watch(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return method(*args, **kwargs)
        except Exception:
            with suppress(Exception):  # it may be a handler of this very logger that is broken
                _logger.exception("watching a message failed (%s); its delivery goes on", method.__name__)
            return None

    return watch


class Observer:
    """What a runtime tells about its messages.

    Args:
        tracer_provider: Makes the spans; if not given, the program's global one, from the moment it is configured.
        on_unhandled_exception: Called with each error that nobody waits for.
        runtime: The name of the runtime's class, which becomes part of the names of tracer and meter.

    Attributes:
        failed_count: How many failures nobody waited for.
        unheard_count: How many messages were published where nobody listens.
    """

    def __init__(
        self,
        tracer_provider: "TracerProvider | None" = None,
        on_unhandled_exception: ExceptionHook | None = None,
        runtime: str = "SingleThreadedAgentRuntime",
    ) -> None:
        self.failed_count = 0
        self.unheard_count = 0
        self._on_unhandled_exception = on_unhandled_exception
        self._runtime = runtime
        self._tracing: Tracing | None = None
        self._meters: Meters | None = None
        self._measuring = False  # whether there is one of these two
        self._traces_open = not runtime_tracing_disabled()
        self._metrics_open = True
        self._open = True  # whether a provider may still turn up
        if tracer_provider is not None and self._traces_open:
            self._trace(tracer_provider)

    # Who listens

    @property
    def listening(self) -> bool:
        """Whether anybody wants event records."""
        return _event_logger.isEnabledFor(logging.INFO)

    def watch(self) -> Watch | None:
        """Return what a new message is watched by; None if nobody watches. Messages without it are not told of."""
        if self._open and "opentelemetry" in _modules and may_be_configured():
            self._look_for_providers()
        records = _event_logger.isEnabledFor(logging.INFO)
        if records or self._measuring:
            return Watch(records, self._tracing, self._meters)
        return None

    @_harmless
    def _look_for_providers(self) -> None:
        """Take up the providers that the program has configured since it was last asked; it can do so once."""
        if self._traces_open and (tracer_provider := global_tracer_provider()) is not None:
            self._trace(tracer_provider)
        if self._metrics_open and (meter_provider := global_meter_provider()) is not None:
            self._metrics_open = False
            from autogen_core._telemetry.metrics import Meters

            self._meters = Meters(meter_provider, self._runtime)
            self._measuring = True
        self._open = self._traces_open or self._metrics_open

    def _trace(self, provider: "TracerProvider") -> None:
        self._traces_open = False
        from autogen_core._telemetry.tracing import Tracing

        self._tracing = Tracing(provider, self._runtime)
        self._measuring = True

    # A message on its way; call these for messages that have a `watch`

    @_harmless
    def sent(self, envelope: Envelope) -> None:
        """Note that a message is sent or published."""
        watch = envelope.watch
        assert watch is not None
        if watch.meters is not None:
            watch.sent_at = time.perf_counter()
            watch.meters.sent(envelope.message, envelope.to)
        if watch.records:
            self._record(envelope, envelope.to, DeliveryStage.SEND)

    @_harmless
    def on_its_way(self, envelope: Envelope) -> None:
        """Note that a message which was sent has to wait or to travel, until it is dispatched, handled or undelivered.

        One that is handled at once has no way worth a span: it would be as long as the handling, which has one.
        """
        watch = envelope.watch
        assert watch is not None
        watch.on_its_way = True
        if watch.tracing is not None:
            watch.span = watch.tracing.sending(envelope.message, envelope.to, envelope.sender, envelope.id)
            watch.parent = watch.tracing.below(watch.span)

    @_harmless
    def dispatched(self, envelope: Envelope, recipients: int) -> None:
        """Note that a published message has reached its topic, and by how many agents it is heard."""
        watch = envelope.watch
        assert watch is not None
        if watch.span is not None:
            watch.span.set_attribute("autogen.recipients.count", recipients)
        _arrive(watch)

    @_harmless
    def settled(self, envelope: Envelope) -> None:
        """Note that the sender of a request waits no longer, whatever it was that became of the request."""
        watch, reply = envelope.watch, envelope.reply
        if watch is None or not watch.on_its_way or reply is None:
            return
        error = reply.exception() if reply.done() and not reply.cancelled() else CancelledError()
        if isinstance(error, CancelledError | UndeliverableException):
            self.undelivered(envelope, error)
        else:
            _arrive(watch, error)  # it was handled in another process

    def carrier(self, envelope: Envelope) -> dict[str, str]:
        """Return what must travel with a message so that another process continues its trace; empty if nobody traces."""
        carrier: dict[str, str] = {}
        self._inject(envelope, carrier)
        return carrier

    @_harmless
    def _inject(self, envelope: Envelope, carrier: dict[str, str]) -> None:
        if envelope.watch is not None and envelope.watch.parent is not None:
            from autogen_core._telemetry.propagation import inject

            inject(carrier, envelope.watch.parent)

    @_harmless
    def received(self, envelope: Envelope, carrier: Mapping[str, str]) -> None:
        """Watch a message that comes from another process, with what its `carrier` there returned."""
        envelope.watch = self.watch()
        if envelope.watch is not None and envelope.watch.tracing is not None and carrier:
            from autogen_core._telemetry.propagation import extract

            envelope.watch.parent = extract(carrier)

    async def handling(self, envelope: Envelope, agent: AgentId, work: Coroutine[Any, Any, T]) -> T:
        """Let an agent handle a watched message, in a span of its own, and take the time."""
        began_at = time.perf_counter()
        span = self._begin(envelope, agent, began_at)
        try:
            answer = await work
        except BaseException as error:
            self._end(envelope, agent, began_at, span, error)
            raise
        self._end(envelope, agent, began_at, span, None)
        return answer

    @_harmless
    def _begin(self, envelope: Envelope, agent: AgentId, now: float) -> "Span | None":
        watch = envelope.watch
        assert watch is not None
        if watch.on_its_way:
            _arrive(watch)
        if watch.meters is not None:
            watch.meters.begun(envelope.message, agent, None if watch.sent_at is None else now - watch.sent_at)
        if watch.tracing is None:
            return None
        return watch.tracing.handling(envelope.message, agent, envelope.to, envelope.sender, envelope.id, watch.parent)

    @_harmless
    def _end(
        self, envelope: Envelope, agent: AgentId, began_at: float, span: "Span | None", error: BaseException | None
    ) -> None:
        watch = envelope.watch
        assert watch is not None
        if watch.tracing is not None and span is not None:
            watch.tracing.end(span, error)
        if watch.meters is not None:
            cancelled = isinstance(error, CancelledError | GeneratorExit)
            error_type = None if error is None or cancelled else type(error).__qualname__
            watch.meters.ended(envelope.message, agent, time.perf_counter() - began_at, error_type)

    @_harmless
    def delivered(self, envelope: Envelope, agent: AgentId) -> None:
        """Record that a message is handed to an agent."""
        if envelope.watch is not None and envelope.watch.records:
            self._record(envelope, agent, DeliveryStage.DELIVER)

    @_harmless
    def answered(self, envelope: Envelope, answer: Any) -> None:
        """Record an answer on its way back."""
        if envelope.watch is not None and envelope.watch.records and isinstance(envelope.to, AgentId):
            _event_logger.info(
                MessageEvent(
                    payload=describe(answer),
                    sender=envelope.to,
                    receiver=envelope.sender,
                    kind=MessageKind.RESPOND,
                    delivery_stage=DeliveryStage.DELIVER,
                )
            )

    # What goes wrong

    @_harmless
    def undeliverable(self, message: Any, to: AgentId, sender: AgentId | None, error: Exception, reason: str) -> None:
        """Note a request that cannot even be sent: to an agent that does not exist, or to a runtime that has stopped."""
        watch = self.watch()
        if watch is None:
            return
        if watch.tracing is not None:
            watch.tracing.end(watch.tracing.sending(message, to, sender, None), error)
        if watch.meters is not None:
            watch.meters.undeliverable(message, to, reason)

    @_harmless
    def unheard(self, envelope: Envelope) -> None:
        """Count a message that was published where nobody listens."""
        self.unheard_count += 1
        _trace_logger.debug("nobody hears topic %s: %s is not delivered", envelope.to, type(envelope.message).__name__)
        if envelope.watch is not None and envelope.watch.meters is not None:
            envelope.watch.meters.undeliverable(envelope.message, envelope.to, "unheard")

    @_harmless
    def undelivered(self, envelope: Envelope, error: BaseException) -> None:
        """Note that a message ends before any agent had it: it was dropped, refused, given up, or the runtime stopped."""
        reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), "refused")
        if isinstance(error, UndeliverableException) and error.reason:
            reason = error.reason
        if isinstance(envelope.to, TopicId) and reason in {"refused", "stopped"}:
            self.failed_count += 1
            self._call_hook(envelope, None, error)
            _logger.error("Error delivering publish message to %s", envelope.to, exc_info=error)
        watch = envelope.watch
        if watch is None or not watch.on_its_way:
            return
        _arrive(watch, error)
        if watch.meters is not None and reason != "given_up":
            watch.meters.undeliverable(envelope.message, envelope.to, reason)

    @_harmless
    def dropped(self, envelope: Envelope, message: Any, kind: MessageKind) -> None:
        """Record a message or answer that an intervention handler dropped."""
        if self.listening:
            receiver = envelope.sender if kind is MessageKind.RESPOND else envelope.to
            sender = envelope.to if kind is MessageKind.RESPOND else envelope.sender
            _event_logger.info(
                MessageDroppedEvent(
                    payload=describe(message),
                    sender=sender if isinstance(sender, AgentId) else None,
                    receiver=receiver,
                    kind=kind,
                )
            )

    @_harmless
    def failed(self, envelope: Envelope, agent: AgentId, error: BaseException) -> None:
        """Note that a handler raised; where nobody waits for it, also in words, by the counter and by the hook."""
        published = isinstance(envelope.to, TopicId)
        if published or (envelope.reply is not None and envelope.reply.done()):
            self.failed_count += 1
            self._call_hook(envelope, agent, error)
            what = "publish message" if published else "a message whose sender has given up"
            _logger.error("Error processing %s for %s", what, agent, exc_info=error)
        if self.listening:
            _event_logger.info(
                MessageHandlerExceptionEvent(payload=describe(envelope.message), handling_agent=agent, exception=error)
            )

    @_harmless
    def _call_hook(self, envelope: Envelope, agent: AgentId | None, error: BaseException) -> None:
        if self._on_unhandled_exception is None:
            return
        topic = envelope.to if isinstance(envelope.to, TopicId) else None
        context = MessageContext(envelope.sender, topic, topic is None, envelope.token, envelope.id)
        self._on_unhandled_exception(error, agent, envelope.message, context)

    def _record(self, envelope: Envelope, receiver: AgentId | TopicId, stage: DeliveryStage) -> None:
        _event_logger.info(
            MessageEvent(
                payload=describe(envelope.message),
                sender=envelope.sender,
                receiver=receiver,
                kind=MessageKind.PUBLISH if isinstance(envelope.to, TopicId) else MessageKind.DIRECT,
                delivery_stage=stage,
            )
        )


def _arrive(watch: Watch, error: BaseException | None = None) -> None:
    """Note that a message's way has ended."""
    watch.on_its_way = False
    if watch.tracing is not None and watch.span is not None:
        watch.tracing.end(watch.span, error)
