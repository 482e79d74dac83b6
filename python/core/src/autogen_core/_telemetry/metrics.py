"""The metrics of messages: how many, how long they wait, how long handling takes, what failed, what reached nobody.

Names follow the semantic conventions of OpenTelemetry for messaging
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/) where they have one, else `autogen.*`. Attributes
are types, never ids or content, so that their number stays small. Imports opentelemetry-api, so import this where somebody
measures. Stands on identities; knows no runtime.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider

from autogen_core._identity import AgentId, TopicId

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120)
"""Bounds of the histograms' buckets: those that the conventions recommend, and some for models that think."""

_UUID = re.compile(r"[_:.=-]?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Meters:
    """Counts and measures one runtime's messages.

    Args:
        provider: Makes the meter.
        runtime: The name of the runtime's class, which becomes part of the meter's name.
    """

    def __init__(self, provider: MeterProvider, runtime: str) -> None:
        meter = provider.get_meter(f"autogen {runtime}")
        self._sent = _counter(meter, "messaging.client.sent.messages", "Messages that were sent or published.")
        self._consumed = _counter(meter, "messaging.client.consumed.messages", "Messages that agents began to handle.")
        self._failures = _counter(meter, "autogen.message.failures", "Messages that an agent failed to handle.")
        self._undeliverable = _counter(meter, "autogen.message.undeliverable", "Messages that reached nobody.")
        self._waiting = _histogram(meter, "autogen.message.queue.duration", "Time from sending to handling.")
        self._handling = _histogram(meter, "messaging.process.duration", "Time that handling took.")

    def sent(self, message: object, to: AgentId | TopicId) -> None:
        """Count a message that is sent or published."""
        self._sent.add(1, _to(to, type(message).__name__))

    def begun(self, message: object, agent: AgentId, waited_s: float | None) -> None:
        """Count a message that an agent begins to handle, and how many seconds it waited, where known."""
        attributes = _at(agent.type, type(message).__name__)
        self._consumed.add(1, attributes)
        if waited_s is not None:
            self._waiting.record(waited_s, attributes)

    def ended(self, message: object, agent: AgentId, took_s: float, error_type: str | None) -> None:
        """Measure how many seconds an agent took, and count it as a failure if it ended with an error."""
        attributes = _at(agent.type, type(message).__name__, error_type)
        self._handling.record(took_s, attributes)
        if error_type is not None:
            self._failures.add(1, attributes)

    def undeliverable(self, message: object, to: AgentId | TopicId, reason: str) -> None:
        """Count a message that reaches nobody.

        Args:
            message: The message.
            to: Whom or what it was sent to.
            reason: Why: `unheard`, `unknown_recipient`, `stopped`, `dropped` or `refused`.
        """
        # A type that nobody registered may come from anywhere, so it is no attribute.
        name = type(message).__name__
        known = _message("send", name) if reason == "unknown_recipient" else _to(to, name)
        self._undeliverable.add(1, {**known, "autogen.undeliverable.reason": reason})


def _counter(meter: Meter, name: str, description: str) -> Counter:
    return meter.create_counter(name, unit="{message}", description=description)


def _histogram(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(name, unit="s", description=description, explicit_bucket_boundaries_advisory=_SECONDS)


Attributes = Mapping[str, str]


def _to(to: AgentId | TopicId, message_type: str) -> Attributes:
    if isinstance(to, AgentId):
        return _sending("send", "autogen.agent.type", to.type, message_type)
    return _sending("publish", "autogen.topic.type", to.type, message_type)


def _message(operation: str, message_type: str) -> dict[str, str]:
    return {
        "messaging.system": "autogen",
        "messaging.operation.name": operation,
        "autogen.message.type": message_type,
    }


@lru_cache(maxsize=1024)
def _sending(operation: str, kind: str, type: str, message_type: str) -> Attributes:
    return {**_message(operation, message_type), kind: _stable(type)}


@lru_cache(maxsize=1024)
def _at(agent_type: str, message_type: str, error_type: str | None = None) -> Attributes:
    attributes = {**_message("process", message_type), "autogen.agent.type": _stable(agent_type)}
    if error_type is not None:
        attributes["error.type"] = error_type
    return attributes


def _stable(type: str) -> str:
    """Return a type without the UUID by which each team tells its own agents and topics from those of others."""
    return _UUID.sub("", type)
