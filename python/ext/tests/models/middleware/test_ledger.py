"""Who used what: by run, agent and model, in tokens and in money."""

import asyncio
import json
from decimal import Decimal

import pytest

from autogen_core import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler
from autogen_core.models import ChatCompletionClient, RequestUsage
from autogen_ext.models.errors import RateLimitedError
from autogen_ext.models.middleware import (
    DetailedUsage,
    LedgerClient,
    ModelMiddleware,
    UsageLedger,
    UsageScope,
    UsageTotals,
    current_scope,
    price_of,
    usage_scope,
)
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient

from .kit import HANG, HI, ScriptedClient, rate_limited, read, result, settle

DETAILS = DetailedUsage(
    prompt_tokens=1000, completion_tokens=100, cached_tokens=400, cache_write_tokens=10, reasoning_tokens=60
)


async def test_tokens_are_booked_with_their_details_streamed_or_not() -> None:
    client = LedgerClient(ScriptedClient(then=result(usage=DETAILS)), model="m")
    await client.create(HI)
    await read(client)
    assert client.ledger.total() == UsageTotals(
        calls=2,
        prompt_tokens=2000,
        completion_tokens=200,
        cached_tokens=800,
        cache_write_tokens=20,
        reasoning_tokens=120,
    )


async def test_details_of_another_class_of_usage_are_read_as_well() -> None:
    class TheirUsage(RequestUsage):
        reasoning_tokens = 5

    client = LedgerClient(ScriptedClient(then=result(usage=TheirUsage(1, 6))), model="m")
    await client.create(HI)
    assert client.ledger.total().reasoning_tokens == 5


async def test_books_are_kept_by_run_agent_and_model() -> None:
    ledger = UsageLedger()
    large, small = (LedgerClient(ScriptedClient(), ledger, model=name) for name in ("large", "small"))
    with usage_scope(run="r1"):
        with usage_scope(agent="ann"):
            await large.create(HI)
            await small.create(HI)
        with usage_scope(agent="bob"):
            await large.create(HI)
    with usage_scope(run="r2", agent="ann"):
        await large.create(HI)
    assert {run: totals.calls for run, totals in ledger.by("run").items()} == {"r1": 3, "r2": 1}
    assert {agent: totals.calls for agent, totals in ledger.by("agent").items()} == {"ann": 3, "bob": 1}
    assert {model: totals.calls for model, totals in ledger.by("model").items()} == {"large": 3, "small": 1}
    assert ledger.total(run="r1", agent="ann").prompt_tokens == 14


async def test_an_agent_in_a_runtime_is_known_by_itself() -> None:
    client = LedgerClient(ScriptedClient(), model="m")

    class Asker(RoutedAgent):
        @message_handler
        async def ask(self, message: str, ctx: MessageContext) -> None:
            await client.create(HI)

    runtime = SingleThreadedAgentRuntime()
    await Asker.register(runtime, "asker", lambda: Asker("asks"))
    runtime.start()
    await runtime.send_message("now", AgentId("asker", "s1"))
    await runtime.stop()
    assert client.ledger.by("agent").keys() == {"asker"}
    assert client.ledger.by("run").keys() == {"s1"}


async def test_concurrent_scopes_do_not_mix() -> None:
    client = LedgerClient(ScriptedClient(latency=settle), model="m")

    async def agent(name: str) -> None:
        with usage_scope(agent=name):
            await client.create(HI)

    await asyncio.gather(*(agent(f"a{n}") for n in range(10)))
    assert all(totals.calls == 1 for totals in client.ledger.by("agent").values())
    assert current_scope() == UsageScope()


async def test_calls_without_an_answer_are_counted_apart() -> None:
    cached, unreported = result(cached=True), result(prompt=0, completion=0)
    model = ScriptedClient([rate_limited(), cached, unreported, ["a", HANG], HANG, ["a"]])
    client = LedgerClient(model, model="m")
    with pytest.raises(RateLimitedError):
        await client.create(HI)
    await client.create(HI)
    await client.create(HI)
    stream = client.create_stream(HI)
    await anext(stream)
    await stream.aclose()
    task = asyncio.create_task(client.create(HI))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await read(client)
    assert client.ledger.total() == UsageTotals(
        calls=6, failed_calls=1, cached_calls=1, unreported_calls=1, unfinished_calls=3
    )


async def test_a_reader_that_stops_at_the_result_is_booked_once() -> None:
    client = LedgerClient(ScriptedClient([["a", result("a"), HANG]]), model="m")
    stream = client.create_stream(HI)
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert client.ledger.total() == UsageTotals(calls=1, prompt_tokens=7, completion_tokens=3)


async def test_money_is_counted_by_the_price_tables() -> None:
    """Cached tokens of gpt-4o cost half; the amount was computed by hand from its public prices."""
    ledger = UsageLedger(money=True)
    usage = DetailedUsage(prompt_tokens=1000, completion_tokens=100, cached_tokens=400)
    known = LedgerClient(ScriptedClient(then=result(usage=usage)), ledger, model="gpt-4o", provider="openai")
    unknown = LedgerClient(ScriptedClient(), ledger, model="nobody-knows-me")
    await known.create(HI)
    await unknown.create(HI)
    assert ledger.total().cost_usd == Decimal("0.003")
    assert ledger.total().unpriced_calls == 1
    assert price_of("nobody-knows-me", None, usage) is None


async def test_a_price_of_ones_own_takes_the_place_of_the_tables() -> None:
    ledger = UsageLedger(money=True, price=lambda model, provider, usage: Decimal(usage.prompt_tokens))
    await LedgerClient(ScriptedClient(), ledger, model="m").create(HI)
    assert ledger.total().cost_usd == 7


async def test_the_books_survive_a_save_and_a_load() -> None:
    ledger = UsageLedger(money=True)
    await LedgerClient(ScriptedClient(), ledger, model="gpt-4o").create(HI)
    state = ledger.save_state()
    assert json.loads(json.dumps(state)) == state
    other = UsageLedger(money=True)
    other.load_state(state)
    other.load_state(state)
    assert other.total() == ledger.total()
    assert other.save_state() == state


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (OpenAIChatCompletionClient(model="gpt-4o", api_key="k"), "gpt-4o"),
        (ModelMiddleware(OpenAIChatCompletionClient(model="gpt-4o", api_key="k")), "gpt-4o"),
        (ReplayChatCompletionClient([]), "unknown"),
        (ScriptedClient(), "unknown"),
    ],
)
async def test_the_models_name_comes_from_the_clients_configuration(client: ChatCompletionClient, name: str) -> None:
    assert LedgerClient(client)._model == name
    await client.close()


def test_clients_of_one_key_share_the_books() -> None:
    ledger = UsageLedger.shared("books")
    assert UsageLedger.shared("books") is ledger
    with pytest.raises(ValueError, match="other settings"):
        UsageLedger.shared("books", money=True)
