"""Handoffs and their tools."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from pydantic import TypeAdapter, ValidationError

from autogen_agentchat.base import Handoff
from autogen_core import CancellationToken


def test_what_is_left_empty_is_filled_in_from_the_target() -> None:
    handoff = Handoff(target="Alice")
    assert handoff.name == "transfer_to_alice"
    assert "Alice" in handoff.description
    assert "Alice" in handoff.message


def test_what_is_given_stays() -> None:
    handoff = Handoff(target="alice", description="for refunds", name="refund", message="please refund")
    assert handoff.model_dump() == {
        "target": "alice",
        "description": "for refunds",
        "name": "refund",
        "message": "please refund",
    }


def test_a_saved_handoff_loads_equal() -> None:
    handoff = Handoff(target="alice", message="over")
    assert Handoff.model_validate_json(handoff.model_dump_json()) == handoff


def test_null_counts_as_empty() -> None:
    values = {"target": "alice", "description": None, "name": None, "message": None}
    assert Handoff.model_validate(values) == Handoff(target="alice")


@pytest.mark.parametrize("name", ["1st", "to bob", "to-bob"])
def test_a_name_that_no_model_can_call_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="must be a valid identifier"):
        Handoff(target="bob", name=name)


def test_a_target_that_is_no_identifier_still_gives_a_callable_name() -> None:
    assert Handoff(target="help desk-2").name == "transfer_to_help_desk_2"


def test_a_target_is_required() -> None:
    with pytest.raises(ValidationError, match="target"):
        Handoff()  # pyright: ignore[reportCallIssue] - the misuse under test


def test_handoffs_and_names_mix_in_one_list() -> None:
    """So does the configuration of an agent."""
    handoff = Handoff(target="alice", message="over")
    assert TypeAdapter(list[Handoff | str]).validate_python([handoff, "bob"]) == [handoff, "bob"]


def test_making_a_handoff_leaves_the_values_given_alone() -> None:
    values: dict[str, Any] = {"target": "bob"}
    Handoff.model_validate(values)
    assert values == {"target": "bob"}


def test_the_tool_has_no_parameters_and_is_strict() -> None:
    handoff = Handoff(target="alice")
    assert handoff.handoff_tool.schema == {
        "name": "transfer_to_alice",
        "description": handoff.description,
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        "strict": True,
    }


@pytest.mark.parametrize("arguments", [{}, {"reason": "tired"}, [], None, "x", "", 3], ids=repr)
async def test_the_tool_takes_whatever_a_model_makes_up_and_returns_the_message(arguments: object) -> None:
    tool = Handoff(target="alice", message="over to alice").handoff_tool
    made_up = cast("Mapping[str, Any]", arguments)
    assert await tool.run_json(made_up, CancellationToken()) == "over to alice"
    assert tool.return_value_as_string("over to alice") == "over to alice"


def test_the_tool_is_not_saved_by_itself() -> None:
    with pytest.raises(NotImplementedError, match="save the Handoff"):
        Handoff(target="alice").handoff_tool.dump_component()
