"""Agents: `BaseChatAgent` to derive from, and agents ready to use."""

from autogen_agentchat.agents._assistant_agent import AssistantAgent
from autogen_agentchat.agents._base_chat_agent import BaseChatAgent
from autogen_agentchat.agents._message_filter_agent import MessageFilterAgent, MessageFilterConfig, PerSourceFilter
from autogen_agentchat.agents._user_proxy_agent import UserProxyAgent

__all__ = [
    "AssistantAgent",
    "BaseChatAgent",
    "MessageFilterAgent",
    "MessageFilterConfig",
    "PerSourceFilter",
    "UserProxyAgent",
]
