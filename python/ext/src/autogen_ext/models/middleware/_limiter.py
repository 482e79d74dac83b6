"""A limit that many clients share: how many calls at once, and how many calls and tokens a minute. Stands on the clock.

Must not know what a call is: it gives permits, in the order in which they were asked for.
"""

from asyncio import Event
from collections import deque
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from autogen_core import CancellationToken
from autogen_ext.models._shared._cancellation import cancellable

from ._clock import SYSTEM_CLOCK, Clock
from ._failures import failure_of
from ._shared import shared
from ._streams import wait

MINUTE = 60.0
LONGEST_PAUSE_S = 60.0
"""Where the provider refuses without saying for how long, pauses double up to this."""


class RateLimitSettings(BaseModel):
    """What a provider allows. `None` sets no limit.

    A key makes it one limit for all clients of this process that name the same key, such as the name of an account.
    """

    model_config = ConfigDict(frozen=True)

    key: str | None = None
    max_concurrency: int | None = Field(None, ge=1)
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)


@dataclass(slots=True)
class _Sent:
    """A call that counts for a minute."""

    at: float
    tokens: int


class RateLimit:
    """Gives permits so that in no 60 seconds there are more calls or tokens than allowed, and never too many at once.

    When a call is refused (429), nobody gets a permit until the time the provider named is over; then one call goes ahead, and
    the others follow when it is answered. It serves the tasks of one event loop at a time.
    """

    def __init__(self, settings: RateLimitSettings, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self._clock = clock
        self._line: deque[Event] = deque()
        self._in_flight = 0
        self._recent: deque[_Sent] = deque()
        self._paused_until = -inf
        self._refusals = 0

    @classmethod
    def of(cls, settings: RateLimitSettings, clock: Clock = SYSTEM_CLOCK) -> "RateLimit":
        """Return the limit that all share who name the same key; without a key, a new one.

        Raises:
            ValueError: There is one of that key with other settings.
        """
        return shared(cls, settings.key, settings, lambda: cls(settings, clock))

    @property
    def in_flight(self) -> int:
        """How many permits are given and not back yet."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """How many wait for a permit."""
        return len(self._line)

    async def permit(self, tokens: int = 0, token: CancellationToken | None = None) -> "Permit":
        """Wait for a permit, first come, first served. It must be entered as a context, whose end gives it back.

        Args:
            tokens: What the call is expected to use; it counts against `tokens_per_minute`.
            token: Ends the wait with `asyncio.CancelledError`, as cancelling the task does. Then there is no permit.
        """
        turn = Event()
        self._line.append(turn)
        try:
            while True:
                turn.clear()
                if self._line[0] is not turn or self._is_full():
                    await cancellable(turn.wait(), token)
                elif (delay := self._opens_at(tokens) - self._clock.time()) > 0:
                    await wait(self._clock, delay, token)
                else:
                    break
            if token is not None and token.is_cancelled():
                await cancellable(turn.wait(), token)  # raises
            self._in_flight += 1
            sent = _Sent(self._clock.time(), tokens)
            self._recent.append(sent)
            return Permit(self, sent)
        finally:
            self._line.remove(turn)
            self._call_next()

    def accepted(self) -> None:
        """Note that the provider answers calls."""
        self._refusals = 0
        self._call_next()

    def refused(self, retry_after: float | None) -> None:
        """Note that the provider takes no calls for now: for these seconds, or for longer each time if it did not say."""
        self._refusals += 1
        seconds = min(2.0 ** (self._refusals - 1), LONGEST_PAUSE_S) if retry_after is None else retry_after
        self._paused_until = max(self._paused_until, self._clock.time() + seconds)

    def give_back(self) -> None:
        """Take a permit back."""
        self._in_flight -= 1
        self._call_next()

    def _call_next(self) -> None:
        if self._line:
            self._line[0].set()

    def _is_full(self) -> bool:
        """Tell whether no more calls may be under way; after a refusal that is one, until a call is answered."""
        most = self.settings.max_concurrency or inf
        return self._in_flight >= (1 if self._refusals else most)

    def _opens_at(self, tokens: int) -> float:
        """Return when a call that uses these tokens may be made."""
        now = self._clock.time()
        while self._recent and self._recent[0].at <= now - MINUTE:
            self._recent.popleft()
        opens = self._paused_until
        calls, most = self.settings.requests_per_minute, self.settings.tokens_per_minute
        if calls is not None and len(self._recent) >= calls:
            opens = max(opens, self._recent[len(self._recent) - calls].at + MINUTE)
        if most is not None:
            opens = max(opens, self._room_at(tokens, most))
        return opens

    def _room_at(self, tokens: int, most: int) -> float:
        """Return when tokens fit into the minute; what is more than a minute may have waits for an empty one."""
        used = sum(sent.tokens for sent in self._recent)
        at = -inf
        for sent in self._recent:
            if used + tokens <= most:
                break
            used -= sent.tokens
            at = sent.at + MINUTE
        return at


class Permit:
    """Leave to make one call. A context: its end gives the permit back, and notes how the provider took the call."""

    def __init__(self, limit: RateLimit, sent: _Sent) -> None:
        self._limit = limit
        self._sent = sent
        self._is_back = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            failure = failure_of(error)
            if failure.kind == "rate_limited":
                self._sent.tokens = 0
                self._limit.refused(failure.retry_after)
            elif failure.kind != "connection":
                self._limit.accepted()
        elif error is None:
            self._limit.accepted()
        self.give_back()

    def accepted(self) -> None:
        """Note that the provider has begun to answer."""
        self._limit.accepted()

    def give_back(self) -> None:
        """End the permit before the context ends, as soon as the provider is done with the call."""
        if not self._is_back:
            self._is_back = True
            self._limit.give_back()

    def used(self, tokens: int) -> None:
        """Correct what the call was expected to use."""
        self._sent.tokens = tokens
