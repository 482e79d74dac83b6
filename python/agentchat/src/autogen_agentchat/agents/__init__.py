"""Agents: `BaseChatAgent` to derive from, and agents ready to use."""

from typing import TYPE_CHECKING

from autogen_agentchat._late import late_names

if TYPE_CHECKING:
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

__getattr__ = late_names(
    __name__,
    {
        "ApprovalFuncType": "_code_blocks",
        "ApprovalRequest": "_code_blocks",
        "ApprovalResponse": "_code_blocks",
        "AssistantAgent": "_assistant_agent",
        "BaseChatAgent": "_base_chat_agent",
        "CodeExecutorAgent": "_code_executor_agent",
        "MessageFilterAgent": "_message_filter_agent",
        "MessageFilterConfig": "_message_filter_agent",
        "PerSourceFilter": "_message_filter_agent",
        "SocietyOfMindAgent": "_society_of_mind_agent",
        "UserProxyAgent": "_user_proxy_agent",
    },
)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
