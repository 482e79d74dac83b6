"""Errors on the wire: what a handler raised as metadata of an `RpcResponse`, and back to an error for the caller.

AutoGen 0.7.5 sends and reads the text alone; the rest stands in metadata that it does not look at. Stands on the error tree of
autogen_core; knows no stream.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Self, cast

from autogen_core import AgentId, TopicId
from autogen_core.exceptions import (
    CantHandleException,
    DeadlineExceededError,
    DeliveryError,
    MailboxFullError,
    MessageDroppedException,
    MessageTooLargeError,
    NotPermittedError,
    RemoteError,
    UndeliverableException,
)

TYPE = "autogen-error-type"
TEXT = "autogen-error-text"
TRACEBACK = "autogen-error-traceback"
ATTRIBUTES = "autogen-error-attributes"
REASON = "autogen-error-reason"

_LONGEST = 8_000
"""How many characters of a text or traceback travel; what is over is left out of the middle."""

_DELIVERY: dict[str, type[DeliveryError]] = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (
        CantHandleException,
        DeadlineExceededError,
        MailboxFullError,
        MessageDroppedException,
        MessageTooLargeError,
        NotPermittedError,
        UndeliverableException,
    )
}
"""Errors that mean the same in every process; they arrive as themselves."""

_OWN = {"recipient", "message_type", "text", "type_name", "traceback", "message_id", "reason"}
"""Attributes that a `RemoteError`, or an error of delivery, has of its own."""


def type_name(error: BaseException) -> str:
    """Return the full name of an error's class; that of an error which came from another process is the name there."""
    if isinstance(error, RemoteError) and error.type_name:
        return error.type_name
    return _full_name(type(error))


def describe(error: BaseException, metadata: MutableMapping[str, str]) -> str:
    """Write an error into the metadata of an answer; return its text, which is never empty."""
    text = error.text if isinstance(error, RemoteError) else _say(error)
    there = error.traceback if isinstance(error, RemoteError) else ""
    metadata[TYPE] = type_name(error)
    metadata[TEXT] = _shorten(text)
    metadata[TRACEBACK] = _shorten(there or "".join(traceback.format_exception(error)))
    if attributes := _plain_attributes(error):
        metadata[ATTRIBUTES] = attributes
    if isinstance(error, UndeliverableException) and error.reason:
        metadata[REASON] = error.reason
    return _shorten(text) or type(error).__name__


def revive(error: str, metadata: Mapping[str, str], recipient: AgentId | None, message_id: str) -> Exception:
    """Make the error that the caller gets.

    One that a runtime raised is of the same class again. One of a handler is a `RemoteError`; if its class is loaded in this
    process, Python's own or any other's, it is caught by that class, too. It has then those of its public attributes that are
    plain JSON values, beside what a `RemoteError` has. Its class's constructor is not called, and nothing is imported for it.
    """
    name = metadata.get(TYPE, "")
    text = metadata.get(TEXT, error)
    there = metadata.get(TRACEBACK, "")
    if (known := _DELIVERY.get(name)) is not None:
        revived: Exception = known(text, recipient=recipient)
        if isinstance(revived, UndeliverableException):
            revived.reason = metadata.get(REASON, "")
        return revived
    found = _find(name)
    kind = RemoteError if found is None else _combined(found)
    remote = kind(text, type_name=name, traceback=there, recipient=recipient, message_id=message_id)
    vars(remote).update(_read_attributes(metadata.get(ATTRIBUTES, "")))
    if there:
        remote.add_note(f"In the process of {recipient}:\n{there}")
    return remote


def _say(error: BaseException) -> str:
    """Return what an error says; a `KeyError` says its key as it is, the quotes are Python's."""
    if isinstance(error, asyncio.CancelledError):
        return str(error) or "the handler was cancelled"
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - a broken `__str__` must not keep the answer back
        return f"<{type(error).__name__} that cannot be shown: {type(broken).__name__}>"


def _shorten(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}\n[... {len(text) - _LONGEST} characters ...]\n{text[-half:]}"


# Attributes


def _plain_attributes(error: BaseException) -> str:
    """Write the public attributes of an error that JSON can say, as many as fit; empty if there are none."""
    plain: dict[str, Any] = {}
    left = _LONGEST
    for name, value in vars(error).items():
        if not _may_travel(name):
            continue
        kept = _shorten(value) if isinstance(value, str) else value
        try:
            size = len(name) + len(json.dumps(kept))
        except (TypeError, ValueError, RecursionError):  # no JSON
            continue
        if size <= left or isinstance(value, str):  # texts are short enough each
            plain[name] = kept
            left -= size
    return json.dumps(plain) if plain else ""


def _read_attributes(text: str) -> dict[str, Any]:
    try:
        read: object = json.loads(text) if text else {}
    except ValueError:  # of a foreign worker
        return {}
    if not isinstance(read, dict):
        return {}
    return {name: value for name, value in cast("dict[str, Any]", read).items() if _may_travel(name)}


def _may_travel(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and name not in _OWN and not hasattr(RemoteError, name)


# Classes


def _find(name: str) -> type[Exception] | None:
    """Return the error class of a full name, if this process has loaded it and it can be raised to a caller."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        found: object = sys.modules.get(".".join(parts[:count]))
        if found is None:
            continue
        for part in parts[count:]:
            # Not `getattr`: a module may import what it is asked for.
            found = vars(found).get(part) if hasattr(found, "__dict__") else None
        if isinstance(found, type) and issubclass(found, Exception) and _full_name(found) == name:
            return None if issubclass(found, _NOT_TO_BE_RAISED) else found
    return None


_NOT_TO_BE_RAISED = (ExceptionGroup, StopIteration, StopAsyncIteration, RemoteError)
"""A group is made of errors, the end of an iteration ends loops; and a remote error is no other's class."""


def _full_name(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class _AsRemote(Exception):
    """Keeps what a class does with its errors away from one that is of this class by name only, and lacks its private parts."""

    def __new__(cls, *args: Any, **_options: Any) -> Self:
        base: type[Any] = cls
        while base.__module__ != "builtins":  # as `OSError`, which must make its own
            base = cast("type[Any]", base.__base__)
        return base.__new__(cls, *args[:1])

    def __init__(
        self, text: str, *, recipient: AgentId | TopicId | None = None, message_type: type[Any] | None = None
    ) -> None:
        Exception.__init__(self, text)
        self.recipient = recipient
        self.message_type = message_type

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass

    __setattr__ = Exception.__setattr__
    __repr__ = Exception.__repr__
    __eq__ = object.__eq__
    __hash__ = object.__hash__


@lru_cache(maxsize=500)
def _combined(kind: type[Exception]) -> type[RemoteError]:
    """Return a class of remote errors that `except kind` catches; `RemoteError` where there can be none."""
    try:
        made = cast(
            "type[RemoteError]",
            type(
                f"Remote{kind.__name__}",
                (RemoteError, _AsRemote, kind),
                {"__module__": __name__, "__doc__": kind.__doc__},
            ),
        )
        made("", type_name="", traceback="", recipient=None, message_id="").add_note("")
    except Exception:  # noqa: BLE001 - classes are anybody's: slots, properties in the place of attributes, metaclasses
        return RemoteError
    return made
