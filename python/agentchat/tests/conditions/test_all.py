"""Every condition and every combination: saved and loaded, it behaves the same over two runs. A property test."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autogen_agentchat import conditions
from autogen_agentchat.base import TerminationCondition
from autogen_agentchat.conditions import (
    ExternalTermination,
    FunctionalTermination,
    FunctionCallTermination,
    HandoffTermination,
    MaxMessageTermination,
    SourceMatchTermination,
    StopMessageTermination,
    TextMentionTermination,
    TextMessageTermination,
    TimeoutTermination,
    TokenUsageTermination,
    _limits,
)
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    StopMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
)
from autogen_core import ComponentModel
from autogen_core.models import FunctionExecutionResult, RequestUsage

Message = BaseAgentEvent | BaseChatMessage

names = st.sampled_from(["a", "b", "user"])
words = st.sampled_from(["x", "done", "well done", ""])
counts = st.integers(1, 6)
usages = st.none() | st.builds(RequestUsage, prompt_tokens=st.integers(0, 5), completion_tokens=st.integers(0, 5))
results = st.builds(FunctionExecutionResult, content=words, name=st.sampled_from(["f", "g"]), call_id=st.just("1"))
some_messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(TextMessage, source=names, content=words, models_usage=usages),
    st.builds(StopMessage, source=names, content=words),
    st.builds(HandoffMessage, source=names, content=words, target=names),
    st.builds(ThoughtEvent, source=names, content=words, models_usage=usages),
    st.builds(ToolCallExecutionEvent, source=names, content=st.lists(results, max_size=2)),
)
simple: st.SearchStrategy[TerminationCondition] = st.one_of(
    st.builds(StopMessageTermination),
    st.builds(MaxMessageTermination, counts, include_agent_event=st.booleans()),
    st.builds(TextMentionTermination, words, sources=st.none() | st.lists(names, max_size=2)),
    st.builds(TokenUsageTermination, max_total_token=counts, max_prompt_token=st.none() | counts),
    st.builds(TokenUsageTermination, max_completion_token=counts),
    st.builds(HandoffTermination, names),
    st.builds(TimeoutTermination, st.floats(0.5, 4)),
    st.builds(ExternalTermination),
    st.builds(SourceMatchTermination, st.lists(names, max_size=2)),
    st.builds(TextMessageTermination, st.none() | names),
    st.builds(FunctionCallTermination, st.sampled_from(["f", "g"])),
)
any_condition: st.SearchStrategy[TerminationCondition] = st.recursive(
    simple,
    lambda inner: st.tuples(inner, inner, st.booleans()).map(lambda it: it[0] & it[1] if it[2] else it[0] | it[1]),
    max_leaves=5,
)
runs = st.lists(st.lists(some_messages, max_size=3), max_size=6)


class Clock:
    """Time that passes only between calls: one second each."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def _reload(condition: TerminationCondition) -> TerminationCondition:
    saved = json.loads(condition.dump_component().model_dump_json())
    loaded = TerminationCondition.load_component(ComponentModel.model_validate(saved))
    assert json.loads(loaded.dump_component().model_dump_json()) == saved
    return loaded


async def _behaviour(
    condition: TerminationCondition, clock: Clock, runs: Sequence[Sequence[Sequence[Message]]]
) -> list[Any]:
    """Run after run, as a team does: until reached, then reset. What it answered and when."""
    seen: list[Any] = []
    clock.now = 0.0
    await condition.reset()
    for run in runs:
        for messages in run:
            clock.now += 1
            stop = await condition(messages)
            assert (stop is not None) == condition.terminated
            seen.append(None if stop is None else (stop.source, stop.content))
            if stop is not None:
                break
        seen.append("reset")
        await condition.reset()
        assert not condition.terminated
    return seen


@settings(deadline=None)
@given(condition=any_condition, first=runs, second=runs)
async def test_a_condition_saved_and_loaded_behaves_the_same_over_two_runs(
    condition: TerminationCondition, first: Sequence[Sequence[Message]], second: Sequence[Sequence[Message]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(_limits, "time", clock)
        expected = await _behaviour(condition, clock, [first, second])
        assert await _behaviour(_reload(condition), clock, [first, second]) == expected
        assert await _behaviour(condition, clock, [first, second]) == expected, "nothing is left over from run to run"


@settings(deadline=None)
@given(condition=any_condition, run=runs, cut=st.integers(0, 6))
async def test_a_condition_saved_in_the_middle_of_a_run_goes_on_as_if_nothing_had_happened(
    condition: TerminationCondition, run: Sequence[Sequence[Message]], cut: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(_limits, "time", clock)
        expected = await _until_reached(condition, clock, run)
        other = _reload(condition)
        await condition.reset()
        clock.now = 0.0
        seen = await _until_reached(condition, clock, run[:cut])
        state = json.loads(json.dumps(await condition.save_state()))
        clock.now += 100  # in between, the program may be down: that time does not count
        for _ in range(2):
            await other.load_state(state)
            assert await other.save_state() == state
        assert other.terminated == condition.terminated
        if not other.terminated:
            seen += await _until_reached(other, clock, run[cut:])
        assert seen == expected


async def test_a_request_to_stop_is_in_the_state() -> None:
    stop, other = ExternalTermination(), ExternalTermination()
    stop.set()
    await other.load_state(await stop.save_state())
    assert await other([]) is not None


async def _until_reached(condition: TerminationCondition, clock: Clock, run: Sequence[Sequence[Message]]) -> list[Any]:
    seen: list[Any] = []
    for messages in run:
        clock.now += 1
        stop = await condition(messages)
        seen.append(None if stop is None else (stop.source, stop.content))
        if stop is not None:
            break
    return seen


@settings(deadline=None)
@given(left=simple, right=simple)
async def test_the_state_of_another_condition_is_refused_and_changes_nothing(
    left: TerminationCondition, right: TerminationCondition
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_limits, "time", Clock())
        both = left & right
        before = await both.save_state()
        wrong = await (left | right).save_state()
        with pytest.raises(ValueError, match="Expected the saved state of a AndTerminationCondition"):
            await both.load_state(wrong)
        with pytest.raises(ValueError, match="conditions, and this one"):
            await both.load_state({**before, "conditions": []})
        assert await both.save_state() == before


@settings(deadline=None)
@given(left=simple, right=simple, run=runs)
async def test_and_ends_with_the_later_and_or_with_the_earlier_of_two(
    left: TerminationCondition, right: TerminationCondition, run: Sequence[Sequence[Message]]
) -> None:
    """Against the two conditions by themselves, as a small reference."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(_limits, "time", clock)
        ends = [await _end(one, clock, run) for one in (left, right)]
        never = len(run)
        assert await _end(left & right, clock, run) == max(ends)
        assert await _end(left | right, clock, run) == min(ends)
        assert all(0 <= end <= never for end in ends)


async def _end(condition: TerminationCondition, clock: Clock, run: Sequence[Sequence[Message]]) -> int:
    """At which call the condition is reached; the number of calls if never."""
    clock.now = 0.0
    await condition.reset()
    for index, messages in enumerate(run):
        clock.now += 1
        if await condition(messages) is not None:
            return index
    return len(run)


def test_the_property_covers_every_condition_that_can_be_saved() -> None:
    public = {getattr(conditions, name) for name in conditions.__all__}
    covered = {type(simple_one) for simple_one in _examples()}
    assert public - {FunctionalTermination} == covered


def _examples() -> list[TerminationCondition]:
    return [
        StopMessageTermination(),
        MaxMessageTermination(1),
        TextMentionTermination("x"),
        TokenUsageTermination(max_total_token=1),
        HandoffTermination("a"),
        TimeoutTermination(1),
        ExternalTermination(),
        SourceMatchTermination(["a"]),
        TextMessageTermination(),
        FunctionCallTermination("f"),
    ]


@pytest.mark.parametrize("condition", _examples(), ids=lambda condition: type(condition).__name__)
def test_a_condition_is_saved_under_its_public_path(condition: TerminationCondition) -> None:
    saved = condition.dump_component()
    assert saved.provider == f"autogen_agentchat.conditions.{type(condition).__name__}"
    assert saved.component_type == "termination"
    assert saved.component_version == 1
