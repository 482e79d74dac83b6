"""Errors on the wire: what a handler raised as metadata of an `RpcResponse`, and back to an error for the caller.

AutoGen 0.7.5 sends and reads the text alone; the rest stands in metadata that it does not look at. Stands on the error tree of
autogen_core; knows no stream.
"""

import asyncio
import builtins
import traceback
from collections.abc import Mapping, MutableMapping

from autogen_core import AgentId
from autogen_core.exceptions import (
    AutoGenError,
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

_remote_classes: dict[str, type[RemoteError]] = {"": RemoteError}


def type_name(error: BaseException) -> str:
    """Return the full name of an error's class; that of an error which came from another process is the name there."""
    if isinstance(error, RemoteError) and error.type_name:
        return error.type_name
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def describe(error: BaseException, metadata: MutableMapping[str, str]) -> str:
    """Write an error into the metadata of an answer; return its text, which is never empty."""
    text = error.text if isinstance(error, RemoteError) else _say(error)
    there = error.traceback if isinstance(error, RemoteError) else ""
    metadata[TYPE] = type_name(error)
    metadata[TEXT] = _shorten(text)
    metadata[TRACEBACK] = _shorten(there or "".join(traceback.format_exception(error)))
    return _shorten(text) or type(error).__name__


def revive(error: str, metadata: Mapping[str, str], recipient: AgentId | None, message_id: str) -> Exception:
    """Make the error that the caller gets.

    One that a runtime raised is of the same class again. One of a handler is a `RemoteError`, and if its class is one of
    Python's own, it is caught by that class, too.
    """
    name = metadata.get(TYPE, "")
    text = metadata.get(TEXT, error)
    there = metadata.get(TRACEBACK, "")
    if (known := _DELIVERY.get(name)) is not None:
        revived: Exception = known(text, recipient=recipient)
    else:
        kind = _remote_class(name)
        revived = kind(text, type_name=name, traceback=there, recipient=recipient, message_id=message_id)
        if there:
            revived.add_note(f"In the process of {recipient}:\n{there}")
    return revived


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


def _remote_class(name: str) -> type[RemoteError]:
    known = _remote_classes.get(name)
    if known is not None:
        return known
    made = RemoteError
    kind = getattr(builtins, name.removeprefix("builtins."), None) if name.startswith("builtins.") else None
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, AutoGenError | ExceptionGroup):
        try:
            both = type(f"Remote{kind.__name__}", (RemoteError, kind), {"__module__": __name__})
            both("")
        except TypeError:  # it is made of more than a text
            pass
        else:
            made = both
        _remote_classes[name] = made
    return made
