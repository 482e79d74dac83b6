"""A token provider of Azure as a component: for `azure_ad_token_provider` of the client for Azure OpenAI.

Stands on azure-identity and components; must not know any client.
"""

from typing import Self

from azure.core.credentials import SupportsTokenInfo, TokenCredential
from azure.identity import DefaultAzureCredential, get_bearer_token_provider
from pydantic import BaseModel

from autogen_core import Component, ComponentBase

DEFAULT_CREDENTIAL = "DefaultAzureCredential"
"""The one kind of credential that can be made from a configuration, for it needs no secret."""


class TokenProviderConfig(BaseModel):
    """Saved form of an `AzureTokenProvider`. Holds no secret: the machine that loads it says who it is."""

    provider_kind: str
    """The class of the credential."""
    scopes: list[str]
    """What tokens are for."""


class AzureTokenProvider(ComponentBase[TokenProviderConfig], Component[TokenProviderConfig]):
    """Returns a token each time it is called; the credential keeps tokens and renews them in time.

    A call may block for the network when a token has to be fetched.

    Args:
        credential: Who asks, such as `azure.identity.DefaultAzureCredential()`. Only this class can be saved.
        scopes: What tokens are for, such as `https://cognitiveservices.azure.com/.default`.

    Raises:
        ValueError: No scope is given.
    """

    component_type = "token_provider"
    component_config_schema = TokenProviderConfig
    component_provider_override = "autogen_ext.auth.azure.AzureTokenProvider"

    def __init__(self, credential: TokenCredential | SupportsTokenInfo, *scopes: str) -> None:
        self.credential = credential
        self.scopes = list(scopes)
        self.provider = get_bearer_token_provider(credential, *scopes)

    def __call__(self) -> str:
        """Return a token.

        Raises:
            azure.core.exceptions.ClientAuthenticationError: The credential gets none.
        """
        return self.provider()

    def _to_config(self) -> TokenProviderConfig:
        if not isinstance(self.credential, DefaultAzureCredential):
            raise ValueError(
                f"A {type(self.credential).__name__} cannot be saved: only {DEFAULT_CREDENTIAL} can, since it keeps no "
                "secret. Make the provider anew where it is needed."
            )
        return TokenProviderConfig(provider_kind=DEFAULT_CREDENTIAL, scopes=self.scopes)

    @classmethod
    def _from_config(cls, config: TokenProviderConfig) -> Self:
        if config.provider_kind != DEFAULT_CREDENTIAL:
            raise ValueError(
                f"A credential of the kind {config.provider_kind!r} cannot be loaded: only {DEFAULT_CREDENTIAL} can."
            )
        return cls(DefaultAzureCredential(), *config.scopes)
