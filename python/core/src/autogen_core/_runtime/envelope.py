"""The one envelope: everything that belongs to a message on its way, and how ids are made. Stands on identities."""

import os
from asyncio import Future, Task
from contextvars import Context
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from autogen_core._cancellation import CancellationToken
from autogen_core._identity import AgentId, TopicId

if TYPE_CHECKING:
    from opentelemetry.context import Context as TraceContext
    from opentelemetry.trace import Span

    from autogen_core._telemetry.metrics import Meters
    from autogen_core._telemetry.tracing import Tracing


class Watch:
    """Who watches one message, and what is known of its way so far.

    Attributes:
        records: Whether somebody wants event records.
        tracing: Makes its spans; None if nobody traces.
        meters: Measures it; None if nobody measures.
        on_its_way: Whether it waits or travels.
        span: Its way; None if it had none.
        parent: The context that holds its way, here or in another process; what handles it descends from that.
        sent_at: When it was sent, on the monotonic clock, in seconds; None if that was in another process.
    """

    __slots__ = ("meters", "on_its_way", "parent", "records", "sent_at", "span", "tracing")

    def __init__(self, records: bool, tracing: "Tracing | None", meters: "Meters | None") -> None:
        self.records = records
        self.tracing = tracing
        self.meters = meters
        self.on_its_way = False
        self.span: Span | None = None
        self.parent: TraceContext | None = None
        self.sent_at: float | None = None


class Envelope:
    """A message on its way to an agent or a topic.

    Attributes:
        message: What is delivered; handed over, never copied.
        sender: The agent that sent it; None from outside.
        to: The agent, or the topic.
        token: Cancelled when the sender no longer wants the work done.
        id: Unique to the message.
        reply: Where the sender waits for the answer; None if it does not wait.
        task: What handles it; None before that, and for a topic.
        watch: Who watches it; None if nobody does.
        context: The sender's context variables, which handlers see too; None if it never waited in the mailbox.
    """

    __slots__ = ("context", "id", "message", "reply", "sender", "task", "to", "token", "watch")

    def __init__(
        self,
        message: Any,
        sender: AgentId | None,
        to: AgentId | TopicId,
        token: CancellationToken,
        id: str,
        watch: Watch | None = None,
    ) -> None:
        self.message = message
        self.sender = sender
        self.to = to
        self.token = token
        self.id = id
        self.watch = watch
        self.reply: Future[Any] | None = None
        self.task: Task[Any] | None = None
        self.context: Context | None = None


class _Ids:
    """Makes ids of the form of a UUID 4: 74 random bits for the process, then a count. A tenth of the cost of a random one."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take new random bits, so that a forked process does not repeat its parent's ids."""
        self._prefix = str(uuid4())[:24]
        self._next = count(int.from_bytes(os.urandom(3), "big")).__next__

    def make(self) -> str:
        """Return an id that no other message has."""
        return f"{self._prefix}{self._next() & 0xFFFFFFFFFFFF:012x}"


_ids = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.renew)

new_message_id = _ids.make
"""Return an id for a message, of the form of a UUID."""
