"""Teams: agents that work on a task together."""

from autogen_agentchat.teams._graph._builder import DiGraphBuilder
from autogen_agentchat.teams._graph._flow import GraphFlow
from autogen_agentchat.teams._graph._model import DiGraph, DiGraphEdge, DiGraphNode
from autogen_agentchat.teams._group_chat import BaseGroupChat, GroupChatError
from autogen_agentchat.teams._magentic_one._group_chat import MagenticOneGroupChat
from autogen_agentchat.teams._round_robin import RoundRobinGroupChat
from autogen_agentchat.teams._selector import SelectorGroupChat
from autogen_agentchat.teams._swarm import Swarm

__all__ = [
    "BaseGroupChat",
    "DiGraph",
    "DiGraphBuilder",
    "DiGraphEdge",
    "DiGraphNode",
    "GraphFlow",
    "GroupChatError",
    "MagenticOneGroupChat",
    "RoundRobinGroupChat",
    "SelectorGroupChat",
    "Swarm",
]
