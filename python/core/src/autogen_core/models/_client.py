"""The contract of a model client. Stands on messages, tools' schemas and components; must not know any provider."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from autogen_core._cancellation import CancellationToken
from autogen_core._component import ComponentBase
from autogen_core.tools._schema import ToolSchema
from autogen_core.tools._tool import Tool

from ._info import ModelCapabilities, ModelInfo  # pyright: ignore[reportDeprecated] - kept for clients of before
from ._types import CreateResult, LLMMessage, RequestUsage


class ChatCompletionClient(ComponentBase[BaseModel], ABC):
    """Sends a conversation to a model and returns its answer."""

    @abstractmethod
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
            json_output: `True` for any JSON, a pydantic model for JSON of its form (structured output), `False` or
                `None` for text.
            extra_create_args: Further arguments, handed to the provider as they are.
            cancellation_token: Cancels the request; then `asyncio.CancelledError` is raised.
        """
        ...

    @abstractmethod
    def create_stream(
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

        The arguments are those of `create`. Closing the stream gives up the request.
        """
        ...

    @abstractmethod
    async def close(self) -> None:
        """Give back connections. The client is not used afterwards."""
        ...

    @abstractmethod
    def actual_usage(self) -> RequestUsage:
        """Return what all requests used that went to the provider."""
        ...

    @abstractmethod
    def total_usage(self) -> RequestUsage:
        """Return what all requests used, also those answered from a cache."""
        ...

    @abstractmethod
    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens a conversation takes; an estimate where the provider does not tell."""
        ...

    @abstractmethod
    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens of the model's context are left beside a conversation; negative if it is too long."""
        ...

    @property
    @abstractmethod
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated] - kept for clients of before
        """What the model can do, in the form of before `model_info`."""
        ...

    @property
    @abstractmethod
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        ...
