"""Teams: agents that work on a task together."""

from autogen_agentchat.teams._group_chat import BaseGroupChat, GroupChatError
from autogen_agentchat.teams._magentic_one._group_chat import MagenticOneGroupChat
from autogen_agentchat.teams._round_robin import RoundRobinGroupChat

__all__ = ["BaseGroupChat", "GroupChatError", "MagenticOneGroupChat", "RoundRobinGroupChat"]
