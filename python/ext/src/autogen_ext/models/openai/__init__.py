"""Clients for OpenAI and Azure OpenAI, and for any server that speaks OpenAI's chat completions."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if find_spec("openai") is None:
    raise ImportError('OpenAI models need an extra: pip install "autogen-ext[openai]"')

from . import _message_transform
from ._client import BaseOpenAIChatCompletionClient
from ._components import AZURE_OPENAI_USER_AGENT, AzureOpenAIChatCompletionClient, OpenAIChatCompletionClient
from .config import (
    AzureOpenAIClientConfigurationConfigModel,
    BaseOpenAIClientConfigurationConfigModel,
    CreateArgumentsConfigModel,
    OpenAIClientConfigurationConfigModel,
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
    "AZURE_OPENAI_USER_AGENT",
    "AzureOpenAIChatCompletionClient",
    "AzureOpenAIClientConfigurationConfigModel",
    "BaseOpenAIChatCompletionClient",
    "BaseOpenAIClientConfigurationConfigModel",
    "CreateArgumentsConfigModel",
    "MissingApiKeyError",
    "OpenAIChatCompletionClient",
    "OpenAIClientConfigurationConfigModel",
    "UnusableReplyError",
    "_message_transform",
]
