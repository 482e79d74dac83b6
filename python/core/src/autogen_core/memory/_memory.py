"""The contract of a memory: things worth knowing, kept outside of the conversation. Stands on model contexts."""

from abc import ABC, abstractmethod
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, field_serializer

from autogen_core._cancellation import CancellationToken
from autogen_core._component import ComponentBase
from autogen_core._image import Image
from autogen_core.model_context._context import ChatCompletionContext


class MemoryMimeType(Enum):
    """What kind of thing a memory holds. Any other MIME type may be given as text."""

    TEXT = "text/plain"
    JSON = "application/json"
    MARKDOWN = "text/markdown"
    IMAGE = "image/*"
    BINARY = "application/octet-stream"


ContentType = str | bytes | dict[str, Any] | Image


class MemoryContent(BaseModel):
    """One thing that is remembered."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    content: ContentType
    mime_type: MemoryMimeType | str
    metadata: dict[str, Any] | None = None

    @field_serializer("mime_type")
    def serialize_mime_type(self, mime_type: MemoryMimeType | str) -> str:
        """Write the MIME type as text."""
        return mime_type.value if isinstance(mime_type, MemoryMimeType) else mime_type


class MemoryQueryResult(BaseModel):
    """What a memory found, best first or as the memory defines."""

    results: list[MemoryContent]


class UpdateContextResult(BaseModel):
    """What a memory added to a context."""

    memories: MemoryQueryResult


class Memory(ABC, ComponentBase[BaseModel]):
    """Keeps contents, finds those that matter, and puts them before a model."""

    component_type = "memory"

    @abstractmethod
    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Add what matters for a conversation to it, and tell what that was."""
        ...

    @abstractmethod
    async def query(
        self, query: str | MemoryContent, cancellation_token: CancellationToken | None = None, **kwargs: Any
    ) -> MemoryQueryResult:
        """Find contents.

        Args:
            query: What to look for.
            cancellation_token: Gives up the search.
            kwargs: Whatever else this memory can be asked.
        """
        ...

    @abstractmethod
    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Keep a content."""
        ...

    @abstractmethod
    async def clear(self) -> None:
        """Forget everything."""
        ...

    @abstractmethod
    async def close(self) -> None:
        """Give back connections and files. What is kept elsewhere stays."""
        ...
