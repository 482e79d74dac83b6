"""A model inside this process: no server, no key, no network. What runs where nothing else is set up.

    pip install "autogen-ext[local]"
    python -m autogen_ext.models.local install      # the default model, 98 MB
    python -m autogen_ext.models.local serve        # the same for programs that speak OpenAI's protocol

The engine is loaded at first use, not when this module is imported.
"""

from typing import TYPE_CHECKING, Any

from ._client import LocalChatCompletionClient, LocalChatCompletionClientConfig
from ._embedder import LocalEmbedder
from ._errors import (
    ChecksumError,
    ContextLengthError,
    EngineMissingError,
    GenerationError,
    LocalModelError,
    ModelFileError,
    ModelLoadError,
    ModelMissingError,
    NotGgufError,
)

if TYPE_CHECKING:
    from ._server import LocalModelServer


def __getattr__(name: str) -> Any:
    """Load the server, which needs a web framework, when it is first asked for."""
    if name != "LocalModelServer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._server import LocalModelServer

    return LocalModelServer


__all__ = [
    "ChecksumError",
    "ContextLengthError",
    "EngineMissingError",
    "GenerationError",
    "LocalChatCompletionClient",
    "LocalChatCompletionClientConfig",
    "LocalEmbedder",
    "LocalModelError",
    "LocalModelServer",
    "ModelFileError",
    "ModelLoadError",
    "ModelMissingError",
    "NotGgufError",
]
