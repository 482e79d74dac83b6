"""The token provider: it asks its credential for what it is for, keeps what is valid, and can be saved."""

import time
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from autogen_core import ComponentLoader
from autogen_ext.auth.azure import AzureTokenProvider
from autogen_ext.models.openai import AzureOpenAIChatCompletionClient

SCOPE = "https://cognitiveservices.azure.com/.default"
SAVED = {
    "provider": "autogen_ext.auth.azure.AzureTokenProvider",
    "component_type": "token_provider",
    "version": 1,
    "component_version": 1,
    "description": None,
    "label": "AzureTokenProvider",
    "config": {"provider_kind": "DefaultAzureCredential", "scopes": [SCOPE]},
}
"""What AutoGen 0.7.5 saves."""


class Credential:
    """Gives out tokens one after the other and remembers what they were for."""

    def __init__(self, lifetime_s: float = 3600) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._lifetime_s = lifetime_s

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        self.asked.append(scopes)
        return AccessToken(f"token-{len(self.asked)}", int(time.time() + self._lifetime_s))


def test_a_token_is_for_the_scopes_and_is_kept_while_it_is_valid() -> None:
    credential = Credential()
    provider = AzureTokenProvider(credential, SCOPE)
    assert [provider(), provider()] == ["token-1", "token-1"]
    assert credential.asked == [(SCOPE,)]


def test_a_token_that_ran_out_is_renewed() -> None:
    provider = AzureTokenProvider(Credential(lifetime_s=-1), SCOPE)
    assert [provider(), provider()] == ["token-1", "token-2"]


def test_a_failing_credential_is_an_error_of_the_caller() -> None:
    class Failing:
        def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
            raise ClientAuthenticationError("no identity here")

    with pytest.raises(ClientAuthenticationError, match="no identity here"):
        AzureTokenProvider(Failing(), SCOPE)()


def test_a_saved_configuration_loads_and_is_saved_alike() -> None:
    provider = ComponentLoader.load_component(SAVED, AzureTokenProvider)
    assert isinstance(provider.credential, DefaultAzureCredential)
    assert provider.scopes == [SCOPE]
    assert provider.dump_component().model_dump() | {"description": None} == SAVED


def test_a_credential_with_a_secret_is_not_saved() -> None:
    secret = "secret-of-the-tests"
    credential = ClientSecretCredential("00000000-0000-0000-0000-000000000000", "app", secret)
    with pytest.raises(ValueError, match="ClientSecretCredential cannot be saved") as caught:
        AzureTokenProvider(credential, SCOPE).dump_component()
    assert secret not in str(caught.value)


def test_another_kind_of_credential_is_not_loaded() -> None:
    with pytest.raises(ValueError, match="'ManagedIdentityCredential' cannot be loaded"):
        ComponentLoader.load_component(
            SAVED | {"config": {"provider_kind": "ManagedIdentityCredential", "scopes": []}}, AzureTokenProvider
        )


async def test_the_client_for_azure_openai_is_saved_with_its_provider() -> None:
    client = AzureOpenAIChatCompletionClient(
        model="gpt-4o",
        azure_endpoint="https://name.openai.azure.com",
        api_version="2024-06-01",
        azure_ad_token_provider=AzureTokenProvider(DefaultAzureCredential(), SCOPE),
    )
    saved = client.dump_component()
    assert saved.config["azure_ad_token_provider"]["config"] == SAVED["config"]
    again = AzureOpenAIChatCompletionClient.load_component(saved)
    assert isinstance(again, AzureOpenAIChatCompletionClient)
    await client.close()
    await again.close()
