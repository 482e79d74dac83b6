"""Spans for agents and tools, as the semantic conventions of OpenTelemetry for generative AI describe them.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/ (span names, and attributes `gen_ai.*`). Content of
messages is not recorded. Stands on opentelemetry-api, imported when a span is made.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_TRACER_NAME = "autogen-core"
_PROVIDER = "autogen"


@contextmanager
def trace_tool_span(
    tool_name: str,
    *,
    tracer: "Tracer | None" = None,
    parent: "Span | None" = None,
    tool_description: str | None = None,
    tool_call_id: str | None = None,
) -> "Generator[Span, Any, None]":
    """Record the execution of a tool as a span `execute_tool {tool_name}`.

    Args:
        tool_name: The tool's name.
        tracer: Makes the span; that of the global provider if not given.
        parent: The span it belongs to; the current one if not given.
        tool_description: What the tool does.
        tool_call_id: The id of the call, as the model gave it.
    """
    attributes = {
        "gen_ai.tool.name": tool_name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": tool_description,
        "gen_ai.tool.call.id": tool_call_id,
    }
    with _span("execute_tool", tool_name, attributes, tracer, parent) as span:
        yield span


@contextmanager
def trace_create_agent_span(
    agent_name: str,
    *,
    tracer: "Tracer | None" = None,
    parent: "Span | None" = None,
    agent_id: str | None = None,
    agent_description: str | None = None,
) -> "Generator[Span, Any, None]":
    """Record the making of an agent as a span `create_agent {agent_name}`.

    Args:
        agent_name: The agent's name.
        tracer: Makes the span; that of the global provider if not given.
        parent: The span it belongs to; the current one if not given.
        agent_id: The agent's unique id.
        agent_description: What the agent is for.
    """
    with _span("create_agent", agent_name, _agent(agent_name, agent_id, agent_description), tracer, parent) as span:
        yield span


@contextmanager
def trace_invoke_agent_span(
    agent_name: str,
    *,
    tracer: "Tracer | None" = None,
    parent: "Span | None" = None,
    agent_id: str | None = None,
    agent_description: str | None = None,
) -> "Generator[Span, Any, None]":
    """Record a call of an agent as a span `invoke_agent {agent_name}`.

    Args:
        agent_name: The agent's name.
        tracer: Makes the span; that of the global provider if not given.
        parent: The span it belongs to; the current one if not given.
        agent_id: The agent's unique id.
        agent_description: What the agent is for.
    """
    with _span("invoke_agent", agent_name, _agent(agent_name, agent_id, agent_description), tracer, parent) as span:
        yield span


def _agent(name: str, id: str | None, description: str | None) -> dict[str, str | None]:
    return {"gen_ai.agent.name": name, "gen_ai.agent.id": id, "gen_ai.agent.description": description}


@contextmanager
def _span(
    operation: str, name: str, attributes: dict[str, str | None], tracer: "Tracer | None", parent: "Span | None"
) -> "Generator[Span, Any, None]":
    """Open a span of an operation; an exception that passes through is recorded on it."""
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind, Status, StatusCode

    known = {key: value for key, value in attributes.items() if value is not None}
    with (tracer or trace.get_tracer(_TRACER_NAME)).start_as_current_span(
        f"{operation} {name}",
        context=None if parent is None else trace.set_span_in_context(parent),
        kind=SpanKind.INTERNAL,
        attributes={"gen_ai.operation.name": operation, "gen_ai.provider.name": _PROVIDER, **known},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            span.set_attribute("error.type", type(error).__name__)
            raise
