"""The spans of messages: one for sending or publishing, one for each handling. Their names and links are those of 0.7.5.

Attributes follow the semantic conventions of OpenTelemetry for messaging
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/); what these have no word for is called `autogen.*`.
The content of messages is not recorded. Imports opentelemetry-api, so import this where somebody traces. Stands on
identities; knows no runtime.
"""

from asyncio import CancelledError

from opentelemetry.context import Context, attach
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from autogen_core._identity import AgentId, TopicId


class Tracing:
    """Makes the spans of one runtime's messages.

    Args:
        provider: Makes the tracer.
        runtime: The name of the runtime's class, which becomes part of the tracer's name.
    """

    def __init__(self, provider: TracerProvider, runtime: str) -> None:
        self._start_span = provider.get_tracer(f"autogen {runtime}").start_span

    def sending(self, message: object, to: AgentId | TopicId, sender: AgentId | None, id: str | None) -> Span:
        """Start the span of a message that is sent or published, below the current span; `id` is None if it has none yet."""
        operation = "send" if isinstance(to, AgentId) else "publish"
        attributes = _attributes("send", operation, message, to, id)
        if sender is not None:
            attributes["autogen.sender.id"] = str(sender)
        return self._start_span(
            f"autogen {operation} {_destination(to)}", kind=SpanKind.PRODUCER, attributes=attributes
        )

    def handling(
        self,
        message: object,
        agent: AgentId,
        to: AgentId | TopicId,
        sender: AgentId | None,
        id: str,
        parent: Context | None,
    ) -> Span:
        """Start the span of an agent that handles a message, and make it the current one of the running task.

        Args:
            message: What is handled.
            agent: Who handles it.
            to: Whom or what it was sent to.
            sender: Who sent it; told only where no span of its sending does.
            id: The message's id.
            parent: Holds the span of its sending, which may have happened in another process; None: there is none, and the
                span is one below the current one.
        """
        attributes = _attributes("process", "process", message, to, id)
        if agent is not to:
            attributes["autogen.agent.id"] = str(agent)
        if parent is None and sender is not None:
            attributes["autogen.sender.id"] = str(sender)
        created_in = get_current_span(parent).get_span_context()
        span = self._start_span(
            f"autogen process {_destination(agent)}",
            parent,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=[Link(created_in)] if parent is not None and created_in.is_valid else None,
        )
        attach(set_span_in_context(span, parent))  # not detached: the context ends with the task
        return span

    @staticmethod
    def below(span: Span) -> Context:
        """Return the current context, with a span as its current one."""
        return set_span_in_context(span)

    @staticmethod
    def end(span: Span, error: BaseException | None = None) -> None:
        """End a span, and say how it ended.

        Args:
            span: The span.
            error: What went wrong.
        """
        try:
            if error is None or not span.is_recording():
                return
            if isinstance(error, CancelledError | GeneratorExit):
                span.set_attribute("autogen.cancelled", value=True)
                return
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
            span.record_exception(error)
        finally:
            span.end()


def _attributes(
    type_of_operation: str, operation: str, message: object, to: AgentId | TopicId, id: str | None
) -> dict[str, AttributeValue]:
    return {
        "messaging.system": "autogen",
        "messaging.operation.type": type_of_operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": str(to),
        "autogen.message.type": type(message).__name__,
        **({} if id is None else {"messaging.message.id": id}),
    }


def _destination(to: AgentId | TopicId) -> str:
    """Name a destination as 0.7.5 does in the names of spans."""
    return f"{to.type}.({to.key})-A" if isinstance(to, AgentId) else f"{to.type}.({to.source})-T"
