"""Keeps each message's encoded form for as long as the message lives, so that a long history is encoded once.

A message may be changed after it was sent; what was kept is compared with what it holds before it is used again. Stands on
the model contract; must not know how messages are encoded.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import ref

from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, UserMessage

Encode = Callable[[LLMMessage], Iterable[Any]]
"""Returns a message in the provider's form: none, one or several JSON objects."""


class Prepared:
    """One message in the provider's form. Not to be changed: it is shared between calls."""

    __slots__ = ("encoded", "json", "message", "state")

    def __init__(self, message: LLMMessage, encoded: list[Any], forget: Callable[[object], None]) -> None:
        self.state: Any
        self.encoded = encoded
        self.message = ref(message, forget)
        self.state = _state_of(message)
        self.json = b",".join(map(_dump, encoded))
        """The objects as JSON, parted by commas; empty if there are none."""


class MessageMemo:
    """Prepares messages for one client.

    Args:
        encode: How a message is encoded.
    """

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._kept: dict[int, Prepared] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def prepare(self, messages: Sequence[LLMMessage]) -> list[Prepared]:
        """Return messages in the provider's form, in order. Errors are those of `encode`."""
        known = self._kept.get
        # One line, for it runs over the whole history on every call: 0.2 microseconds a message. Ids are used again after
        # a message is gone, so it is the state that decides; that of a text is compared here, any other in `_renewed`.
        return [
            one if (one := known(id(message))) is not None and one.state == message.__dict__ else self._renewed(message)
            for message in messages
        ]

    def _renewed(self, message: LLMMessage) -> Prepared:
        """Return a message of several parts as it was prepared if it is the same, and any other prepared anew."""
        known = self._kept.get(id(message))
        if known is not None and known.state == _state_of(message):
            return known
        return self._keep(message)

    def _keep(self, message: LLMMessage) -> Prepared:
        key, kept = id(message), self._kept

        def forget(gone: object) -> None:
            entry = kept.get(key)
            if entry is not None and entry.message is gone:
                del kept[key]

        prepared = kept[key] = Prepared(message, list(self._encode(message)), forget)
        return prepared


def json_of(prepared: Sequence[Prepared]) -> bytes:
    """Return messages as one JSON array."""
    return b"[%b]" % b",".join([one.json for one in prepared if one.json])


def objects_of(prepared: Sequence[Prepared]) -> list[Any]:
    """Return messages as objects that are not to be changed."""
    return [item for one in prepared for item in one.encoded]


def _state_of(message: LLMMessage) -> dict[str, Any] | tuple[Any, ...]:
    """Return what a message holds, in a form that later changes of the message do not reach."""
    content = message.content
    if isinstance(content, str):
        return dict(message.__dict__)
    if isinstance(message, FunctionExecutionResultMessage):
        return ("results", [(result.call_id, result.content) for result in message.content])
    if isinstance(message, AssistantMessage):
        calls = [(c.id, c.name, c.arguments, c.provider_data) for c in message.content if isinstance(c, FunctionCall)]
        return ("calls", message.thought, message.provider_data, calls)
    return ("parts", message.source if isinstance(message, UserMessage) else "", list(content))


def _dump(value: object) -> bytes:
    """Return JSON; halves of surrogate pairs, which models write at times and UTF-8 cannot carry, become `?`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
