"""Agents that worker processes of these tests load, and functions that register them, well or badly."""

import asyncio
import logging
import os
import time
from dataclasses import dataclass

from autogen_core import AgentRuntime, MessageContext, RoutedAgent, message_handler


@dataclass
class Order:
    text: str


@dataclass
class Done:
    text: str
    process: int


class Clerk(RoutedAgent):
    """Does what it is told, and says in which process."""

    def __init__(self) -> None:
        super().__init__("does what it is told")

    @message_handler
    async def order(self, message: Order, ctx: MessageContext) -> Done:
        words = message.text.split()
        if words[0] == "sleep":
            await asyncio.sleep(float(words[1]))
        if words[-1] == "block":
            logging.getLogger("shop").warning("blocked now")
            time.sleep(600)  # noqa: ASYNC251 - as a handler must not be written
        return Done(message.text.upper(), os.getpid())


async def front(runtime: AgentRuntime) -> None:
    await Clerk.register(runtime, "front", Clerk)


async def back(runtime: AgentRuntime) -> None:
    await Clerk.register(runtime, "back", Clerk)


class Departments:
    @staticmethod
    async def both(runtime: AgentRuntime) -> None:
        await front(runtime)
        await back(runtime)


async def slowly(runtime: AgentRuntime) -> None:
    await asyncio.sleep(60)


def failing(runtime: AgentRuntime) -> None:
    raise KeyError("boom")


async def failing_later(runtime: AgentRuntime) -> None:
    await front(runtime)
    raise RuntimeError("the database\nis away")


number = 3
