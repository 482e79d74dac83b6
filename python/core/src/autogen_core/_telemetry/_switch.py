"""Whether anybody traces. Stands on nothing: asking imports nothing."""

import os
import sys

DISABLED = "AUTOGEN_DISABLE_RUNTIME_TRACING"
"""The environment variable that, set to `true`, switches off the spans of runtimes."""


def tracing_enabled() -> bool:
    """Tell whether the program has configured a global tracer provider.

    A program that has not imported OpenTelemetry cannot have done so.
    """
    trace = sys.modules.get("opentelemetry.trace")
    return trace is not None and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def runtime_tracing_disabled() -> bool:
    """Tell whether the environment switches off the spans of runtimes."""
    return os.environ.get(DISABLED, "").lower() == "true"
