"""The span `chat {model}` and the metrics of a model call, by OpenTelemetry's conventions for generative AI.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ and .../gen-ai-metrics/. Where no provider is configured,
nothing is imported and one test is all it costs. Content of messages is recorded only where the environment variable
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is `true`. Stands on the model contract and opentelemetry-api, which is
imported when somebody listens. Must not know any provider.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autogen_core.models import LLMMessage

from ._call_span import ModelCallSpan

CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The environment variable that, set to `true`, has the content of messages recorded on spans."""

_STAND_INS = {"ProxyTracerProvider", "NoOpTracerProvider", "_ProxyMeterProvider", "NoOpMeterProvider"}
"""Providers that stand in for none."""


_NOBODY = ModelCallSpan()


def model_call_span(
    provider: str,
    model: str,
    *,
    messages: Sequence[LLMMessage] = (),
    arguments: Mapping[str, Any] | None = None,
    url: str | None = None,
    streamed: bool = False,
) -> ModelCallSpan:
    """Begin to watch a model call, if the program has configured a tracer or meter provider.

    Args:
        provider: One of the conventions' names: `openai`, `azure.ai.openai`, `anthropic`, `aws.bedrock`,
            `azure.ai.inference`; another provider goes by its own name.
        model: The model that is asked for.
        messages: The conversation; recorded only where the environment asks for it.
        arguments: Those of the request; `temperature`, `top_p`, `max_tokens`, `seed`, `stop` and their like are recorded.
        url: Where the request goes.
        streamed: The answer comes piece by piece.
    """
    tracers = _global("opentelemetry.trace", "get_tracer_provider")
    meters = _global("opentelemetry.metrics", "get_meter_provider")
    if tracers is None and meters is None:
        return _NOBODY
    from ._genai_span import WatchedCall

    watched = WatchedCall(tracers, meters, provider, model, url=url)
    watched.begin(arguments or {}, streamed=streamed)
    if os.environ.get(CONTENT_VARIABLE, "").lower() == "true":
        watched.record_content(messages)
    return watched


def _global(module: str, getter: str) -> Any:
    """Return the global provider if the program configured one; without the module it cannot have done so."""
    loaded = sys.modules.get(module)
    if loaded is None:
        return None
    provider = getattr(loaded, getter)()
    return None if type(provider).__name__ in _STAND_INS else provider


__all__ = ["CONTENT_VARIABLE", "ModelCallSpan", "model_call_span"]
