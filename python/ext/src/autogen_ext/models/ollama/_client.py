"""The client for Ollama: `create` and `create_stream` on the SDK's public `AsyncClient.chat`, and its configuration.

Stands on `_flow`, `_request`, `_decode`, `_errors` and the SDK.
"""

import inspect
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Self, cast

import httpx
from ollama import AsyncClient
from typing_extensions import Unpack

from autogen_core import Component
from autogen_core.models import (
    ChatCompletionClient,
    LLMMessage,
    ModelCapabilities,  # pyright: ignore[reportDeprecated] - part of the contract
    ModelFamily,
    ModelInfo,
    validate_model_info,
)
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models._shared._answer import Answer
from autogen_ext.models._shared._flow import Asked, FlowingClient, Request
from autogen_ext.models._shared._tokens import count_messages, count_tools, token_counter
from autogen_ext.models._shared._tools import tool_specs

from ._decode import read
from ._encode import countable, loggable
from ._errors import explaining
from ._models import context_of, info_of, thinks
from ._request import build, create_arguments, option_names, request_arguments
from .config import BaseOllamaClientConfiguration, BaseOllamaClientConfigurationConfigModel

_OWN_ARGUMENTS = frozenset({"model_capabilities", "model_info"})
_ARGUMENTS_OF_BASE = frozenset({"host", "follow_redirects", "timeout", "headers"})


class BaseOllamaChatCompletionClient(FlowingClient):
    """What a client for Ollama is without its configuration. Make an `OllamaChatCompletionClient`.

    Args:
        client: The SDK's client.
        create_args: Arguments of every request; `model` must be among them.
        model_capabilities: Deprecated form of `model_info`.
        model_info: What the model can do; by default what is known about its name.

    Raises:
        ValueError: No model is named, or `model_info` lacks something.
    """

    _provider: ClassVar[str] = "ollama"

    def __init__(
        self,
        client: AsyncClient,
        *,
        create_args: dict[str, Any],
        model_capabilities: ModelCapabilities | None = None,  # pyright: ignore[reportDeprecated] - part of the contract
        model_info: ModelInfo | None = None,
    ) -> None:
        model: str | None = create_args.get("model")
        if not model:
            raise ValueError(f"model is required for {type(self).__name__}: pass its name, such as model='llama3.2'.")
        super().__init__(model, _model_info(model, model_capabilities, model_info))
        self._client = client
        self._create_args = create_args
        self._server = str(self._http.base_url)

    @classmethod
    def create_from_config(cls, config: dict[str, Any]) -> ChatCompletionClient:
        """Make an `OllamaChatCompletionClient` from its arguments, whatever class this is called on."""
        # The contract has the base make its subclass. Going through the front door keeps that out of the imports.
        package: Any = import_module("autogen_ext.models.ollama")
        client: ChatCompletionClient = package.OllamaChatCompletionClient(**config)
        return client

    def get_create_args(self) -> Mapping[str, Any]:
        """Return the arguments of every request."""
        return self._create_args

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return about how many tokens a conversation takes: Ollama does not tell, so another model's tables are used.

        Blocks for the file or the network at first use, at most 3 seconds; never raises for want of a table.
        """
        count = token_counter(self._model)
        return count_messages(countable(messages), count) + count_tools(tool_specs(tools), count)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return about how many tokens of the context are left beside a conversation; negative if it is too long.

        The context is what the option `num_ctx` says, or the most that the model can take; of a model that is not known,
        4,096 tokens.
        """
        options: Mapping[str, Any] = self._create_args.get("options") or {}
        context: int = options.get("num_ctx") or context_of(self._model)
        return context - self.count_tokens(messages, tools=tools)

    async def close(self) -> None:
        """Close the connections. The client is not used afterwards."""
        await self._http.aclose()

    @property
    def _http(self) -> httpx.AsyncClient:
        # The SDK has no public way to its headers and its host, and older versions none to close.
        http: httpx.AsyncClient = cast("Any", self._client)._client
        return http

    def _build(self, asked: Asked) -> Request:
        return build(
            asked, info=self._model_info, defaults=self._create_args, thinks=thinks(self._model), server=self._server
        )

    async def _send(self, request: Request) -> Any:
        return await cast("Any", self._client).chat(
            messages=request.messages, tools=request.tools, stream=False, **request.arguments
        )

    async def _open(self, request: Request) -> AsyncIterator[Any]:
        return await cast("Any", self._client).chat(
            messages=request.messages, tools=request.tools, stream=True, **request.arguments
        )

    async def _close_stream(self, stream: AsyncIterator[Any]) -> None:
        await cast("Any", stream).aclose()

    def _read(self, answer: Answer, reply: Any) -> None:
        read(answer, reply)

    def _read_piece(self, answer: Answer, piece: Any) -> list[str]:
        return read(answer, piece)

    def _explaining(self) -> AbstractContextManager[None]:
        kept = self._http.headers
        secrets = [value for name, value in kept.items() if name in ("authorization", "api-key", "x-api-key", "cookie")]
        secrets.extend([value.split(" ", 1)[1] for value in secrets if " " in value])
        return explaining(
            self._model, f"{self._http.base_url.scheme}://{self._http.base_url.netloc.decode()}", tuple(secrets)
        )

    def _dump(self, reply: Any) -> dict[str, Any]:
        return reply.model_dump()

    def _loggable(self, request: Request) -> list[dict[str, Any]]:
        return loggable(request.messages)

    def _span_facts(self, request: Request) -> tuple[dict[str, Any], str | None]:
        options = dict(request.arguments.get("options") or {})
        if "num_predict" in options:
            options["max_tokens"] = options.pop("num_predict")
        return options, str(self._http.base_url.join("/api/chat"))


class OllamaChatCompletionClient(BaseOllamaChatCompletionClient, Component[BaseOllamaClientConfigurationConfigModel]):
    """Chat completion client for models that Ollama serves, on this machine or elsewhere.

    Args:
        kwargs: See `BaseOllamaClientConfiguration`. Any argument of the SDK's `AsyncClient` and of its `chat` may be given
            as well, such as `think`, `keep_alive` or `transport`, and parameters of models, such as `temperature`.

    Raises:
        ValueError: No model is named, or `model_info` lacks something.
    """

    component_type = "model"
    component_config_schema = BaseOllamaClientConfigurationConfigModel
    component_provider_override = "autogen_ext.models.ollama.OllamaChatCompletionClient"

    def __init__(self, **kwargs: Unpack[BaseOllamaClientConfiguration]) -> None:
        self._configure(dict(kwargs))

    def _configure(self, arguments: dict[str, Any]) -> None:
        if not arguments.get("model"):
            raise ValueError(
                "model is required for OllamaChatCompletionClient: pass its name, such as model='llama3.2'."
            )
        self._raw_config = dict(arguments)
        of_client = {name: arguments.pop(name) for name in list(arguments) if name in _client_arguments()}
        own = {name: arguments.pop(name, None) for name in _OWN_ARGUMENTS}
        super().__init__(AsyncClient(**of_client), create_args=create_arguments(arguments), **own)

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the connections; headers, with a key that may be in them, are part of it."""
        return {name: value for name, value in vars(self).items() if name != "_client"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state and open new connections when they are needed."""
        self._configure(dict(state["_raw_config"]))
        vars(self).update(state)

    def _to_config(self) -> BaseOllamaClientConfigurationConfigModel:
        schema = BaseOllamaClientConfigurationConfigModel
        kept = {name: value for name, value in self._raw_config.items() if name in schema.model_fields}
        return schema(**kept)

    @classmethod
    def _from_config(cls, config: BaseOllamaClientConfigurationConfigModel) -> Self:
        arguments = {name: value for name, value in config.model_dump(exclude_unset=True).items() if value is not None}
        return cls(**cast("BaseOllamaClientConfiguration", arguments))


@cache
def _client_arguments() -> frozenset[str]:
    """Return the names of the arguments of the SDK's client: its own, and those that it hands to its HTTP library."""
    of_http = set(inspect.signature(httpx.AsyncClient).parameters) - {"base_url"}
    return (_ARGUMENTS_OF_BASE | of_http) - request_arguments() - option_names()


def _model_info(
    model: str,
    capabilities: ModelCapabilities | None,  # pyright: ignore[reportDeprecated] - part of the contract
    info: ModelInfo | None,
) -> ModelInfo:
    """Return what the model can do: as the user says, else as the table says."""
    if capabilities is not None:
        if info is not None:
            raise ValueError("model_capabilities and model_info are mutually exclusive: pass model_info alone.")
        warnings.warn("model_capabilities is deprecated, use model_info instead.", DeprecationWarning, stacklevel=5)
        info = ModelInfo(**capabilities, family=ModelFamily.UNKNOWN, structured_output=False)
    if info is None:
        return info_of(model)
    validate_model_info(info)
    return info
