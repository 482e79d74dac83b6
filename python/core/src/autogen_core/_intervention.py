"""Intervention: handlers that see every message before it is delivered. Stands on identity and message context.

Handlers form a chain: each sees what the one before it returned. `Interventions` is that chain, made once per runtime.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol, final

from autogen_core._identity import AgentId, TopicId
from autogen_core._message_context import MessageContext
from autogen_core._names import TRACE_LOGGER_NAME
from autogen_core.exceptions import MessageDroppedException

_logger = logging.getLogger(TRACE_LOGGER_NAME)


@final
class DropMessage:
    """Returned by an intervention handler, as the class or as an instance, to drop the message."""


class InterventionHandler(Protocol):
    """Sees messages and answers before they are delivered, one at a time, and may change or drop them.

    It may ask agents itself, by `send_message`: these messages are seen within its own turn, so it must tell them from those
    that it waits for.

    Each method returns the message to go on with, changed or not, or `DropMessage`. An exception that it raises refuses the
    message: the sender receives it. The next handler in the list sees what this one returned.
    """

    async def on_send(
        self, message: Any, *, message_context: MessageContext, recipient: AgentId
    ) -> Any | type[DropMessage]:
        """See a message that is sent to one agent."""
        ...

    async def on_publish(self, message: Any, *, message_context: MessageContext) -> Any | type[DropMessage]:
        """See a message that is published to a topic."""
        ...

    async def on_response(self, message: Any, *, sender: AgentId, recipient: AgentId | None) -> Any | type[DropMessage]:
        """See the answer of an agent on its way back; `recipient` is None if the question came from outside."""
        ...


class DefaultInterventionHandler(InterventionHandler):
    """Passes everything on unchanged: a base for handlers that care about one kind of message."""

    async def on_send(
        self, message: Any, *, message_context: MessageContext, recipient: AgentId
    ) -> Any | type[DropMessage]:
        """Return the message unchanged."""
        return message

    async def on_publish(self, message: Any, *, message_context: MessageContext) -> Any | type[DropMessage]:
        """Return the message unchanged."""
        return message

    async def on_response(self, message: Any, *, sender: AgentId, recipient: AgentId | None) -> Any | type[DropMessage]:
        """Return the answer unchanged."""
        return message


class Interventions:
    """The chain of a runtime's intervention handlers, in their order."""

    def __init__(self, handlers: Sequence[InterventionHandler]) -> None:
        self._handlers = tuple(handlers)
        self._turn = asyncio.Lock()
        self._under_way: ContextVar[bool] = ContextVar("intervention_under_way", default=False)

    def __bool__(self) -> bool:
        return bool(self._handlers)

    @property
    def under_way(self) -> bool:
        """Whether the caller is called, directly or through agents, by an intervention handler whose turn it is."""
        return bool(self._handlers) and self._under_way.get()

    def renew(self) -> None:
        """Let what follows run in another event loop: a lock belongs to one. Nobody may be in a turn."""
        self._turn = asyncio.Lock()

    def leave(self) -> None:
        """Let what follows in this context be no part of the turn: nobody in it waits for that."""
        self._under_way.set(False)

    async def send(self, message: Any, context: MessageContext, recipient: AgentId) -> Any:
        """Return the message that is to be delivered.

        Raises:
            MessageDroppedException: A handler dropped it.
        """
        return await self._fold(
            message, recipient, lambda handler, m: handler.on_send(m, message_context=context, recipient=recipient)
        )

    async def publish(self, message: Any, context: MessageContext) -> Any:
        """Return the message that is to be published.

        Raises:
            MessageDroppedException: A handler dropped it.
        """
        return await self._fold(
            message, context.topic_id, lambda handler, m: handler.on_publish(m, message_context=context)
        )

    async def respond(self, answer: Any, sender: AgentId, recipient: AgentId | None) -> Any:
        """Return the answer that the one who asked is to receive.

        Raises:
            MessageDroppedException: A handler dropped it.
        """
        return await self._fold(
            answer, recipient, lambda handler, m: handler.on_response(m, sender=sender, recipient=recipient)
        )

    async def _fold(
        self,
        message: Any,
        recipient: AgentId | TopicId | None,
        ask: Callable[[InterventionHandler, Any], Awaitable[Any]],
    ) -> Any:
        """Ask the handlers one after the other, in their turn; what they ask for themselves is within it."""
        if self._under_way.get():
            return await self._ask_all(message, recipient, ask)
        async with self._turn:
            inside = self._under_way.set(True)
            try:
                return await self._ask_all(message, recipient, ask)
            finally:
                self._under_way.reset(inside)

    async def _ask_all(
        self,
        message: Any,
        recipient: AgentId | TopicId | None,
        ask: Callable[[InterventionHandler, Any], Awaitable[Any]],
    ) -> Any:
        for handler in self._handlers:
            before, message = message, await ask(handler, message)
            if message is DropMessage or isinstance(message, DropMessage):
                raise MessageDroppedException(
                    f"{type(handler).__name__} dropped the {type(before).__name__} for {recipient}.",
                    recipient=recipient,
                    message_type=before.__class__,
                )
            if message is None and before is not None:
                _logger.warning("%s returned None for a message; did it forget to return it?", type(handler).__name__)
        return message
