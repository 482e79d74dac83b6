"""How the client for Ollama is configured: arguments of its constructor, and their saved form.

Stands on the model contract and the SDK's type for options.
"""

from collections.abc import Mapping
from typing import Any

from ollama import Options
from pydantic import BaseModel
from typing_extensions import TypedDict

from autogen_core.models import ModelCapabilities, ModelInfo  # pyright: ignore[reportDeprecated] - saved by old programs


class CreateArguments(TypedDict, total=False):
    """Arguments of every request."""

    model: str
    """The name of the model, as `ollama list` shows it. Must be given."""
    host: str | None
    """Where Ollama is; by default the environment variable `OLLAMA_HOST`, or this machine."""
    response_format: Any
    """The form of answers: `"json"`, a JSON schema, or a pydantic class. Better give `json_output` to the call."""


class BaseOllamaClientConfiguration(CreateArguments, total=False):
    """Arguments of `OllamaChatCompletionClient`."""

    follow_redirects: bool
    """Go where a redirecting server points. Default: on."""
    timeout: Any
    """Seconds that a request may take, or an `httpx.Timeout`; by default there is no limit."""
    headers: Mapping[str, str] | None
    """Headers of every request. A key for Ollama's cloud also comes from the environment variable `OLLAMA_API_KEY`."""
    model_capabilities: ModelCapabilities  # pyright: ignore[reportDeprecated] - see above
    """Deprecated form of `model_info`."""
    model_info: ModelInfo
    """What the model can do; by default what is known about its name."""
    options: Mapping[str, Any] | Options | None
    """Parameters of the model: `temperature`, `num_ctx`, `num_predict`, `seed`, `stop`, ..."""


class CreateArgumentsConfigModel(BaseModel):
    """Saved form of `CreateArguments`."""

    model: str
    host: str | None = None
    response_format: Any = None


class BaseOllamaClientConfigurationConfigModel(CreateArgumentsConfigModel):
    """Saved form of `BaseOllamaClientConfiguration`."""

    follow_redirects: bool = True
    timeout: Any = None
    headers: Mapping[str, str] | None = None
    model_capabilities: ModelCapabilities | None = None  # pyright: ignore[reportDeprecated] - see above
    model_info: ModelInfo | None = None
    options: Mapping[str, Any] | Options | None = None
