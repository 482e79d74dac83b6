"""The agents and messages of these tests."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    message_handler,
    try_get_known_serializers_for_type,
)
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime


@dataclass
class Word:
    text: str


@dataclass
class Big:
    data: str


class Odd:
    """Nothing that could be written."""


class Speaker(RoutedAgent):
    """Does what it is told."""

    def __init__(self) -> None:
        super().__init__("does what it is told")
        self.heard: list[str] = []
        self.contexts: list[MessageContext] = []
        self.cancelled = 0
        self.under_way = asyncio.Event()

    @message_handler
    async def word(self, message: Word, ctx: MessageContext) -> Any:  # noqa: PLR0911 - a table of orders
        self.heard.append(message.text)
        self.contexts.append(ctx)
        self.under_way.set()
        order, _, rest = message.text.partition(" ")
        match order:
            case "fail":
                raise KeyError("boom")
            case "odd":
                return Odd()
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
            case "cancelled":
                return Word(str(self.cancelled))
            case "ask":
                to, _, what = rest.partition(" ")
                return await self.send_message(
                    Word(what), AgentId(to, "default"), cancellation_token=ctx.cancellation_token
                )
            case _:
                return Word(message.text.upper())

    @message_handler
    async def big(self, message: Big, ctx: MessageContext) -> int:
        return len(message.data)

    async def save_state(self) -> dict[str, Any]:
        return {"heard": self.heard}

    async def load_state(self, state: Any) -> None:
        if "heard" not in state:
            raise KeyError("heard")
        self.heard = list(state["heard"])


def knows_messages(runtime: GrpcWorkerAgentRuntime) -> GrpcWorkerAgentRuntime:
    for kind in (Word, Big):
        runtime.add_message_serializer(try_get_known_serializers_for_type(kind))
    return runtime


async def speak(runtime: GrpcWorkerAgentRuntime, agent_type: str) -> None:
    knows_messages(runtime)
    await Speaker.register(runtime, agent_type, Speaker)


async def speaker(runtime: GrpcWorkerAgentRuntime, agent_type: str, key: str = "default") -> Speaker:
    return await runtime.try_get_underlying_agent_instance(AgentId(agent_type, key), Speaker)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds that nobody tells of."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.005)
