"""`RunScope`: for which run, and which agent, the code that runs here works. Stands on nothing; knows no runtime and no team.

It costs two steps of a context variable. The run's id is made only if somebody asks for it.
"""

from contextvars import ContextVar, Token
from itertools import count
from os import urandom
from typing import Self

_PROCESS = urandom(8).hex()
_numbers = count(1)


class RunScope:
    """Says within a `with` block whose work is done there, also by tasks, threads and messages that begin in it.

    Scopes nest. The run is that of the outermost one: an agent that is a tool, or a team within a team, works for the run
    that it is part of. The agent is that of the innermost one.

    A scope may be entered again after it was left. A generator must leave it before it yields, since otherwise its reader
    would be in the block, too.

    Args:
        agent: The agent's name.
    """

    __slots__ = ("_number", "_token", "agent")

    def __init__(self, agent: str) -> None:
        self.agent = agent
        outer = _current.get()
        self._number = next(_numbers) if outer is None else outer._number
        self._token: Token[RunScope | None] | None = None

    @property
    def run(self) -> str:
        """The run's id: a text that no other run has, in this process or another."""
        return f"{_PROCESS}-{self._number}"

    @staticmethod
    def current() -> "RunScope | None":
        """Return the innermost scope; `None` outside of all runs."""
        return _current.get()

    def __enter__(self) -> Self:
        """Begin the block.

        Raises:
            RuntimeError: It is begun already, and not ended.
        """
        if self._token is not None:
            raise RuntimeError("A RunScope is in use already: make a second one for a block within or beside it.")
        self._token = _enter(self)
        return self

    def __exit__(self, error_type: object, error: object, traceback: object) -> None:
        """End the block."""
        token, self._token = self._token, None
        if token is not None:
            _leave(token)


_current: ContextVar[RunScope | None] = ContextVar("run_scope", default=None)
_enter, _leave = _current.set, _current.reset
