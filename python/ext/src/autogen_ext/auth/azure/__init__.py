"""Tokens of Microsoft Entra ID for clients of Azure, as a component that can be saved."""

from importlib import import_module

try:
    import_module("azure.identity")
except ImportError as error:
    raise ImportError('Credentials of Azure need an extra: pip install "autogen-ext[azure]"') from error

from ._provider import AzureTokenProvider, TokenProviderConfig

__all__ = ["AzureTokenProvider", "TokenProviderConfig"]
