"""Reads what a model wrote: a choice of tools, tool calls in any disorder, an answer. Must not know any engine."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from autogen_core import FunctionCall
from autogen_core.models import CreateResult, FinishReasons, RequestUsage
from autogen_ext.models._shared._text import extract_json, split_thought

from ._errors import GenerationError
from ._prompts import FINAL_ANSWER
from ._schemas import without_padding

_CALL_TAGS = re.compile(r"</?tool_call>")
_WORD = re.compile(r"\w+")
_ECHO = 0.75
"""An argument that repeats so much of the request was not found in it: `city="Good morning"`."""


@dataclass(slots=True)
class Reply:
    """The whole of an answer."""

    text: str = ""
    thought: str | None = None
    calls: list[FunctionCall] = field(default_factory=list[FunctionCall])
    finish: FinishReasons = "unknown"
    usage: RequestUsage = field(default_factory=lambda: RequestUsage(prompt_tokens=0, completion_tokens=0))

    def result(self) -> CreateResult:
        """Return the answer in the form of the model contract."""
        return CreateResult(
            finish_reason=self.finish,
            content=self.calls or self.text,
            usage=self.usage,
            cached=False,
            thought=self.thought or (self.text or None if self.calls else None),
        )


def new_call(name: str, arguments: dict[str, Any]) -> FunctionCall:
    """Return a call with an id of its own."""
    return FunctionCall(id=f"call_{uuid4().hex[:24]}", name=name, arguments=json.dumps(arguments, ensure_ascii=False))


def read_choice(text: str) -> FunctionCall | None:
    """Return the call that a model chose, or `None` if it chose to answer in words.

    Raises:
        GenerationError: The choice is no JSON, because it was cut off.
    """
    try:
        choice = json.loads(text)
    except ValueError as error:
        raise GenerationError(
            f"The model did not finish its tool call: {text[-200:]!r}. Shorten the request."
        ) from error
    if choice["tool"] == FINAL_ANSWER:
        return None
    return new_call(choice["tool"], without_padding(choice["arguments"]))


def read_written_calls(text: str, names: Collection[str]) -> list[FunctionCall]:
    """Return the calls that a model wrote as text: bare, in a code fence, or between tags, each with a known name."""
    found: list[FunctionCall] = []
    rest = _CALL_TAGS.sub("\n", split_thought(text, reasoning_model=True)[1])
    while (written := extract_json(rest)) is not None:
        value = json.loads(written)
        for item in cast("list[Any]", value if isinstance(value, list) else [value]):
            call = _written_call(item, names)
            if call is not None:
                found.append(call)
        before, _, after = rest.partition(written)
        if before == rest:
            break
        rest = after
    return found


def _written_call(item: Any, names: Collection[str]) -> FunctionCall | None:
    if not isinstance(item, dict):
        return None
    fields = cast("dict[str, Any]", item)
    function: Any = fields.get("function")
    if isinstance(function, dict):
        fields = cast("dict[str, Any]", function)
        function = None
    name: Any = fields.get("name") or fields.get("tool") or function
    arguments: Any = fields.get("arguments", fields.get("parameters", {}))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return None
    if name not in names or not isinstance(arguments, dict):
        return None
    return new_call(str(name), cast("dict[str, Any]", arguments))


def seems_invented(call: FunctionCall, request: str) -> bool:
    """Tell whether a call has nothing to do with a request: no argument is found in it, or one is all of it."""
    said = _words(request)
    for value in _plain_values(json.loads(call.arguments)):
        words = _words(value)
        if words and f" {' '.join(words)} " in f" {' '.join(said)} " and len(words) < _ECHO * len(said):
            return False
    return True


def _plain_values(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in cast("dict[str, Any]", value).values() for text in _plain_values(item)]
    if isinstance(value, list):
        return [text for item in cast("list[Any]", value) for text in _plain_values(item)]
    return [] if value is None or isinstance(value, bool) else [str(value)]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
