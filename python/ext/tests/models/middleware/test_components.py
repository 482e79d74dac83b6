"""Every piece of middleware can be dumped and loaded, with all that it wraps, and then does the same."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autogen_core import ComponentModel
from autogen_core.models import ChatCompletionClient
from autogen_ext.models.middleware import (
    Budget,
    BudgetClient,
    CassetteClient,
    ChatCompletionCache,
    CircuitBreakerClient,
    FallbackClient,
    LedgerClient,
    RateLimitClient,
    RetryClient,
    UsageLedger,
)
from autogen_ext.models.replay import ReplayChatCompletionClient

from .kit import HI, INFO

Wrap = Callable[[ChatCompletionClient], ChatCompletionClient]

PIECES: list[Wrap] = [
    lambda client: RetryClient(client, max_attempts=7, first_delay_s=0.25, max_delay_s=9, on=["server"]),
    lambda client: FallbackClient([client, ReplayChatCompletionClient(["Later."], INFO)], on=["connection"]),
    lambda client: RateLimitClient(
        client, key="t", max_concurrency=2, requests_per_minute=100, tokens_per_minute=10_000
    ),
    lambda client: CircuitBreakerClient(client, key="t", max_failures=3, open_s=4.5),
    ChatCompletionCache,
    lambda client: LedgerClient(client, UsageLedger.shared("t", money=True), model="gpt-4o", provider="openai"),
    LedgerClient,
    lambda client: BudgetClient(
        client, Budget(max_tokens=999, max_cost_usd=2.5), max_output_tokens=50, output_argument="", model="gpt-4o"
    ),
    lambda client: CassetteClient(client, "tape.jsonl", mode="record"),
]


def name(wrap: Wrap) -> str:
    return type(wrap(ReplayChatCompletionClient(["x"], INFO))).__name__


@pytest.mark.parametrize("wrap", PIECES, ids=name)
async def test_a_piece_survives_json_and_answers_the_same(
    wrap: Wrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    client = wrap(ReplayChatCompletionClient(["Hello."], INFO))
    dumped = client.dump_component()
    loaded = ChatCompletionClient.load_component(ComponentModel.model_validate_json(dumped.model_dump_json()))
    assert type(loaded) is type(client)
    assert loaded.dump_component() == dumped
    assert json.loads(dumped.model_dump_json())["provider"].startswith("autogen_ext.models.")
    assert not any(part.startswith("_") for part in dumped.provider.split("."))
    assert (await loaded.create(HI)).content == (await client.create(HI)).content == "Hello."


def test_pieces_in_pieces_survive_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    client: ChatCompletionClient = ReplayChatCompletionClient(["Hello."], INFO)
    for wrap in PIECES:
        client = wrap(client)
    dumped = client.dump_component()
    assert ChatCompletionClient.load_component(dumped).dump_component() == dumped


def test_what_is_shared_by_a_key_is_shared_by_what_is_loaded() -> None:
    budget, ledger = Budget.shared("one", max_tokens=5), UsageLedger.shared("one")
    model = ReplayChatCompletionClient([], INFO)
    budgeted = BudgetClient.load_component(BudgetClient(model, budget).dump_component())
    booked = LedgerClient.load_component(LedgerClient(model, ledger).dump_component())
    assert budgeted.budget is budget
    assert booked.ledger is ledger


def test_what_has_no_key_is_not_shared() -> None:
    client = BudgetClient(ReplayChatCompletionClient([], INFO), Budget(max_tokens=5))
    assert BudgetClient.load_component(client.dump_component()).budget is not client.budget
