"""Contracts: what an agent, a team, a task's result, a handoff and a termination condition are, whoever implements them."""

from autogen_agentchat.base._chat_agent import ChatAgent, Response
from autogen_agentchat.base._handoff import Handoff
from autogen_agentchat.base._task import RunCancelledError, TaskResult, TaskRunner
from autogen_agentchat.base._team import Team
from autogen_agentchat.base._termination import (
    AndTerminationCondition,
    OrTerminationCondition,
    TerminatedException,
    TerminationCondition,
)

__all__ = [
    "AndTerminationCondition",
    "ChatAgent",
    "Handoff",
    "OrTerminationCondition",
    "Response",
    "RunCancelledError",
    "TaskResult",
    "TaskRunner",
    "Team",
    "TerminatedException",
    "TerminationCondition",
]
