"""The schemas that models are held to."""

from typing import Any

from autogen_ext.models._shared._tools import ToolSpec
from autogen_ext.models.local._schemas import Bounds, bounded, choice_schema, output_schema, without_padding

WIDE = Bounds(200)
PADDED = Bounds(80, padded=True)


def spec(name: str, **parameters: Any) -> ToolSpec:
    return ToolSpec(name, "", {"type": "object", "properties": parameters, "required": list(parameters)}, strict=False)


def test_one_schema_offers_each_tool_and_the_answer() -> None:
    schema = choice_schema([spec("a", x={"type": "string"}), spec("b")], WIDE, may_answer=True)
    options = schema["anyOf"]
    assert [option["properties"]["tool"]["const"] for option in options] == ["a", "b", "final_answer"]
    assert [option["required"] for option in options] == [["tool", "arguments"], ["tool", "arguments"], ["tool"]]
    assert all(option["additionalProperties"] is False for option in options)


def test_where_a_tool_must_be_called_there_is_no_answer_to_choose() -> None:
    schema = choice_schema([spec("a")], WIDE, may_answer=False)
    assert "anyOf" not in schema
    assert schema["properties"]["tool"] == {"const": "a"}


def test_texts_and_lists_have_an_end() -> None:
    schema = bounded({"type": "array", "items": {"type": "string"}}, WIDE)
    assert schema["maxItems"] > 0
    assert schema["items"]["maxLength"] == 200


def test_constraints_of_the_tool_are_kept() -> None:
    for given in (
        {"type": "string", "enum": ["a", "b"]},
        {"type": "string", "maxLength": 3},
        {"type": "string", "pattern": "^x$"},
        {"type": "string", "format": "date"},
        {"type": "array", "maxItems": 2},
    ):
        assert bounded(given, PADDED) == given


def test_a_list_that_needs_many_entries_gets_them() -> None:
    assert bounded({"type": "array", "minItems": 50}, WIDE)["maxItems"] == 50


def test_enumerations_are_data_and_stay_as_they_are() -> None:
    given = {"enum": [{"type": "string"}]}
    assert bounded(given, WIDE) == given


def test_definitions_of_two_tools_do_not_collide() -> None:
    tools = [
        ToolSpec(name, "", {"properties": {"p": {"$ref": "#/$defs/Point"}}, "$defs": {"Point": point}}, strict=False)
        for name, point in (("a", {"type": "integer"}), ("b", {"type": "boolean"}))
    ]
    schema = choice_schema(tools, WIDE, may_answer=False)
    assert schema["$defs"] == {"a.Point": {"type": "integer"}, "b.Point": {"type": "boolean"}}
    references = [option["properties"]["arguments"]["properties"]["p"]["$ref"] for option in schema["anyOf"]]
    assert references == ["#/$defs/a.Point", "#/$defs/b.Point"]


def test_a_schema_of_the_user_is_bounded_only_where_the_model_needs_it() -> None:
    given = {"type": "object", "properties": {"x": {"type": "string"}}}
    assert output_schema(given, None)["properties"] == given["properties"]
    assert output_schema(given, WIDE)["properties"]["x"]["maxLength"] == 200


def test_padding_is_taken_off_texts_at_any_depth() -> None:
    assert without_padding({"a": " Oslo", "b": [" x ", 1, {"c": " y"}], "d": None}) == {
        "a": "Oslo",
        "b": ["x", 1, {"c": "y"}],
        "d": None,
    }
