"""Finds calls of tools in a model's text, and keeps them from the reader of a stream. Stands on `_shared`; not on any SDK.

A chat template tells a model about tools, but what the model writes then is plain text: `<tool_call>{...}</tool_call>`, a
bare JSON object, or a list after a marker, depending on what it was trained with.
"""

import json
import re
from collections.abc import Collection
from typing import Any, cast
from uuid import uuid4

from autogen_core import FunctionCall
from autogen_ext.models._shared._text import extract_json

TAG = "<tool_call>"
_TAGGED = re.compile(r"<tool_call>\s*(?P<body>.*?)\s*(?:</tool_call>|(?=<tool_call>)|$)", re.DOTALL)
_BEGINNINGS = (TAG, "{", "[", "<|python_tag|>", "[TOOL_CALLS]", "```", "<function")


class CallFinder:
    """Finds calls in one answer.

    Args:
        names: The tools that are offered; JSON that names another is text.
        forced: The answer is a call and nothing else.
    """

    def __init__(self, names: Collection[str], *, forced: bool) -> None:
        self._names = frozenset(names)
        self._forced = forced
        self._held = ""
        self._speaking = False

    def __call__(self, text: str) -> tuple[str, list[FunctionCall]]:
        """Part a text into what was said and the calls in it."""
        calls = [call for match in _TAGGED.finditer(text) for call in self._read(match["body"])]
        if calls:
            return _TAGGED.sub("", text).strip(), calls
        found = extract_json(text)
        calls = self._read(found) if found is not None else []
        if not calls:
            return text, []
        said = text.partition(cast("str", found))[0]
        return ("" if said.strip().startswith(_BEGINNINGS) else said.strip()), calls

    def pass_on(self, texts: list[str]) -> list[str]:
        """Return what the reader of a stream shall see now; what may become a call is held back."""
        if self._forced:
            self._held += "".join(texts)
            return []
        text = self._held + "".join(texts)
        start = text.lstrip()
        if not self._speaking and (not start or _may_begin(start)):
            self._held = text
            return []
        self._speaking = True
        cut = _cut_before_tag(text)
        self._held = text[cut:]
        return [text[:cut]] if cut else []

    def rest(self) -> list[str]:
        """Return what was held back although it is no call; to be called at the end of a stream."""
        held, self._held = self._held, ""
        return [held] if held and not self(held)[1] else []

    def _read(self, body: str) -> list[FunctionCall]:
        found = extract_json(body)
        value: Any = json.loads(found) if found is not None else None
        items = cast("list[Any]", value) if isinstance(value, list) else [value]
        calls = [self._call(cast("dict[str, Any]", item)) for item in items if isinstance(item, dict)]
        return [call for call in calls if call is not None]

    def _call(self, item: dict[str, Any]) -> FunctionCall | None:
        inner = item.get("function")
        fields = cast("dict[str, Any]", inner) if isinstance(inner, dict) else item
        name = fields.get("name")
        arguments = fields.get("arguments", fields.get("parameters"))
        if name not in self._names or arguments is None:
            return None
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return FunctionCall(id=f"call_{uuid4().hex[:24]}", name=str(name), arguments=text)


def _may_begin(text: str) -> bool:
    return any(text.startswith(one) or one.startswith(text) for one in _BEGINNINGS)


def _cut_before_tag(text: str) -> int:
    """Return where a tag begins, even one of which only the first characters are there; else the end."""
    place = text.find(TAG)
    if place >= 0:
        return place
    for length in range(min(len(TAG) - 1, len(text)), 0, -1):
        if TAG.startswith(text[-length:]):
            return len(text) - length
    return len(text)
