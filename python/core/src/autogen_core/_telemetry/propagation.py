"""The trace context of a message that leaves the process, as W3C headers: `traceparent` and `tracestate`.

https://www.w3.org/TR/trace-context/. Within a process nothing is written: the current span travels with the context
variables. Imports opentelemetry-api, so import this where somebody traces. Knows no message.
"""

from collections.abc import Mapping, MutableMapping

from opentelemetry.context import Context, get_current
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_w3c = TraceContextTextMapPropagator()


def inject(carrier: MutableMapping[str, str], context: Context | None = None) -> None:
    """Write the span of a context, by default the current one, into a carrier; nothing if there is no span.

    Args:
        carrier: What travels with the message, such as the metadata of a request.
        context: Holds the span.
    """
    _w3c.inject(carrier, context)


def extract(carrier: Mapping[str, str]) -> Context:
    """Read a span out of a carrier, to be the parent of others.

    Returns:
        The current context, with that span as its current one; unchanged if the carrier holds none, or none that is valid.
    """
    return _w3c.extract({key.lower(): value for key, value in carrier.items()}, get_current())
