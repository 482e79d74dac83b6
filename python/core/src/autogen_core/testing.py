"""Tools for testing agents and runtimes, as this project tests its own: a probe, a collector of events, faults, a way to idle.

Stands on the base agent and the local runtime; needs no test framework.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from inspect import isawaitable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from autogen_core._base_agent import BaseAgent
from autogen_core._message_context import MessageContext
from autogen_core._names import EVENT_LOGGER_NAME
from autogen_core._runtime.single_threaded import SingleThreadedAgentRuntime

__all__ = ["EventCollector", "FaultyAwait", "ProbeAgent", "Received", "run_until_idle"]

T = TypeVar("T")
EventT = TypeVar("EventT")


@dataclass(frozen=True, slots=True)
class Received:
    """A message that a probe received.

    Attributes:
        message: The message.
        ctx: Its circumstances.
    """

    message: Any
    ctx: MessageContext


class ProbeAgent(BaseAgent):
    """An agent that takes every message, keeps it, and answers as it is told.

    Register it by `register_instance`, or from a factory that keeps hold of it.

    Args:
        answer: What it answers: a value; an exception, which it raises; or a function of message and context, which may be
            async.

    Attributes:
        received: What it received, in order.
    """

    def __init__(self, answer: Callable[[Any, MessageContext], Any] | Exception | object = None) -> None:
        super().__init__("A probe for tests")
        self.received: list[Received] = []
        self._answer = answer
        self._arrived = asyncio.Condition()

    @property
    def messages(self) -> list[Any]:
        """The messages that it received, in order."""
        return [received.message for received in self.received]

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Keep the message and answer it."""
        self.received.append(Received(message, ctx))
        async with self._arrived:
            self._arrived.notify_all()
        if isinstance(self._answer, Exception):
            raise self._answer
        if callable(self._answer):
            answer = self._answer(message, ctx)
            return await answer if isawaitable(answer) else answer
        return self._answer

    async def wait_for(self, count: int, timeout_s: float = 5.0) -> list[Any]:
        """Wait until `count` messages have come, and return all that have.

        Raises:
            TimeoutError: They did not come within `timeout_s` seconds. The text says how many did.
        """
        try:
            async with asyncio.timeout(timeout_s), self._arrived:
                await self._arrived.wait_for(lambda: len(self.received) >= count)
        except TimeoutError:
            raise TimeoutError(
                f"Expected {count} messages within {timeout_s} s, got {len(self.received)}: {self.messages}"
            ) from None
        return self.messages


class EventCollector(logging.Handler):
    """Collects the event records of `autogen_core.logging` while it is used as a context manager.

    Args:
        logger: The name of the logger it listens to.

    Attributes:
        events: The event objects, in order.
    """

    def __init__(self, logger: str = EVENT_LOGGER_NAME) -> None:
        super().__init__(logging.INFO)
        self.events: list[Any] = []
        self._logger = logging.getLogger(logger)
        self._level = logging.NOTSET

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the event object of a record."""
        self.events.append(record.msg)

    def of(self, kind: type[EventT]) -> list[EventT]:
        """Return the events of one class."""
        return [event for event in self.events if isinstance(event, kind)]

    def __enter__(self) -> Self:
        self._level = self._logger.level
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)


class FaultyAwait(Generic[T]):
    """Awaits something, and makes it fail at one of the points where it waits.

    Run a piece of work with `at` = 1, 2, 3 … until `struck` stays false: then it has been hit wherever it can be.

        fault = FaultyAwait(runtime.stop_when_idle(), at=1, error=asyncio.CancelledError())
        await fault

    Args:
        work: What is awaited.
        at: At which wait, counted from 1, the fault strikes.
        error: What is raised there.

    Attributes:
        struck: Whether the work came so far.
    """

    def __init__(self, work: Awaitable[T], at: int, error: BaseException) -> None:
        self.struck = False
        self._work = work
        self._at = at
        self._error = error

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        waits = 0
        try:
            waiting_for = next(steps)
            while True:
                waits += 1
                if waits == self._at:
                    self.struck = True
                    waiting_for = steps.throw(self._error)
                    continue
                try:
                    yield waiting_for
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the work's to handle
                    waiting_for = steps.throw(error)
                else:
                    waiting_for = next(steps)
        except StopIteration as done:
            return done.value


async def run_until_idle(runtime: SingleThreadedAgentRuntime, timeout_s: float = 5.0) -> None:
    """Let a runtime work until no message waits or is being handled, without stopping it.

    A runtime that is not started is stepped by `process_next`.

    Raises:
        TimeoutError: It was not idle within `timeout_s` seconds. It is left as it is.
        Exception: A handler that nobody waited for failed; see `ignore_unhandled_exceptions`.
    """
    mailbox = runtime._mailbox
    async with asyncio.timeout(timeout_s):
        while not mailbox.idle and runtime._failure is None:
            if runtime._pump is None and len(mailbox):
                await runtime.process_next()
            else:
                await mailbox.changed()
    runtime._raise_failure()
