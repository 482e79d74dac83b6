"""A task and its result: what an agent and a team have in common. Stands on messages; knows no agent and no team."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol, cast

from pydantic import BaseModel, ConfigDict, SerializeAsAny, field_validator

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MessageFactory, TextMessage
from autogen_core import CancellationToken


class TaskResult(BaseModel):
    """What came out of a run. Its JSON loads again where all messages are of built-in types."""

    model_config = ConfigDict(defer_build=True)

    messages: Sequence[SerializeAsAny[BaseAgentEvent | BaseChatMessage]]
    """Everything said and done in this run, the task first, unless it was asked for without. No streamed chunks."""

    stop_reason: str | None = None
    """Why the run ended, where something ended it; an agent that just answered gives `None`."""

    @field_validator("messages", mode="before")
    @classmethod
    def _recreate_messages(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        items = cast("Sequence[Any]", value)
        if not any(isinstance(item, Mapping) for item in items):
            return items
        factory = MessageFactory()
        return [
            factory.create(cast("Mapping[str, Any]", item)) if isinstance(item, Mapping) else item for item in items
        ]


class TaskRunner(Protocol):
    """Whatever can be given a task: an agent or a team."""

    async def run(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> TaskResult:
        """Work on a task and return everything that was said.

        The runner keeps its state: call again to go on with the same conversation, without a task if there is nothing
        to add.

        Args:
            task: A text from the user, or chat messages.
            cancellation_token: Cancel it to end the run at once.
            output_task_messages: Put the task's own messages first in the result.
        """
        ...

    def run_stream(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        """Work on a task and yield messages and events as they come, and the result last.

        The arguments are those of `run`. Close the stream, or leave it to `contextlib.aclosing`, to end the run early.
        """
        ...


class RunCancelledError(asyncio.CancelledError):
    """A run was cancelled. Handle it as the `asyncio.CancelledError` that it is.

    Attributes:
        messages: What was said until then, as it would be in the run's result.
    """

    def __init__(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> None:
        super().__init__("the run was cancelled")
        self.messages = messages


class InvalidTaskError(TypeError, ValueError):
    """A task is neither a text, nor a chat message, nor a sequence of them. 0.7.5 raised either of the two bases."""


def task_messages(task: object) -> list[BaseChatMessage]:
    """Bring a task into one form: a list of chat messages.

    Raises:
        InvalidTaskError: It is of another type (a `TypeError` and a `ValueError`).
        ValueError: It is an empty sequence.
    """
    if task is None:
        return []
    if isinstance(task, str):
        return [TextMessage(content=task, source="user")]
    if isinstance(task, BaseChatMessage):
        return [task]
    expected = "A task must be a string, a BaseChatMessage, or a sequence of BaseChatMessage"
    if not isinstance(task, Sequence):
        raise InvalidTaskError(f"{expected}, got {type(task).__name__}.")
    messages: list[BaseChatMessage] = []
    for item in cast("Sequence[object]", task):
        if not isinstance(item, BaseChatMessage):
            raise InvalidTaskError(f"{expected}. Each of its items must be BaseChatMessage, got {type(item).__name__}.")
        messages.append(item)
    if not messages:
        raise ValueError("Task list cannot be empty. To go on without anything new, pass no task.")
    return messages
