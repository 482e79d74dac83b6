"""The one place where an agent's run is wrapped in a trace span. Knows agents by their name and description only.

With tracing off this costs one call and imports nothing.
"""

from contextlib import AbstractContextManager, nullcontext

from autogen_agentchat.base import ChatAgent

_NO_SPAN: AbstractContextManager[None] = nullcontext()


def agent_span(agent: ChatAgent) -> AbstractContextManager[object]:
    """Open the `invoke_agent` span of a run, if anybody traces."""
    return _NO_SPAN
