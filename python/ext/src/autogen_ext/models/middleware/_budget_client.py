"""A client that never begins a call its budget may not cover. Stands on the budget, usage and the kinds of failures."""

from dataclasses import replace
from decimal import Decimal
from typing import Self

from pydantic import BaseModel, Field

from autogen_core import Component, ComponentModel
from autogen_core.models import AssistantMessage, ChatCompletionClient, CreateResult, ModelFamily, RequestUsage
from autogen_ext.models._shared._usage import DetailedUsage, detailed

from ._base import Items, ModelCall, ModelMiddleware
from ._budget import Amount, Budget, BudgetSettings
from ._failures import costs_nothing
from ._usage import Price, config_of, model_of, price_of

DEFAULT_OUTPUT_TOKENS = 4096
"""How long an answer may be where nobody says."""

_ARGUMENTS = ("max_completion_tokens", "max_tokens")
"""What providers call the length of an answer; the first is that of OpenAI's models that reason."""

_REASONING = {ModelFamily.O1, ModelFamily.O3, ModelFamily.O4, ModelFamily.GPT_5}


class BudgetConfig(BaseModel):
    """A `BudgetClient` as data."""

    client: ComponentModel
    budget: BudgetSettings
    max_output_tokens: int | None = Field(None, ge=1)
    output_argument: str = "auto"
    model: str | None = None
    provider: str | None = None


class BudgetClient(ModelMiddleware, Component[BudgetConfig]):
    """Makes a call only if the most it may use fits into a budget, together with all other calls under way.

    Before a call, the tokens of the conversation, as the client counts them, and `max_output_tokens` are reserved. After it,
    what the provider reported is booked; where it reported nothing, what the client counts. A call that the provider
    refused or failed to answer is not charged, nor is an answer from a cache. Of a stream that was closed, cancelled or broke
    off, the conversation and the pieces that came are charged. A call that was cancelled, or whose connection broke, is
    charged in full: nobody knows what it used.

    Args:
        client: Whom calls are passed to.
        budget: The budget; several clients may share one.
        max_output_tokens: How long an answer may be; by default what the client's configuration says, else 4,096. It is
            handed to the model with each call that does not say so itself.
        output_argument: The name under which the provider takes that. By default (`auto`) the one that the client's
            configuration uses, else `max_tokens`, or `max_completion_tokens` for models of OpenAI that reason. Empty: it
            is not handed on, and the model's own limit must not be higher, or a call may use more than was reserved.
        model: The model's name in the price tables; by default what the client's configuration says.
        provider: Who runs the model, as the price tables name it; by default found by the model's name.
        price: What a usage costs; by default the tables of the extra `prices`. A dump does not hold it.

    Raises:
        ValueError: The budget limits money, and the price of the model is not known.
        ImportError: The budget limits money, and the tables are not installed.

    Calls raise `BudgetExceededError` for what does not fit; then nothing was sent. A dump holds the budget's limits and
    key, and not what is spent.
    """

    component_config_schema = BudgetConfig
    component_provider_override = "autogen_ext.models.middleware.BudgetClient"

    def __init__(
        self,
        client: ChatCompletionClient,
        budget: Budget,
        *,
        max_output_tokens: int | None = None,
        output_argument: str = "auto",
        model: str | None = None,
        provider: str | None = None,
        price: Price = price_of,
    ) -> None:
        super().__init__(client)
        self.budget = budget
        self._said_output, self._said_argument = max_output_tokens, output_argument
        config = config_of(client)
        name = next((name for name in _ARGUMENTS if isinstance(config.get(name), int)), None)
        self._max_output: int = max_output_tokens or (config[name] if name else DEFAULT_OUTPUT_TOKENS)
        usual = _ARGUMENTS[0] if client.model_info["family"] in _REASONING else _ARGUMENTS[1]
        self._argument = (name or usual) if output_argument == "auto" else output_argument
        self._said_model = model
        self._model = model or model_of(client)
        self._provider = provider
        self._price = price
        self._cost(0, 1)  # so that a price that is missing is told now

    async def _create(self, call: ModelCall) -> CreateResult:
        call, prompt, output = self._bounded(call)
        with self.budget.reserve(self._amount(prompt, output)) as reservation:
            try:
                result = await call.create(self.client)
            except Exception as error:
                if costs_nothing(error):
                    reservation.used = Amount()
                raise
            reservation.used = self._used(result, prompt)
            return result

    async def _stream(self, call: ModelCall) -> Items:
        call, prompt, output = self._bounded(call)
        with self.budget.reserve(self._amount(prompt, output)) as reservation:
            pieces: list[str] = []
            result: CreateResult | None = None
            begun = False
            try:
                async with call.stream(self.client) as items:
                    async for item in items:
                        begun = True
                        if isinstance(item, CreateResult):
                            result = item
                            reservation.used = self._used(item, prompt)
                            reservation.settle()
                        else:
                            pieces.append(item)
                        yield item
            except Exception as error:
                if not begun and costs_nothing(error):
                    reservation.used = Amount()
                raise
            finally:
                if begun and result is None:
                    reservation.used = self._amount(prompt, self._length("".join(pieces)))

    def _bounded(self, call: ModelCall) -> tuple[ModelCall, int, int]:
        """Return the call with the limit of its answer, the tokens of its conversation, and that limit."""
        prompt = self.client.count_tokens(call.messages, tools=call.tools)
        for name in (self._argument, *_ARGUMENTS):
            if isinstance(said := call.extra_create_args.get(name), int):
                return call, prompt, said
        if self._argument:
            call = replace(call, extra_create_args={**call.extra_create_args, self._argument: self._max_output})
        return call, prompt, self._max_output

    def _used(self, result: CreateResult, prompt: int) -> Amount:
        if result.cached:
            return Amount()
        usage = detailed(result.usage)
        if usage.prompt_tokens or usage.completion_tokens:
            return Amount(usage.prompt_tokens + usage.completion_tokens, self._cost_of(usage))
        written = AssistantMessage(content=result.content, thought=result.thought, source="model")
        return self._amount(prompt, self.client.count_tokens([written]))

    def _length(self, text: str) -> int:
        return self.client.count_tokens([AssistantMessage(content=text, source="model")]) if text else 0

    def _amount(self, prompt: int, output: int) -> Amount:
        return Amount(prompt + output, self._cost(prompt, output))

    def _cost(self, prompt: int, output: int) -> Decimal:
        return self._cost_of(detailed(RequestUsage(prompt_tokens=prompt, completion_tokens=output)))

    def _cost_of(self, usage: DetailedUsage) -> Decimal:
        if self.budget.settings.max_cost_usd is None:
            return Decimal(0)
        cost = self._price(self._model, self._provider, usage)
        if cost is None:
            raise ValueError(
                f"The price of model {self._model!r} is not known, so its calls cannot be kept within a budget of money: "
                "name the model as the price tables do (model=..., provider=...), pass price=..., or limit tokens."
            )
        return cost

    def _to_config(self) -> BudgetConfig:
        return BudgetConfig(
            client=self.client.dump_component(),
            budget=self.budget.settings,
            max_output_tokens=self._said_output,
            output_argument=self._said_argument,
            model=self._said_model,
            provider=self._provider,
        )

    @classmethod
    def _from_config(cls, config: BudgetConfig) -> Self:
        return cls(
            ChatCompletionClient.load_component(config.client),
            Budget._of(config.budget),
            max_output_tokens=config.max_output_tokens,
            output_argument=config.output_argument,
            model=config.model,
            provider=config.provider,
        )
