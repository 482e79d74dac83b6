"""`AgentTool`: an agent as a tool. Stands on what agents and teams share as tools."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.tools._task_runner_tool import TaskRunnerTool
from autogen_core import Component, ComponentModel


class AgentToolConfig(BaseModel):
    """The saved form of an `AgentTool`."""

    model_config = ConfigDict(defer_build=True)

    agent: ComponentModel
    return_value_as_last_message: bool = False


class AgentTool(TaskRunnerTool, Component[AgentToolConfig]):
    """A tool that gives a task to an agent. Its name and description are the agent's.

    The agent keeps its conversation between calls. Calls that come together wait for each other.

    Args:
        agent: Does the work.
        return_value_as_last_message: Return only the agent's last message, instead of all with their sources.
    """

    component_config_schema = AgentToolConfig
    component_provider_override = "autogen_agentchat.tools.AgentTool"

    def __init__(self, agent: BaseChatAgent, return_value_as_last_message: bool = False) -> None:
        self._agent = agent
        super().__init__(agent, agent.name, agent.description, return_value_as_last_message)

    def _to_config(self) -> AgentToolConfig:
        return AgentToolConfig(
            agent=self._agent.dump_component(),
            return_value_as_last_message=self._return_value_as_last_message,
        )

    @classmethod
    def _from_config(cls, config: AgentToolConfig) -> Self:
        return cls(BaseChatAgent.load_component(config.agent), config.return_value_as_last_message)
