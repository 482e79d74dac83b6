"""The client for OpenAI's chat completions: `create` and `create_stream` through one request builder and one reader.

Stands on `_request`, `_sending`, `_decode` and the SDK, which is loaded when the first client is made.
"""

import logging
import warnings
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from autogen_core import EVENT_LOGGER_NAME, CancellationToken, Image
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent, LLMStreamStartEvent
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # pyright: ignore[reportDeprecated] - part of the contract
    ModelFamily,
    ModelInfo,
    RequestUsage,
    validate_model_info,
)
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models._shared._replies import add_usage
from autogen_ext.models._shared._telemetry import ModelCallSpan, model_call_span
from autogen_ext.models._shared._tokens import count_messages, count_tools, image_tokens, token_counter
from autogen_ext.models._shared._tools import tool_specs

from ._decode import Reply, ReplyForm
from ._encode import MessageEncoder
from ._fields import plain
from ._models import context_of, endpoint_of, info_of, resolve
from ._request import Request, RequestBuilder, refuse_arguments
from ._sending import chunks_of, open_stream, send, whole_reply
from ._sse import EventReader

if TYPE_CHECKING:
    from openai import AsyncAzureOpenAI, AsyncOpenAI

_events = logging.getLogger(EVENT_LOGGER_NAME)


class BaseOpenAIChatCompletionClient(ChatCompletionClient):
    """What clients of OpenAI's protocol share. Make an `OpenAIChatCompletionClient`, or give it an SDK client.

    Args:
        client: The SDK's client.
        create_args: Arguments of every request; `model` must be among them.
        model_capabilities: Deprecated form of `model_info`.
        model_info: What the model can do; by default what is known about its name.
        add_name_prefixes: Begin each user message with its author: `"NAME said:"`.
        include_name_in_message: Send the author of a user message in its field `name`.

    Raises:
        ValueError: No model is named, an argument cannot be set, or `model_info` lacks something.
    """

    def __init__(
        self,
        client: "AsyncOpenAI | AsyncAzureOpenAI",
        *,
        create_args: dict[str, Any],
        model_capabilities: ModelCapabilities | None = None,  # pyright: ignore[reportDeprecated] - part of the contract
        model_info: ModelInfo | None = None,
        add_name_prefixes: bool = False,
        include_name_in_message: bool = True,
    ) -> None:
        if not create_args.get("model"):
            raise ValueError(f"model is required for {type(self).__name__}: pass its name, such as model='gpt-4o'.")
        self._client = client
        # Without what may stand before the host or behind the path: there may be keys in it.
        address = urlsplit(str(client.base_url))
        self._server = address.hostname or ""
        host = address.netloc.rpartition("@")[2]
        self._url = f"{address.scheme}://{host}{address.path.rstrip('/')}/chat/completions"
        self._create_args = refuse_arguments(create_args)
        self._model: str = create_args["model"]
        self._resolved_model = resolve(self._model)
        self._model_info = _model_info(self._model, model_capabilities, model_info)
        self._add_name_prefixes = add_name_prefixes
        self._include_name_in_message = include_name_in_message
        self._builder = RequestBuilder(
            self._model_info,
            MessageEncoder.for_model(
                self._model_info,
                name_prefixes=add_name_prefixes,
                names=include_name_in_message,
                server=self._server,
            ),
            self._create_args,
        )
        self._reported: set[str] = set()
        self._total_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._actual_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)

    @classmethod
    def create_from_config(cls, config: dict[str, Any]) -> ChatCompletionClient:
        """Make an `OpenAIChatCompletionClient` from its arguments, whatever class this is called on."""
        # The contract has the base make its subclass. Going through the front door keeps that out of the imports.
        package: Any = import_module("autogen_ext.models.openai")
        client: ChatCompletionClient = package.OpenAIChatCompletionClient(**config)
        return client

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Return the model's answer to a conversation.

        Args:
            messages: The conversation, oldest first.
            tools: What the model may call.
            tool_choice: Whether it may call tools (`auto`), must call one (`required`), must call none (`none`), or
                must call this one.
            json_output: `True` for any JSON, a pydantic class for JSON of its form, `False` for text; `None` leaves it
                to the client's `response_format`.
            extra_create_args: Further arguments of the SDK's `chat.completions.create`; they win over the client's.
            cancellation_token: Cancels the request and closes its connection.

        Raises:
            ValueError: The model cannot do what is asked for, or an argument is refused. Nothing was sent.
            autogen_ext.models.errors.ModelClientError: The request failed; what it is exactly is said by its subclasses.
                Each is an error of the SDK (`openai.APIError`, `openai.RateLimitError`, ...), too.
            pydantic.ValidationError: The answer does not fit the class given as `json_output`.
            asyncio.CancelledError: The token was cancelled.
        """
        request = self._builder.build(messages, tools, tool_choice, json_output, extra_create_args)
        reply = Reply(self._form(request))
        with self._watching(request, messages) as call, self._explaining():
            with call.current():
                completion = await send(self._client, request, cancellation_token)
            reply.feed_completion(completion)
            self._add_usage(reply.usage)
            if _events.isEnabledFor(logging.INFO):
                _events.info(
                    LLMCallEvent(
                        messages=cast("list[dict[str, Any]]", request.messages),
                        response=plain(completion),
                        prompt_tokens=reply.usage.prompt_tokens,
                        completion_tokens=reply.usage.completion_tokens,
                        tools=request.tools,
                    )
                )
            result = reply.result()
            call.answered(result, model=reply.model, id=reply.id)
        return result

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
        max_consecutive_empty_chunk_tolerance: int = 0,
        include_usage: bool | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Yield the model's answer piece by piece, and at the end the whole of it as a `CreateResult`.

        Reasoning that a server sends apart from the text comes between `<think>` tags. Closing the stream, or cancelling
        the token, closes the connection, so that the server can stop.

        Arguments and errors are those of `create`, and these: `include_usage` asks for the number of tokens, which
        servers send in streams only then; without it, and without `stream_options`, the usage is zero.
        `max_consecutive_empty_chunk_tolerance` is deprecated and without effect: empty chunks are passed over.
        """
        if max_consecutive_empty_chunk_tolerance != 0:
            warnings.warn(
                "The 'max_consecutive_empty_chunk_tolerance' parameter is deprecated: empty chunks are passed over.",
                DeprecationWarning,
                stacklevel=2,
            )
        request = self._builder.build(messages, tools, tool_choice, json_output, extra_create_args)
        request = self._builder.build_stream(request, extra_create_args, include_usage)
        reply = Reply(self._form(request))
        with self._watching(request, messages, streamed=True) as call:
            async with aclosing(self._pieces(request, reply, call, cancellation_token)) as pieces:
                async for piece in pieces:
                    yield piece
            self._add_usage(reply.usage)
            with self._explaining():
                result = reply.result()
            call.answered(result, model=reply.model, id=reply.id)
        if _events.isEnabledFor(logging.INFO):
            _events.info(
                LLMStreamEndEvent(
                    response=result.model_dump(),
                    prompt_tokens=reply.usage.prompt_tokens,
                    completion_tokens=reply.usage.completion_tokens,
                )
            )
        yield result

    async def close(self) -> None:
        """Close the connections. The client is not used afterwards."""
        await self._client.close()

    def actual_usage(self) -> RequestUsage:
        """Return what all requests of this client used, as the server reported it."""
        return self._actual_usage

    def total_usage(self) -> RequestUsage:
        """Return the same as `actual_usage`: this client answers nothing from a cache."""
        return self._total_usage

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens a conversation takes: by tiktoken, or by an estimate where its tables cannot be had.

        Blocks for the file or the network at first use, at most 3 seconds; never raises for want of a table.
        """
        count = token_counter(self._resolved_model)
        encoded = self._builder.encoder.encode(messages, image=_image_size)
        return count_messages(cast("list[dict[str, Any]]", encoded), count) + count_tools(tool_specs(tools), count)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens of the model's context are left beside a conversation; negative if it is too long.

        The context of a model that is not known is taken to hold 8,192 tokens.
        """
        return context_of(self._model) - self.count_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated] - part of the contract
        """Deprecated form of `model_info`."""
        warnings.warn("capabilities is deprecated, use model_info instead.", DeprecationWarning, stacklevel=2)
        return cast("ModelCapabilities", self._model_info)  # pyright: ignore[reportDeprecated] - part of the contract

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return self._model_info

    async def _pieces(
        self, request: Request, reply: Reply, call: ModelCallSpan, token: CancellationToken | None
    ) -> AsyncGenerator[str, None]:
        """Send a streamed request, feed what comes to `reply`, and yield what the caller shall see of it."""
        with self._explaining():
            with call.current():
                stream = await open_stream(self._client, request, token)
            try:
                if _events.isEnabledFor(logging.INFO):
                    _events.info(LLMStreamStartEvent(messages=cast("list[dict[str, Any]]", request.messages)))
                whole = await whole_reply(stream)
                if whole is not None:
                    for text in reply.feed_unstreamed(whole):
                        yield text
                    return
                reader = EventReader()
                async with aclosing(chunks_of(stream, token, reader)) as chunks:
                    async for chunk in chunks:
                        call.first_chunk()
                        for text in reply.feed_chunk(chunk):
                            yield text
                reply.end_stream(reader)
            finally:
                await stream.close()
        for text in reply.end_thinking():
            yield text

    def _watching(self, request: Request, messages: Sequence[LLMMessage], *, streamed: bool = False) -> ModelCallSpan:
        return model_call_span(
            self._telemetry_name,
            self._model,
            messages=messages,
            arguments=request.arguments,
            url=self._url,
            streamed=streamed,
        )

    @contextmanager
    def _explaining(self) -> Generator[None]:
        """Let errors leave as those of `_errors`: typed, without secrets and with advice."""
        try:
            yield
        except (ValidationError, CancelledError, GeneratorExit):
            raise
        except Exception as error:
            explained = self._explain(error)
            if explained is error:
                raise
            raise explained from error.__cause__

    def _explain(self, error: Exception) -> Exception:
        """Return the error to raise in place of one of the SDK or its HTTP library."""
        from openai import OpenAIError

        from ._errors import Explainer, broken_connection, is_of_transport

        if is_of_transport(error):  # a stream that broke off
            error = broken_connection(error, self._url)
        if not isinstance(error, OpenAIError):
            return error
        secrets = (self._client.api_key, getattr(self._client, "_azure_ad_token", None))
        texts = tuple(secret for secret in secrets if isinstance(secret, str))
        return Explainer(self._model, self._key_variable, texts).explain(error)

    @property
    def _telemetry_name(self) -> str:
        """Who is called, in the words of OpenTelemetry's conventions."""
        return "openai"

    @property
    def _key_variable(self) -> str:
        """The environment variable that the key is read from; for error texts."""
        return endpoint_of(self._model).key_variable

    def _form(self, request: Request) -> ReplyForm:
        return ReplyForm(
            model=self._model,
            family=self._model_info["family"],
            url=self._url,
            server=self._server,
            output=request.output,
            wants_json=request.wants_json,
            wants_usage=request.wants_usage,
            reported=self._reported,
        )

    def _add_usage(self, usage: RequestUsage) -> None:
        self._total_usage = add_usage(self._total_usage, usage)
        self._actual_usage = add_usage(self._actual_usage, usage)


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


def _image_size(image: Image) -> dict[str, Any]:
    return {"type": "image", "tokens": image_tokens(image)}
