"""The durable state of agents: what an agent has saved, and the messages that led to it, in one key that changes as a whole.

Stands on the storage; knows no handler.
"""

import base64
import json
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from autogen_core import AgentId
from autogen_core.exceptions import MessageTooLargeError

from ._link import Link
from ._storage import Storage
from ._subjects import Names

_REMEMBERED = 64
_REMEMBERED_BYTES = 32 * 1024
"""How many messages an agent's record knows, and how many bytes of their answers it keeps."""

_ANSWERED_BEFORE = b""
"""Stands for an answer that was too long to be kept."""


class Record:
    """What is kept of one agent.

    Attributes:
        revision: Of the key; 0 if it is not there yet.
        state: The agent's state as JSON; None if it was never saved.
    """

    def __init__(self, revision: int = 0, state: bytes | None = None) -> None:
        self.revision = revision
        self.state = state
        self._answers: OrderedDict[str, bytes] = OrderedDict()

    def answer_of(self, id: str) -> bytes | None:
        """Return the answer to a message that led to this state, empty if it was too long; None for any other message."""
        return self._answers.get(_short(id))

    def add(self, id: str, answer: bytes) -> None:
        """Note that a message was handled."""
        self._answers[_short(id)] = answer
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        total = 0
        for known, kept in reversed(self._answers.items()):
            total += len(kept)
            if total > _REMEMBERED_BYTES:
                self._answers[known] = _ANSWERED_BEFORE

    def encode(self) -> bytes:
        """Write it."""
        answers = [[id, base64.b64encode(answer).decode()] for id, answer in self._answers.items()]
        return b"%b\n%b" % (json.dumps({"seen": answers}, separators=(",", ":")).encode(), self.state or b"")

    @staticmethod
    def decode(data: bytes, revision: int) -> "Record":
        """Read one."""
        head, _, state = data.partition(b"\n")
        record = Record(revision, state or None)
        for id, answer in json.loads(head)["seen"]:
            record._answers[id] = base64.b64decode(answer)
        return record


class States:
    """The records of all agents of a system.

    Args:
        link, storage, names: Where they are.
    """

    def __init__(self, link: Link, storage: Storage, names: Names) -> None:
        self._link = link
        self._storage = storage
        self._names = names

    async def load(self, agent: AgentId) -> Record:
        """Return what is kept of an agent."""
        found = await self._storage.get(self._names.states, self._names.state_key(agent.type, agent.key))
        if found is None:
            return Record()
        return Record.decode(found.value, found.revision) if found.value else Record(found.revision)

    async def save(self, agent: AgentId, record: Record) -> None:
        """Write what is kept of an agent, if nobody else has.

        Raises:
            ConflictError: Somebody else has.
            ServerAwayError: It is not known whether it was written.
            MessageTooLargeError: It is longer than the server takes.
        """
        data = record.encode()
        if len(data) > self._link.max_bytes:
            text = f"The state of {agent} has {len(data)} bytes; the server takes {self._link.max_bytes}."
            raise MessageTooLargeError(text, recipient=agent)
        key = self._names.state_key(agent.type, agent.key)
        record.revision = await self._storage.put(self._names.states, key, data, revision=record.revision)


def to_json(state: Mapping[str, Any]) -> bytes:
    """Write an agent's state; raises `TypeError` if it holds what JSON cannot say."""
    return json.dumps(dict(state), separators=(",", ":")).encode()


def _short(id: str) -> str:
    return blake2b(id.encode(), digest_size=9).hexdigest()
