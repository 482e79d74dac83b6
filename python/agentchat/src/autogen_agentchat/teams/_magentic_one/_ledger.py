"""The progress ledger: what the orchestrator's model answers before each turn, and how it is read from the model's text.

Models wrap JSON in prose and fences, leave keys out, write "True" for true and spell names freely. What is clear is
taken; what is not is reported in words that the model can act on. Stands on pydantic and the JSON helpers of
`autogen_core`; knows no model client and no team.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from pydantic import BaseModel, Field, create_model

from autogen_core.utils import extract_json_from_str

# Outside of texts: comments, fences, commas before a closing bracket, and the words of Python.
_LAX = re.compile(
    r'(?P<text>"(?:\\.|[^"\\])*")|//[^\n]*|#[^\n]*|/\*.*?\*/|```[\w+-]*|,(?=\s*[}\]])|\b(?P<word>True|False|None)\b',
    re.DOTALL,
)
_WORDS = {"True": "true", "False": "false", "None": "null"}
_WRAPPINGS = 3
_YES = frozenset({"true", "yes", "1"})
_NO = frozenset({"false", "no", "0"})


class Verdict(BaseModel):
    """A yes or no, and why."""

    reason: str
    answer: bool


class Statement(BaseModel):
    """A text, and why."""

    reason: str
    answer: str


class ProgressLedger(BaseModel):
    """How far the team is, and what comes next. The keys are those of 0.7.5."""

    is_request_satisfied: Verdict
    is_in_loop: Verdict
    is_progress_being_made: Verdict
    next_speaker: Statement
    instruction_or_question: Statement


class LedgerError(ValueError):
    """A ledger cannot be used. The text says what is wrong with it, for the model that wrote it.

    Attributes:
        problems: What is wrong, one by one.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


def ledger_type(names: Sequence[str]) -> type[ProgressLedger]:
    """Return the ledger as a type for structured output, in whose schema only these names can speak next."""
    speaker = create_model("Speaker", __base__=Statement, answer=(str, Field(json_schema_extra={"enum": [*names]})))
    return create_model("ProgressLedger", __base__=ProgressLedger, next_speaker=(speaker, ...))


def read_ledger(text: str, names: Sequence[str]) -> ProgressLedger:
    """Read a ledger from a model's text.

    Once the request is satisfied, who speaks next is not looked at.

    Args:
        text: What the model wrote.
        names: Who can speak next. The ledger has one of them, however the model spelled it.

    Raises:
        LedgerError: There is none in the text, or something in it is missing or unclear.
    """
    data = _find(text)
    problems: list[str] = []
    satisfied = _verdict(data, "is_request_satisfied", problems)
    if satisfied.answer and not problems:
        return ProgressLedger(
            is_request_satisfied=satisfied,
            is_in_loop=_verdict(data, "is_in_loop", []),
            is_progress_being_made=_verdict(data, "is_progress_being_made", []),
            next_speaker=_statement(data, "next_speaker", []),
            instruction_or_question=_statement(data, "instruction_or_question", []),
        )
    ledger = ProgressLedger(
        is_request_satisfied=satisfied,
        is_in_loop=_verdict(data, "is_in_loop", problems),
        is_progress_being_made=_verdict(data, "is_progress_being_made", problems),
        next_speaker=_speaker(data, names, problems),
        instruction_or_question=_statement(data, "instruction_or_question", problems),
    )
    if problems:
        raise LedgerError(problems)
    return ledger


# Finding it


def _find(text: str) -> Mapping[str, Any]:
    """Return the last object in a text that looks like a ledger."""
    if not text.strip():
        raise LedgerError(["the reply was empty"])
    ledgers = [ledger for value in _values(text) if (ledger := _as_ledger(value)) is not None]
    if not ledgers:
        wanted = ", ".join(f'"{key}"' for key in ProgressLedger.model_fields)
        raise LedgerError([f"no JSON object with the keys {wanted} was found; it may have been cut off"])
    return ledgers[-1]


def _values(text: str) -> Sequence[object]:
    try:
        values = extract_json_from_str(text)
        if any(_as_ledger(value) is not None for value in values):
            return values
    except (ValueError, RecursionError):
        pass  # not JSON as it stands
    try:
        # Twice: a comma may come to stand before a bracket only when the comment between them is gone.
        return extract_json_from_str(_LAX.sub(_strict, _LAX.sub(_strict, text[max(text.find("{"), 0) :])))
    except RecursionError:
        raise LedgerError(["the JSON is nested too deeply"]) from None
    except ValueError as error:
        raise LedgerError([f"it was not valid JSON ({error})"]) from None


def _strict(token: re.Match[str]) -> str:
    """Return what JSON has in the place of this token."""
    if word := token["word"]:
        return _WORDS[word]
    return (token["text"] or "").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _as_ledger(value: object, depth: int = 0) -> Mapping[str, Any] | None:
    """Return the object with a ledger's keys, which may be wrapped in an array or under a name."""
    if _is_object(value):
        data = {re.sub(r"\W+", "_", str(key).strip().lower()): each for key, each in value.items()}
        if data.keys() & ProgressLedger.model_fields.keys():
            return data
        inner = list(data.values())
    elif _is_array(value):
        inner = value
    else:
        return None
    return _as_ledger(inner[0], depth + 1) if len(inner) == 1 and depth < _WRAPPINGS else None


def _is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


# Reading its parts


def _entry(data: Mapping[str, Any], key: str, problems: list[str]) -> tuple[str, Any]:
    """Return the reason and the answer of an entry; an answer may stand there alone."""
    if key not in data:
        problems.append(f'"{key}" is missing')
        return "", None
    entry = data[key]
    if not _is_object(entry):
        return "", entry
    if "answer" not in entry:
        problems.append(f'"{key}" has no "answer"')
    reason = entry.get("reason")
    return "" if reason is None else str(reason), entry.get("answer")


def _verdict(data: Mapping[str, Any], key: str, problems: list[str]) -> Verdict:
    known = len(problems)
    reason, answer = _entry(data, key, problems)
    word = str(answer).strip().lower()
    if word not in _YES | _NO and len(problems) == known:
        problems.append(f'the answer of "{key}" must be true or false, not {answer!r}')
    return Verdict(reason=reason, answer=word in _YES)


def _statement(data: Mapping[str, Any], key: str, problems: list[str]) -> Statement:
    known = len(problems)
    reason, answer = _entry(data, key, problems)
    if not isinstance(answer, str):
        if len(problems) == known:
            problems.append(f'the answer of "{key}" must be a text, not {answer!r}')
        return Statement(reason=reason, answer="")
    return Statement(reason=reason, answer=answer)


def _speaker(data: Mapping[str, Any], names: Sequence[str], problems: list[str]) -> Statement:
    known = len(problems)
    said = _statement(data, "next_speaker", problems if len(names) > 1 else [])
    name = match_name(said.answer, names)
    if name is None and len(problems) == known:
        problems.append(f'the answer of "next_speaker" must be one of {", ".join(names)}, not {said.answer!r}')
    return Statement(reason=said.reason, answer=name or "")


def match_name(text: str, names: Sequence[str]) -> str | None:
    """Return the one name that a text means: the only one there is, or the one that it is or mentions."""
    if len(names) == 1:
        return names[0]
    bare = text.strip().strip("\"'`*@<>[](). ")
    if bare in names:
        return bare
    spelled = [name for name in names if name.lower() == bare.lower()]
    named = spelled or [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)]
    return named[0] if len(named) == 1 else None
