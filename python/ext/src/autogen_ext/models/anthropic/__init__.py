"""Clients for Anthropic's Claude models, at Anthropic, on Amazon Bedrock, or at any server that speaks their protocol."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if find_spec("anthropic") is None:
    raise ImportError('Anthropic models need an extra: pip install "autogen-ext[anthropic]"')

from ._client import BaseAnthropicChatCompletionClient
from ._components import AnthropicBedrockChatCompletionClient, AnthropicChatCompletionClient
from .config import (
    AnthropicBedrockClientConfiguration,
    AnthropicBedrockClientConfigurationConfigModel,
    AnthropicClientConfiguration,
    AnthropicClientConfigurationConfigModel,
    BedrockInfo,
    CreateArgumentsConfigModel,
)

if TYPE_CHECKING:
    from ._errors import MissingApiKeyError, UnusableReplyError

_LATE = ("MissingApiKeyError", "UnusableReplyError")
"""Names whose module needs the SDK, which takes long to load and is not needed before there is a client."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _errors

    return getattr(_errors, name)


__all__ = [
    "AnthropicBedrockChatCompletionClient",
    "AnthropicBedrockClientConfiguration",
    "AnthropicBedrockClientConfigurationConfigModel",
    "AnthropicChatCompletionClient",
    "AnthropicClientConfiguration",
    "AnthropicClientConfigurationConfigModel",
    "BaseAnthropicChatCompletionClient",
    "BedrockInfo",
    "CreateArgumentsConfigModel",
    "MissingApiKeyError",
    "UnusableReplyError",
]
