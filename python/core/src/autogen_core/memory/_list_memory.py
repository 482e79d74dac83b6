"""A memory that is a list: it keeps everything in order and always recalls all of it. Stands on the contract."""

import json
from typing import Any, Self

from pydantic import BaseModel, Field

from autogen_core._cancellation import CancellationToken
from autogen_core._component import Component
from autogen_core._image import Image
from autogen_core.model_context._context import ChatCompletionContext
from autogen_core.models._types import SystemMessage

from ._memory import Memory, MemoryContent, MemoryQueryResult, UpdateContextResult


class ListMemoryConfig(BaseModel):
    """A list memory as data."""

    name: str | None = None
    memory_contents: list[MemoryContent] = Field(default_factory=list[MemoryContent])


class ListMemory(Memory, Component[ListMemoryConfig]):
    """Keeps contents in the order they came, and recalls all of them whatever is asked.

    Args:
        name: To tell it from others; `default_list_memory` if not given.
        memory_contents: What it knows from the start. The list is copied.
    """

    component_config_schema = ListMemoryConfig
    component_provider_override = "autogen_core.memory.ListMemory"

    def __init__(self, name: str | None = None, memory_contents: list[MemoryContent] | None = None) -> None:
        self._name = name or "default_list_memory"
        self._contents: list[MemoryContent] = list(memory_contents or ())

    @property
    def name(self) -> str:
        """What tells it from others."""
        return self._name

    @property
    def content(self) -> list[MemoryContent]:
        """All contents, oldest first. Changing the list changes the memory."""
        return self._contents

    @content.setter
    def content(self, value: list[MemoryContent]) -> None:
        self._contents = value

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Add all contents to a conversation as one numbered system message.

        Nothing is added if there are none, or if the model sees the very same message already.
        """
        if not self._contents:
            return UpdateContextResult(memories=MemoryQueryResult(results=[]))
        lines = (f"{number}. {_text(content)}" for number, content in enumerate(self._contents, 1))
        message = SystemMessage(content="\n".join(("Remembered from before, oldest first:", *lines)))
        if message not in await model_context.get_messages():
            await model_context.add_message(message)
        return UpdateContextResult(memories=MemoryQueryResult(results=list(self._contents)))

    async def query(
        self, query: str | MemoryContent = "", cancellation_token: CancellationToken | None = None, **kwargs: Any
    ) -> MemoryQueryResult:
        """Return all contents, whatever the query."""
        return MemoryQueryResult(results=list(self._contents))

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Keep a content after all others."""
        self._contents.append(content)

    async def clear(self) -> None:
        """Forget everything."""
        self._contents = []

    async def close(self) -> None:
        """Do nothing: there is nothing to give back."""

    def _to_config(self) -> ListMemoryConfig:
        return ListMemoryConfig(name=self._name, memory_contents=self._contents)

    @classmethod
    def _from_config(cls, config: ListMemoryConfig) -> Self:
        return cls(name=config.name, memory_contents=config.memory_contents)


def _text(content: MemoryContent) -> str:
    value = content.content
    if isinstance(value, Image):
        return "(an image)"
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict) else value
