from typing import Any

import pytest
from pydantic import BaseModel

from autogen_core import CancellationToken
from autogen_core.tools import BaseTool, FunctionTool, ToolSchema
from autogen_ext.models._shared._tools import check_tool_choice, tool_specs


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


class Nothing(BaseModel):
    pass


class Clock(BaseTool[Nothing, BaseModel]):
    """A tool whose description changes."""

    def __init__(self) -> None:
        super().__init__(Nothing, BaseModel, "clock", "Tells the time.")
        self.now = 0

    @property
    def schema(self) -> ToolSchema:
        self.now += 1
        return {"name": self.name, "description": f"It is {self.now} o'clock."}

    async def run(self, args: Nothing, cancellation_token: CancellationToken) -> Any:
        return self.now


def test_a_tool_and_its_schema_read_the_same() -> None:
    tool = FunctionTool(add, "Adds.", name="add")
    assert tool_specs([tool]) == tool_specs([tool.schema])
    (spec,) = tool_specs([tool])
    assert (spec.name, spec.description, spec.strict) == ("add", "Adds.", False)
    assert spec.parameters["required"] == ["a"]


def test_what_a_schema_leaves_out_is_empty() -> None:
    (spec,) = tool_specs([{"name": "bare"}])
    assert (spec.description, dict(spec.parameters), spec.strict) == ("", {}, False)


def test_a_tool_is_read_once() -> None:
    tool = FunctionTool(add, "Adds.", name="add")
    assert tool_specs([tool])[0] is tool_specs([tool])[0]


def test_a_tool_that_makes_its_own_schema_is_read_each_time() -> None:
    clock = Clock()
    assert [tool_specs([clock])[0].description for _ in range(2)] == ["It is 1 o'clock.", "It is 2 o'clock."]


def test_a_schema_that_is_changed_between_calls_is_read_anew() -> None:
    schema: ToolSchema = {"name": "one"}
    tool_specs([schema])
    schema["name"] = "two"
    assert tool_specs([schema])[0].name == "two"


def test_a_name_that_providers_refuse_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="Invalid name: two words"):
        tool_specs([{"name": "two words"}])


def test_a_choice_is_a_word_or_the_name_of_a_tool() -> None:
    tool = FunctionTool(add, "Adds.", name="add")
    assert check_tool_choice("required", []) == "required"
    assert check_tool_choice(tool, tool_specs([tool])) == "add"


def test_a_choice_that_is_not_offered_is_an_error() -> None:
    tool = FunctionTool(add, "Adds.", name="add")
    with pytest.raises(ValueError, match="no tools provided"):
        check_tool_choice(tool, [])
    with pytest.raises(ValueError, match="'add' but it's not in the provided tools: other"):
        check_tool_choice(tool, tool_specs([{"name": "other"}]))
    with pytest.raises(ValueError, match="'auto', 'required', or 'none'"):
        check_tool_choice("any", [])  # pyright: ignore[reportArgumentType] - that is the mistake
