"""What all middleware shares: a call as a record, and a client around a client that passes everything on.

Stands on the model contract; must not know any provider, nor what a piece of middleware does with a call.
"""

import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pydantic import BaseModel

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # pyright: ignore[reportDeprecated] - part of the contract
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema

ToolChoice = Tool | Literal["auto", "required", "none"]
"""What a caller says about tools: may, must, must not, or must call this one."""

Items = AsyncGenerator[str | CreateResult, None]
"""A streamed answer: its pieces, and at the end the whole."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The arguments of one call of a model, streamed or not. `dataclasses.replace` makes a changed copy."""

    messages: Sequence[LLMMessage]
    tools: Sequence[Tool | ToolSchema] = ()
    tool_choice: ToolChoice = "auto"
    json_output: bool | type[BaseModel] | None = None
    extra_create_args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cancellation_token: CancellationToken | None = None

    async def create(self, client: ChatCompletionClient) -> CreateResult:
        """Make the call at a client and return the answer."""
        return await client.create(
            self.messages,
            tools=self.tools,
            tool_choice=self.tool_choice,
            json_output=self.json_output,
            extra_create_args=self.extra_create_args,
            cancellation_token=self.cancellation_token,
        )

    def stream(self, client: ChatCompletionClient) -> aclosing[Items]:
        """Return a context whose value are the items of the streamed answer; leaving it gives up the request."""
        items = client.create_stream(
            self.messages,
            tools=self.tools,
            tool_choice=self.tool_choice,
            json_output=self.json_output,
            extra_create_args=self.extra_create_args,
            cancellation_token=self.cancellation_token,
        )
        return aclosing(items)


class ModelMiddleware(ChatCompletionClient):
    """A client around a client. A subclass changes what happens to a call, in `_create` and `_stream`; the rest is passed on.

    Middleware nests in any order, and looks to agents like the client it wraps. Closing the outermost closes all.

    Args:
        client: Whom calls are passed to.
    """

    component_type = "model"

    def __init__(self, client: ChatCompletionClient) -> None:
        self.client = client

    async def _create(self, call: ModelCall) -> CreateResult:
        """Answer a call."""
        return await call.create(self.client)

    async def _stream(self, call: ModelCall) -> Items:
        """Answer a call piece by piece."""
        async with call.stream(self.client) as items:
            async for item in items:
                yield item

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
        """Return the model's answer to a conversation. Arguments and errors are those of the wrapped client's `create`.

        The class says what errors it adds.
        """
        return await self._create(
            ModelCall(messages, tools, tool_choice, json_output, extra_create_args, cancellation_token)
        )

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

        Arguments and errors are those of the wrapped client. Closing the stream gives up the request.
        """
        return self._stream(ModelCall(messages, tools, tool_choice, json_output, extra_create_args, cancellation_token))

    async def close(self) -> None:
        """Close the wrapped client. Neither is used afterwards."""
        await self.client.close()

    def actual_usage(self) -> RequestUsage:
        """Return what the wrapped client used."""
        return self.client.actual_usage()

    def total_usage(self) -> RequestUsage:
        """Return what the wrapped client used in all its calls."""
        return self.client.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens a conversation takes, as the wrapped client counts."""
        return self.client.count_tokens(messages, tools=tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens of the model's context are left beside a conversation."""
        return self.client.remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated] - part of the contract
        """Deprecated form of `model_info`."""
        warnings.warn("capabilities is deprecated, use model_info instead.", DeprecationWarning, stacklevel=2)
        return cast("ModelCapabilities", self.model_info)  # pyright: ignore[reportDeprecated] - part of the contract

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return self.client.model_info
