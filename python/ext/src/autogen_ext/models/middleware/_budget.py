"""A hard budget: what calls may use is reserved before they are made, and settled when it is known. Stands on usage.

Must not know any provider. Reserving and settling do not wait, so no other task comes between a look and a booking.
"""

import logging
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from ._errors import BudgetExceededError
from ._shared import shared

_log = logging.getLogger("autogen_ext.models.middleware")


class BudgetSettings(BaseModel):
    """How much may be used. `None` sets no limit."""

    model_config = ConfigDict(frozen=True)

    key: str | None = None
    max_tokens: int | None = Field(None, ge=0)
    max_cost_usd: Decimal | None = Field(None, ge=0)


@dataclass(slots=True)
class Amount:
    """Tokens, and US dollars."""

    tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    def add(self, other: "Amount", sign: int = 1) -> None:
        """Add another amount, or with a sign of -1 take it away."""
        self.tokens += sign * other.tokens
        self.cost_usd += sign * other.cost_usd


class Budget:
    """Tokens, or US dollars, that calls may use in all.

    Args:
        max_tokens: Tokens of conversations and answers together.
        max_cost_usd: US dollars.

    Attributes:
        spent: What calls have used.
        reserved: What calls under way may use at most.
    """

    def __init__(self, *, max_tokens: int | None = None, max_cost_usd: Decimal | float | None = None) -> None:
        cost = None if max_cost_usd is None else Decimal(str(max_cost_usd))
        self.settings = BudgetSettings(max_tokens=max_tokens, max_cost_usd=cost)
        self.spent = Amount()
        self.reserved = Amount()

    @classmethod
    def shared(
        cls, key: str, *, max_tokens: int | None = None, max_cost_usd: Decimal | float | None = None
    ) -> "Budget":
        """Return the budget of this key, which all clients of this process share that name it.

        Raises:
            ValueError: There is one with other limits.
        """
        limits = Budget(max_tokens=max_tokens, max_cost_usd=max_cost_usd).settings
        return cls._of(limits.model_copy(update={"key": key}))

    @classmethod
    def _of(cls, settings: BudgetSettings) -> "Budget":
        def make() -> Budget:
            budget = cls()
            budget.settings = settings
            return budget

        return shared(cls, settings.key, settings, make)

    def reserve(self, needed: Amount) -> "Reservation":
        """Set aside what a call may use.

        Returns:
            A context that settles at its end. Unless told otherwise, all that was reserved counts as used.

        Raises:
            BudgetExceededError: It does not fit beside what is spent and reserved.
        """
        limits = (
            ("tokens", self.settings.max_tokens, self.spent.tokens, self.reserved.tokens, needed.tokens),
            ("USD", self.settings.max_cost_usd, self.spent.cost_usd, self.reserved.cost_usd, needed.cost_usd),
        )
        for unit, limit, spent, reserved, more in limits:
            if limit is not None and spent + reserved + more > limit:
                raise BudgetExceededError(
                    key=self.settings.key,
                    unit=unit,
                    limit=float(limit),
                    spent=float(spent),
                    reserved=float(reserved),
                    needed=float(more),
                )
        self.reserved.add(needed)
        return Reservation(self, needed)

    def save_state(self) -> dict[str, Any]:
        """Return what is spent as JSON data."""
        return {
            "type": "BudgetState",
            "version": "1.0.0",
            "tokens": self.spent.tokens,
            "cost_usd": str(self.spent.cost_usd),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `save_state` returned, in place of what is spent."""
        self.spent = Amount(state["tokens"], Decimal(state["cost_usd"]))


class Reservation:
    """What is set aside for one call. A context: its end settles, whatever ends the call."""

    def __init__(self, budget: Budget, amount: Amount) -> None:
        self._budget = budget
        self._amount = amount
        self.used = amount
        """What the call used; at first, all that was reserved."""
        self._is_settled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()

    def settle(self) -> None:
        """Book what was used, and set aside no more. Only the first time counts."""
        if self._is_settled:
            return
        self._is_settled = True
        self._budget.reserved.add(self._amount, -1)
        self._budget.spent.add(self.used)
        if self.used.tokens > self._amount.tokens:
            _log.warning(
                "A call used %d tokens where %d were reserved; the budget has %d spent",
                self.used.tokens,
                self._amount.tokens,
                self._budget.spent.tokens,
            )
