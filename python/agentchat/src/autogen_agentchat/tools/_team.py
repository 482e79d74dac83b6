"""`TeamTool`: a team as a tool. Stands on what agents and teams share as tools."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.tools._task_runner_tool import TaskRunnerTool
from autogen_core import Component, ComponentModel


class TeamToolConfig(BaseModel):
    """The saved form of a `TeamTool`."""

    model_config = ConfigDict(defer_build=True)

    name: str
    description: str
    team: ComponentModel
    return_value_as_last_message: bool = False


class TeamTool(TaskRunnerTool, Component[TeamToolConfig]):
    """A tool that gives a task to a team.

    The team keeps its conversation between calls. Calls that come together wait for each other.

    Args:
        team: Does the work. Give it a termination condition or a limit of turns.
        name: The tool's name.
        description: When to use it, for the model.
        return_value_as_last_message: Return only the team's last message, instead of all with their sources.
    """

    component_config_schema = TeamToolConfig
    component_provider_override = "autogen_agentchat.tools.TeamTool"

    def __init__(
        self, team: BaseGroupChat, name: str, description: str, return_value_as_last_message: bool = False
    ) -> None:
        self._team = team
        super().__init__(team, name, description, return_value_as_last_message)

    def _to_config(self) -> TeamToolConfig:
        return TeamToolConfig(
            name=self._name,
            description=self._description,
            team=self._team.dump_component(),
            return_value_as_last_message=self._return_value_as_last_message,
        )

    @classmethod
    def _from_config(cls, config: TeamToolConfig) -> Self:
        team = BaseGroupChat.load_component(config.team)
        return cls(team, config.name, config.description, config.return_value_as_last_message)
