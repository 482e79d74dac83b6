"""How clients of Anthropic's models are configured: arguments of their constructors, and their saved form.

Stands on the model contract and components; must not import the SDK.
"""

from typing import Any, Literal, Required

from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

from autogen_core.models import ModelCapabilities, ModelInfo  # pyright: ignore[reportDeprecated] - saved by old programs


class ResponseFormat(TypedDict):
    """The form of an answer."""

    type: Literal["text", "json_object"]
    """Text, or any JSON object."""


class ThinkingConfig(TypedDict, total=False):
    """Whether the model thinks before it answers."""

    type: Required[Literal["enabled", "disabled", "adaptive"]]
    """`adaptive` leaves it to the model how much it thinks; older models know `enabled` only, newer ones refuse it."""
    budget_tokens: int | None
    """Tokens that it may think, for `enabled`: 1,024 at least, and fewer than `max_tokens`."""


class CreateArguments(TypedDict, total=False):
    """Arguments of every request; see Anthropic's reference. What is left out is the provider's default."""

    model: str
    """The name of the model. Must be given."""
    max_tokens: int | None
    """Tokens that an answer may have, thoughts included. By default 4,096, beside the budget for thinking."""
    temperature: float | None
    """How freely tokens are drawn, from 0 to 1. Newer models refuse it."""
    top_p: float | None
    """Draw from the likeliest tokens that together have this probability. Newer models refuse it."""
    top_k: int | None
    """Draw from so many of the likeliest tokens. Newer models refuse it."""
    stop_sequences: list[str] | None
    """Texts that end an answer."""
    response_format: ResponseFormat | None
    """The form of answers. For structured output give `json_output` to the call instead."""
    metadata: dict[str, str] | None
    """For the provider: `user_id` says who the end user is."""
    thinking: ThinkingConfig | None
    """Whether the model thinks before it answers."""


class BaseAnthropicClientConfiguration(CreateArguments, total=False):
    """Arguments of both clients."""

    api_key: str
    """The key; by default that of the environment variable `ANTHROPIC_API_KEY`."""
    base_url: str | None
    """Where a server speaks Anthropic's protocol; by default the variable `ANTHROPIC_BASE_URL`, or Anthropic."""
    model_capabilities: ModelCapabilities  # pyright: ignore[reportDeprecated] - see above
    """Deprecated form of `model_info`."""
    model_info: ModelInfo
    """What the model can do; needed for models whose name is not known here."""
    timeout: float | None
    """Seconds that a request may take; by default the SDK's, ten minutes."""
    max_retries: int | None
    """How often the SDK repeats a request that failed for a passing reason; by default 2."""
    default_headers: dict[str, str] | None
    """Headers of every request."""


class AnthropicClientConfiguration(BaseAnthropicClientConfiguration, total=False):
    """Arguments of `AnthropicChatCompletionClient`."""

    tools: list[dict[str, Any]] | None
    """Tools of every request in Anthropic's own form, such as its web search."""
    tool_choice: Literal["auto", "any", "none"] | dict[str, Any] | None
    """Whether the model must call tools, for calls that do not say otherwise."""


class BedrockInfo(TypedDict):
    """An account at Amazon Web Services."""

    aws_access_key: str
    """The access key's id."""
    aws_secret_key: str
    """The secret that goes with it."""
    aws_session_token: str
    """The token of temporary credentials; empty for lasting ones."""
    aws_region: str
    """Where the model is hosted, such as `us-east-1`."""


class AnthropicBedrockClientConfiguration(AnthropicClientConfiguration, total=False):
    """Arguments of `AnthropicBedrockChatCompletionClient`."""

    bedrock_info: BedrockInfo
    """The account; by default what the AWS SDK finds: `AWS_ACCESS_KEY_ID`, `AWS_REGION`, a profile, a role."""


class ThinkingConfigModel(BaseModel):
    """Saved form of `ThinkingConfig`."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = None


class CreateArgumentsConfigModel(BaseModel):
    """Saved form of `CreateArguments`."""

    model: str
    max_tokens: int | None = 4096
    temperature: float | None = 1.0
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    response_format: ResponseFormat | None = None
    metadata: dict[str, str] | None = None
    thinking: ThinkingConfigModel | None = None


class BaseAnthropicClientConfigurationConfigModel(CreateArgumentsConfigModel):
    """Saved form of `BaseAnthropicClientConfiguration`. The key prints as asterisks."""

    api_key: SecretStr | None = None
    base_url: str | None = None
    model_capabilities: ModelCapabilities | None = None  # pyright: ignore[reportDeprecated] - see above
    model_info: ModelInfo | None = None
    timeout: float | None = None
    max_retries: int | None = None
    default_headers: dict[str, str] | None = None


class AnthropicClientConfigurationConfigModel(BaseAnthropicClientConfigurationConfigModel):
    """Saved form of `AnthropicClientConfiguration`."""

    tools: list[dict[str, Any]] | None = None
    tool_choice: Literal["auto", "any", "none"] | dict[str, Any] | None = None


class BedrockInfoConfigModel(TypedDict):
    """Saved form of `BedrockInfo`. The secrets print as asterisks."""

    aws_access_key: SecretStr
    aws_session_token: SecretStr
    aws_region: str
    aws_secret_key: SecretStr


class AnthropicBedrockClientConfigurationConfigModel(AnthropicClientConfigurationConfigModel):
    """Saved form of `AnthropicBedrockClientConfiguration`."""

    bedrock_info: BedrockInfoConfigModel | None = None
