"""What the runtime tests share: a message, agents, and a look at the tasks that are left."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    CancellationToken,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    message_handler,
)


@dataclass
class Work:
    """A message that says what its handler is to do: sleep, raise, ask another agent; then answer with `text`."""

    text: str = ""
    sleep_s: float = 0
    error: BaseException | None = None
    ask: AgentId | None = None
    ask_with: "Work | None" = None


class Worker(RoutedAgent):
    """Does what a message says, and keeps note of it."""

    seen: list[str]

    def __init__(self) -> None:
        super().__init__("a worker")
        self.seen = []
        self.cancelled: list[str] = []
        self.tokens: list[CancellationToken] = []

    @message_handler
    async def handle_work(self, message: Work, ctx: MessageContext) -> Any:
        self.seen.append(message.text)
        self.tokens.append(ctx.cancellation_token)
        try:
            if message.sleep_s:
                await asyncio.sleep(message.sleep_s)
            if message.error is not None:
                raise message.error
            if message.ask is not None:
                return await self.send_message(message.ask_with or Work(), message.ask)
        except asyncio.CancelledError:
            self.cancelled.append(message.text)
            raise
        return message.text


A = AgentId("worker", "a")
JOBS = TopicId("jobs", "a")


async def make(**options: Any) -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime(**options)
    await Worker.register(runtime, "worker", Worker)
    await runtime.add_subscription(TypeSubscription("jobs", "worker"))
    return runtime


async def seen(runtime: SingleThreadedAgentRuntime) -> list[str]:
    return (await runtime.try_get_underlying_agent_instance(A, Worker)).seen


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    """After each test, nothing runs but the test itself."""
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()
