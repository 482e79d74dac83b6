"""The client that replays. Stands on the model contract and the telemetry of calls; needs no SDK and no network."""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Self, cast

from pydantic import BaseModel

from autogen_core import CancellationToken, Component
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
from autogen_ext.models._shared._telemetry import model_call_span

_NAME = "replay"
"""How spans name the model, and its provider."""

CONTEXT_TOKENS = 10_000
"""Tokens that the imaginary model takes in all its calls together, for `remaining_tokens`."""


class ReplayChatCompletionClientConfig(BaseModel):
    """Saved form of a `ReplayChatCompletionClient`."""

    chat_completions: Sequence[str | CreateResult]
    model_info: ModelInfo | None = None


class ReplayChatCompletionClient(ChatCompletionClient, Component[ReplayChatCompletionClientConfig]):
    """Chat completion client that answers each call with the next of a list of answers.

    A text becomes a result that ended by itself, marked as cached, with words counted as tokens; streamed, it comes word
    by word. A `CreateResult` is returned as it is, and only so: use it for tool calls, thoughts and finish reasons.

        client = ReplayChatCompletionClient(["Hello.", "Goodbye."])

    Args:
        chat_completions: The answers, in order. They may be added to later: `client.chat_completions`.
        model_info: What the imaginary model can do; by default nothing but text. An agent with tools, or with
            structured output, asks for it.

    Raises:
        ValueError: `model_info` lacks something.
    """

    component_type = "replay_chat_completion_client"
    component_config_schema = ReplayChatCompletionClientConfig
    component_provider_override = "autogen_ext.models.replay.ReplayChatCompletionClient"

    def __init__(self, chat_completions: Sequence[str | CreateResult], model_info: ModelInfo | None = None) -> None:
        self.chat_completions = list(chat_completions)
        self.provided_message_count = len(self.chat_completions)
        if model_info is None:
            model_info = ModelInfo(
                vision=False,
                function_calling=False,
                json_output=False,
                family=ModelFamily.UNKNOWN,
                structured_output=False,
            )
        validate_model_info(model_info)
        self._model_info = model_info
        self._cached = True
        self._next = 0
        self._create_calls: list[dict[str, Any]] = []
        self._actual_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._total_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)

    @property
    def create_calls(self) -> list[dict[str, Any]]:
        """What was asked, streamed or not, one entry an answered call.

        Its keys are `messages`, `tools`, `json_output`, `extra_create_args` and `cancellation_token`.
        """
        return self._create_calls

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
        """Return the next answer. The arguments are written down in `create_calls` and have no other effect.

        Raises:
            ValueError: There is no answer left.
            asyncio.CancelledError: The token was cancelled before. No answer is used up.
        """
        with model_call_span(_NAME, _NAME, messages=messages, arguments=extra_create_args) as call:
            _check(cancellation_token)
            result = self._answer(messages, tools, json_output, extra_create_args, cancellation_token)
            call.answered(result)
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
        """Yield the words of the next answer if it is a text, and then the result.

        Words are what stands between white space; each is followed by one space, except for the last.

        Raises:
            ValueError: There is no answer left.
            asyncio.CancelledError: The token was cancelled. An answer that had begun is used up.
        """
        with model_call_span(_NAME, _NAME, messages=messages, arguments=extra_create_args, streamed=True) as call:
            _check(cancellation_token)
            is_text = self._next < len(self.chat_completions) and isinstance(self.chat_completions[self._next], str)
            result = self._answer(messages, tools, json_output, extra_create_args, cancellation_token)
            words = str(result.content).split() if is_text else []
            for position, word in enumerate(words, start=1):
                _check(cancellation_token)
                call.first_chunk()
                yield word if position == len(words) else f"{word} "
            _check(cancellation_token)
            call.answered(result)
        yield result

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def actual_usage(self) -> RequestUsage:
        """Return what the last call used, counted in words."""
        return self._actual_usage

    def total_usage(self) -> RequestUsage:
        """Return what all calls used, counted in words."""
        return self._total_usage

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return the number of words in messages that are text; others count nothing."""
        return sum(len(message.content.split()) for message in messages if isinstance(message.content, str))

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return what all calls so far have left of 10,000 tokens, whatever the messages are; never below zero."""
        used = self._total_usage.prompt_tokens + self._total_usage.completion_tokens
        return max(0, CONTEXT_TOKENS - used)

    def set_cached_bool_value(self, value: bool) -> None:
        """Say whether results made of texts are marked as cached. At first they are."""
        self._cached = value

    def reset(self) -> None:
        """Begin again with the first answer, and forget what was used; `create_calls` is kept."""
        self._next = 0
        self._actual_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._total_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)

    @property
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated] - part of the contract
        """Deprecated form of `model_info`."""
        warnings.warn("capabilities is deprecated, use model_info instead.", DeprecationWarning, stacklevel=2)
        return cast("ModelCapabilities", self._model_info)  # pyright: ignore[reportDeprecated] - part of the contract

    @property
    def model_info(self) -> ModelInfo:
        """What the imaginary model can do."""
        return self._model_info

    def _answer(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[Tool | ToolSchema],
        json_output: bool | type[BaseModel] | None,
        extra_create_args: Mapping[str, Any],
        cancellation_token: CancellationToken | None,
    ) -> CreateResult:
        """Take the next answer, count it, and write down the call."""
        if self._next >= len(self.chat_completions):
            raise ValueError(
                f"No more mock responses available: all {len(self.chat_completions)} were used. Give "
                "ReplayChatCompletionClient one for each call of the model (an agent with tools calls it more than "
                "once), or begin again with reset()."
            )
        answer = self.chat_completions[self._next]
        self._next += 1
        prompt_tokens = self.count_tokens(messages)
        if isinstance(answer, str):
            usage = RequestUsage(prompt_tokens=prompt_tokens, completion_tokens=len(answer.split()))
            result = CreateResult(finish_reason="stop", content=answer, usage=usage, cached=self._cached)
        else:
            usage = RequestUsage(prompt_tokens=prompt_tokens, completion_tokens=answer.usage.completion_tokens)
            result = answer
        self._actual_usage = usage
        self._total_usage = add_usage(self._total_usage, usage)
        self._create_calls.append(
            {
                "messages": list(messages),
                "tools": list(tools),
                "json_output": json_output,
                "extra_create_args": extra_create_args,
                "cancellation_token": cancellation_token,
            }
        )
        return result

    def _to_config(self) -> ReplayChatCompletionClientConfig:
        return ReplayChatCompletionClientConfig(chat_completions=self.chat_completions, model_info=self._model_info)

    @classmethod
    def _from_config(cls, config: ReplayChatCompletionClientConfig) -> Self:
        return cls(config.chat_completions, config.model_info)


def _check(token: CancellationToken | None) -> None:
    if token is not None and token.is_cancelled():
        raise asyncio.CancelledError
