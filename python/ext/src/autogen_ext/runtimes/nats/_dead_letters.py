"""Messages that could not be handled, and why: kept for whoever looks after the system.

Stands on the storage; knows no agent.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from autogen_core import AgentId, TopicId, UnknownPayload
from autogen_core.exceptions import AutoGenError
from autogen_ext.runtimes._shared import errors
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._link import Link, logger, read_reply
from ._storage import Storage
from ._subjects import Names
from ._wire import Message


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A message that could not be handled.

    Attributes:
        number: Its place among the dead letters, counted from 1.
        reason: What went wrong, in words.
        error_type: The error's class with its module, as `builtins.KeyError`; empty if nothing was raised.
        traceback: Where it was raised; empty if nothing was.
        agent: Who should have handled it; None if that cannot be said.
        topic: Where it was published; None for a request.
        message_id: Its id.
        message: The message as it was written, without its end if it was nearly as long as the server takes. Its type is
            empty if even that cannot be read, and its `payload` is then all that came.
        died_at: When it was given up.
    """

    number: int
    reason: str
    error_type: str
    traceback: str
    agent: AgentId | None
    topic: TopicId | None
    message_id: str
    message: UnknownPayload
    died_at: datetime


class DeadLetters:
    """The dead letters of a system.

    Args:
        link, storage, names: Where they are.
    """

    def __init__(self, link: Link, storage: Storage, names: Names) -> None:
        self._link = link
        self._storage = storage
        self._names = names

    async def bury(self, message: Message, agent: AgentId, reason: str, about: Mapping[str, str]) -> None:
        """Keep a message that an agent could not handle."""
        says = {
            "reason": reason,
            "type": about.get(errors.TYPE, ""),
            "traceback": about.get(errors.TRACEBACK, ""),
            "agent": [agent.type, agent.key],
        }
        await self._keep(agent.type, says, message.encode())

    async def bury_unreadable(self, data: bytes, error: Exception) -> None:
        """Keep what came as a message and is none."""
        await self._keep("unreadable", {"reason": str(error), "type": errors.type_name(error), "traceback": ""}, data)

    async def _keep(self, where: str, says: Mapping[str, object], data: bytes) -> None:
        body = json.dumps({**says, "at": time.time()}).encode() + b"\n" + data
        body = body[: self._link.max_bytes]  # rather without the message's end than without the reason
        try:
            read_reply((await self._link.ask(self._names.letter(where), body)).data)
        except AutoGenError as error:
            logger.error("a message is lost (%s): it could not be kept as a dead letter: %r", says["reason"], error)  # noqa: TRY400 - its text says all

    async def read(self, after: int, most: int) -> list[DeadLetter]:
        """Return the dead letters after a number, the oldest first."""
        prefix = self._names.letter("")[:-1]
        request = {"seq": after + 1, "next_by_subj": f"{prefix}>", "batch": most}
        found = await self._storage.read_many(self._names.dead, prefix, request)
        return [_read(entry.revision, entry.value) for entry in found]


def _read(number: int, data: bytes) -> DeadLetter:
    line, _, body = data.partition(b"\n")
    says = json.loads(line)
    message = None
    try:
        message = Message.decode(body)
    except UnreadableError:
        payload, id = UnknownPayload("", "", body), ""
    else:
        payload, id = UnknownPayload(*message.payload), message.id
    return DeadLetter(
        number=number,
        reason=says["reason"],
        error_type=says["type"],
        traceback=says["traceback"],
        agent=AgentId(*says["agent"]) if "agent" in says else None,
        topic=None if message is None else message.topic,
        message_id=id,
        message=payload,
        died_at=datetime.fromtimestamp(says["at"], UTC),
    )
