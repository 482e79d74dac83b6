"""Repeats calls that failed for reasons that pass. Stands on the kinds of failures; knows no provider."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from random import uniform
from typing import Self, TypeVar

from pydantic import BaseModel, Field

from autogen_core import Component, ComponentModel
from autogen_core.models import ChatCompletionClient, CreateResult

from ._base import Items, ModelCall, ModelMiddleware
from ._clock import SYSTEM_CLOCK, Clock
from ._failures import FailureKind, failure_of
from ._streams import begin, wait

T = TypeVar("T")

_log = logging.getLogger("autogen_ext.models.middleware")

PASSING: tuple[FailureKind, ...] = ("rate_limited", "server", "connection")
"""Failures that may be gone the next time."""


class RetryConfig(BaseModel):
    """A `RetryClient` as data."""

    client: ComponentModel
    max_attempts: int = Field(4, ge=1)
    first_delay_s: float = Field(0.5, ge=0)
    max_delay_s: float = Field(60.0, ge=0)
    on: list[FailureKind] = list(PASSING)


class RetryClient(ModelMiddleware, Component[RetryConfig]):
    """Repeats a call that was refused for now, or that the provider failed to answer.

    It waits as long as the provider said (retry-after), and a little more at random, so that many agents do not come back
    all at once; where the provider said nothing, from `first_delay_s` on twice as long each time, and a random part. If
    the provider asks for more than `max_delay_s`, the error is raised at once. A stream is repeated only as long as
    nothing of it was handed on. Set the SDK's own retries to none (`max_retries=0`), or both multiply.

    Args:
        client: Whom calls are passed to.
        max_attempts: How often a call is made at most, the first time included.
        first_delay_s: Seconds before the second attempt, at least.
        max_delay_s: Seconds between two attempts, at most.
        on: The kinds of failures to repeat after.
        clock: The time.

    The last error is raised as it came, with a note that says how many attempts there were. Cancelling ends a wait at once.
    """

    component_config_schema = RetryConfig
    component_provider_override = "autogen_ext.models.middleware.RetryClient"

    def __init__(
        self,
        client: ChatCompletionClient,
        *,
        max_attempts: int = 4,
        first_delay_s: float = 0.5,
        max_delay_s: float = 60.0,
        on: Sequence[FailureKind] = PASSING,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if max_attempts < 1:
            raise ValueError(f"max_attempts must be 1 or more, got {max_attempts}: the first attempt counts.")
        super().__init__(client)
        self._max_attempts = max_attempts
        self._first_delay = first_delay_s
        self._max_delay = max_delay_s
        self._on = tuple(on)
        self._clock = clock

    async def _create(self, call: ModelCall) -> CreateResult:
        return await self._repeated(call, lambda: call.create(self.client))

    async def _stream(self, call: ModelCall) -> Items:
        first, rest = await self._repeated(call, lambda: begin(call, self.client))
        async with aclosing(rest):
            for item in first:
                yield item
            async for item in rest:
                yield item

    async def _repeated(self, call: ModelCall, attempt: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await attempt()
            except Exception as error:
                failures += 1
                if not self._may_pass(error):
                    raise
                if failures == self._max_attempts:
                    if failures > 1:
                        error.add_note(f"{failures} attempts were made.")
                    raise
                delay = self._delay(error, failures)
                kind = failure_of(error).kind
                _log.warning("Attempt %d failed (%s); the next one in %.2f s: %s", failures, kind, delay, error)
            await wait(self._clock, delay, call.cancellation_token)

    def _may_pass(self, error: BaseException) -> bool:
        failure = failure_of(error)
        return failure.kind in self._on and (failure.retry_after or 0.0) <= self._max_delay

    def _delay(self, error: Exception, failures: int) -> float:
        """Return the seconds until the next attempt: never less than the provider asked for."""
        backoff = min(self._first_delay * 2 ** (failures - 1), self._max_delay)
        asked = failure_of(error).retry_after
        if asked is None:
            return min(backoff + uniform(0, self._first_delay), self._max_delay)  # noqa: S311 - no secret
        # The random part spreads those who were told the same.
        return asked + uniform(0, max(self._first_delay, asked / 10))  # noqa: S311 - no secret

    def _to_config(self) -> RetryConfig:
        return RetryConfig(
            client=self.client.dump_component(),
            max_attempts=self._max_attempts,
            first_delay_s=self._first_delay,
            max_delay_s=self._max_delay,
            on=list(self._on),
        )

    @classmethod
    def _from_config(cls, config: RetryConfig) -> Self:
        return cls(
            ChatCompletionClient.load_component(config.client),
            max_attempts=config.max_attempts,
            first_delay_s=config.first_delay_s,
            max_delay_s=config.max_delay_s,
            on=config.on,
        )
