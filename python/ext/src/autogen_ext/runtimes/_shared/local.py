"""Messages between agents of one process, handed over without a detour over the wire.

Stands on the delivery of autogen_core; knows no transport.
"""

import asyncio
import contextvars
import logging
from typing import Any

from autogen_core import ROOT_LOGGER_NAME, AgentId
from autogen_core.exceptions import UndeliverableException
from autogen_core.lowlevel import Delivery, Directory, Envelope, Mailbox

from .deadlines import deadline, too_late

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes")

_MAX_NESTING = 16
"""How many handlers may run inside one another's first step before one is begun from the event loop, to spare the stack."""

_TURN = 64
"""How many requests are answered without a suspension before other tasks of the event loop get their turn."""


class Local:
    """Hands requests to agents that live here.

    Args:
        directory: The agents here.
        delivery: How their handlers are started. It has no interventions.
        mailbox: Where the work is counted.
    """

    def __init__(self, directory: Directory, delivery: Delivery, mailbox: Mailbox) -> None:
        self._directory = directory
        self._delivery = delivery
        self._mailbox = mailbox
        self._nesting = 0
        self._unyielded = 0

    async def send(self, envelope: Envelope, recipient: AgentId, left_s: float | None, *, own_token: bool) -> Any:
        """Let an agent handle a message, and return its answer.

        Cancelling this cancels the handler. So does the end of the time, if that is limited.

        Args:
            envelope: The message.
            recipient: The agent.
            left_s: In how many seconds the answer must be there; None: no limit.
            own_token: Whether the envelope's token is of this message alone, so that giving up cancels it, too.

        Raises:
            UndeliverableException: There is no such agent here.
            DeadlineExceededError: It did not answer in time.
        """
        if not self._directory.knows(recipient):
            raise UndeliverableException.unknown_recipient(recipient, self._directory.types)
        loop = asyncio.get_running_loop()
        envelope.reply = reply = loop.create_future()
        if left_s is not None:
            envelope.context = contextvars.copy_context()
            envelope.context.run(deadline.set, loop.time() + left_s)
        if self._nesting >= _MAX_NESTING:
            await asyncio.sleep(0)
        self._mailbox.begun()
        self._nesting += 1
        try:
            # It does not suspend: there are no interventions.
            await self._delivery.deliver(envelope)
        finally:
            self._nesting -= 1
        if reply.done():
            self._unyielded += 1
            if self._unyielded >= _TURN:
                self._unyielded = 0
                await asyncio.sleep(0)
            return reply.result()
        envelope.token.link_future(reply)
        try:
            if left_s is None:
                return await reply
            await asyncio.wait([reply], timeout=max(left_s, 0))
            if not reply.done():
                raise too_late(recipient, left_s)
            return reply.result()
        finally:
            if not reply.done() or reply.cancelled():
                reply.cancel()
                _give_up(envelope, own_token)


def _give_up(envelope: Envelope, own_token: bool) -> None:
    if envelope.task is not None and not envelope.task.cancelling():
        envelope.task.cancel()
    if own_token:
        try:
            envelope.token.cancel()
        except Exception:
            _logger.exception("cancelling the message %s for %s", envelope.id, envelope.to)
