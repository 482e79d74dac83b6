"""What the code of a handler belongs to: the message that it handles, the chain of those that wait, and what it has sent.

Stands on context variables; knows no connection.
"""

import asyncio
from collections import Counter
from contextvars import ContextVar
from hashlib import blake2b

from autogen_core.lowlevel import new_message_id


class Handling:
    """The handling of one message by one agent.

    Args:
        id: The message's id.
        chain: The ids of the messages whose handlers wait for it, the outermost first.

    Attributes:
        stored: What it has published and the server has perhaps not stored yet.
    """

    __slots__ = ("_sent", "chain", "id", "stored")

    def __init__(self, id: str, chain: list[str]) -> None:
        self.id = id
        self.chain = [*chain, id]
        self.stored: set[asyncio.Future[int]] = set()
        self._sent: Counter[bytes] = Counter()

    def child_id(self, to: str, payload: bytes) -> str:
        """Return the id of a message that the handler sends.

        It follows from what was handled and what is sent: when the handler runs again, after its worker died, the same message
        has the same id, and its recipient, who had it already, answers without handling it twice. A handler that sends
        something else this time sends another message.
        """
        key = blake2b(self.id.encode("utf-8", "surrogatepass")).digest()  # an id may be of any length
        digest = blake2b(payload, digest_size=16, key=key)
        digest.update(b"\0" + to.encode("utf-8", "surrogatepass"))
        same = digest.digest()
        self._sent[same] += 1
        nth = self._sent[same]
        return same.hex() if nth == 1 else f"{same.hex()}-{nth}"

    async def settle(self) -> None:
        """Wait until all that was published is stored; raises what the first failure was."""
        for stored in list(self.stored):
            await stored
        self.stored.clear()

    def publishes(self, stored: "asyncio.Future[int]") -> None:
        """Note that something is on its way to the server."""
        self.stored.add(stored)
        stored.add_done_callback(self._arrived)

    def _arrived(self, stored: "asyncio.Future[int]") -> None:
        if not stored.cancelled() and stored.exception() is None:
            self.stored.discard(stored)


handling: ContextVar[Handling | None] = ContextVar("autogen NATS handling", default=None)
"""The handling that the code here is part of; None outside of handlers."""


def next_id(message_id: str | None, to: str, payload: bytes) -> str:
    """Return the id of a message to be sent."""
    if message_id is not None:
        return message_id
    current = handling.get()
    return new_message_id() if current is None else current.child_id(to, payload)
