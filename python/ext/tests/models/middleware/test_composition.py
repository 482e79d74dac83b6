"""All pieces on top of each other: each does its part, and cancelling at any await leaves nothing behind."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from autogen_core.models import ChatCompletionClient
from autogen_ext.models.middleware import (
    Budget,
    BudgetClient,
    BudgetExceededError,
    CassetteClient,
    ChatCompletionCache,
    CircuitBreakerClient,
    FallbackClient,
    LedgerClient,
    RateLimitClient,
    RetryClient,
    UsageLedger,
    UsageTotals,
    usage_scope,
)

from .kit import HI, ScriptedClient, VirtualTime, rate_limited, read, result, server_error


class Stack:
    """The stack that the guide shows, over a preferred model and a substitute."""

    def __init__(self, folder: Path, first: ScriptedClient, second: ScriptedClient | None = None) -> None:
        self.time = VirtualTime()
        self.ledger, self.budget = UsageLedger(), Budget(max_tokens=1000)
        self.limits: list[RateLimitClient] = []
        self.circuits: list[CircuitBreakerClient] = []
        models = [self._guard(model, folder / f"{n}.jsonl") for n, model in enumerate([first, second or first])]
        self.client = ChatCompletionCache(FallbackClient(models))

    def _guard(self, model: ScriptedClient, path: Path) -> ChatCompletionClient:
        clock = self.time.clock
        booked = LedgerClient(CassetteClient(model, path, mode="record"), self.ledger, model=path.stem)
        budgeted = BudgetClient(booked, self.budget, max_output_tokens=99)
        limited = RateLimitClient(budgeted, max_concurrency=2, clock=clock)
        circuit = CircuitBreakerClient(limited, max_failures=6, clock=clock)
        self.limits.append(limited)
        self.circuits.append(circuit)
        return RetryClient(circuit, max_attempts=3, clock=clock)

    def check_nothing_is_held(self) -> None:
        assert all(limit.limit.in_flight == limit.limit.waiting == 0 for limit in self.limits)
        assert self.budget.reserved.tokens == 0


async def test_each_piece_does_its_part(tmp_path: Path) -> None:
    first = ScriptedClient([rate_limited(2), server_error(), server_error()])
    second = ScriptedClient(then=result("Substitute."))
    stack = Stack(tmp_path, first, second)
    with usage_scope(run="r", agent="a"):
        answers = await stack.time.run(stack.client.create(HI))
        again = await stack.client.create(HI)
    assert answers == [result("Substitute.")]
    assert again == result("Substitute.", cached=True)
    assert (len(first.calls), len(second.calls)) == (3, 1)
    assert stack.time.slept[0] >= 2
    assert stack.ledger.by("model") == {
        "0": UsageTotals(calls=3, failed_calls=3),
        "1": UsageTotals(calls=1, prompt_tokens=7, completion_tokens=3),
    }
    assert stack.ledger.total(run="r", agent="a").calls == 4
    assert stack.budget.spent.tokens == 10
    stack.check_nothing_is_held()


async def test_an_exceeded_budget_is_neither_repeated_nor_sent_elsewhere(tmp_path: Path) -> None:
    model = ScriptedClient()
    stack = Stack(tmp_path, model)
    stack.budget.spent.tokens = 950
    with pytest.raises(BudgetExceededError):
        await stack.client.create(HI)
    assert not model.calls
    assert not stack.circuits[0].circuit.is_open
    stack.check_nothing_is_held()


@pytest.mark.parametrize("streamed", [False, True])
async def test_cancelling_at_any_await_holds_nothing_back(tmp_path: Path, streamed: bool) -> None:
    """The call is stepped by hand and cancelled at its first suspension, then another at its second, and so on."""
    steps = 0
    while True:
        model = ScriptedClient(
            [rate_limited(0.5), ["a", server_error()] if streamed else server_error(), result("x y z")],
            latency=lambda: asyncio.sleep(0),
        )
        stack = Stack(tmp_path / str(steps), model)
        call: Coroutine[Any, Any, Any] = read(stack.client) if streamed else stack.client.create(HI)
        ended = await cancelled_at(call, stack.time, steps)
        stack.check_nothing_is_held()
        assert model.in_flight == 0
        await stack.time.run(stack.client.create([*HI, *HI]))
        stack.check_nothing_is_held()
        if ended:
            break
        steps += 1
    assert steps >= 4  # it was cancelled within calls, between attempts and between pieces


async def cancelled_at(call: Coroutine[Any, Any, Any], time: VirtualTime, steps: int) -> bool:
    """Run a call, cancelling it after so many turns of the loop; true if it had ended by itself."""
    task = asyncio.ensure_future(call)
    for _ in range(steps):
        await asyncio.sleep(0)
        time.pass_on()
    ended = task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return ended


async def test_many_agents_share_one_stack_without_losing_count(tmp_path: Path) -> None:
    model = ScriptedClient([server_error() if n % 7 == 3 else result(f"n{n}") for n in range(40)])
    stack = Stack(tmp_path, model)
    model.latency = lambda: stack.time.sleep(0.1)
    conversations = [[*HI] * (n % 5 + 1) for n in range(20)]
    await stack.time.run(*(stack.client.create(each) for each in conversations))
    assert model.most_in_flight <= 2 * len(stack.limits)
    total = stack.ledger.total()
    assert total.calls == len(model.calls)
    assert stack.budget.spent.tokens == total.prompt_tokens + total.completion_tokens <= 1000
    stack.check_nothing_is_held()
