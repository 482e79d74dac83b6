"""The one envelope: everything that belongs to a message on its way, and how ids are made. Stands on identities."""

import os
from asyncio import Future, Task
from contextvars import Context
from itertools import count
from typing import Any
from uuid import uuid4

from autogen_core._cancellation import CancellationToken
from autogen_core._identity import AgentId, TopicId


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
        watched: Whether anybody wants event records of it.
        context: The sender's context variables, which handlers see too; None if it never waited in the mailbox.
    """

    __slots__ = ("context", "id", "message", "reply", "sender", "task", "to", "token", "watched")

    def __init__(
        self,
        message: Any,
        sender: AgentId | None,
        to: AgentId | TopicId,
        token: CancellationToken,
        id: str,
        watched: bool = False,
    ) -> None:
        self.message = message
        self.sender = sender
        self.to = to
        self.token = token
        self.id = id
        self.watched = watched
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
