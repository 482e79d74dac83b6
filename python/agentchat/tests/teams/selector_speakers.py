"""Agents and a selecting model for the tests of selector teams."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_agentchat.teams._selector import SelectorGroupChat
from autogen_core import CancellationToken
from autogen_core.models import CreateResult, LLMMessage, ModelFamily, ModelInfo
from autogen_ext.models.replay import ReplayChatCompletionClient

PROMPT = "{roles} | {participants} | {history}"


class Speaker(BaseChatAgent):
    """Says its name and the number of its turn."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name} speaks")
        self.heard: list[list[str]] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        await asyncio.sleep(0)
        self.heard.append([message.to_text() for message in messages])  # from here on nothing waits
        return Response(chat_message=TextMessage(content=f"{self.name}{len(self.heard)}", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.heard.clear()

    async def save_state(self) -> Mapping[str, Any]:
        return {"heard": self.heard}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.heard = [list(turn) for turn in state["heard"]]


class Chooser(ReplayChatCompletionClient):
    """Replies in order and notes each request. On "sleep" it takes a minute; on "fail" it fails."""

    def __init__(self, *replies: str | CreateResult, family: str = ModelFamily.UNKNOWN) -> None:
        info = ModelInfo(vision=False, function_calling=True, json_output=True, family=family, structured_output=True)
        super().__init__(replies, info)
        self.requests: list[list[str]] = []
        self.sleeping = asyncio.Event()
        self.woken = 0

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self.requests.append([str(message.content) for message in messages])
        options.pop("cancellation_token", None)  # it does not look at its token
        result = await super().create(messages, **options)
        await self._obey(result.content)
        return result

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        self.requests.append([str(message.content) for message in messages])
        options.pop("cancellation_token", None)
        async for item in super().create_stream(messages, **options):
            await self._obey(item)
            yield item

    async def _obey(self, reply: object) -> None:
        if reply == "fail":
            raise KeyError("the model fails")
        if reply == "sleep":
            self.sleeping.set()
            try:
                await asyncio.sleep(60)
            finally:
                self.woken += 1

    def offers(self) -> list[str]:
        """Return what each first request named as candidates."""
        return [request[0].split(" | ")[1] for request in self.requests if len(request) == 1]


def chat(model: ReplayChatCompletionClient, names: str = "abc", **options: Any) -> SelectorGroupChat:
    options.setdefault("selector_prompt", PROMPT)
    return SelectorGroupChat([Speaker(name) for name in names], model, **options)


def texts(result: TaskResult) -> list[str]:
    return [message.to_text() for message in result.messages]


def speakers(result: TaskResult) -> list[str]:
    return [message.source for message in result.messages if isinstance(message, TextMessage)][1:]
