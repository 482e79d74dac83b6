"""How the client for Azure AI is configured: arguments of its constructor. Stands on the model contract and SDK types."""

from typing import Any, Literal

from azure.ai.inference.models import (
    ChatCompletionsNamedToolChoice,
    ChatCompletionsToolChoicePreset,
    ChatCompletionsToolDefinition,
)
from azure.core.credentials import AzureKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from typing_extensions import TypedDict

from autogen_core.models import ModelInfo

GITHUB_MODELS_ENDPOINT: str = "https://models.github.ai/inference"
"""The endpoint of GitHub Models; the credential there is a GitHub token."""


class JsonSchemaFormat(TypedDict, total=False):
    """The schema that a structured answer follows."""

    name: str
    """A name for it."""
    schema: dict[str, Any]
    """The JSON schema."""
    description: str | None
    """What the answer is for; the model reads it."""
    strict: bool | None
    """Follow the schema exactly."""


class AzureAIClientArguments(TypedDict, total=False):
    """Where requests go, and in whose name."""

    endpoint: str
    """The endpoint: of Azure AI Foundry, of a serverless deployment, or `GITHUB_MODELS_ENDPOINT`. Must be given."""
    credential: AzureKeyCredential | AsyncTokenCredential
    """A key, or an asynchronous credential of `azure.identity.aio`. Must be given."""
    model_info: ModelInfo
    """What the model can do; needed for models whose name is not known here."""


class AzureAICreateArguments(TypedDict, total=False):
    """Arguments of every request; see the SDK's `ChatCompletionsClient.complete`."""

    frequency_penalty: float | None
    """Against repetition by frequency, from -2 to 2."""
    presence_penalty: float | None
    """Against repetition of any kind, from -2 to 2."""
    temperature: float | None
    """How freely tokens are drawn."""
    top_p: float | None
    """Draw from the likeliest tokens that together have this probability."""
    max_tokens: int | None
    """Tokens that an answer may have."""
    response_format: Literal["text", "json_object"] | None
    """The form of answers. Better give `json_output` to the call."""
    stop: list[str] | None
    """Texts that end an answer."""
    tools: list[ChatCompletionsToolDefinition] | None
    """Tools of calls that are given none."""
    tool_choice: str | ChatCompletionsToolChoicePreset | ChatCompletionsNamedToolChoice | None
    """The choice among these tools."""
    seed: int | None
    """For repeatable answers, as far as the provider can."""
    model: str | None
    """The model, where an endpoint serves several."""
    model_extras: dict[str, Any] | None
    """Further fields of the request, passed through to the model."""


class AzureAIChatCompletionClientConfig(AzureAIClientArguments, AzureAICreateArguments, total=False):
    """Arguments of `AzureAIChatCompletionClient`."""
