"""Client for models that Ollama serves."""

from importlib.util import find_spec

if find_spec("ollama") is None:
    raise ImportError('Ollama models need an extra: pip install "autogen-ext[ollama]"')

from ._client import OllamaChatCompletionClient
from ._errors import (
    OllamaAuthenticationError,
    OllamaConnectionError,
    OllamaContextLengthError,
    OllamaRateLimitedError,
    OllamaResponseError,
    OllamaServerError,
    OllamaUnusableReplyError,
)
from .config import BaseOllamaClientConfigurationConfigModel, CreateArgumentsConfigModel

__all__ = [
    "BaseOllamaClientConfigurationConfigModel",
    "CreateArgumentsConfigModel",
    "OllamaAuthenticationError",
    "OllamaChatCompletionClient",
    "OllamaConnectionError",
    "OllamaContextLengthError",
    "OllamaRateLimitedError",
    "OllamaResponseError",
    "OllamaServerError",
    "OllamaUnusableReplyError",
]
