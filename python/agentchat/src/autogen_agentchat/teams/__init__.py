"""Teams: agents that work on a task together."""

from typing import TYPE_CHECKING

from autogen_agentchat._late import late_names

if TYPE_CHECKING:
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

__getattr__ = late_names(
    __name__,
    {
        "BaseGroupChat": "_group_chat",
        "DiGraph": "_graph._model",
        "DiGraphBuilder": "_graph._builder",
        "DiGraphEdge": "_graph._model",
        "DiGraphNode": "_graph._model",
        "GraphFlow": "_graph._flow",
        "GroupChatError": "_group_chat",
        "MagenticOneGroupChat": "_magentic_one._group_chat",
        "RoundRobinGroupChat": "_round_robin",
        "SelectorGroupChat": "_selector",
        "Swarm": "_swarm",
    },
)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
