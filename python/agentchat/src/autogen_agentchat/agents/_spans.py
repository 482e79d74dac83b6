"""The one place where the making and the runs of agents are wrapped in trace spans. Knows name and description only.

With nobody tracing this is one look into the table of loaded modules, and nothing is imported.
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from autogen_agentchat.base import ChatAgent
from autogen_core import trace_create_agent_span, trace_invoke_agent_span

_NO_SPAN: AbstractContextManager[object] = nullcontext()


def creation_span(agent: ChatAgent) -> AbstractContextManager[object]:
    """Open the span `create_agent`, if anybody traces."""
    if not _is_traced():
        return _NO_SPAN
    return trace_create_agent_span(agent.name, agent_description=agent.description)


def run_span(agent: ChatAgent) -> AbstractContextManager[object]:
    """Open the span `invoke_agent`, if anybody traces. Tools called in it are its children."""
    if not _is_traced():
        return _NO_SPAN
    return trace_invoke_agent_span(agent.name, agent_description=agent.description)


def _is_traced() -> bool:
    """Tell whether the program has configured a tracer provider. One that has not loaded OpenTelemetry cannot have."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    return trace is not None and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
