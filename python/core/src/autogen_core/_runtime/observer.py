"""Watching a runtime: event records for programs that listen, words for developers, and counters.

Watching changes nothing: with nobody listening it costs one test, it never raises into delivery, and it never makes an agent.
Stands on logging; knows no mailbox and no directory.
"""

import logging
from typing import Any

from autogen_core._identity import AgentId, TopicId
from autogen_core._names import EVENT_LOGGER_NAME, ROOT_LOGGER_NAME, TRACE_LOGGER_NAME
from autogen_core._runtime.envelope import Envelope
from autogen_core._serialization import describe
from autogen_core.logging import (
    DeliveryStage,
    MessageDroppedEvent,
    MessageEvent,
    MessageHandlerExceptionEvent,
    MessageKind,
)

_logger = logging.getLogger(ROOT_LOGGER_NAME)
_event_logger = logging.getLogger(EVENT_LOGGER_NAME)
_trace_logger = logging.getLogger(TRACE_LOGGER_NAME)


class Observer:
    """What a runtime tells about its messages.

    Attributes:
        failed_count: How many handlers of published messages failed.
        unheard_count: How many messages were published where nobody listens.
    """

    def __init__(self) -> None:
        self.failed_count = 0
        self.unheard_count = 0

    @property
    def listening(self) -> bool:
        """Whether anybody wants event records; ask before calling the methods that make them."""
        return _event_logger.isEnabledFor(logging.INFO)

    def passed(self, envelope: Envelope, receiver: AgentId | TopicId, stage: DeliveryStage) -> None:
        """Record a message on its way."""
        kind = MessageKind.PUBLISH if isinstance(envelope.to, TopicId) else MessageKind.DIRECT
        self._record(envelope.message, envelope.sender, receiver, kind, stage)

    def answered(self, envelope: Envelope, answer: Any) -> None:
        """Record an answer on its way back."""
        if isinstance(envelope.to, AgentId):
            self._record(answer, envelope.to, envelope.sender, MessageKind.RESPOND, DeliveryStage.DELIVER)

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

    def failed(self, envelope: Envelope, agent: AgentId, error: BaseException) -> None:
        """Record that a handler raised; for published messages, whose sender does not hear of it, also in words."""
        if isinstance(envelope.to, TopicId):
            self.failed_count += 1
            _logger.error("Error processing publish message for %s", agent, exc_info=error)
        if self.listening:
            _event_logger.info(
                MessageHandlerExceptionEvent(payload=describe(envelope.message), handling_agent=agent, exception=error)
            )

    def unheard(self, envelope: Envelope) -> None:
        """Count a message that was published where nobody listens."""
        self.unheard_count += 1
        _trace_logger.debug("nobody hears topic %s: %s is not delivered", envelope.to, type(envelope.message).__name__)

    def _record(
        self,
        message: Any,
        sender: AgentId | None,
        receiver: AgentId | TopicId | None,
        kind: MessageKind,
        stage: DeliveryStage,
    ) -> None:
        _event_logger.info(
            MessageEvent(payload=describe(message), sender=sender, receiver=receiver, kind=kind, delivery_stage=stage)
        )
