"""The names of the loggers. Stands on nothing, so that every module can have them without the front door."""

TRACE_LOGGER_NAME = "autogen_agentchat"
"""The logger for developers: what agents and teams do, in words. Its texts are not part of any contract."""

EVENT_LOGGER_NAME = "autogen_agentchat.events"
"""The logger whose records carry messages and events as objects in `record.msg`."""
