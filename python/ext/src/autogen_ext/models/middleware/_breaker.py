"""Leaves a provider alone that fails again and again. Stands on the kinds of failures; knows no provider."""

import logging
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from autogen_core import Component, ComponentModel
from autogen_core.models import ChatCompletionClient, CreateResult

from ._base import Items, ModelCall, ModelMiddleware
from ._clock import SYSTEM_CLOCK, Clock
from ._errors import CircuitOpenError
from ._failures import failure_of
from ._shared import shared

_log = logging.getLogger("autogen_ext.models.middleware")

BROKEN = ("server", "connection", "unusable_reply")
"""Failures of the provider itself."""

ALIVE = ("authentication", "context_length", "refused")
"""Failures that show that the provider works."""


class CircuitSettings(BaseModel):
    """When a provider is left alone, and for how long."""

    model_config = ConfigDict(frozen=True)

    key: str | None = None
    max_failures: int = Field(5, ge=1)
    open_s: float = Field(30.0, gt=0)


class Circuit:
    """Counts failures in a row, and opens after too many. After a while one call may try, and its outcome decides."""

    def __init__(self, settings: CircuitSettings, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None
        self._trial: _Passage | None = None

    @classmethod
    def of(cls, settings: CircuitSettings, clock: Clock = SYSTEM_CLOCK) -> "Circuit":
        """Return the circuit that all share who name the same key; without a key, a new one."""
        return shared(cls, settings.key, settings, lambda: cls(settings, clock))

    @property
    def is_open(self) -> bool:
        """Whether calls are held back; true until a trial call was answered."""
        return self._open_until is not None

    def passage(self) -> "_Passage":
        """Return the context of one call.

        Raises:
            CircuitOpenError: The provider is to be left alone.
        """
        passage = _Passage(self)
        if self._open_until is None:
            return passage
        remaining = self._open_until - self._clock.time()
        if remaining > 0:
            raise CircuitOpenError(self.settings.key, remaining)
        if self._trial is not None:
            # How long the trial takes nobody knows; if it fails, the circuit is open for as long as this again.
            raise CircuitOpenError(self.settings.key, self.settings.open_s)
        self._trial = passage
        return passage

    def _worked(self, passage: "_Passage") -> None:
        if passage is self._trial:
            self._open_until = self._trial = None
            _log.warning("The circuit %s is closed: the provider answers again", self.settings.key or "")
        if self._open_until is None:
            self._failures = 0

    def _failed(self, passage: "_Passage", retry_after: float | None) -> None:
        self._failures += 1
        if passage is not self._trial and (self._open_until is not None or self._failures < self.settings.max_failures):
            return
        self._trial = None
        self._open_until = self._clock.time() + max(self.settings.open_s, retry_after or 0.0)
        _log.warning("The circuit %s is open: %d failures in a row", self.settings.key or "", self._failures)

    def _undecided(self, passage: "_Passage") -> None:
        if passage is self._trial:
            self._trial = None


class _Passage:
    """One call: the end of the context tells the circuit what came of it."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure = failure_of(error) if isinstance(error, Exception) else None
        if error is None or (failure is not None and failure.kind in ALIVE):
            self.worked()
        elif failure is not None and failure.kind in BROKEN:
            self._circuit._failed(self, failure.retry_after)
        else:
            self._circuit._undecided(self)

    def worked(self) -> None:
        """Note that the provider answers."""
        self._circuit._worked(self)


class CircuitBreakerConfig(BaseModel):
    """A `CircuitBreakerClient` as data."""

    client: ComponentModel
    circuit: CircuitSettings


class CircuitBreakerClient(ModelMiddleware, Component[CircuitBreakerConfig]):
    """Refuses calls at once while a provider is down, so that nobody waits for it and it can recover.

    After `max_failures` failures in a row (errors of the server, of the connection, replies without sense), calls raise
    `CircuitOpenError` for `open_s` seconds, or as long as the provider asked for. Then one call may try: if it is answered,
    all may; if it fails, the time begins again. Rate limits and refused requests are not failures of the provider.

    Args:
        client: Whom calls are passed to.
        key: Who shares the circuit within this process; `None` for this client alone.
        max_failures: How many failures in a row open the circuit.
        open_s: Seconds until a call may try.
        clock: The time.

    Raises:
        ValueError: The key is in use with other settings.
    """

    component_config_schema = CircuitBreakerConfig
    component_provider_override = "autogen_ext.models.middleware.CircuitBreakerClient"

    def __init__(
        self,
        client: ChatCompletionClient,
        *,
        key: str | None = None,
        max_failures: int = 5,
        open_s: float = 30.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(client)
        self.circuit = Circuit.of(CircuitSettings(key=key, max_failures=max_failures, open_s=open_s), clock)

    async def _create(self, call: ModelCall) -> CreateResult:
        with self.circuit.passage():
            return await call.create(self.client)

    async def _stream(self, call: ModelCall) -> Items:
        with self.circuit.passage() as passage:
            async with call.stream(self.client) as items:
                async for item in items:
                    passage.worked()
                    yield item

    def _to_config(self) -> CircuitBreakerConfig:
        return CircuitBreakerConfig(client=self.client.dump_component(), circuit=self.circuit.settings)

    @classmethod
    def _from_config(cls, config: CircuitBreakerConfig) -> Self:
        return cls(ChatCompletionClient.load_component(config.client), **config.circuit.model_dump())
