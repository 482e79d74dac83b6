"""Limits, and conditions decided outside."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from autogen_agentchat.base import TerminatedException
from autogen_agentchat.conditions import (
    ExternalTermination,
    FunctionalTermination,
    MaxMessageTermination,
    TimeoutTermination,
    TokenUsageTermination,
    _limits,
)
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage, ThoughtEvent
from autogen_core import ComponentModel
from autogen_core.models import RequestUsage


def says(text: str = "x", *, prompt: int = 0, completion: int = 0) -> TextMessage:
    usage = RequestUsage(prompt_tokens=prompt, completion_tokens=completion)
    return TextMessage(source="a", content=text, models_usage=usage if prompt or completion else None)


class Clock:
    """Stands in for the `time` module: passes only when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now


THOUGHT = ThoughtEvent(source="a", content="hm", models_usage=RequestUsage(prompt_tokens=7, completion_tokens=2))


async def test_messages_are_counted_over_calls() -> None:
    condition = MaxMessageTermination(3)
    assert await condition([says(), says()]) is None
    assert await condition([]) is None
    stop = await condition([says(), says()])
    assert stop is not None
    assert "3" in stop.content
    assert "4" in stop.content


async def test_events_count_as_messages_only_if_asked() -> None:
    assert await MaxMessageTermination(2)([THOUGHT, says()]) is None
    assert await MaxMessageTermination(2, include_agent_event=True)([THOUGHT, says()]) is not None


async def test_the_count_starts_anew_after_a_reset() -> None:
    condition = MaxMessageTermination(2)
    await condition([says(), says()])
    with pytest.raises(TerminatedException):
        await condition([])
    await condition.reset()
    assert await condition([says()]) is None


@pytest.mark.parametrize("number", [0, -1])
def test_a_limit_of_no_messages_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MaxMessageTermination(number)


async def test_tokens_of_messages_and_events_are_added_up() -> None:
    condition = TokenUsageTermination(max_total_token=20)
    assert await condition([says(prompt=4, completion=3), says()]) is None
    stop = await condition([THOUGHT, says(prompt=4)])
    assert stop is not None
    assert "total token count: 20" in stop.content
    assert "prompt token count: 15" in stop.content
    assert "completion token count: 5" in stop.content


@pytest.mark.parametrize(
    ("condition", "reached"),
    [
        (TokenUsageTermination(max_prompt_token=4), True),
        (TokenUsageTermination(max_prompt_token=5), False),
        (TokenUsageTermination(max_completion_token=3), True),
        (TokenUsageTermination(max_completion_token=4), False),
        (TokenUsageTermination(max_total_token=99, max_prompt_token=99, max_completion_token=3), True),
    ],
)
async def test_each_limit_holds_for_its_own_kind_of_token(condition: TokenUsageTermination, reached: bool) -> None:
    assert (await condition([says(prompt=4, completion=3)]) is not None) is reached


async def test_tokens_are_forgotten_by_a_reset() -> None:
    condition = TokenUsageTermination(max_total_token=5)
    assert await condition([says(prompt=4)]) is None
    await condition.reset()
    assert await condition([says(prompt=4)]) is None


def test_a_token_limit_is_needed() -> None:
    with pytest.raises(ValueError, match="at least one of max_total_token"):
        TokenUsageTermination()
    with pytest.raises(ValueError, match="at least 1"):
        TokenUsageTermination(max_prompt_token=0)


async def test_a_saved_token_limit_loads_without_the_limits_that_were_not_given() -> None:
    """0.7.5 could not load what it had saved."""
    saved = TokenUsageTermination(max_prompt_token=4).dump_component()
    assert saved.config == {"max_prompt_token": 4}
    condition = TokenUsageTermination.load_component(ComponentModel.model_validate_json(saved.model_dump_json()))
    assert await condition([says(completion=99)]) is None
    assert await condition([says(prompt=4)]) is not None


async def test_time_runs_from_the_making_and_anew_from_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(1000.0)
    monkeypatch.setattr(_limits, "time", clock)
    condition = TimeoutTermination(2.5)
    clock.now = 1002.4
    assert await condition([says()]) is None
    clock.now = 1002.5
    stop = await condition([])
    assert stop is not None
    assert "2.5 seconds" in stop.content
    await condition.reset()
    clock.now = 1004.9
    assert await condition([says()]) is None
    clock.now = 1005.0
    assert await condition([says()]) is not None


async def test_real_time_passes() -> None:
    condition = TimeoutTermination(0.01)
    await asyncio.sleep(0.02)
    assert await condition([]) is not None


async def test_the_end_is_asked_for_from_outside() -> None:
    condition = ExternalTermination()
    assert await condition([says()]) is None
    condition.set()
    assert not condition.terminated, "the team ends it at its next turn"
    assert await condition([]) is not None
    assert condition.terminated


async def test_a_request_to_end_may_come_from_another_thread_and_before_the_run() -> None:
    condition = ExternalTermination()
    thread = threading.Thread(target=condition.set)
    thread.start()
    thread.join()
    assert await condition([]) is not None


async def test_a_reset_takes_the_request_back() -> None:
    condition = ExternalTermination()
    condition.set()
    await condition.reset()
    assert await condition([says()]) is None


async def test_a_function_decides() -> None:
    def long(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> bool:
        return len(messages) > 1

    condition = FunctionalTermination(long)
    assert await condition([says()]) is None
    assert await condition([says(), says()]) is not None
    assert condition.terminated


async def test_an_async_function_decides() -> None:
    async def long(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> bool:
        await asyncio.sleep(0)
        return len(messages) > 1

    condition = FunctionalTermination(long)
    assert await condition([says()]) is None
    assert await condition([says(), says()]) is not None


async def test_an_object_with_an_async_call_decides() -> None:
    class Patience:
        def __init__(self) -> None:
            self.left = 2

        async def __call__(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> bool:
            self.left -= len(messages)
            return self.left <= 0

    condition = FunctionalTermination(Patience())
    assert await condition([says()]) is None
    assert await condition([says()]) is not None


async def test_what_the_function_raises_reaches_the_caller_and_the_condition_is_not_reached() -> None:
    def broken(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> bool:
        raise LookupError("no such thing")

    condition = FunctionalTermination(broken)
    with pytest.raises(LookupError):
        await condition([says()])
    assert not condition.terminated


def test_a_function_cannot_be_saved_and_the_error_says_what_to_do() -> None:
    with pytest.raises(NotImplementedError, match="derive a class from TerminationCondition and Component"):
        FunctionalTermination(bool).dump_component()
