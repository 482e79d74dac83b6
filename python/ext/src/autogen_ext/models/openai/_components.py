"""The clients that users make: for OpenAI and whoever speaks its protocol, and for Azure. They differ in configuration only.

Stands on `_client` and `config`; the SDK is loaded when the first client is made.
"""

import inspect
import os
import warnings
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import SecretStr
from typing_extensions import Unpack

from autogen_core import Component, ComponentLoader, is_component_instance
from autogen_ext import __version__

from ._client import BaseOpenAIChatCompletionClient
from ._models import OPENAI, endpoint_of
from ._request import request_arguments
from .config import (
    AzureOpenAIClientConfiguration,
    AzureOpenAIClientConfigurationConfigModel,
    BaseOpenAIClientConfigurationConfigModel,
    OpenAIClientConfiguration,
    OpenAIClientConfigurationConfigModel,
)

if TYPE_CHECKING:
    from openai import AsyncAzureOpenAI, AsyncOpenAI

AZURE_OPENAI_USER_AGENT = f"autogen-python/{__version__}"
"""How requests to Azure name this library."""

_OWN_ARGUMENTS = frozenset({"model_capabilities", "model_info", "add_name_prefixes", "include_name_in_message"})


class OpenAIChatCompletionClient(BaseOpenAIChatCompletionClient, Component[OpenAIClientConfigurationConfigModel]):
    """Chat completion client for OpenAI's models, and for any server that speaks OpenAI's protocol.

    Models whose names begin with `gemini-`, `claude-` and `Llama-` are asked for at their makers, with the key in
    `GEMINI_API_KEY`, `ANTHROPIC_API_KEY` or `LLAMA_API_KEY`, unless `base_url` names another server.

    Args:
        kwargs: See `OpenAIClientConfiguration`. Any argument of the SDK's `AsyncOpenAI` and of its
            `chat.completions.create` may be given as well, such as `http_client` or `extra_body`.

    Raises:
        MissingApiKeyError: No key is given or set in the environment. An `openai.OpenAIError` and a `ValueError`.
        ValueError: No model is named, or an argument cannot be set.
    """

    component_type = "model"
    component_config_schema = OpenAIClientConfigurationConfigModel
    component_provider_override = "autogen_ext.models.openai.OpenAIChatCompletionClient"

    def __init__(self, **kwargs: Unpack[OpenAIClientConfiguration]) -> None:
        self._configure(dict(kwargs))

    def _configure(self, arguments: dict[str, Any]) -> None:
        if not arguments.get("model"):
            raise ValueError("model is required for OpenAIChatCompletionClient: pass its name, such as model='gpt-4o'.")
        self._raw_config = dict(arguments)
        endpoint = endpoint_of(arguments["model"])
        if endpoint is not OPENAI:
            if not arguments.get("api_key"):
                arguments["api_key"] = self._key_of_maker(endpoint.key_variable, arguments)
            arguments["base_url"] = arguments.get("base_url") or endpoint.base_url
        super().__init__(_make_openai_client(arguments), **_own_arguments(arguments, _openai_arguments()))

    @staticmethod
    def _key_of_maker(variable: str, arguments: Mapping[str, Any]) -> str | None:
        """Return the key of a model's maker; the key for OpenAI is never sent there instead."""
        key = os.environ.get(variable)
        if not key and not arguments.get("base_url"):
            from ._errors import MissingApiKeyError

            raise MissingApiKeyError("OpenAIChatCompletionClient", variable)
        return key

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the connections; the key is part of it."""
        return {name: value for name, value in vars(self).items() if name != "_client"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state and open new connections when they are needed."""
        self._configure(dict(state["_raw_config"]))
        vars(self).update(state)

    def _to_config(self) -> OpenAIClientConfigurationConfigModel:
        return OpenAIClientConfigurationConfigModel(**_savable(self._raw_config, OpenAIClientConfigurationConfigModel))

    @classmethod
    def _from_config(cls, config: OpenAIClientConfigurationConfigModel) -> Self:
        return cls(**cast("OpenAIClientConfiguration", _arguments_of(config)))


class AzureOpenAIChatCompletionClient(
    BaseOpenAIChatCompletionClient, Component[AzureOpenAIClientConfigurationConfigModel]
):
    """Chat completion client for models that Azure OpenAI hosts.

    Args:
        kwargs: See `AzureOpenAIClientConfiguration`. Any argument of the SDK's `AsyncAzureOpenAI` and of its
            `chat.completions.create` may be given as well. The key may also stand in `AZURE_OPENAI_API_KEY`.

    Raises:
        MissingApiKeyError: Neither key nor token is given or set. An `openai.OpenAIError` and a `ValueError`.
        ValueError: No model, endpoint or version of the API is named, or an argument cannot be set.
    """

    component_type = "model"
    component_config_schema = AzureOpenAIClientConfigurationConfigModel
    component_provider_override = "autogen_ext.models.openai.AzureOpenAIChatCompletionClient"

    def __init__(self, **kwargs: Unpack[AzureOpenAIClientConfiguration]) -> None:
        self._configure(dict(kwargs))

    def _configure(self, arguments: dict[str, Any]) -> None:
        if not arguments.get("model"):
            raise ValueError("model is required for AzureOpenAIChatCompletionClient: pass the name of the model.")
        self._raw_config = dict(arguments)
        headers = dict(arguments.get("default_headers") or {})
        agent = headers.get("User-Agent")
        headers["User-Agent"] = f"{AZURE_OPENAI_USER_AGENT} {agent}" if agent else AZURE_OPENAI_USER_AGENT
        arguments["default_headers"] = headers
        super().__init__(_make_azure_client(arguments), **_own_arguments(arguments, _azure_arguments()))

    @property
    def _key_variable(self) -> str:
        return "AZURE_OPENAI_API_KEY"

    @property
    def _telemetry_name(self) -> str:
        return "azure.ai.openai"

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the connections; the key is part of it."""
        return {name: value for name, value in vars(self).items() if name != "_client"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state and open new connections when they are needed."""
        self._configure(dict(state["_raw_config"]))
        vars(self).update(state)

    def _to_config(self) -> AzureOpenAIClientConfigurationConfigModel:
        arguments = _savable(self._raw_config, AzureOpenAIClientConfigurationConfigModel)
        provider = arguments.get("azure_ad_token_provider")
        if provider is not None:
            if not is_component_instance(provider):
                raise ValueError(
                    "azure_ad_token_provider cannot be saved: it must be a component, such as "
                    "autogen_ext.auth.azure.AzureTokenProvider."
                )
            arguments["azure_ad_token_provider"] = provider.dump_component()
        return AzureOpenAIClientConfigurationConfigModel(**arguments)

    @classmethod
    def _from_config(cls, config: AzureOpenAIClientConfigurationConfigModel) -> Self:
        arguments = _arguments_of(config)
        if config.azure_ad_token_provider is not None:
            provider = ComponentLoader.load_component(config.azure_ad_token_provider, object)
            if not callable(provider):
                raise ValueError(
                    f"azure_ad_token_provider {config.azure_ad_token_provider.provider!r} cannot be called for a token."
                )
            arguments["azure_ad_token_provider"] = provider
        return cls(**cast("AzureOpenAIClientConfiguration", arguments))


def _make_openai_client(arguments: Mapping[str, Any]) -> "AsyncOpenAI":
    import openai

    taken = {name: value for name, value in arguments.items() if name in _openai_arguments()}
    taken["http_client"] = taken.get("http_client") or _http_client()
    try:
        return openai.AsyncOpenAI(**taken)
    except openai.OpenAIError as error:
        from ._errors import MissingApiKeyError

        hint = " Without any key, LocalChatCompletionClient of autogen_ext.models.local runs a model in this process."
        raise MissingApiKeyError("OpenAIChatCompletionClient", OPENAI.key_variable, hint) from error


def _make_azure_client(arguments: Mapping[str, Any]) -> "AsyncAzureOpenAI":
    import openai

    taken = {name: value for name, value in arguments.items() if name in _azure_arguments()}
    taken["http_client"] = taken.get("http_client") or _http_client()
    try:
        return openai.AsyncAzureOpenAI(**taken)
    except openai.OpenAIError as error:
        from ._errors import MissingApiKeyError

        hint = " Or pass azure_ad_token_provider=... ."
        raise MissingApiKeyError("AzureOpenAIChatCompletionClient", "AZURE_OPENAI_API_KEY", hint) from error


def _http_client() -> Any:
    from ._http import PreparedHttpClient

    return PreparedHttpClient()


@cache
def _openai_arguments() -> frozenset[str]:
    from openai import AsyncOpenAI

    return _keywords_of(AsyncOpenAI)


@cache
def _azure_arguments() -> frozenset[str]:
    from openai import AsyncAzureOpenAI

    return _keywords_of(AsyncAzureOpenAI)


def _keywords_of(client: type) -> frozenset[str]:
    names = inspect.signature(client).parameters
    return frozenset(name for name in names if not name.startswith("_"))


def _own_arguments(arguments: Mapping[str, Any], of_client: frozenset[str]) -> dict[str, Any]:
    """Return the arguments of the base class; warn of those that nobody takes, for they are often misspelt."""
    known = request_arguments()
    unknown = sorted(arguments.keys() - known - of_client - _OWN_ARGUMENTS)
    if unknown:
        warnings.warn(
            f"Unknown arguments of the client are ignored: {', '.join(unknown)}. What the SDK does not know goes into "
            "extra_body={...}.",
            stacklevel=4,
        )
    own = {name: value for name, value in arguments.items() if name in _OWN_ARGUMENTS and value is not None}
    per_request = {name: value for name, value in arguments.items() if name in known and name not in of_client}
    return {**own, "create_args": per_request}


def _savable(arguments: Mapping[str, Any], schema: type[BaseOpenAIClientConfigurationConfigModel]) -> dict[str, Any]:
    """Return the arguments that a saved configuration has a place for."""
    return {name: value for name, value in arguments.items() if name in schema.model_fields}


def _arguments_of(config: BaseOpenAIClientConfigurationConfigModel) -> dict[str, Any]:
    """Return the arguments that a saved configuration holds; a key that was saved as asterisks is none."""
    given: dict[str, Any] = {name: getattr(config, name) for name in config.model_fields_set}
    arguments = {
        name: value
        for name, value in given.items()
        if value is not None or name == "timeout"  # no timeout is something else than the default one
    }
    key: SecretStr | None = arguments.pop("api_key", None)
    secret = key.get_secret_value() if key is not None else ""
    if secret.strip("*"):
        arguments["api_key"] = secret
    return arguments
