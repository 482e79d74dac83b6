"""The messages and agents of the core suite. Agents note what they do where the test can read it, wherever they live."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    TopicId,
    message_handler,
    type_subscription,
)

from .runtimes import World


@dataclass
class Order:
    """What a `Doer` is to do, in this order: wait, publish, fail, ask another agent; else it answers with `text`."""

    text: str = ""
    sleep: float = 0
    publish: str = ""
    fail: str = ""
    ask: str = ""
    then: "Order | None" = None


@dataclass
class Answer:
    """What a `Doer` answers."""

    text: str


@dataclass
class Amount:
    """What a `Counter` counts."""

    number: int


class OddError(Exception):
    """An error of a program's own."""


ERRORS: dict[str, Callable[[], Exception]] = {
    "key": lambda: KeyError("boom"),
    "value": lambda: ValueError("boom"),
    "permission": lambda: PermissionError("boom"),
    "odd": lambda: OddError("boom"),
    "empty": RuntimeError,
    "long": lambda: ValueError("begin " + "x" * 100_000 + " end"),
    "timeout": lambda: TimeoutError("boom"),
    "unicode": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "boom"),
}


@dataclass
class Notes:
    """What the agents of one type did."""

    heard: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    contexts: list[MessageContext] = field(default_factory=list[MessageContext])
    ended: list[str] = field(default_factory=list[str])
    cancelled: list[str] = field(default_factory=list[str])

    def texts(self, key: str | None = None) -> list[str]:
        """Return what was heard, in order; by the agent with this key only, if one is given."""
        return [text for one, text in self.heard if key in {None, one}]


class Doer(RoutedAgent):
    """Does what it is told, and notes it.

    Args:
        notes: Where; shared by all agents of the type.
    """

    def __init__(self, notes: Notes) -> None:
        super().__init__("does what it is told")
        self.notes = notes

    @message_handler
    async def do(self, message: Order, ctx: MessageContext) -> Answer:
        """Do what a message says."""
        self.notes.heard.append((self.id.key, message.text))
        self.notes.contexts.append(ctx)
        try:
            return await self._do(message, ctx)
        except asyncio.CancelledError:
            self.notes.cancelled.append(message.text)
            raise

    async def _do(self, message: Order, ctx: MessageContext) -> Answer:
        if message.sleep:
            await asyncio.sleep(message.sleep)
        if message.publish:
            await self.publish_message(message.then or Order("published"), TopicId.from_str(message.publish))
        if message.fail:
            error = ERRORS[message.fail]()
            raise error
        if message.ask:
            return await self.send_message(message.then or Order(), AgentId.from_str(message.ask))
        self.notes.ended.append(message.text)
        return Answer(message.text)


@type_subscription("amounts")
class Counter(RoutedAgent):
    """Adds up what it hears; its state outlives it where it is saved."""

    def __init__(self) -> None:
        super().__init__("counts")
        self.total = 0
        self.closed = False

    @message_handler
    async def count(self, message: Amount, ctx: MessageContext) -> int:
        """Add, and tell the sum."""
        self.total += message.number
        return self.total

    async def save_state(self) -> Mapping[str, Any]:
        """Return the sum."""
        return {"total": self.total}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up a sum; without one it is a `KeyError`."""
        self.total = state["total"]

    async def close(self) -> None:
        """Note it."""
        self.closed = True


async def doers(world: World, agent_type: str = "doer", *, here: bool = False) -> Notes:
    """Register doers where the test's agents live, or at the caller's runtime, and return what they will note."""
    notes = Notes()
    world.knows(Order, Answer)
    await Doer.register(world.runtime if here else world.agents, agent_type, lambda: Doer(notes))
    return notes


DOER = AgentId("doer", "a")
