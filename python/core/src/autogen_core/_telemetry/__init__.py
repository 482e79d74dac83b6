"""Traces by OpenTelemetry. Where no tracer provider is configured, nothing is imported and one test is all it costs."""

from ._genai import trace_create_agent_span, trace_invoke_agent_span, trace_tool_span
from ._switch import tracing_enabled

__all__ = ["trace_create_agent_span", "trace_invoke_agent_span", "trace_tool_span", "tracing_enabled"]
