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


HELD_TO_NO_SCHEMA = (
    "the engine could not hold the model to the JSON schema (references to elsewhere, unusual patterns and formats are "
    "what it may not know)"
)
"""Why what should be JSON is not: the engine passes over a schema that it does not understand."""


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


def read_choice(reply: Reply, names: Collection[str]) -> FunctionCall | None:
    """Return the call of one of the tools named that a model chose, or `None` if it chose to answer in words.

    Raises:
        GenerationError: What it wrote is no choice: it was cut off, or the engine did not hold it to the schema.
    """
    try:
        choice = json.loads(reply.text)
        if choice == {"tool": FINAL_ANSWER}:  # a tool of that name would have arguments
            return None
        [name] = {choice["tool"]} & set(names)
        return new_call(name, without_padding(choice["arguments"]))
    except (ValueError, KeyError, TypeError) as error:
        reason = "cut off: the arguments are too long" if reply.finish == "length" else HELD_TO_NO_SCHEMA
        raise GenerationError(f"The choice of a tool cannot be read; {reason}. It is: {reply.text[:200]!r}") from error


def read_choices(text: str, names: Collection[str]) -> list[FunctionCall]:
    """Return the calls in a list that is perhaps still being written: those that are complete."""
    decoder, calls = json.JSONDecoder(), list[FunctionCall]()
    position = text.find("{")
    while position >= 0:
        try:
            item, end = decoder.raw_decode(text, position)
            [name] = {item["tool"]} & set(names)
            calls.append(new_call(name, without_padding(item["arguments"])))
        except (ValueError, KeyError, TypeError):
            break
        position = text.find("{", end)
    return calls


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
