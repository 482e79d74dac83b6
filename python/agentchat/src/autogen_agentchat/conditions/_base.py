"""What all conditions of this folder share: being reached, saying so, and starting anew.

Stands on the contract in `autogen_agentchat.base`; knows no particular condition and no team.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from autogen_agentchat.base._termination import TerminationCondition, check_saved_type, terminated_error
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StopMessage


class ConditionConfig(BaseModel):
    """The root of the saved forms of conditions. A program that saves none builds none of their validators."""

    model_config = ConfigDict(defer_build=True)


class Condition(TerminationCondition, ABC):
    """Owns `terminated` and `reset`. A condition says only for what reason to stop, and what else it remembers."""

    def __init__(self) -> None:
        self._reached = False

    @property
    def terminated(self) -> bool:
        """Whether the condition has been reached."""
        return self._reached

    async def __call__(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> StopMessage | None:
        if self._reached:
            raise terminated_error(self)
        reason = await self._reason_to_stop(messages)
        if reason is None:
            return None
        self._reached = True
        return StopMessage(content=reason, source=type(self).__name__)

    async def reset(self) -> None:
        self._reached = False
        self._forget()

    @abstractmethod
    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        """Take in new messages; return why the conversation ends, or `None` to let it go on."""
        ...

    async def save_state(self) -> Mapping[str, Any]:
        return {"type": type(self).__name__, "reached": self._reached, **self._memory()}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        check_saved_type(self, state)
        self._recall(state)
        self._reached = bool(state["reached"])

    def _memory(self) -> Mapping[str, Any]:
        """Return what `_forget` drops, as JSON data."""
        return {}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        """Take up what `_memory` returned."""

    def _forget(self) -> None:
        """Drop what was counted or seen; conditions that look only at the new messages have nothing to drop."""
        return
