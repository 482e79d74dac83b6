"""What a model client tells about a call to whoever watches it. Stands on the model contract; imports no telemetry."""

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from autogen_core.models import CreateResult


class ModelCallSpan:
    """Watches one call, streamed or not; this class itself is for calls that nobody watches, and does nothing.

        with model_call_span("openai", "gpt-4o", messages=messages) as call:
            with call.current():
                reply = await send()
            call.answered(result)

    The span is the current one only within `current`, since a stream's consumer runs between its pieces. An error that
    leaves the block ends the span with its text, so secrets must have been taken out of it; a cancelled call, or a stream
    that its consumer closed, is no error.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the call."""

    def current(self) -> AbstractContextManager[object]:
        """Make the span the current one, so that spans of the HTTP client come below it."""
        return nullcontext()

    def first_chunk(self) -> None:
        """Note that the first piece of a stream is there; later calls change nothing."""

    def answered(self, result: CreateResult, *, model: str | None = None, id: str | None = None) -> None:
        """Record what came of the call.

        Args:
            result: The answer.
            model: The model that answered, as the provider named it.
            id: The provider's id of the answer.
        """
