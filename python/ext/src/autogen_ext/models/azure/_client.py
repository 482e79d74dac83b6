"""The client for Azure AI: `create` and `create_stream` on the SDK's public `ChatCompletionsClient.complete`.

Stands on `_flow`, `_request`, `_decode`, `_errors` and the SDK.
"""

import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, cast

from azure.ai.inference.aio import ChatCompletionsClient
from azure.core.credentials import AzureKeyCredential
from typing_extensions import Unpack

from autogen_core import Image
from autogen_core.models import LLMMessage, RequestUsage, validate_model_info
from autogen_core.tools import Tool, ToolSchema
from autogen_ext import __version__
from autogen_ext.models._shared._answer import Answer
from autogen_ext.models._shared._flow import Asked, FlowingClient, Request, get
from autogen_ext.models._shared._tokens import count_messages, count_tools, image_tokens, token_counter
from autogen_ext.models._shared._tools import tool_specs

from ._decode import read_completion, read_update
from ._encode import encode_messages
from ._errors import explaining, unusable
from ._models import context_of, info_of
from ._request import CREATE_ARGUMENTS, build, client_arguments
from .config import GITHUB_MODELS_ENDPOINT, AzureAIChatCompletionClientConfig

USER_AGENT = f"autogen-python/{__version__}"
"""How requests name this library."""


class AzureAIChatCompletionClient(FlowingClient):
    """Chat completion client for models in Azure AI Foundry, and for GitHub Models.

    Args:
        kwargs: See `AzureAIChatCompletionClientConfig`. Arguments of the SDK's client may be given as well, such as
            `api_version`, `transport` or `retry_total`: unless that is 0, the SDK itself repeats calls that failed.

    Raises:
        ValueError: The endpoint, the credential, or for GitHub Models the model is missing.
    """

    _provider: ClassVar[str] = "azure.ai.inference"

    def __init__(self, **kwargs: Unpack[AzureAIChatCompletionClientConfig]) -> None:
        arguments: dict[str, Any] = dict(kwargs)
        _check(arguments)
        info = arguments.pop("model_info", None)
        model: str = arguments.get("model") or ""
        if info is None:
            info = info_of(model)
        else:
            validate_model_info(info)
        super().__init__(model, info)
        self._create_args = {name: arguments.pop(name) for name in list(arguments) if name in CREATE_ARGUMENTS}
        self._create_args = {name: value for name, value in self._create_args.items() if value is not None}
        unknown = sorted(arguments.keys() - client_arguments())
        if unknown:
            warnings.warn(
                f"Unknown arguments of the client are ignored: {', '.join(unknown)}. What the SDK does not know goes "
                "into model_extras={...}.",
                stacklevel=2,
            )
        self._endpoint: str = arguments["endpoint"]
        self._server = self._endpoint
        self._credential: Any = arguments["credential"]
        arguments.setdefault("user_agent", USER_AGENT)
        self._client = ChatCompletionsClient(**{name: arguments[name] for name in arguments if name not in unknown})

    def add_usage(self, usage: RequestUsage) -> None:
        """Add to what the requests of this client used."""
        self._add_usage(usage)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return about how many tokens a conversation takes: by tiktoken, or by an estimate without its tables.

        Blocks for the file or the network at first use, at most 3 seconds; never raises for want of a table.
        """
        count = token_counter(self._model.rsplit("/", 1)[-1])
        encoded = encode_messages(messages, vision=True, image=_image_size)
        return count_messages(encoded, count) + count_tools(tool_specs(tools), count)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return about how many tokens of the context are left beside a conversation; negative if it is too long.

        The context of a model that is not known is taken to hold 8,192 tokens.
        """
        return context_of(self._model) - self.count_tokens(messages, tools=tools)

    async def close(self) -> None:
        """Close the connections. The client is not used afterwards; the credential is its owner's to close."""
        await self._client.close()

    def _build(self, asked: Asked) -> Request:
        return build(asked, info=self._model_info, defaults=self._create_args, server=self._server)

    async def _send(self, request: Request) -> Any:
        return await self._complete(request, stream=False)

    async def _open(self, request: Request) -> AsyncIterator[Any]:
        return await self._complete(request, stream=True)

    async def _complete(self, request: Request, *, stream: bool) -> Any:
        """Hand a request to the SDK: the one place where this client speaks to a server."""
        arguments: dict[str, Any] = dict(request.arguments)
        if request.tools:
            arguments["tools"] = request.tools
        if stream:
            arguments["stream"] = True
        return await cast("Any", self._client).complete(messages=request.messages, **arguments)

    async def _close_stream(self, stream: AsyncIterator[Any]) -> None:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()

    def _read(self, answer: Answer, reply: Any) -> None:
        choices = get(reply, "choices")
        if not isinstance(choices, list) or not choices:
            raise unusable(self._model, reply, self._key)
        read_completion(answer, cast("list[Any]", choices)[0], get(reply, "usage"))

    def _read_piece(self, answer: Answer, piece: Any) -> list[str]:
        return read_update(answer, piece)

    def _finish_stream(self, answer: Answer) -> list[str]:
        if answer.stop_reason is None:
            answer.oddities.append("the stream ended without a reason")
        return super()._finish_stream(answer)

    def _explaining(self) -> AbstractContextManager[None]:
        return explaining(self._model, self._endpoint, self._key)

    @property
    def _key(self) -> str | None:
        return self._credential.key if isinstance(self._credential, AzureKeyCredential) else None

    def _dump(self, reply: Any) -> dict[str, Any]:
        return reply.as_dict()

    def _span_facts(self, request: Request) -> tuple[dict[str, Any], str | None]:
        return request.arguments, f"{self._endpoint.rstrip('/')}/chat/completions"


def _check(arguments: Mapping[str, Any]) -> None:
    """Raise for arguments that are missing."""
    for name in ("endpoint", "credential"):
        if not arguments.get(name):
            raise ValueError(f"{name} is required for AzureAIChatCompletionClient.")
    if str(arguments["endpoint"]).rstrip("/") == GITHUB_MODELS_ENDPOINT and not arguments.get("model"):
        raise ValueError("model is required when GitHub Models are used with AzureAIChatCompletionClient.")


def _image_size(image: Image) -> dict[str, Any]:
    return {"type": "image", "tokens": image_tokens(image)}
