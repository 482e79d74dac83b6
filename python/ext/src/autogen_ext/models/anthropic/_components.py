"""The clients that users make: for Anthropic's API, and for Anthropic's models on Bedrock. They differ in configuration only.

Stands on `_client` and `config`; the SDK is loaded when the first client is made.
"""

import inspect
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, Self, cast

from pydantic import SecretStr
from typing_extensions import Unpack

from autogen_core import Component
from autogen_core.models import ModelFamily, ModelInfo

from ._client import BaseAnthropicChatCompletionClient
from ._request import request_arguments
from .config import (
    AnthropicBedrockClientConfiguration,
    AnthropicBedrockClientConfigurationConfigModel,
    AnthropicClientConfiguration,
    AnthropicClientConfigurationConfigModel,
)

_OWN_ARGUMENTS = frozenset({"model_capabilities", "model_info", "bedrock_info"})


class AnthropicChatCompletionClient(
    BaseAnthropicChatCompletionClient, Component[AnthropicClientConfigurationConfigModel]
):
    """Chat completion client for Anthropic's Claude models, and for any server that speaks Anthropic's protocol.

    Args:
        kwargs: See `AnthropicClientConfiguration`. Any argument of the SDK's `AsyncAnthropic` and of its
            `messages.create` may be given as well, such as `http_client`, `cache_control` or `output_config`. Without
            `api_key` the SDK looks for `ANTHROPIC_API_KEY`, and then for its other kinds of credentials.

    Raises:
        ValueError: No model is named, or an argument cannot be set.
    """

    component_type = "model"
    component_config_schema = AnthropicClientConfigurationConfigModel
    component_provider_override = "autogen_ext.models.anthropic.AnthropicChatCompletionClient"

    def __init__(self, **kwargs: Unpack[AnthropicClientConfiguration]) -> None:
        self._configure(dict(kwargs))

    def _configure(self, arguments: dict[str, Any]) -> None:
        _check_model(arguments, type(self).__name__)
        self._raw_config = dict(arguments)
        import anthropic

        names = _keywords_of(anthropic.AsyncAnthropic)
        client = anthropic.AsyncAnthropic(**_for_sdk(arguments, names))
        super().__init__(client, **_own_arguments(arguments, names))

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the connections; the key is part of it."""
        return {name: value for name, value in vars(self).items() if name != "_client"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state and open new connections when they are needed."""
        self._configure(dict(state["_raw_config"]))
        vars(self).update(state)

    def _to_config(self) -> AnthropicClientConfigurationConfigModel:
        schema = AnthropicClientConfigurationConfigModel
        return schema(**{name: value for name, value in self._raw_config.items() if name in schema.model_fields})

    @classmethod
    def _from_config(cls, config: AnthropicClientConfigurationConfigModel) -> Self:
        return cls(**cast("AnthropicClientConfiguration", _arguments_of(config)))


class AnthropicBedrockChatCompletionClient(
    BaseAnthropicChatCompletionClient, Component[AnthropicBedrockClientConfigurationConfigModel]
):
    """Chat completion client for Anthropic's Claude models on Amazon Bedrock.

    Args:
        kwargs: See `AnthropicBedrockClientConfiguration`. Any argument of the SDK's `AsyncAnthropicBedrock` and of its
            `messages.create` may be given as well. Without `bedrock_info` the AWS SDK looks for credentials.

    Raises:
        ValueError: No model or region is named, or an argument cannot be set.
    """

    component_type = "model"
    component_config_schema = AnthropicBedrockClientConfigurationConfigModel
    component_provider_override = "autogen_ext.models.anthropic.AnthropicBedrockChatCompletionClient"

    _provider = "aws.bedrock"
    _key_setting = "the argument bedrock_info, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"

    def __init__(self, **kwargs: Unpack[AnthropicBedrockClientConfiguration]) -> None:
        self._configure(dict(kwargs))

    def _configure(self, arguments: dict[str, Any]) -> None:
        _check_model(arguments, type(self).__name__)
        self._raw_config = dict(arguments)
        from anthropic.lib.bedrock import AsyncAnthropicBedrock

        info: Mapping[str, str] = arguments.get("bedrock_info") or {}
        account = {name: value for name, value in info.items() if value}
        if "aws_secret_key" in account:
            arguments.pop("api_key", None)  # the SDK takes one kind of credentials
        names = _keywords_of(AsyncAnthropicBedrock)
        client = AsyncAnthropicBedrock(**_for_sdk({**arguments, **account}, names))
        super().__init__(client, **_own_arguments(arguments, names))

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the connections; the secrets are part of it."""
        return {name: value for name, value in vars(self).items() if name != "_client"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state and open new connections when they are needed."""
        self._configure(dict(state["_raw_config"]))
        vars(self).update(state)

    def _to_config(self) -> AnthropicBedrockClientConfigurationConfigModel:
        schema = AnthropicBedrockClientConfigurationConfigModel
        arguments = {name: value for name, value in self._raw_config.items() if name in schema.model_fields}
        if arguments.get("bedrock_info"):
            empty = {"aws_access_key": "", "aws_secret_key": "", "aws_session_token": "", "aws_region": ""}
            arguments["bedrock_info"] = {**empty, **arguments["bedrock_info"]}
        return schema(**arguments)

    @classmethod
    def _from_config(cls, config: AnthropicBedrockClientConfigurationConfigModel) -> Self:
        arguments = _arguments_of(config)
        info = arguments.get("bedrock_info")
        if info is not None:
            revealed = {name: _revealed(value) for name, value in info.items()}
            arguments["bedrock_info"] = {name: value for name, value in revealed.items() if value}
        return cls(**cast("AnthropicBedrockClientConfiguration", arguments))


def _check_model(arguments: Mapping[str, Any], name: str) -> None:
    if not arguments.get("model"):
        raise ValueError(f"model is required for {name}: pass its name, such as model='claude-opus-5-5'.")


def _for_sdk(arguments: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Return the arguments of the SDK's client. It makes no spans of its own: there would be two for each call."""
    taken = {name: value for name, value in arguments.items() if name in names}
    for name in ("max_retries", "api_key", "base_url"):
        if taken.get(name, "") is None:
            del taken[name]
    if "open_telemetry" in names:
        taken.setdefault("open_telemetry", False)
    return taken


@cache
def _keywords_of(client: type) -> frozenset[str]:
    return frozenset(name for name in inspect.signature(client).parameters if not name.startswith("_"))


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
    per_request = {name: value for name, value in arguments.items() if name in known and name not in of_client}
    return {"create_args": per_request, "model_info": _model_info(arguments)}


def _model_info(arguments: Mapping[str, Any]) -> ModelInfo | None:
    """Return what the user says that the model can do."""
    info, capabilities = arguments.get("model_info"), arguments.get("model_capabilities")
    if capabilities is None:
        return info
    if info is not None:
        raise ValueError("model_capabilities and model_info are mutually exclusive: pass model_info alone.")
    warnings.warn("model_capabilities is deprecated, use model_info instead.", DeprecationWarning, stacklevel=5)
    return ModelInfo(**capabilities, family=ModelFamily.UNKNOWN, structured_output=False)


def _arguments_of(config: AnthropicClientConfigurationConfigModel) -> dict[str, Any]:
    """Return the arguments that a saved configuration holds; a key that was saved as asterisks is none."""
    arguments = {
        name: value
        for name, value in config.model_dump(exclude_unset=True).items()
        if value is not None or name == "timeout"  # no timeout is something else than the default one
    }
    key = _revealed(arguments.pop("api_key", ""))
    return {**arguments, "api_key": key} if key else arguments


def _revealed(value: SecretStr | str | None) -> str:
    """Return a secret; none if only asterisks were saved of it."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return text if text and text.strip("*") else ""
