"""Whether anybody traces or measures: asked for every message, so asking is cheap and imports nothing. Stands on nothing."""

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

DISABLED = "AUTOGEN_DISABLE_RUNTIME_TRACING"
"""The environment variable that, set to `true`, switches off the spans of runtimes."""

_TRACES_BY_ENVIRONMENT = "OTEL_PYTHON_TRACER_PROVIDER" in os.environ
_METRICS_BY_ENVIRONMENT = "OTEL_PYTHON_METER_PROVIDER" in os.environ


def tracing_enabled() -> bool:
    """Tell whether the program has configured a global tracer provider."""
    return global_tracer_provider() is not None


def global_tracer_provider() -> "TracerProvider | None":
    """Return the global tracer provider, if the program has configured one.

    A program that has not imported OpenTelemetry cannot have done so.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or (not _TRACES_BY_ENVIRONMENT and _unset(trace, "_TRACER_PROVIDER")):
        return None
    return _real(trace.get_tracer_provider(), "ProxyTracerProvider", "NoOpTracerProvider")


def global_meter_provider() -> "MeterProvider | None":
    """Return the global meter provider, if the program has configured one."""
    metrics = sys.modules.get("opentelemetry.metrics._internal")
    if metrics is None or (not _METRICS_BY_ENVIRONMENT and _unset(metrics, "_METER_PROVIDER")):
        return None
    return _real(metrics.get_meter_provider(), "_ProxyMeterProvider", "NoOpMeterProvider")


def runtime_tracing_disabled() -> bool:
    """Tell whether the environment switches off the spans of runtimes."""
    return os.environ.get(DISABLED, "").lower() == "true"


def _unset(module: ModuleType, name: str) -> bool:
    """Tell whether OpenTelemetry holds no provider, a fifth of the cost of asking it for one (0.6 µs, for it reads the environment)."""
    return getattr(module, name, module) is None


def _real(provider: Any, *stand_ins: str) -> Any:
    """Return a provider, but not one that stands in for none."""
    return None if type(provider).__name__ in stand_ins else provider
