"""A model client of your own: how to connect a model that this project does not know."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.ui import Console
from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema


class ShoutingClient(ChatCompletionClient):
    """Its model repeats the last message in capitals; put the call of a real one in `_answer`."""

    def __init__(self) -> None:
        self._usage = RequestUsage(prompt_tokens=0, completion_tokens=0)

    def _answer(self, messages: Sequence[LLMMessage]) -> CreateResult:
        text = str(messages[-1].content).upper()
        usage = RequestUsage(self.count_tokens(messages), len(text.split()))
        self._usage = RequestUsage(
            self._usage.prompt_tokens + usage.prompt_tokens, self._usage.completion_tokens + usage.completion_tokens
        )
        return CreateResult(finish_reason="stop", content=text, usage=usage, cached=False)

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
        """Answer at once."""
        return self._answer(messages)

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
        """Answer word by word; the last item is the whole answer."""
        result = self._answer(messages)
        for word in str(result.content).split():
            yield word + " "
        yield result

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Count words, as this model does."""
        return sum(len(str(message.content).split()) for message in messages)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """What fits into a context of a thousand words."""
        return 1000 - self.count_tokens(messages, tools=tools)

    def actual_usage(self) -> RequestUsage:
        """What all calls took."""
        return self._usage

    def total_usage(self) -> RequestUsage:
        """What all calls took, cached ones too: there is no cache."""
        return self._usage

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return ModelInfo(
            vision=False, function_calling=False, json_output=False, family="unknown", structured_output=False
        )

    @property
    def capabilities(self) -> ModelInfo:
        """The same under its older name."""
        return self.model_info

    async def close(self) -> None:
        """Nothing is open."""


async def main() -> None:
    """Let an agent speak through the client, streaming."""
    client = ShoutingClient()
    agent = AssistantAgent("crier", client, model_client_stream=True, system_message=None)
    await Console(agent.run_stream(task="the market opens at nine"))
    print(client.total_usage())


if __name__ == "__main__":
    asyncio.run(main())
