"""The contract of a team. Stands on tasks; knows no agent and no runtime."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from autogen_agentchat.base._task import TaskRunner
from autogen_core import ComponentBase


class Team(ABC, TaskRunner, ComponentBase[BaseModel]):
    """The contract of a team: it runs tasks as an agent does, may be a member of another team, and can be held and saved."""

    component_type = "team"

    @property
    @abstractmethod
    def name(self) -> str:
        """A name that no other member of the same team has."""
        ...

    @property
    @abstractmethod
    def description(self) -> str:
        """What the team is good at, for whoever chooses the next speaker."""
        ...

    @abstractmethod
    async def reset(self) -> None:
        """Forget the conversation: the team, its members and its termination condition start anew."""
        ...

    @abstractmethod
    async def pause(self) -> None:
        """Hold the run where it is, until `resume`."""
        ...

    @abstractmethod
    async def resume(self) -> None:
        """Let a paused run go on."""
        ...

    @abstractmethod
    async def save_state(self) -> Mapping[str, Any]:
        """Return the state of the team and its members as JSON data for `load_state`."""
        ...

    @abstractmethod
    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state of the team and its members with one that `save_state` returned."""
        ...
