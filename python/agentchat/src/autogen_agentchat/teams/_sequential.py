"""`SequentialRoutedAgent`: a routed agent that takes certain messages one at a time, first come, first served."""

import asyncio
from collections.abc import Sequence
from typing import Any

from autogen_core import MessageContext, RoutedAgent


class SequentialRoutedAgent(RoutedAgent):
    """Messages of the given types wait for one another; others are handled at once, also in between.

    Args:
        description: What the agent is for, in a sentence.
        sequential_message_types: The exact classes of the messages that wait.
    """

    def __init__(self, description: str, sequential_message_types: Sequence[type[Any]]) -> None:
        super().__init__(description)
        self._sequential_message_types = frozenset(sequential_message_types)
        self._turnstile = asyncio.Lock()  # fair: waiters get it in their order

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any | None:
        """Handle a message, after those before it if it is of a sequential type."""
        if type(message) not in self._sequential_message_types:
            return await super().on_message_impl(message, ctx)
        async with self._turnstile:
            return await super().on_message_impl(message, ctx)
