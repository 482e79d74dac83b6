"""Why a command ends, as a line for its user and a status for the shell.

    CommandError                      1  something else failed: an address in use, an extra not installed
    ├── UsageError                    2  the arguments, or the files they name, are wrong
    ├── AgentsError                   3  the agents cannot be loaded, or their registration failed
    └── NotConnectedError             4  the host or server was not there in time, or did not admit this worker

A command that ended because it was asked to has the status 0; one that was told to end twice, 128 and the signal's number.
"""

import traceback
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType


class CommandError(Exception):
    """A command cannot go on; its text is one line that says why, and what to do."""

    status = 1


class UsageError(CommandError):
    """The arguments are wrong, or a file that they name."""

    status = 2


class AgentsError(CommandError):
    """A module cannot be loaded, has not the function that was asked for, or the function failed."""

    status = 3


class NotConnectedError(CommandError):
    """The host or server was not there in time, or does not admit this worker."""

    status = 4


def in_a_line(error: BaseException) -> str:
    """Say in one line what an error is; gRPC's fill a page."""
    details = getattr(error, "details", None)
    text = str(details() if callable(details) else error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def where(trace: TracebackType | None) -> str:
    """Say in which file and line an error was raised, as an addition to a sentence; nothing if that is not known."""
    frames = traceback.extract_tb(trace)
    if not frames:
        return ""
    return f' (file "{frames[-1].filename}", line {frames[-1].lineno})'


@contextmanager
def extra_needed(name: str) -> Generator[None]:
    """Turn the failing import of a runtime into an error of the command that names the extra."""
    try:
        yield
    except ImportError as error:
        raise CommandError(f'{error}. This command needs an extra: pip install "autogen-ext[{name}]"') from error
