"""Agents, teams and termination conditions: conversation on the kernel. Here are only the version and the loggers' names.

Import what you use from the sub-packages, `autogen_agentchat.agents`, `.teams`, `.conditions`, `.messages` and so on.
"""

from autogen_agentchat._names import EVENT_LOGGER_NAME as EVENT_LOGGER_NAME
from autogen_agentchat._names import TRACE_LOGGER_NAME as TRACE_LOGGER_NAME

__version__ = "0.8.0.dev0"
