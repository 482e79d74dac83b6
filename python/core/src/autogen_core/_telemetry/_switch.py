"""Whether anybody traces or measures: asked for every message, so asking is cheap and imports nothing. Stands on nothing."""

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

DISABLED = "AUTOGEN_DISABLE_RUNTIME_TRACING"
"""The environment variable that, set to `true`, switches off the spans of runtimes."""

_STAND_INS = {"ProxyTracerProvider", "NoOpTracerProvider", "_ProxyMeterProvider", "NoOpMeterProvider"}

_BY_ENVIRONMENT = not {"OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER"}.isdisjoint(os.environ)
"""Whether the environment names a provider, which OpenTelemetry makes when it is first asked for it."""

_modules = sys.modules


def tracing_enabled() -> bool:
    """Tell whether the program has configured a global tracer provider."""
    return global_tracer_provider() is not None


def may_be_configured() -> bool:
    """Tell whether it is worth asking for the providers below."""
    # Asking OpenTelemetry itself takes 0.6 µs for each while there is none: a tenth of a request, because it looks into the
    # environment every time. This takes 0.1 µs for both.
    trace, metrics = _modules.get("opentelemetry.trace"), _modules.get("opentelemetry.metrics._internal")
    return (trace is not None and (_BY_ENVIRONMENT or getattr(trace, "_TRACER_PROVIDER", trace) is not None)) or (
        metrics is not None and (_BY_ENVIRONMENT or getattr(metrics, "_METER_PROVIDER", metrics) is not None)
    )


def global_tracer_provider() -> "TracerProvider | None":
    """Return the global tracer provider, if the program has configured one.

    A program that has not imported OpenTelemetry cannot have done so.
    """
    trace = _modules.get("opentelemetry.trace")
    return None if trace is None else _real(trace.get_tracer_provider())


def global_meter_provider() -> "MeterProvider | None":
    """Return the global meter provider, if the program has configured one."""
    metrics = _modules.get("opentelemetry.metrics")
    return None if metrics is None else _real(metrics.get_meter_provider())


def runtime_tracing_disabled() -> bool:
    """Tell whether the environment switches off the spans of runtimes."""
    return os.environ.get(DISABLED, "").lower() == "true"


def _real(provider: Any) -> Any:
    """Return a provider, but not one that stands in for none."""
    return None if type(provider).__name__ in _STAND_INS else provider
