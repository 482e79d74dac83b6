"""Traces and metrics by OpenTelemetry. Where no provider is configured, nothing is imported and one test is all they cost.

`propagation`, `tracing` and `metrics` import opentelemetry-api: they are imported once somebody listens.
"""

from ._genai import trace_create_agent_span, trace_invoke_agent_span, trace_tool_span
from ._switch import (
    global_meter_provider,
    global_tracer_provider,
    may_be_configured,
    runtime_tracing_disabled,
    tracing_enabled,
)

__all__ = [
    "global_meter_provider",
    "global_tracer_provider",
    "may_be_configured",
    "runtime_tracing_disabled",
    "trace_create_agent_span",
    "trace_invoke_agent_span",
    "trace_tool_span",
    "tracing_enabled",
]
