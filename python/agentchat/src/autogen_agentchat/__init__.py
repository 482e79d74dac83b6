"""Agents, teams and termination conditions: conversation on the kernel. Here are only the version and the loggers' names.

Import what you use from the sub-packages, `autogen_agentchat.agents`, `.teams`, `.conditions`, `.messages` and so on.
"""

__version__ = "0.8.0.dev0"

TRACE_LOGGER_NAME = "autogen_agentchat"
"""The logger for developers: what agents and teams do, in words. Its texts are not part of any contract."""

EVENT_LOGGER_NAME = "autogen_agentchat.events"
"""The logger whose records carry messages and events as objects in `record.msg`."""
