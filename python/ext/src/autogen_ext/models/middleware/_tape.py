"""The file of a cassette: one line of JSON for each call, with what came of it. Stands on results and typed errors."""

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast
from weakref import WeakValueDictionary

from autogen_core.models import CreateResult
from autogen_ext.models._shared._usage import DETAILS, DetailedUsage
from autogen_ext.models.errors import (
    AuthenticationError,
    ContextLengthError,
    ModelClientError,
    RateLimitedError,
    ServerError,
    UnusableReplyError,
)

from ._errors import RecordedError
from ._failures import failure_of
from ._request import fingerprint

FORMAT = 1
"""Version of the file's form."""

Ending: TypeAlias = Literal["complete", "error", "left"]
"""How a call ended: with its answer, with an error, or because nobody waited for it any more."""

_TYPED: tuple[type[ModelClientError], ...] = (
    AuthenticationError,
    ContextLengthError,
    RateLimitedError,
    ServerError,
    UnusableReplyError,
)
"""Errors that a replayed call raises as what they are."""

_FIELDS = ("provider", "model", "status", "retry_after", "limit", "requested", "setting", "body")
"""Of typed errors, what is written down."""


@dataclass(slots=True)
class Recording:
    """One call: what was asked, what came, and how it ended."""

    request: dict[str, Any]
    streamed: bool
    items: list[str | CreateResult]
    ending: Ending
    error: Exception | None = None

    @property
    def key(self) -> str:
        """What finds it: calls that ask for the same in the same way have the same key."""
        return key_of(self.request, streamed=self.streamed)


_recorded_now: "WeakValueDictionary[Path, Tape]" = WeakValueDictionary()


def key_of(request: dict[str, Any], *, streamed: bool) -> str:
    """Return under what a request is found."""
    return fingerprint({"request": request, "streamed": streamed})


class Tape:
    """A cassette's file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_begun = False

    @classmethod
    def recorded_now(cls, path: Path) -> "Tape | None":
        """Return the tape that others in this process are recording into this file."""
        return _recorded_now.get(path.resolve())

    def share(self) -> None:
        """Let others record into the same file."""
        _recorded_now[self.path.resolve()] = self

    def unshare(self) -> None:
        """Let the next one who records into the file begin it anew."""
        if _recorded_now.get(self.path.resolve()) is self:
            del _recorded_now[self.path.resolve()]

    def _begin(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(_line({"cassette": FORMAT}), encoding="utf-8")
        self.is_begun = True

    def append(self, recording: Recording) -> None:
        """Write down a call; it is in the file when this returns. The first one begins the file anew."""
        if not self.is_begun:
            self._begin()
        data = {
            "request": recording.request,
            "streamed": recording.streamed,
            "items": [item if isinstance(item, str) else _written_result(item) for item in recording.items],
            "ending": recording.ending,
            "error": None if recording.error is None else _written_error(recording.error),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(data))

    def read(self) -> dict[str, deque[Recording]]:
        """Return what was recorded, by key, in the order of recording.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no cassette, or a line of it is damaged. The text names the line.
        """
        lines = self.path.read_text(encoding="utf-8").splitlines()
        recordings: dict[str, deque[Recording]] = {}
        for number, line in enumerate(lines or [""], start=1):
            try:
                data = json.loads(line)
                if number == 1:
                    _check_form(data)
                else:
                    recording = _recording(data)
                    recordings.setdefault(recording.key, deque()).append(recording)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{self.path.name!r} is no cassette that can be read: line {number}: {error}"
                ) from error
        return recordings


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True, default=repr) + "\n"


def _check_form(header: dict[str, Any]) -> None:
    if header["cassette"] != FORMAT:
        raise ValueError(f"its form is {header['cassette']!r}, and this release reads form {FORMAT}")


def _recording(data: dict[str, Any]) -> Recording:
    return Recording(
        request=data["request"],
        streamed=data["streamed"],
        items=[item if isinstance(item, str) else _read_result(item) for item in data["items"]],
        ending=data["ending"],
        error=None if data["error"] is None else _read_error(data["error"]),
    )


def _written_result(result: CreateResult) -> dict[str, Any]:
    data = result.model_dump(mode="json")
    data["usage"] = dict(vars(result.usage))  # with the details, which the contract's JSON does not have
    return data


def _read_result(data: dict[str, Any]) -> CreateResult:
    result = CreateResult.model_validate(data)
    usage = cast("dict[str, int]", data["usage"])
    if len(usage) > 2:
        known = ("prompt_tokens", "completion_tokens", *DETAILS)
        result.usage = DetailedUsage(**{name: value for name, value in usage.items() if name in known})
    return result


def _written_error(error: Exception) -> dict[str, Any]:
    """Write an error as the typed one that it is; of any other, its name, its kind and its text."""
    typed = next((cls.__name__ for cls in type(error).__mro__ if cls in _TYPED), None)
    name = error.type_name if isinstance(error, RecordedError) else type(error).__name__
    fields = (
        {name: value for name in _FIELDS if (value := getattr(error, name, None)) not in (None, "")} if typed else {}
    )
    return {"type": typed or name, "kind": failure_of(error).kind, "text": str(error), "fields": fields}


def _read_error(data: dict[str, Any]) -> Exception:
    cls = next((cls for cls in _TYPED if cls.__name__ == data["type"]), None)
    if cls is None:
        return RecordedError(data["text"], data["type"], data["kind"])
    error = cls(data["text"])
    for name, value in data["fields"].items():
        setattr(error, name, value)
    return error
