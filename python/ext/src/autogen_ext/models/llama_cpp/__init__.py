"""Client for a model that llama-cpp-python runs in this process. The library is loaded with the first model."""

from ._client import LlamaCppChatCompletionClient
from ._errors import LlamaCppContextLengthError, LlamaCppGenerationError

__all__ = ["LlamaCppChatCompletionClient", "LlamaCppContextLengthError", "LlamaCppGenerationError"]
