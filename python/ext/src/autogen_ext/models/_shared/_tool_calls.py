"""Puts the tool calls of a reply together, from whole ones or from fragments in any known disorder.

Stands on the model contract; must not know any provider.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from autogen_core import FunctionCall

from ._names import normalize_name
from ._provider_data import merge_fragments


@dataclass(slots=True)
class _Call:
    index: int | None
    id: str
    name: str
    arguments: str
    extra: dict[str, Any] = field(default_factory=dict[str, Any])


class ToolCallAssembler:
    """Collects tool calls in the order in which they begin.

    Servers differ: some leave out the index, repeat one index for every call, repeat the name or send another id with
    each fragment, send no id at all or the same one twice. Reading is tolerant; `oddities` says what was amiss.
    """

    def __init__(self) -> None:
        self.oddities: list[str] = []
        """What the server did that the protocol does not allow, in words."""
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        """Tell whether there is any call."""
        return bool(self._calls)

    def add(
        self,
        *,
        index: Any = None,
        call_id: Any = None,
        name: Any = None,
        arguments: Any = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Take a fragment of a call, or a whole one; `extra` is what its provider sent beside these."""
        place = index if isinstance(index, int) else None
        part = _Call(place, _text(call_id), _text(name), self._arguments(arguments), dict(extra or {}))
        call = self._continued_by(part)
        if call is None:
            self._calls.append(part)
            return
        call.id = call.id or part.id
        if part.name != call.name:
            call.name += part.name
        call.arguments += part.arguments
        if part.extra:
            merge_fragments(call.extra, part.extra)

    def add_whole(self, *, call_id: Any, name: Any, arguments: Any, extra: Mapping[str, Any] | None = None) -> None:
        """Take a call that came in one piece."""
        self._calls.append(_Call(None, _text(call_id), _text(name), self._arguments(arguments), dict(extra or {})))

    def extras(self) -> list[dict[str, Any]]:
        """Return what came beside each call, in the order of `calls`."""
        return [call.extra for call in self._calls]

    def calls(self) -> list[FunctionCall]:
        """Return the calls: each with an id of its own, an acceptable name, and arguments that are not empty."""
        taken: set[str] = set()
        calls: list[FunctionCall] = []
        for call in self._calls:
            if not call.id or call.id in taken:
                self.oddities.append(f"tool call {call.name!r} came with {'the id of another' if call.id else 'no id'}")
            call_id = call.id if call.id and call.id not in taken else f"call_{uuid4().hex[:24]}"
            taken.add(call_id)
            calls.append(
                FunctionCall(id=call_id, name=normalize_name(call.name), arguments=call.arguments.strip() or "{}")
            )
        return calls

    def _continued_by(self, part: _Call) -> _Call | None:
        """Return the call that a fragment continues; `None` if it begins a new one."""
        call = self._candidate(part)
        if call is None or not part.name:
            return call
        if part.id and call.id and part.id != call.id:
            return None
        if part.name != call.name:
            # A name may come in pieces, but only where the server says so by an index, and before the arguments.
            return call if part.index is not None and not call.arguments else None
        return None if part.arguments and _is_json(call.arguments) else call

    def _candidate(self, part: _Call) -> _Call | None:
        """Return the latest call of the same index, or without one, of the same id, or else the latest of all."""
        latest = list(reversed(self._calls))
        if part.index is not None:
            return next((call for call in latest if call.index == part.index), None)
        same_id = (call for call in latest if part.id and call.id == part.id)
        return next(same_id, latest[0] if latest else None)

    def _arguments(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if value is None:
            return ""
        self.oddities.append(f"arguments of a tool call were {type(value).__name__}, not text")
        return json.dumps(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
