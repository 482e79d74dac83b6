"""Agents and scripted models for the tests of swarms."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, TextMessage
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
)
from autogen_ext.models.replay import ReplayChatCompletionClient


class Relay(BaseChatAgent):
    """Follows its script, a step a turn: `>name` hands over, anything else is said. After the script it says its name."""

    def __init__(self, name: str, *script: str) -> None:
        super().__init__(name, f"{name} relays")
        self._script = script
        self.turns = 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage, HandoffMessage)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        await asyncio.sleep(0)
        step = self._script[self.turns] if self.turns < len(self._script) else self.name
        if step == "sleep":
            self._script = tuple("awake" if each == "sleep" else each for each in self._script)
            await asyncio.sleep(60)
        self.turns += 1
        if step.startswith(">"):
            return Response(chat_message=handoff(self.name, step[1:]))
        return Response(chat_message=TextMessage(content=step, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.turns = 0

    async def save_state(self) -> Mapping[str, Any]:
        return {"turns": self.turns}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.turns = state["turns"]


class Model(ReplayChatCompletionClient):
    """Replays answers, one a moment later, and keeps what it was asked."""

    def __init__(self, *answers: str | CreateResult) -> None:
        info = ModelInfo(
            vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True
        )
        super().__init__(answers, info)
        self.requests: list[list[LLMMessage]] = []
        self.asked = asyncio.Event()

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self.requests.append(list(messages))
        self.asked.set()
        await asyncio.sleep(0)
        return await super().create(messages, **options)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        self.requests.append(list(messages))
        async for item in super().create_stream(messages, **options):
            await asyncio.sleep(0)
            yield item


def handoff(source: str, target: str) -> HandoffMessage:
    return HandoffMessage(content=f"to {target}", source=source, target=target)


def calls(*names: str, thought: str | None = None) -> CreateResult:
    """An answer that calls tools; each call has the tool's name and place for its id."""
    made = [FunctionCall(id=f"{name}-{place}", name=name, arguments="{}") for place, name in enumerate(names)]
    usage = RequestUsage(prompt_tokens=10, completion_tokens=5)
    return CreateResult(finish_reason="function_calls", content=made, usage=usage, cached=False, thought=thought)


def member(name: str, *answers: str | CreateResult, **options: Any) -> tuple[AssistantAgent, Model]:
    model = Model(*answers)
    return AssistantAgent(name, model, **options), model


def lines(result: TaskResult) -> list[str]:
    """Who said what, or handed over to whom."""
    return [
        f"{message.source}>{message.target}" if isinstance(message, HandoffMessage) else f"{message.source}: {text}"
        for message in result.messages
        if isinstance(message, BaseChatMessage)
        for text in [message.to_text()]
    ]


def assert_legal(messages: Sequence[LLMMessage]) -> None:
    """Each call has its result right after it, each result its call, and no id occurs twice."""
    waiting: list[str] = []
    seen: list[str] = []
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            assert [result.call_id for result in message.content] == waiting
            waiting = []
            continue
        assert not waiting
        if isinstance(message, AssistantMessage) and isinstance(message.content, list):
            waiting = [call.id for call in message.content]
            seen += waiting
    assert not waiting
    assert len(seen) == len(set(seen))
