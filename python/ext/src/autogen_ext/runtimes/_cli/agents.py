"""Finding and calling the functions that register a worker's agents: `module:function`. Knows no runtime of its own."""

import importlib
import inspect
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autogen_core import AgentRuntime

from .errors import AgentsError, UsageError, in_a_line, where

_logger = logging.getLogger("autogen")


@dataclass(frozen=True)
class Registration:
    """A function that registers agents, and how the user named it."""

    name: str
    function: Callable[[AgentRuntime], Any]

    async def register(self, runtime: AgentRuntime) -> None:
        """Let it register its agents, whether it is asynchronous or not.

        Raises:
            AgentsError: It raised.
        """
        try:
            result = self.function(runtime)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            _logger.debug("%s raised", self.name, exc_info=True)
            raise AgentsError(f"{self.name} raised {in_a_line(error)}{where(error.__traceback__)}") from error


def look_here_too() -> None:
    """Let modules of the current directory be found, as `python -m` does, also for the installed command."""
    here = os.getcwd()
    if not sys.flags.safe_path and here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def load(name: str) -> Registration:
    """Import what `module:function` names; the function may be an attribute of a class or of another object.

    Raises:
        UsageError: The name is none.
        AgentsError: There is no such module or function, it cannot be called, or importing it failed.
    """
    module_name, _, path = name.partition(":")
    if not (_dotted(module_name) and _dotted(path)):
        raise UsageError(f"{name!r} is no name of a function. Expected module:function, such as shop.agents:register.")
    found: Any = _import(module_name)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise AgentsError(
                f"Module {module_name!r} has no {path!r}. Expected a function that takes a runtime."
            ) from error
    if not callable(found):
        raise AgentsError(f"{name} is of type {type(found).__name__}. Expected a function that takes a runtime.")
    return Registration(name, found)


def _dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            text = f"There is no module {name!r}, neither installed nor in the current directory."
            raise AgentsError(text) from error
        failed: Exception = error
    except Exception as error:  # noqa: BLE001 - importing runs the user's program, which may raise anything
        failed = error
    _logger.debug("%s cannot be imported", name, exc_info=failed)
    raise AgentsError(f"Importing {name} raised {in_a_line(failed)}{where(failed.__traceback__)}") from failed
