"""Traces through a gateway, which takes messages from one runtime and gives them to another. Stands on OpenTelemetry, if there.

Nothing is done while nobody in this process traces. A runtime with `NoOpTracerProvider` is enough for traces to go through.
"""

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager


def carrier() -> dict[str, str]:
    """Return what must travel so that the trace of what runs here goes on; empty if nobody traces."""
    found: dict[str, str] = {}
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(found)
    return found


@contextmanager
def traced(came_with: Mapping[str, str]) -> Generator[None]:
    """Let what is sent continue the trace of what came, if there is one."""
    if "opentelemetry.trace" not in sys.modules or not came_with.get("traceparent"):
        yield
        return
    from opentelemetry.context import attach, detach
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = attach(TraceContextTextMapPropagator().extract(dict(came_with)))
    try:
        yield
    finally:
        detach(token)
