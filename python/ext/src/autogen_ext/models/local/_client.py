"""The model client that needs no server and no key: a model inside this process. Stands on `_recipe` and `_pool`."""

import logging
import warnings
import weakref
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self, cast

from pydantic import BaseModel, NonNegativeFloat, PositiveInt

from autogen_core import EVENT_LOGGER_NAME, CancellationToken, Component
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
from autogen_ext.models._shared._cancellation import cancellable, cancellable_items
from autogen_ext.models._shared._replies import add_usage
from autogen_ext.models._shared._telemetry import ModelCallSpan, model_call_span

from ._decode import Reply
from ._encode import encode_request, encode_tool
from ._engine import EngineSettings
from ._errors import EngineMissingError, GenerationError
from ._pool import EngineLease, default_threads
from ._recipe import chat, count_tokens, manner_of
from ._request import ChatRequest, ToolCalling
from ._weights import find_weights

_events = logging.getLogger(EVENT_LOGGER_NAME)

_MODEL_INFO = ModelInfo(
    vision=False,
    function_calling=True,
    json_output=True,
    family=ModelFamily.UNKNOWN,
    structured_output=True,
    multiple_system_messages=True,
)


class LocalChatCompletionClientConfig(BaseModel):
    """Saved form of a `LocalChatCompletionClient`."""

    model: str | None = None
    n_ctx: PositiveInt = 4096
    n_threads: PositiveInt | None = None
    temperature: NonNegativeFloat = 0.0
    max_tokens: PositiveInt = 512
    seed: int | None = None
    tool_calling: ToolCalling = "auto"
    model_info: ModelInfo | None = None
    sha256: str | None = None


class LocalChatCompletionClient(ChatCompletionClient, Component[LocalChatCompletionClientConfig]):
    """Chat completion client that runs a model inside this process, without a server or a key.

    The model is loaded at first use, and once for all clients with equal `model`, `n_ctx` and `n_threads`. It is freed
    when the last of them is closed or forgotten. Two requests run at a time; more wait for their turn.

        client = LocalChatCompletionClient()
        result = await client.create([UserMessage(content="What is the capital of France?", source="user")])

    Args:
        model: Path of a GGUF file. By default the small model that `python -m autogen_ext.models.local install` installs.
        n_ctx: Tokens that a conversation may have, with its answer.
        n_threads: Threads that compute; by default one less than there are cores.
        temperature: How freely the answer is chosen; 0 gives the same answer each time. Tools are always chosen at 0.
        max_tokens: Tokens that an answer may have.
        seed: Makes answers at a temperature above 0 repeatable.
        tool_calling: `native` as the model's chat template has it, `schema` by a choice in JSON that the engine enforces,
            `auto` what suits the model: native for large ones, the schema for small ones.
        model_info: What the model can do, if not everything but images.
        sha256: The checksum that the file must have; it is compared at first use. The default model's is known.

    Raises:
        EngineMissingError: The extra is not installed (an `ImportError`).
        ModelMissingError: There is no such file, or the default model is not installed (a `FileNotFoundError`).
        NotGgufError: The file is no model (a `ValueError`).
        ValueError: A number is out of its range, or `model_info` lacks something.
    """

    component_type = "model"
    component_config_schema = LocalChatCompletionClientConfig
    component_provider_override = "autogen_ext.models.local.LocalChatCompletionClient"

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        n_ctx: int = 4096,
        n_threads: int | None = None,
        temperature: float = 0.0,
        max_tokens: int = 512,
        seed: int | None = None,
        tool_calling: ToolCalling = "auto",
        model_info: ModelInfo | None = None,
        sha256: str | None = None,
    ) -> None:
        if find_spec("xllamacpp") is None:
            raise EngineMissingError("xllamacpp")
        if model_info is not None:
            validate_model_info(model_info)
        self._config = LocalChatCompletionClientConfig(
            model=None if model is None else str(model),
            n_ctx=n_ctx,
            n_threads=n_threads,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            tool_calling=tool_calling,
            model_info=model_info,
            sha256=sha256,
        )
        weights = find_weights(model, sha256)
        settings = EngineSettings(weights.path, n_ctx=n_ctx, n_threads=n_threads or default_threads())
        self._lease = EngineLease(weights, settings)
        self._name = weights.path.stem
        weakref.finalize(self, self._lease.release).atexit = False
        self._usage = RequestUsage(prompt_tokens=0, completion_tokens=0)

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
            tools: What the model may call: one at a time, unless `parallel_tool_calls` is among the extra arguments.
            tool_choice: Whether it may call tools (`auto`), must call one (`required`), must call none (`none`), or
                must call this one.
            json_output: `True` for any JSON object, a pydantic class for JSON of its form, which the engine enforces.
            extra_create_args: Fields of llama.cpp's chat completion request, such as `temperature`, `max_tokens`,
                `seed`, `stop`, `top_p`; they win over the client's. With `parallel_tool_calls` one answer may hold several
                calls; the smallest models take about a second more for that.
            cancellation_token: Stops the engine, at its next token.

        Raises:
            ValueError: A tool, the choice, a message or an argument is refused. Nothing was computed.
            ContextLengthError: The prompt is longer than the context (a `ValueError`, too).
            LocalModelError: The model cannot be loaded, or failed; see the module's tree of errors.
            asyncio.CancelledError: The token was cancelled.
        """
        request = self._request(messages, tools, tool_choice, json_output, extra_create_args)
        with self._watching(request, messages) as call:
            with call.current():
                reply = await cancellable(self._whole(request), cancellation_token)
            self._usage = add_usage(self._usage, reply.usage)
            result = reply.result()
            call.answered(result)
        if _events.isEnabledFor(logging.INFO):
            _events.info(
                LLMCallEvent(
                    messages=request.messages,
                    response=result.model_dump(),
                    prompt_tokens=reply.usage.prompt_tokens,
                    completion_tokens=reply.usage.completion_tokens,
                    tools=[encode_tool(tool) for tool in request.tools],
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
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Yield the model's answer piece by piece, and at the end the whole of it as a `CreateResult`.

        A tool call is not streamed: it comes with the result. Closing the stream, or cancelling the token, stops the
        engine at its next token; then nothing is counted as used.

        Args:
            messages: As for `create`, and so are the other arguments, and the errors.
            tools: What the model may call.
            tool_choice: Which tools it may or must call.
            json_output: What form the answer shall have.
            extra_create_args: Further fields of the request.
            cancellation_token: Stops the engine.
        """
        request = self._request(messages, tools, tool_choice, json_output, extra_create_args)
        if _events.isEnabledFor(logging.INFO):
            _events.info(LLMStreamStartEvent(messages=request.messages))
        result: CreateResult | None = None
        with self._watching(request, messages, streamed=True) as call:
            async with (
                aclosing(self._chat(request)) as stream,
                aclosing(cancellable_items(stream, cancellation_token)) as pieces,
            ):
                async for piece in pieces:
                    call.first_chunk()
                    if isinstance(piece, str):
                        yield piece
                        continue
                    self._usage = add_usage(self._usage, piece.usage)
                    result = piece.result()
            if result is None:
                raise GenerationError("The engine ended its answer without a result.")
            call.answered(result)
        if _events.isEnabledFor(logging.INFO):
            _events.info(
                LLMStreamEndEvent(
                    response=result.model_dump(),
                    prompt_tokens=result.usage.prompt_tokens,
                    completion_tokens=result.usage.completion_tokens,
                )
            )
        yield result

    async def close(self) -> None:
        """Give the model back; it is freed unless other clients use it. Using the client again loads it again."""
        self._lease.release()

    def actual_usage(self) -> RequestUsage:
        """Return what all finished requests used, as the engine counts. A choice of tools counts as a request, too."""
        return self._usage

    def total_usage(self) -> RequestUsage:
        """Return the same as `actual_usage`: this client answers nothing from a cache."""
        return self._usage

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens the engine is sent for a conversation, by the model's own tokenizer.

        Tools come with instructions and demonstrations, which count. Blocks while the model is loaded, if it is not.
        """
        if not messages:
            return 0
        engine = self._lease.engine_now()
        request = self._request(messages, tools, "auto", None, {})
        return count_tokens(engine, request, manner_of(engine, self._config.tool_calling))

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens of the context are left beside a conversation; negative if it is too long."""
        return self._lease.engine_now().n_ctx - self.count_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated] - part of the contract
        """Deprecated form of `model_info`."""
        warnings.warn("capabilities is deprecated, use model_info instead.", DeprecationWarning, stacklevel=2)
        return cast("ModelCapabilities", self.model_info)  # pyright: ignore[reportDeprecated] - part of the contract

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return self._config.model_info or _MODEL_INFO

    def _to_config(self) -> LocalChatCompletionClientConfig:
        return self._config.model_copy()

    @classmethod
    def _from_config(cls, config: LocalChatCompletionClientConfig) -> Self:
        return cls(**dict(config))

    def _request(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[Tool | ToolSchema],
        tool_choice: Tool | Literal["auto", "required", "none"],
        json_output: bool | type[BaseModel] | None,
        extra: Mapping[str, Any],
    ) -> ChatRequest:
        sampling: dict[str, Any] = {"temperature": self._config.temperature, "max_tokens": self._config.max_tokens}
        if self._config.seed is not None:
            sampling["seed"] = self._config.seed
        return encode_request(messages, tools, tool_choice, json_output, {**sampling, **extra})

    def _watching(
        self, request: ChatRequest, messages: Sequence[LLMMessage], *, streamed: bool = False
    ) -> ModelCallSpan:
        return model_call_span("local", self._name, messages=messages, arguments=request.sampling, streamed=streamed)

    async def _chat(self, request: ChatRequest) -> AsyncGenerator[str | Reply, None]:
        engine = await self._lease.engine()
        manner = manner_of(engine, self._config.tool_calling)
        async with aclosing(chat(engine, request, manner)) as pieces:
            async for piece in pieces:
                yield piece

    async def _whole(self, request: ChatRequest) -> Reply:
        async with aclosing(self._chat(request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Reply):
                    return piece
        raise GenerationError("The engine ended its answer without a result.")
