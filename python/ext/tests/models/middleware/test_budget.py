"""A call whose cost may not fit into the budget is never sent, and what is booked is what was used."""

import asyncio
import json
import random
from decimal import Decimal
from typing import Any

import pytest

from autogen_core.models import ModelFamily, ModelInfo
from autogen_ext.models.errors import ServerError
from autogen_ext.models.middleware import Budget, BudgetClient, BudgetExceededError, DetailedUsage
from autogen_ext.models.openai import OpenAIChatCompletionClient

from .kit import (
    HANG,
    HI,
    INFO,
    ScriptedClient,
    VirtualTime,
    bad_key,
    rate_limited,
    read,
    result,
    server_error,
    settle,
)


def budgeted(model: ScriptedClient, limit: int = 1000, output: int = 399) -> BudgetClient:
    """A client with calls of 400 tokens: one for the conversation, the rest for the answer."""
    return BudgetClient(model, Budget(max_tokens=limit), max_output_tokens=output)


@pytest.mark.parametrize("streamed", [False, True])
async def test_with_a_limit_of_1000_tokens_and_calls_of_400_the_third_is_never_sent(streamed: bool) -> None:
    model = ScriptedClient(then=result(prompt=1, completion=399))
    client = budgeted(model)

    async def call() -> object:
        return await (read(client) if streamed else client.create(HI))

    await call()
    await call()
    with pytest.raises(BudgetExceededError, match=r"1000 tokens does not allow a call that may use 400: 800 are spent"):
        await call()
    assert len(model.calls) == 2
    assert client.budget.spent.tokens == 800
    assert client.budget.reserved.tokens == 0


async def test_what_is_under_way_counts_as_well() -> None:
    model = ScriptedClient(then=HANG)
    client = budgeted(model)
    first, second = asyncio.create_task(client.create(HI)), asyncio.create_task(read(client))
    await settle()
    with pytest.raises(BudgetExceededError) as caught:
        await client.create(HI)
    assert (caught.value.spent, caught.value.reserved, caught.value.needed) == (0, 800, 400)
    assert len(model.calls) == 2
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)


async def test_fifty_concurrent_agents_never_overspend() -> None:
    """Each answer is of another length, some calls fail and some are given up; the sum stays within the limit."""
    time, chance = VirtualTime(), random.Random(7)
    outcomes: list[Any] = [server_error(), rate_limited(), TimeoutError()]
    outcomes += [result(prompt=1, completion=chance.randint(0, 99)) for _ in range(300)]
    chance.shuffle(outcomes)
    model = ScriptedClient(outcomes, latency=lambda: time.sleep(chance.random()))
    budget = Budget(max_tokens=5000)
    clients = [BudgetClient(model, budget, max_output_tokens=99) for _ in range(50)]
    highest = 0

    async def agent(client: BudgetClient) -> None:
        nonlocal highest
        for turn in range(5):
            if turn % 2:
                await asyncio.gather(read(client), return_exceptions=True)
            else:
                await asyncio.gather(client.create(HI), return_exceptions=True)
            highest = max(highest, budget.spent.tokens + budget.reserved.tokens)
            await time.sleep(chance.random())

    await time.run(*(agent(client) for client in clients))
    assert highest <= 5000
    assert 4000 < budget.spent.tokens <= 5000
    assert budget.reserved.tokens == 0
    assert len(model.calls) < 250


@pytest.mark.parametrize("error", [rate_limited(), server_error(), bad_key()])
@pytest.mark.parametrize("streamed", [False, True])
async def test_refused_calls_are_not_charged(error: Exception, streamed: bool) -> None:
    client = budgeted(ScriptedClient([error]))
    with pytest.raises(type(error)):
        await (read(client) if streamed else client.create(HI))
    assert client.budget.spent.tokens == client.budget.reserved.tokens == 0


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_of_unknown_outcome_is_charged_in_full(streamed: bool) -> None:
    client = budgeted(ScriptedClient([TimeoutError()]))
    with pytest.raises(TimeoutError):
        await (read(client) if streamed else client.create(HI))
    assert client.budget.spent.tokens == 400


async def test_a_cancelled_call_is_charged_in_full() -> None:
    client = budgeted(ScriptedClient([HANG]))
    task = asyncio.create_task(client.create(HI))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert client.budget.spent.tokens == 400
    assert client.budget.reserved.tokens == 0


@pytest.mark.parametrize("end", ["abandoned", "cancelled", "failed"])
async def test_an_unfinished_stream_is_charged_for_what_came(end: str) -> None:
    model = ScriptedClient([["one ", "two ", "three ", server_error() if end == "failed" else HANG]])
    client = budgeted(model)
    stream = client.create_stream(HI)
    for _ in range(3):
        await anext(stream)
    assert client.budget.reserved.tokens == 400
    if end == "abandoned":
        await stream.aclose()
    elif end == "failed":
        with pytest.raises(ServerError):
            await anext(stream)
    else:
        rest = asyncio.ensure_future(anext(stream))
        await settle()
        rest.cancel()
        await asyncio.gather(rest, return_exceptions=True)
    assert client.budget.spent.tokens == 1 + 3
    assert client.budget.reserved.tokens == 0


async def test_a_finished_stream_is_settled_before_it_is_closed() -> None:
    client = budgeted(ScriptedClient([["a", result("a"), HANG]]))
    stream = client.create_stream(HI)
    await anext(stream)
    await anext(stream)
    assert (client.budget.spent.tokens, client.budget.reserved.tokens) == (10, 0)
    await stream.aclose()
    assert (client.budget.spent.tokens, client.budget.reserved.tokens) == (10, 0)


async def test_a_stream_that_nobody_began_to_read_reserves_nothing() -> None:
    client = budgeted(ScriptedClient())
    stream = client.create_stream(HI)
    await stream.aclose()
    assert client.budget.spent.tokens == client.budget.reserved.tokens == 0


async def test_an_answer_from_a_cache_is_free() -> None:
    client = budgeted(ScriptedClient(then=result(cached=True)))
    await client.create(HI)
    assert client.budget.spent.tokens == 0


async def test_where_the_provider_reports_nothing_the_client_counts() -> None:
    client = budgeted(ScriptedClient(then=result("five words make an answer", prompt=0, completion=0)))
    await read(client)
    assert client.budget.spent.tokens == 1 + 5


def of_family(family: str) -> ModelInfo:
    info = INFO.copy()
    info["family"] = family
    return info


@pytest.mark.parametrize(
    ("family", "argument", "sent"),
    [
        ("unknown", "auto", {"max_tokens": 399}),
        (ModelFamily.GPT_5, "auto", {"max_completion_tokens": 399}),
        ("unknown", "num_predict", {"num_predict": 399}),
        ("unknown", "", {}),
    ],
)
async def test_the_model_is_told_how_long_an_answer_may_be(family: str, argument: str, sent: dict[str, int]) -> None:
    model = ScriptedClient(info=of_family(family))
    client = BudgetClient(model, Budget(max_tokens=1000), max_output_tokens=399, output_argument=argument)
    await client.create(HI, extra_create_args={"seed": 1})
    assert model.calls[0].extra == {"seed": 1, **sent}


async def test_a_call_that_says_itself_how_long_its_answer_may_be_is_believed() -> None:
    model = ScriptedClient()
    client = budgeted(model, limit=100)
    await client.create(HI, extra_create_args={"max_tokens": 50})
    assert model.calls[0].extra == {"max_tokens": 50}
    with pytest.raises(BudgetExceededError) as caught:
        await client.create(HI, extra_create_args={"max_tokens": 100})
    assert caught.value.needed == 101


@pytest.mark.parametrize(
    ("settings", "argument", "length"),
    [
        ({"model": "gpt-4o", "max_tokens": 70}, "max_tokens", 70),
        ({"model": "o3", "max_tokens": 80}, "max_tokens", 80),
        ({"model": "gpt-4o"}, "max_tokens", 4096),
        ({"model": "o3"}, "max_completion_tokens", 4096),
    ],
)
async def test_what_the_client_itself_says_about_the_length_of_answers_stands(
    settings: dict[str, Any], argument: str, length: int
) -> None:
    model = OpenAIChatCompletionClient(api_key="k", **settings)
    client = BudgetClient(model, Budget(max_tokens=5000))
    assert (client._argument, client._max_output) == (argument, length)
    await client.close()


async def test_money_is_limited_by_the_most_that_a_call_may_cost() -> None:
    """gpt-4o costs 2.5 and 10 dollars for a million tokens, by its public prices."""
    used = DetailedUsage(prompt_tokens=1, completion_tokens=100)
    model = ScriptedClient(then=result(usage=used))
    budget = Budget(max_cost_usd=0.015)
    client = BudgetClient(model, budget, max_output_tokens=1000, model="gpt-4o", provider="openai")
    for _ in range(5):
        await client.create(HI)
    with pytest.raises(BudgetExceededError) as caught:
        await client.create(HI)
    assert caught.value.unit == "USD"
    assert len(model.calls) == 5  # the sixth may cost 0.0100025 beside 0.0050125
    assert budget.spent.cost_usd == Decimal("0.0010025") * 5


def test_a_price_that_nobody_knows_is_told_before_the_first_call() -> None:
    with pytest.raises(ValueError, match="price of model 'nobody-knows-me' is not known"):
        BudgetClient(ScriptedClient(), Budget(max_cost_usd=1), model="nobody-knows-me")


async def test_nested_budgets_all_hold() -> None:
    model = ScriptedClient(then=result(prompt=1, completion=9))
    tenant = Budget(max_tokens=1000)
    runs = [BudgetClient(model, Budget(max_tokens=25), max_output_tokens=9) for _ in range(2)]
    agents = [BudgetClient(run, tenant, max_output_tokens=9) for run in runs]
    for agent in agents:
        await agent.create(HI)
        await agent.create(HI)
        with pytest.raises(BudgetExceededError):
            await agent.create(HI)
    assert tenant.spent.tokens == 40
    assert tenant.reserved.tokens == 0


def test_what_is_spent_survives_a_save_and_a_load() -> None:
    budget = Budget(max_tokens=10, max_cost_usd=1)
    budget.spent.tokens, budget.spent.cost_usd = 3, Decimal("0.25")
    state = budget.save_state()
    assert json.loads(json.dumps(state)) == state
    other = Budget(max_tokens=10, max_cost_usd=1)
    other.load_state(state)
    assert other.spent == budget.spent


def test_clients_of_one_key_share_the_budget() -> None:
    budget = Budget.shared("team", max_tokens=10)
    assert Budget.shared("team", max_tokens=10) is budget
    with pytest.raises(ValueError, match="Budget 'team' already"):
        Budget.shared("team", max_tokens=11)
