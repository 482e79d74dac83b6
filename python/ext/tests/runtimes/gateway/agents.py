"""The agents and messages of these tests."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue

from autogen_core import (
    AgentId,
    AgentRuntime,
    MessageContext,
    RoutedAgent,
    TopicId,
    message_handler,
    try_get_known_serializers_for_type,
)


@dataclass
class Word:
    text: str


@dataclass
class Big:
    data: str


class Speaker(RoutedAgent):
    """Does what it is told. It keeps no state, so what it has heard is in a list that the test holds."""

    def __init__(self, heard: list[str], under_way: asyncio.Event) -> None:
        super().__init__("does what it is told")
        self.heard = heard
        self.contexts: list[MessageContext] = []
        self.cancelled = 0
        self.under_way = under_way

    @message_handler
    async def word(self, message: Word, ctx: MessageContext) -> Any:  # noqa: PLR0911 - a table of orders
        self.heard.append(f"{self.id.key}: {message.text}")
        self.contexts.append(ctx)
        self.under_way.set()
        order, _, rest = message.text.partition(" ")
        match order:
            case "fail":
                raise KeyError("boom")
            case "none":
                return None
            case "plain":
                return {"a": [1, 2.5, None, "é"]}
            case "big":
                return Big("x" * int(rest))
            case "sleep":
                try:
                    await asyncio.sleep(float(rest))
                except asyncio.CancelledError:
                    self.cancelled += 1
                    raise
                return Word("slept")
            case "publish":
                await self.publish_message(Word(rest), TopicId("news", self.id.key))
                return None
            case "ask":
                to, _, what = rest.partition(" ")
                token = ctx.cancellation_token
                return await self.send_message(Word(what), AgentId(to, "k"), cancellation_token=token)
            case _:
                return Word(message.text.upper())

    @message_handler
    async def big(self, message: Big, ctx: MessageContext) -> int:
        return len(message.data)

    @message_handler
    async def wrapped(self, message: StringValue, ctx: MessageContext) -> StringValue:
        self.heard.append(f"{self.id.key}: {message.value}")
        return StringValue(value=message.value[::-1])


class Keeper(RoutedAgent):
    """Counts; its state is what it counted."""

    def __init__(self) -> None:
        super().__init__("counts")
        self.count = 0

    @message_handler
    async def word(self, message: Word, ctx: MessageContext) -> int:
        self.count += 1
        return self.count

    async def save_state(self) -> dict[str, Any]:
        return {"count": self.count}

    async def load_state(self, state: Any) -> None:
        self.count = state["count"]


@dataclass
class Cast:
    """The speakers of one type at one runtime."""

    agent_type: str
    runtime: AgentRuntime
    heard: list[str]
    under_way: asyncio.Event

    async def one(self, key: str = "k") -> Speaker:
        """Return the object of a speaker that lives there."""
        return await self.runtime.try_get_underlying_agent_instance(AgentId(self.agent_type, key), Speaker)


def knows_messages(runtime: AgentRuntime) -> None:
    for kind in (Word, Big, StringValue):
        runtime.add_message_serializer(try_get_known_serializers_for_type(kind))


async def speak(runtime: AgentRuntime, agent_type: str) -> Cast:
    """Let speakers of a type live at a runtime."""
    cast = Cast(agent_type, runtime, [], asyncio.Event())
    knows_messages(runtime)
    await Speaker.register(runtime, agent_type, lambda: Speaker(cast.heard, cast.under_way))
    return cast


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds that nobody tells of."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.005)
