"""The one place where the making and the runs of agents are wrapped in trace spans. Knows name and description only.

With nobody tracing this is one look into the table of loaded modules, and nothing is imported.
"""

from contextlib import AbstractContextManager, nullcontext

from autogen_agentchat.base import ChatAgent
from autogen_core import trace_create_agent_span, trace_invoke_agent_span
from autogen_core.lowlevel import tracing_enabled

_NO_SPAN: AbstractContextManager[object] = nullcontext()


def creation_span(agent: ChatAgent) -> AbstractContextManager[object]:
    """Open the span `create_agent`, if anybody traces."""
    if not tracing_enabled():
        return _NO_SPAN
    return trace_create_agent_span(agent.name, agent_description=agent.description)


def run_span(agent: ChatAgent) -> AbstractContextManager[object]:
    """Open the span `invoke_agent`, if anybody traces. Tools called in it are its children."""
    if not tracing_enabled():
        return _NO_SPAN
    return trace_invoke_agent_span(agent.name, agent_description=agent.description)
