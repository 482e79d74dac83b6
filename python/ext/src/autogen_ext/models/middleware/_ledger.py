"""Keeps books on what runs, agents and models use. Stands on usage and scopes; knows no provider."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from autogen_core import Component, ComponentModel
from autogen_core.models import ChatCompletionClient, CreateResult, RequestUsage
from autogen_ext.models._shared._usage import detailed

from ._base import Items, ModelCall, ModelMiddleware
from ._shared import shared
from ._usage import Price, UsageScope, current_scope, model_of, price_of


class UsageTotals(BaseModel):
    """Sums over calls.

    Tokens are those that the provider reported for calls that were answered, and not those of answers from a cache.
    """

    calls: int = 0
    """All calls, however they ended."""
    cached_calls: int = 0
    """Answered from a cache: nothing was used."""
    failed_calls: int = 0
    """Ended by an error."""
    unfinished_calls: int = 0
    """Cancelled, or the stream was not read to its end: what they used is not known."""
    unreported_calls: int = 0
    """Answered, but the provider did not say what was used, as some do in streams."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Those of `prompt_tokens` that the provider read from its cache."""
    cache_write_tokens: int = 0
    """Those of `prompt_tokens` that the provider wrote to its cache."""
    reasoning_tokens: int = 0
    """Those of `completion_tokens` that went into reasoning."""
    cost_usd: Decimal = Decimal(0)
    """What the calls cost, in US dollars, if the ledger counts money."""
    unpriced_calls: int = 0
    """Calls that used tokens of which the price is not known; not in `cost_usd`."""

    def __add__(self, other: "UsageTotals") -> "UsageTotals":
        """Return the sums of both."""
        names = UsageTotals.model_fields
        return UsageTotals(**{name: getattr(self, name) + getattr(other, name) for name in names})


class LedgerSettings(BaseModel):
    """What a ledger counts, and who shares it."""

    model_config = ConfigDict(frozen=True)

    key: str | None = None
    money: bool = False


class UsageLedger:
    """What was used, by run, agent and model.

    Args:
        money: Count money, too.
        price: What a usage costs; by default the tables of the extra `prices`. A dump of a client does not hold it.

    Raises:
        ImportError: Money shall be counted, but the tables are not installed.
    """

    def __init__(self, *, money: bool = False, price: Price = price_of) -> None:
        self.settings = LedgerSettings(money=money)
        self._price = price
        self._totals: dict[tuple[str, str, str], UsageTotals] = {}
        if money:
            price("gpt-4o", None, detailed(RequestUsage(0, 0)))  # so that what is missing is told now

    @classmethod
    def shared(cls, key: str, *, money: bool = False, price: Price = price_of) -> "UsageLedger":
        """Return the ledger of this key, which all clients of this process share that name it.

        Raises:
            ValueError: There is one that counts other things.
        """
        return cls._of(LedgerSettings(key=key, money=money), price)

    @classmethod
    def _of(cls, settings: LedgerSettings, price: Price = price_of) -> "UsageLedger":
        def make() -> UsageLedger:
            ledger = cls(money=settings.money, price=price)
            ledger.settings = settings
            return ledger

        return shared(cls, settings.key, settings, make)

    def total(self, *, run: str | None = None, agent: str | None = None, model: str | None = None) -> UsageTotals:
        """Return the sums over all calls, or over those of a run, an agent, a model."""
        asked = (run, agent, model)
        chosen = (
            totals
            for key, totals in self._totals.items()
            if all(wanted is None or wanted == is_ for wanted, is_ in zip(asked, key, strict=True))
        )
        return sum(chosen, UsageTotals())

    def by(self, what: Literal["run", "agent", "model"]) -> dict[str, UsageTotals]:
        """Return the sums for each run, each agent or each model."""
        place = ("run", "agent", "model").index(what)
        sums: dict[str, UsageTotals] = {}
        for key, totals in self._totals.items():
            sums[key[place]] = sums.get(key[place], UsageTotals()) + totals
        return sums

    def save_state(self) -> dict[str, Any]:
        """Return the sums as JSON data."""
        rows = [
            {"run": run, "agent": agent, "model": model, **totals.model_dump(mode="json")}
            for (run, agent, model), totals in self._totals.items()
        ]
        return {"type": "UsageLedgerState", "version": "1.0.0", "rows": rows}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over sums that `save_state` returned, in place of those that are there."""
        self._totals = {
            (row["run"], row["agent"], row["model"]): UsageTotals.model_validate(row) for row in state["rows"]
        }

    def record(self, scope: UsageScope, model: str, outcome: UsageTotals) -> None:
        """Add what came of a call."""
        key = (scope.run, scope.agent, model)
        self._totals[key] = self._totals.get(key, UsageTotals()) + outcome

    def outcome_of(self, result: CreateResult, model: str, provider: str | None) -> UsageTotals:
        """Return the sums of one call that was answered."""
        if result.cached:
            return UsageTotals(calls=1, cached_calls=1)
        usage = detailed(result.usage)
        outcome = UsageTotals(calls=1, **vars(usage))
        if not usage.prompt_tokens and not usage.completion_tokens:
            outcome.unreported_calls = 1
        elif self.settings.money:
            cost = self._price(model, provider, usage)
            outcome.unpriced_calls = 1 if cost is None else 0
            outcome.cost_usd = cost or Decimal(0)
        return outcome


class LedgerConfig(BaseModel):
    """A `LedgerClient` as data."""

    client: ComponentModel
    ledger: LedgerSettings = LedgerSettings()
    model: str | None = None
    provider: str | None = None


class LedgerClient(ModelMiddleware, Component[LedgerConfig]):
    """Writes into a ledger what each call used, for which run and agent, and by which model.

    Put it next to the model's own client, so that it sees each attempt and each model. Whose call it is, agents and
    teams say by themselves when they are run, and `usage_scope` where a program wants to say more.

    Args:
        client: Whom calls are passed to.
        ledger: Where it is written; by default a new one, `client.ledger`. Several clients may share one.
        model: The model's name in the books; by default what the client's configuration says.
        provider: Who runs the model, as the price tables name it; by default found by the model's name.

    A dump holds the ledger's key, and not what is in it.
    """

    component_config_schema = LedgerConfig
    component_provider_override = "autogen_ext.models.middleware.LedgerClient"

    def __init__(
        self,
        client: ChatCompletionClient,
        ledger: UsageLedger | None = None,
        *,
        model: str | None = None,
        provider: str | None = None,
    ) -> None:
        super().__init__(client)
        self.ledger = ledger or UsageLedger()
        self._said_model = model
        self._model = model or model_of(client)
        self._provider = provider

    async def _create(self, call: ModelCall) -> CreateResult:
        scope = current_scope()
        try:
            result = await call.create(self.client)
        except BaseException as error:
            self._record_end(scope, error)
            raise
        self._record(scope, result)
        return result

    async def _stream(self, call: ModelCall) -> Items:
        scope = current_scope()
        answered = False
        try:
            async with call.stream(self.client) as items:
                async for item in items:
                    if isinstance(item, CreateResult):
                        answered = True
                        self._record(scope, item)
                    yield item
        except BaseException as error:
            if not answered:
                answered = True
                self._record_end(scope, error)
            raise
        if not answered:
            self.ledger.record(scope, self._model, UsageTotals(calls=1, unfinished_calls=1))

    def _record(self, scope: UsageScope, result: CreateResult) -> None:
        self.ledger.record(scope, self._model, self.ledger.outcome_of(result, self._model, self._provider))

    def _record_end(self, scope: UsageScope, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self.ledger.record(scope, self._model, UsageTotals(calls=1, unfinished_calls=1))
        else:
            self.ledger.record(scope, self._model, UsageTotals(calls=1, failed_calls=1))

    def _to_config(self) -> LedgerConfig:
        return LedgerConfig(
            client=self.client.dump_component(),
            ledger=self.ledger.settings,
            model=self._said_model,
            provider=self._provider,
        )

    @classmethod
    def _from_config(cls, config: LedgerConfig) -> Self:
        client = ChatCompletionClient.load_component(config.client)
        return cls(client, UsageLedger._of(config.ledger), model=config.model, provider=config.provider)
