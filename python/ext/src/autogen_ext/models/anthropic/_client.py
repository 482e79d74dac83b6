"""The client for Anthropic's Messages API: `create` and `create_stream` through one request builder and one reader.

Stands on `_request`, `_decode` and the SDK, which is loaded when the first client is made. Requests go through the SDK's
public `messages.create`, since users and instrumentation patch it.
"""

import json
import logging
import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel

from autogen_core import EVENT_LOGGER_NAME, CancellationToken, Image
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent, LLMStreamStartEvent
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # pyright: ignore[reportDeprecated] - part of the contract
    ModelInfo,
    RequestUsage,
    validate_model_info,
)
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models._shared._cancellation import cancellable, cancellable_items
from autogen_ext.models._shared._replies import add_usage
from autogen_ext.models._shared._telemetry import ModelCallSpan, model_call_span
from autogen_ext.models._shared._tokens import count_messages, count_tools, token_counter
from autogen_ext.models._shared._tools import tool_specs

from ._decode import Reply, ReplyForm
from ._encode import MessageEncoder, image_tokens
from ._models import context_of, follows_schemas, info_of, resolve
from ._opaque import Block
from ._request import Request, RequestBuilder, check_arguments

if TYPE_CHECKING:
    from anthropic import AsyncStream
    from anthropic.types import RawMessageStreamEvent

_events = logging.getLogger(EVENT_LOGGER_NAME)

LONG_ANSWER = 21_333
"""Tokens; the SDK refuses to wait for a longer answer in one piece, since connections without traffic are cut off."""


_NO_CREDENTIALS = ("authentication method", "credentials from session")
"""Words of the SDK's errors, which have no class of their own, where it finds no key."""


class BaseAnthropicChatCompletionClient(ChatCompletionClient):
    """What clients of Anthropic's API share. Make an `AnthropicChatCompletionClient`, or give it an SDK client.

    Args:
        client: The SDK's client: `AsyncAnthropic`, `AsyncAnthropicBedrock`, or another that has `messages.create`.
        create_args: Arguments of every request; `model` must be among them.
        model_info: What the model can do; by default what is known about its name.

    Raises:
        ValueError: No model is named, an argument cannot be set, or `model_info` lacks something.
    """

    _provider = "anthropic"
    _key_setting = "the environment variable ANTHROPIC_API_KEY or the argument api_key"

    def __init__(self, client: Any, *, create_args: dict[str, Any], model_info: ModelInfo | None = None) -> None:
        if not create_args.get("model"):
            raise ValueError(
                f"model is required for {type(self).__name__}: pass its name, such as model='claude-opus-5-5'."
            )
        self._client = client
        self._create_args = check_arguments(create_args)
        self._model: str = create_args["model"]
        if model_info is not None:
            validate_model_info(model_info)
        self._model_info = model_info or info_of(self._model)
        self._url = str(getattr(client, "base_url", ""))
        self._server = str(getattr(getattr(client, "base_url", None), "host", ""))
        self._builder = RequestBuilder(
            self._model_info,
            MessageEncoder.for_model(self._model_info, self._server),
            self._create_args,
            schemas=follows_schemas(self._model),
            bedrock=hasattr(client, "aws_region"),
        )
        self._reported: set[str] = set()
        self._total_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._actual_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)

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
            extra_create_args: Further arguments of the SDK's `messages.create`; they win over the client's.
            cancellation_token: Cancels the request and closes its connection.

        Raises:
            ValueError: The model cannot do what is asked for, or an argument is refused. Nothing was sent.
            autogen_ext.models.errors.ModelClientError: The request failed; what it is exactly is said by its
                subclasses, which are the SDK's errors as well.
            pydantic.ValidationError: The answer does not fit the class given as `json_output`.
            asyncio.CancelledError: The token was cancelled.
        """
        request = self._builder.build(messages, tools, tool_choice, json_output, extra_create_args)
        if request.arguments["max_tokens"] > LONG_ANSWER and "timeout" not in request.arguments:
            request = request.streamed
        reply = Reply(self._form(request))
        with self._watch(request, messages) as call:
            with self._explaining():
                if request.arguments.get("stream"):
                    async with aclosing(self._pieces(request, reply, cancellation_token, call)) as pieces:
                        async for _ in pieces:
                            pass
                else:
                    with call.current():
                        reply.feed_message(await self._send(request, cancellation_token))
                result = self._result(reply)
            call.answered(result, model=reply.model, id=reply.id)
        if _events.isEnabledFor(logging.INFO):
            _events.info(
                LLMCallEvent(
                    messages=_logged(request),
                    response=reply.raw,
                    prompt_tokens=reply.usage.prompt_tokens,
                    completion_tokens=reply.usage.completion_tokens,
                    tools=request.tools,
                )
            )
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
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Yield the model's answer piece by piece, and at the end the whole of it as a `CreateResult`.

        Thoughts come between `<think>` tags. Closing the stream, or cancelling the token, closes the connection, so that
        the server can stop.

        Arguments and errors are those of `create`. `max_consecutive_empty_chunk_tolerance` is without effect: empty
        pieces are passed over.
        """
        request = self._builder.build(messages, tools, tool_choice, json_output, extra_create_args).streamed
        reply = Reply(self._form(request))
        with self._watch(request, messages) as call:
            with self._explaining():
                if _events.isEnabledFor(logging.INFO):
                    _events.info(LLMStreamStartEvent(messages=_logged(request)))
                async with aclosing(self._pieces(request, reply, cancellation_token, call)) as pieces:
                    async for piece in pieces:
                        yield piece
                result = self._result(reply)
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
        """Return what all requests of this client used, as the server reported it; its cache counts, too."""
        return self._actual_usage

    def total_usage(self) -> RequestUsage:
        """Return the same as `actual_usage`: this client answers nothing from a cache."""
        return self._total_usage

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return about how many tokens a conversation takes, by tiktoken or an estimate; Anthropic's own count differs.

        Blocks for the file or the network at first use, at most 3 seconds; never raises for want of a table.
        """
        if not messages:
            return count_tools(tool_specs(tools), token_counter(self._model))
        count = token_counter(resolve(self._model))
        conversation = self._builder.encoder.encode(messages, image=_image_size)
        system = [{"role": "system", "content": conversation.system}] if conversation.system else []
        return count_messages([*system, *conversation.messages], count) + count_tools(tool_specs(tools), count)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens of the model's context are left beside a conversation; negative if it is too long.

        The context of a model that is not known is taken to hold 100,000 tokens.
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
        self, request: Request, reply: Reply, token: CancellationToken | None, call: ModelCallSpan
    ) -> AsyncGenerator[str, None]:
        """Send a streamed request, feed what comes to `reply`, and yield what the caller shall see of it."""
        with call.current():
            stream = cast("AsyncStream[RawMessageStreamEvent]", await self._send(request, token))
        try:
            whole = await _whole_reply(stream)
            if whole is not None:
                for text in reply.feed_unstreamed(whole):
                    yield text
                return
            async with aclosing(cancellable_items(aiter(stream), token)) as events:
                async for event in events:
                    call.first_chunk()
                    for text in reply.feed_event(event):
                        yield text
        finally:
            await stream.close()
        for text in reply.end_thinking():
            yield text

    async def _send(self, request: Request, token: CancellationToken | None) -> object:
        """Hand a request to the SDK: the one place where this client speaks to a server."""
        create = cast("Callable[..., Coroutine[Any, Any, object]]", self._client.messages.create)
        return await cancellable(create(**request.params), token)

    def _result(self, reply: Reply) -> CreateResult:
        """Finish a reply. What it used is counted also if it turns out to be of no use."""
        self._total_usage = add_usage(self._total_usage, reply.usage)
        self._actual_usage = add_usage(self._actual_usage, reply.usage)
        return reply.result()

    def _watch(self, request: Request, messages: Sequence[LLMMessage]) -> ModelCallSpan:
        return model_call_span(
            self._provider,
            self._model,
            messages=messages,
            arguments=request.arguments,
            url=self._url,
            streamed=bool(request.arguments.get("stream")),
        )

    @contextmanager
    def _explaining(self) -> Generator[None]:
        """Let the SDK's errors become ours as well, without secrets and with advice."""
        from ._errors import Caller, MissingApiKeyError, broken_off, explain

        try:
            yield
        except (TypeError, RuntimeError) as error:
            if not any(words in str(error) for words in _NO_CREDENTIALS):
                raise
            raise MissingApiKeyError(type(self).__name__, self._key_setting) from error
        except Exception as error:
            failed = broken_off(error, self._url) or error
            explained = explain(failed, Caller(self._provider, self._model, self._key_setting, self._secrets()))
            if explained is error:
                raise
            raise explained from error

    def _secrets(self) -> tuple[str, ...]:
        """Return what must not be seen in errors."""
        names = ("api_key", "auth_token", "aws_secret_key", "aws_session_token", "aws_access_key")
        values = (getattr(self._client, name, None) for name in names)
        return tuple(value for value in values if isinstance(value, str))

    def _form(self, request: Request) -> ReplyForm:
        return ReplyForm(
            model=self._model,
            url=f"{self._url.rstrip('/')}/v1/messages",
            output=request.output,
            wants_json=request.wants_json,
            answer_tool=request.answer_tool,
            server=self._server,
            reported=self._reported,
        )


def _image_size(image: Image) -> Block:
    return {"type": "image", "tokens": image_tokens(image)}


def _logged(request: Request) -> list[dict[str, Any]]:
    """Return the messages for the log, the system prompt first."""
    system = request.arguments.get("system")
    return [*([{"role": "system", "content": system}] if system else []), *request.conversation.messages]


async def _whole_reply(stream: "AsyncStream[RawMessageStreamEvent]") -> Any:
    """Return the body of a reply that is no stream, as servers send that cannot stream or report an error so."""
    response = getattr(stream, "response", None)
    kind: str = response.headers.get("content-type", "") if response is not None else ""
    if response is None or not kind.startswith(("application/json", "text/html")):
        return None
    body: bytes = await response.aread()
    return json.loads(body) if kind.startswith("application/json") else body.decode(errors="replace")
