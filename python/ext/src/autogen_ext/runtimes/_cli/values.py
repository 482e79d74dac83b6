"""Reading what arguments name: addresses, seconds, and the files of certificates, secrets and rights.

A secret is never an argument: everybody on a machine can read those. It comes from a file or from an environment variable.
"""

import argparse
import json
import os
import tomllib
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from .errors import UsageError
from .health import Address


class Rights(TypedDict, total=False):
    """What a worker may do, as lists of patterns; a right that is not named is not limited."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # pydantic reads it; it is no key

    register: tuple[str, ...]
    call: tuple[str, ...]
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


_RIGHTS = TypeAdapter(Rights)


def address(text: str) -> Address:
    """Read `HOST:PORT`, or `[HOST]:PORT` for an IPv6 address; for argparse."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.port is not None and parts.netloc == text and parts.username is None:
            return Address(parts.hostname, parts.port)
    except ValueError:  # a port that is none
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no address. Expected HOST:PORT, such as 127.0.0.1:8080.")


def here(host: str) -> bool:
    """Tell whether an address to listen on can be reached from this machine only."""
    return host in {"127.0.0.1", "::1", "localhost"}


def port(text: str) -> int:
    """Read a port, 0 for a free one; for argparse."""
    if text.isdecimal() and int(text) < 2**16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port. Expected a number below 65536, 0 for a free one.")


def seconds(text: str) -> float:
    """Read a time of zero seconds or more; for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if 0 <= value < 2**31:
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is no time. Expected seconds, such as 30 or 0.5.")


def count(text: str) -> int:
    """Read a number above zero; for argparse."""
    if text.isdecimal() and 0 < int(text) < 2**31:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number above zero.")


def file_bytes(path: str | None, what: str) -> bytes | None:
    """Return what is in a file, None if none is named; raises `UsageError` if it cannot be read."""
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"The file of the {what} cannot be read: {error}") from error


def secret(path: str | None, variable: str, what: str) -> str | None:
    """Return a secret from its file, or else from the environment; None if there is none.

    Raises:
        UsageError: The file cannot be read, or has nothing in it.
    """
    content = file_bytes(path, what)
    if content is None:
        return os.environ.get(variable) or None
    try:
        text = content.decode().strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"The file of the {what} is no text.") from error
    if not text:
        raise UsageError(f"The file of the {what} is empty.")
    return text


def rights(path: str | None, what: str) -> dict[str, Rights] | None:
    """Read a JSON or TOML file that says by token, or by name, what workers may do; None if none is named.

    Raises:
        UsageError: It cannot be read, or is not of this form. The text never has a token in it.
    """
    content = file_bytes(path, what)
    if content is None or path is None:
        return None
    try:
        text = content.decode()
        parsed: Any = tomllib.loads(text) if Path(path).suffix == ".toml" else json.loads(text)
    except ValueError as error:
        # What a parser says may quote the file, which has secrets in it.
        place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        kind = "TOML" if Path(path).suffix == ".toml" else "JSON"
        raise UsageError(f"The file of the {what} is no {kind}{place}. Name it *.toml if it is TOML.") from None
    if not isinstance(parsed, dict):
        raise UsageError(f"The file of the {what} has no object at its top. Expected rights by {what}.")
    entries = cast("dict[str, Any]", parsed)
    return {name: _one(entry, number, what) for number, (name, entry) in enumerate(entries.items(), 1)}


def _one(entry: object, number: int, what: str) -> Rights:
    try:
        return _RIGHTS.validate_python(entry)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        text = f"Entry {number} in the file of the {what} is wrong{' at ' if at else ''}{at}: {first['msg']}."
        raise UsageError(f"{text} Expected lists of patterns: register, call, publish, subscribe.") from None
