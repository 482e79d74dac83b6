"""Participants on other workers of a distributed runtime: `serve_agent` there, `RemoteAgent` in the team's process."""

from autogen_agentchat.remote._agent import RemoteAgent, RemoteAgentConfig, connected_to
from autogen_agentchat.remote._served import serve_agent

__all__ = [
    "RemoteAgent",
    "RemoteAgentConfig",
    "connected_to",
    "serve_agent",
]
