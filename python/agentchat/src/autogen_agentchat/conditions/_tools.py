"""Conditions on tool calls and handoffs. Stands on the shared base; knows no agent and no team."""

from collections.abc import Sequence
from typing import Self

from autogen_agentchat.conditions._base import Condition, ConditionConfig
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage, ToolCallExecutionEvent
from autogen_core import Component


class HandoffTerminationConfig(ConditionConfig):
    """The saved form of a `HandoffTermination`."""

    target: str


class HandoffTermination(Condition, Component[HandoffTerminationConfig]):
    """Ends when the conversation is handed over to `target`: to the user, for example, who answers with the next task.

    Args:
        target: The name that the handoff goes to.
    """

    component_config_schema = HandoffTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.HandoffTermination"

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        for message in messages:
            if isinstance(message, HandoffMessage) and message.target == self._target:
                return f"Handoff to {self._target} from {message.source} detected."
        return None

    def _to_config(self) -> HandoffTerminationConfig:
        return HandoffTerminationConfig(target=self._target)

    @classmethod
    def _from_config(cls, config: HandoffTerminationConfig) -> Self:
        return cls(target=config.target)


class FunctionCallTerminationConfig(ConditionConfig):
    """The saved form of a `FunctionCallTermination`."""

    function_name: str


class FunctionCallTermination(Condition, Component[FunctionCallTerminationConfig]):
    """Ends when a tool has been called, whether it succeeded or not.

    Args:
        function_name: The name of the tool.
    """

    component_config_schema = FunctionCallTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.FunctionCallTermination"

    def __init__(self, function_name: str) -> None:
        super().__init__()
        self._function_name = function_name

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        for message in messages:
            if isinstance(message, ToolCallExecutionEvent) and any(
                result.name == self._function_name for result in message.content
            ):
                return f"Function '{self._function_name}' was executed."
        return None

    def _to_config(self) -> FunctionCallTerminationConfig:
        return FunctionCallTerminationConfig(function_name=self._function_name)

    @classmethod
    def _from_config(cls, config: FunctionCallTerminationConfig) -> Self:
        return cls(function_name=config.function_name)
