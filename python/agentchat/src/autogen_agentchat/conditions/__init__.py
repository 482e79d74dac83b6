"""When a conversation is over: conditions on messages, on tools, and limits. Combine them with `&` and `|`."""

from autogen_agentchat.conditions._limits import (
    ExternalTermination,
    FunctionalTermination,
    MaxMessageTermination,
    TimeoutTermination,
    TokenUsageTermination,
)
from autogen_agentchat.conditions._messages import (
    SourceMatchTermination,
    StopMessageTermination,
    TextMentionTermination,
    TextMessageTermination,
)
from autogen_agentchat.conditions._tools import FunctionCallTermination, HandoffTermination

__all__ = [
    "ExternalTermination",
    "FunctionCallTermination",
    "FunctionalTermination",
    "HandoffTermination",
    "MaxMessageTermination",
    "SourceMatchTermination",
    "StopMessageTermination",
    "TextMentionTermination",
    "TextMessageTermination",
    "TimeoutTermination",
    "TokenUsageTermination",
]
