"""Client for models in Azure AI Foundry, and for GitHub Models."""

from importlib import import_module

try:
    import_module("azure.ai.inference")
    import_module("aiohttp")  # what the SDK sends with; it does not ask for it by itself
except ImportError as error:
    raise ImportError('Azure AI models need an extra: pip install "autogen-ext[azure]"') from error

from ._client import AzureAIChatCompletionClient
from ._errors import (
    AzureAIAuthenticationError,
    AzureAIConnectionError,
    AzureAIContextLengthError,
    AzureAIInterruptedError,
    AzureAINotFoundError,
    AzureAIRateLimitedError,
    AzureAIResponseError,
    AzureAIServerError,
    AzureAIUnusableReplyError,
)
from .config import AzureAIChatCompletionClientConfig

__all__ = [
    "AzureAIAuthenticationError",
    "AzureAIChatCompletionClient",
    "AzureAIChatCompletionClientConfig",
    "AzureAIConnectionError",
    "AzureAIContextLengthError",
    "AzureAIInterruptedError",
    "AzureAINotFoundError",
    "AzureAIRateLimitedError",
    "AzureAIResponseError",
    "AzureAIServerError",
    "AzureAIUnusableReplyError",
]
