"""How clients of OpenAI and Azure OpenAI are configured: arguments of their constructors, and their saved form.

Stands on the model contract and components; must not import the SDK.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Required, cast

from pydantic import BaseModel, SecretStr, field_serializer, field_validator
from typing_extensions import TypedDict

from autogen_core import ComponentModel
from autogen_core.models import ModelCapabilities, ModelInfo  # pyright: ignore[reportDeprecated] - saved by old programs

_SECRET = re.compile(r"authorization|api[-_]?key|token|secret|password|cookie", re.IGNORECASE)
"""Is found in the names of headers whose values are nobody's business."""

AsyncAzureADTokenProvider = Callable[[], str | Awaitable[str]]
"""Returns a token for Azure each time it is called."""


class JSONSchema(TypedDict, total=False):
    """The schema that a structured answer follows."""

    name: Required[str]
    """A name for it: letters, digits, `_` and `-`, up to 64."""
    description: str
    """What the answer is for; the model reads it."""
    schema: dict[str, object]
    """The JSON schema."""
    strict: bool | None
    """Follow the schema exactly; then only a part of JSON schema may be used in it."""


class ResponseFormat(TypedDict):
    """The form of an answer."""

    type: Literal["text", "json_object", "json_schema"]
    """Text, any JSON object, or JSON that follows `json_schema`."""
    json_schema: JSONSchema | None
    """The schema, for the type `json_schema`."""


class StreamOptions(TypedDict):
    """What a stream carries beside the answer."""

    include_usage: bool
    """Send the number of tokens at the end of a stream."""


class CreateArguments(TypedDict, total=False):
    """Arguments of every request; see the provider's reference. What is left out is the provider's default."""

    frequency_penalty: float | None
    """Against repetition by frequency, from -2 to 2."""
    logit_bias: dict[str, int] | None
    """Token ids and how much more or less likely each is to be, from -100 to 100."""
    max_tokens: int | None
    """Tokens that an answer may have."""
    n: int | None
    """Not supported: a client returns one answer. Setting it is a `ValueError`."""
    presence_penalty: float | None
    """Against repetition of any kind, from -2 to 2."""
    response_format: ResponseFormat
    """The form of answers. For structured output give `json_output` to the call instead."""
    seed: int | None
    """For repeatable answers, as far as the provider can."""
    stop: str | list[str] | None
    """Texts that end an answer."""
    temperature: float | None
    """How freely tokens are drawn, from 0 to 2."""
    top_p: float | None
    """Draw from the likeliest tokens that together have this probability."""
    user: str
    """Who the end user is, for the provider."""
    stream_options: StreamOptions | None
    """What streams carry; has no effect on calls that do not stream."""
    parallel_tool_calls: bool | None
    """Whether one answer may hold several tool calls."""
    reasoning_effort: Literal["minimal", "low", "medium", "high"] | None
    """How much a reasoning model thinks."""


class BaseOpenAIClientConfiguration(CreateArguments, total=False):
    """Arguments of both clients."""

    model: str
    """The name of the model. Must be given."""
    api_key: str
    """The key; by default that of the environment variable `OPENAI_API_KEY`."""
    timeout: float | None
    """Seconds that a request may take; by default the SDK's, ten minutes."""
    max_retries: int
    """How often the SDK repeats a request that failed for a passing reason; by default 2."""
    model_capabilities: ModelCapabilities  # pyright: ignore[reportDeprecated] - see above
    """Deprecated form of `model_info`."""
    model_info: ModelInfo
    """What the model can do; needed for models whose name is not known here."""
    add_name_prefixes: bool
    """Begin each user message with its author: `"NAME said:"`. For models that do not read the field `name`."""
    include_name_in_message: bool
    """Send the author of a user message in its field `name`. For servers that refuse it, turn it off. Default: on."""
    default_headers: dict[str, str] | None
    """Headers of every request."""


class OpenAIClientConfiguration(BaseOpenAIClientConfiguration, total=False):
    """Arguments of `OpenAIChatCompletionClient`."""

    organization: str
    """The organisation to which requests are charged."""
    base_url: str
    """Where a server speaks OpenAI's protocol; by default the environment variable `OPENAI_BASE_URL`, or OpenAI."""


class AzureOpenAIClientConfiguration(BaseOpenAIClientConfiguration, total=False):
    """Arguments of `AzureOpenAIChatCompletionClient`."""

    azure_endpoint: Required[str]
    """The resource: `https://NAME.openai.azure.com`."""
    azure_deployment: str
    """The deployment; by default that of the name of the model."""
    api_version: Required[str]
    """Version of the API, a date."""
    azure_ad_token: str
    """A token of Microsoft Entra ID, instead of a key."""
    azure_ad_token_provider: AsyncAzureADTokenProvider
    """Returns such a token for each request. For a client that is saved it must be a component."""


class CreateArgumentsConfigModel(BaseModel):
    """Saved form of `CreateArguments`."""

    frequency_penalty: float | None = None
    logit_bias: dict[str, int] | None = None
    max_tokens: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    response_format: ResponseFormat | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    stream_options: StreamOptions | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["minimal", "low", "medium", "high"] | None = None

    @field_validator("response_format", mode="before")
    @classmethod
    def _complete(cls, value: object) -> object:
        """Put back the empty entry that is lost when a configuration is dumped without its `None` values."""
        if isinstance(value, dict):
            return {"json_schema": None, **cast("dict[str, object]", value)}
        return value


class BaseOpenAIClientConfigurationConfigModel(CreateArgumentsConfigModel):
    """Saved form of `BaseOpenAIClientConfiguration`. The key, and keys in headers, print as asterisks."""

    model: str
    api_key: SecretStr | None = None
    timeout: float | None = None
    max_retries: int | None = None
    model_capabilities: ModelCapabilities | None = None  # pyright: ignore[reportDeprecated] - see above
    model_info: ModelInfo | None = None
    add_name_prefixes: bool | None = None
    include_name_in_message: bool | None = None
    default_headers: dict[str, str] | None = None

    @field_validator("default_headers", mode="before")
    @classmethod
    def _reveal_headers(cls, value: Any) -> Any:
        """Take headers as they were dumped; one that was saved as asterisks is none."""
        if not isinstance(value, dict):
            return value
        headers = {name: _revealed(header) for name, header in cast("dict[str, Any]", value).items()}
        return {name: header for name, header in headers.items() if header is not None}

    @field_serializer("default_headers")
    def _hide_headers(self, headers: dict[str, str] | None) -> dict[str, str | SecretStr] | None:
        if headers is None:
            return None
        return {name: SecretStr(value) if _SECRET.search(name) else value for name, value in headers.items()}


class OpenAIClientConfigurationConfigModel(BaseOpenAIClientConfigurationConfigModel):
    """Saved form of `OpenAIClientConfiguration`."""

    organization: str | None = None
    base_url: str | None = None


class AzureOpenAIClientConfigurationConfigModel(BaseOpenAIClientConfigurationConfigModel):
    """Saved form of `AzureOpenAIClientConfiguration`."""

    azure_endpoint: str
    azure_deployment: str | None = None
    api_version: str
    azure_ad_token: str | None = None
    azure_ad_token_provider: ComponentModel | None = None

    @field_validator("azure_ad_token", mode="before")
    @classmethod
    def _reveal_token(cls, value: Any) -> Any:
        return _revealed(value)

    @field_serializer("azure_ad_token")
    def _hide_token(self, token: str | None) -> SecretStr | None:
        return None if token is None else SecretStr(token)


def _revealed(value: Any) -> Any:
    """Return what a dumped secret says; `None` if it was saved as asterisks."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return None if isinstance(text, str) and text and not text.strip("*") else text
