"""`TakenIn`: which messages an unfinished turn has put into an agent's conversation already.

A turn that was cancelled, failed, or was saved in its middle is begun again with the same messages, since an agent without
memory needs them once more. One that remembers asks here, so that its conversation holds each message once.
Stands on messages; knows no agent.
"""

from collections.abc import Iterable, Sequence

from autogen_agentchat.messages import BaseChatMessage


class TakenIn:
    """The ids of the messages of the present turn."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: set[str] = set()

    @property
    def ids(self) -> list[str]:
        """What the unfinished turn has taken in, for a saved state. Empty between turns."""
        return sorted(self._ids)

    def knows(self, messages: Sequence[BaseChatMessage]) -> bool:
        """Tell whether any of these messages is taken in: then a turn with them is the unfinished one, begun again."""
        return any(message.id in self._ids for message in messages)

    def begin(self, messages: Sequence[BaseChatMessage]) -> Sequence[BaseChatMessage]:
        """Begin a turn, or begin it again; return those messages that are not yet taken in, which from now on are."""
        fresh = [message for message in messages if message.id not in self._ids] if self._ids else messages
        self._ids.update(message.id for message in fresh)
        return fresh

    def end(self) -> None:
        """The turn has its response, or the conversation was forgotten."""
        self._ids.clear()

    def restore(self, ids: Iterable[str]) -> None:
        """Take up the ids of a saved state."""
        self._ids = set(ids)
