"""Memory: what is kept outside of a conversation and put before a model when it matters."""

from ._list_memory import ListMemory
from ._memory import Memory, MemoryContent, MemoryMimeType, MemoryQueryResult, UpdateContextResult

__all__ = [
    "ListMemory",
    "Memory",
    "MemoryContent",
    "MemoryMimeType",
    "MemoryQueryResult",
    "UpdateContextResult",
]
