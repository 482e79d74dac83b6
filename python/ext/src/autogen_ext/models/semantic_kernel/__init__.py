"""Connectors of Semantic Kernel as model clients."""

from importlib.util import find_spec

if find_spec("semantic_kernel") is None:
    raise ImportError('Connectors of Semantic Kernel need an extra: pip install "autogen-ext[semantic-kernel-core]"')

from ._client import SKChatCompletionAdapter
from ._errors import (
    SKAuthenticationError,
    SKContextLengthError,
    SKRateLimitedError,
    SKResponseError,
    SKServerError,
)

__all__ = [
    "SKAuthenticationError",
    "SKChatCompletionAdapter",
    "SKContextLengthError",
    "SKRateLimitedError",
    "SKResponseError",
    "SKServerError",
]
