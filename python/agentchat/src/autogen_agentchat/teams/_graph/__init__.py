"""`GraphFlow`: a team whose participants speak in the order of a graph."""

from autogen_agentchat.teams._graph._builder import DiGraphBuilder
from autogen_agentchat.teams._graph._flow import GraphFlow
from autogen_agentchat.teams._graph._model import DiGraph, DiGraphEdge, DiGraphNode

__all__ = ["DiGraph", "DiGraphBuilder", "DiGraphEdge", "DiGraphNode", "GraphFlow"]
