"""What a worker publishes: checked, written, and put on its way to the host. Stands on the link; knows no handler."""

from typing import Any, cast

from autogen_core import AgentId, TopicId
from autogen_core.exceptions import MailboxFullError, MessageTooLargeError, NotPermittedError
from autogen_core.lowlevel import Directory, Envelope, Observer, SerializationRegistry

from ._codec import encode_event, encode_payload
from ._echoes import Echoes
from ._link import Link
from ._registry import Registry
from ._router import FRAME
from ._security import allowed
from ._serving import LocalTable
from .protos import agent_worker_pb2 as wire

_SPACE_S = 5.0
"""How long a publisher is held back while too much waits to be written, in seconds."""


class Publishing:
    """Sends events.

    Args:
        link: Where they go.
        registry: Tells whether the host would send them back.
        echoes: Told of those that agents of this worker will hear.
        parts: The worker's agents and subscriptions, how messages are written, and who is told.
        format: In what messages are written that can be written in both formats.
        shared: The agent types that other workers host, too.
    """

    def __init__(
        self,
        link: Link,
        registry: Registry,
        echoes: Echoes,
        parts: tuple[Directory, LocalTable, SerializationRegistry, Observer],
        format: str,
        shared: frozenset[str],
    ) -> None:
        self._link = link
        self._registry = registry
        self._echoes = echoes
        self._directory, self._table, self._serializers, self._observer = parts
        self._format = format
        self._shared = shared

    def check(self, topic: TopicId) -> None:
        """Raise `NotPermittedError` if this worker has no right to publish to a topic."""
        if not allowed(topic.type, self._link.host.publish):
            text = f"This worker has no right to publish to topic type {topic.type!r}."
            raise NotPermittedError(text, recipient=topic)

    async def publish(self, envelope: Envelope) -> None:
        """Put an event on its way; raises as `publish_message`."""
        topic, outbox = envelope.to, self._link.outbox
        assert isinstance(topic, TopicId)
        if envelope.watch is not None:
            self._observer.sent(envelope)
            self._observer.on_its_way(envelope)
        payload = encode_payload(envelope.message, self._serializers, self._format)
        event = encode_event(payload, topic, envelope.sender, envelope.id, self._observer.carrier(envelope))
        size, most = event.ByteSize(), self._link.host.max_bytes
        if size > most - FRAME:
            text = f"The message for {topic} has {size} bytes; the host takes {most}."
            kind = cast("type[Any]", type(envelope.message))
            raise MessageTooLargeError(text, recipient=topic, message_type=kind)
        if outbox.full and not await outbox.space(_SPACE_S):
            raise MailboxFullError("Too many messages wait to be sent to the host.", recipient=topic)
        if self._registry.joined:
            self._echoes.published(envelope.id, self._hearers(topic, envelope.sender))
        outbox.put(wire.Message(cloudEvent=event))
        if envelope.watch is not None:
            self._observer.dispatched(envelope, 0)

    def _hearers(self, topic: TopicId, sender: AgentId | None) -> list[AgentId]:
        """Return the agents that will hear an event and live here for certain."""
        heard, here = self._table.all_recipients(topic), self._directory
        return [agent for agent in heard if agent != sender and agent.type not in self._shared and here.knows(agent)]
