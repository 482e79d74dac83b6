"""For the tests of Magentic-One: ledgers in a line, members that count their turns, models that answer and that judge."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import ChatAgent, Response, TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    TextMessage,
    ThoughtEvent,
)
from autogen_agentchat.teams._magentic_one._group_chat import MagenticOneGroupChat
from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, CreateResult, LLMMessage, ModelInfo, UserMessage
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models.replay import ReplayChatCompletionClient

BOSS = "MagenticOneOrchestrator"


def info(*, json_output: bool = True, structured_output: bool = False) -> ModelInfo:
    return ModelInfo(
        vision=False,
        function_calling=False,
        json_output=json_output,
        family="unknown",
        structured_output=structured_output,
    )


def entries(speaker: str = "alice", **answers: Any) -> dict[str, Any]:
    """A ledger as data; by default the team gets on."""
    given = {
        "is_request_satisfied": False,
        "is_in_loop": False,
        "is_progress_being_made": True,
        "next_speaker": speaker,
        "instruction_or_question": f"{speaker}, go on",
        **answers,
    }
    return {key: {"reason": f"why {key}", "answer": answer} for key, answer in given.items()}


def go(speaker: str = "alice", **answers: Any) -> str:
    return json.dumps(entries(speaker, **answers))


STALL = go(is_progress_being_made=False)
LOOP = go(is_in_loop=True)
DONE = go(is_request_satisfied=True)


class Member(BaseChatAgent):
    """Says its name and how many turns it has had; forgets them on reset. Does as told, once."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    def __init__(self, name: str, told: str = "") -> None:
        super().__init__(name, f"{name}\nhelps")
        self.told = told
        self.heard: list[list[str]] = []
        self.turns = 0
        self.resets = 0
        self.cancelled = 0
        self.working = asyncio.Event()

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        raise AssertionError("teams use the stream")

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        self.heard.append([message.to_text() for message in messages])
        self.working.set()
        told, self.told = self.told, ""
        if told == "fail":
            raise KeyError("boom")
        if told == "sleep":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        for _ in range(3):
            await asyncio.sleep(0)
        self.turns += 1
        inner: list[BaseAgentEvent | BaseChatMessage] = []
        if told == "think":
            inner = [ThoughtEvent(content="hm", source=self.name), TextMessage(content="draft", source="notebook")]
            for each in inner:
                yield each
        yield ModelClientStreamingChunkEvent(content="...", source=self.name)
        yield Response(
            chat_message=TextMessage(content=f"{self.name} {self.turns}", source=self.name), inner_messages=inner
        )

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.resets += 1
        self.turns = 0

    async def save_state(self) -> Mapping[str, Any]:
        return {"turns": self.turns}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.turns = state["turns"]


class Judge(ReplayChatCompletionClient):
    """Decides by what it is sent alone, so that a saved run can go on with another one.

    The first plan stalls after one answer. The second is done after three.
    """

    def __init__(self) -> None:
        super().__init__([], info())
        self.calls = 0

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
        self.calls += 1
        for _ in range(3):
            await asyncio.sleep(0)
        briefings = [each.content for each in messages if isinstance(each, AssistantMessage) and "PLAN" in each.content]
        answers = [each for each in messages if isinstance(each, UserMessage) and each.source in ("alice", "bob")]
        if not json_output:
            text = "second" if briefings else "first"
        elif "second" in str(briefings[0]):
            text = [go("alice"), go("bob"), go("alice"), DONE][len(answers)]
        else:
            text = STALL if answers else go("bob")
        self.chat_completions.append(text)
        return await super().create(messages, cancellation_token=cancellation_token)


class Held(ReplayChatCompletionClient):
    """Answers from a script; at one call it waits to be let go, and looks at no token."""

    def __init__(self, script: Sequence[str], at: int) -> None:
        super().__init__(script, info())
        self.calls = 0
        self.at = at
        self.waiting = asyncio.Event()
        self.released = asyncio.Event()
        self.cancelled = 0

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
        self.calls += 1
        if self.calls == self.at:
            self.waiting.set()
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await super().create(messages, json_output=json_output)


def team_of(
    *script: str, members: Sequence[ChatAgent] = (), **options: Any
) -> tuple[MagenticOneGroupChat, ReplayChatCompletionClient]:
    model = ReplayChatCompletionClient(script, info())
    return MagenticOneGroupChat([*(members or (Member("alice"), Member("bob")))], model, **options), model


def said(result: TaskResult) -> list[tuple[str, str]]:
    """Who said what, with briefings as the one word."""
    return [(each.source, "briefing" if "PLAN" in each.to_text() else each.to_text()) for each in result.messages]


def asked(model: ReplayChatCompletionClient, call: int) -> str:
    """The request that one call ended with."""
    return str(model.create_calls[call]["messages"][-1].content)


def tokens(result: Sequence[BaseAgentEvent | BaseChatMessage]) -> tuple[int, int]:
    used = [each.models_usage for each in result if each.models_usage]
    return sum(each.prompt_tokens for each in used), sum(each.completion_tokens for each in used)
