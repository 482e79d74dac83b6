"""An agent or a team as a tool that other agents call."""

from autogen_agentchat.tools._agent import AgentTool
from autogen_agentchat.tools._team import TeamTool

__all__ = ["AgentTool", "TeamTool"]
