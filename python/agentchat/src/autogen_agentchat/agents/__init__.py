"""Agents: `BaseChatAgent` to derive from, and agents ready to use."""

from autogen_agentchat.agents._assistant_agent import AssistantAgent
from autogen_agentchat.agents._base_chat_agent import BaseChatAgent
from autogen_agentchat.agents._code_blocks import ApprovalFuncType, ApprovalRequest, ApprovalResponse
from autogen_agentchat.agents._code_executor_agent import CodeExecutorAgent
from autogen_agentchat.agents._message_filter_agent import MessageFilterAgent, MessageFilterConfig, PerSourceFilter
from autogen_agentchat.agents._society_of_mind_agent import SocietyOfMindAgent
from autogen_agentchat.agents._user_proxy_agent import UserProxyAgent

__all__ = [
    "ApprovalFuncType",
    "ApprovalRequest",
    "ApprovalResponse",
    "AssistantAgent",
    "BaseChatAgent",
    "CodeExecutorAgent",
    "MessageFilterAgent",
    "MessageFilterConfig",
    "PerSourceFilter",
    "SocietyOfMindAgent",
    "UserProxyAgent",
]
