"""Combining termination conditions."""

import json

import pytest

from autogen_agentchat.base import (
    AndTerminationCondition,
    OrTerminationCondition,
    TerminatedException,
    TerminationCondition,
)
from autogen_agentchat.conditions import (
    ExternalTermination,
    FunctionalTermination,
    MaxMessageTermination,
    StopMessageTermination,
    TextMentionTermination,
)
from autogen_agentchat.messages import StopMessage, TextMessage
from autogen_core import ComponentModel


def says(text: str) -> TextMessage:
    return TextMessage(source="a", content=text)


async def test_and_waits_until_every_condition_has_been_reached_in_whatever_order() -> None:
    condition = MaxMessageTermination(2) & TextMentionTermination("done")
    assert await condition([says("done")]) is None
    assert not condition.terminated
    stop = await condition([says("more")])
    assert stop is not None
    assert stop.source == "TextMentionTermination, MaxMessageTermination"
    assert "done" in stop.content
    assert condition.terminated


async def test_and_does_not_ask_a_condition_again_that_has_been_reached() -> None:
    first = MaxMessageTermination(1)
    condition = first & TextMentionTermination("done")
    assert await condition([says("x")]) is None
    assert first.terminated
    assert await condition([says("y")]) is None
    assert await condition([says("done")]) is not None


async def test_or_ends_at_the_first_and_tells_all_reasons_that_come_together() -> None:
    condition = MaxMessageTermination(2) | TextMentionTermination("done")
    assert await condition([says("x")]) is None
    stop = await condition([says("done")])
    assert stop is not None
    assert stop.source == "MaxMessageTermination, TextMentionTermination"


async def test_or_shows_every_message_to_every_condition() -> None:
    """One message counts for both sides, so that the other side is not one short."""
    condition = TextMentionTermination("never") | (MaxMessageTermination(2) & StopMessageTermination())
    assert await condition([says("x"), StopMessage(source="a", content="bye")]) is not None


@pytest.mark.parametrize("combine", [AndTerminationCondition, OrTerminationCondition])
async def test_a_reached_combination_raises_until_it_is_reset(
    combine: type[AndTerminationCondition] | type[OrTerminationCondition],
) -> None:
    condition = combine(MaxMessageTermination(1), TextMentionTermination("done"))
    assert await condition([says("done")]) is not None
    with pytest.raises(TerminatedException, match="reset"):
        await condition([says("x")])
    await condition.reset()
    assert not condition.terminated
    assert await condition([]) is None
    assert await condition([says("done")]) is not None


@pytest.mark.parametrize("combine", [AndTerminationCondition, OrTerminationCondition])
async def test_a_reset_goes_down_to_every_condition(
    combine: type[AndTerminationCondition] | type[OrTerminationCondition],
) -> None:
    parts = [MaxMessageTermination(2), MaxMessageTermination(5)]
    condition = combine(*parts)
    await condition([says("x"), says("x")])
    await condition.reset()
    assert not any(part.terminated for part in parts)
    assert await condition([says("x")]) is None, "the count starts anew"


async def test_and_forgets_reasons_of_an_unfinished_run() -> None:
    condition = MaxMessageTermination(1) & TextMentionTermination("done")
    assert await condition([says("x")]) is None
    await condition.reset()
    stop = await condition([says("done")])
    assert stop is not None
    assert stop.source == "MaxMessageTermination, TextMentionTermination"


async def test_the_error_of_a_reached_condition_can_be_caught_either_way() -> None:
    """0.7.5 raised TerminatedException in most places and RuntimeError in some."""
    condition = MaxMessageTermination(1)
    await condition([says("x")])
    with pytest.raises(RuntimeError):
        await condition([says("x")])
    with pytest.raises(TerminatedException):
        await condition([says("x")])


async def test_what_a_condition_raises_reaches_the_caller_of_the_combination() -> None:
    def broken(messages: object) -> bool:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await (MaxMessageTermination(9) | FunctionalTermination(broken))([says("x")])


def test_only_conditions_can_be_combined() -> None:
    with pytest.raises(TypeError):
        MaxMessageTermination(1) & 3  # pyright: ignore[reportOperatorIssue, reportUnusedExpression] - the misuse under test
    with pytest.raises(TypeError):
        MaxMessageTermination(1) | None  # pyright: ignore[reportOperatorIssue, reportUnusedExpression] - the misuse under test
    with pytest.raises(TypeError, match="Expected a TerminationCondition"):
        AndTerminationCondition(MaxMessageTermination(1), "x")  # pyright: ignore[reportArgumentType] - the misuse under test


def test_an_empty_and_would_be_reached_before_it_starts() -> None:
    with pytest.raises(ValueError, match="at least one"):
        AndTerminationCondition()


async def test_an_empty_or_is_never_reached() -> None:
    condition = OrTerminationCondition()
    assert await condition([says("x")]) is None
    assert not condition.terminated


def test_a_combination_is_saved_in_the_form_of_the_reference() -> None:
    condition = (MaxMessageTermination(2) & TextMentionTermination("x")) | ExternalTermination()
    saved = json.loads(condition.dump_component().model_dump_json())
    assert saved["provider"] == "autogen_agentchat.base.OrTerminationCondition"
    assert saved["component_type"] == "termination"
    both, external = saved["config"]["conditions"]
    assert external["provider"] == "autogen_agentchat.conditions.ExternalTermination"
    assert both["provider"] == "autogen_agentchat.base.AndTerminationCondition"
    assert [part["config"] for part in both["config"]["conditions"]] == [
        {"max_messages": 2, "include_agent_event": False},
        {"text": "x"},
    ]


async def test_a_combination_loads_as_a_condition_like_any_other() -> None:
    saved = (MaxMessageTermination(2) & TextMentionTermination("x")).dump_component().model_dump_json()
    condition = TerminationCondition.load_component(ComponentModel.model_validate_json(saved))
    assert isinstance(condition, AndTerminationCondition)
    assert await condition([says("x"), says("y")]) is not None


def test_a_combination_with_a_function_in_it_cannot_be_saved() -> None:
    condition = MaxMessageTermination(2) & FunctionalTermination(bool)
    with pytest.raises(NotImplementedError, match="FunctionalTermination cannot be saved"):
        condition.dump_component()
