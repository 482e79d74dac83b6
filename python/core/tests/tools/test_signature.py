"""From the signature of a function to what a model is told about it."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from autogen_core import CancellationToken
from autogen_core.code_executor import with_requirements
from autogen_core.tools import FunctionTool


class Point(BaseModel):
    """A place."""

    x: int
    labels: list[str] = []


class Tree(BaseModel):
    kids: list[Tree] = []


def properties(func: Callable[..., Any], **options: Any) -> dict[str, Any]:
    schema = FunctionTool(func, description="d", **options).schema
    assert "parameters" in schema
    return schema["parameters"]["properties"]


def everything(
    a: int,
    b: Annotated[str, "the second"] = "x",
    c: Optional[float] = None,  # noqa: UP045 - the old form is what is tested
    *,
    d: Literal["p", "q"] = "p",
) -> str:
    """Docstrings are not shown to the model."""
    return f"{a}{b}{c}{d}"


async def run(func: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    return await FunctionTool(func, description="d").run_json(arguments, CancellationToken())


def test_the_schema_follows_the_signature_as_in_0_7_5() -> None:
    assert FunctionTool(everything, description="d").schema == {
        "name": "everything",
        "description": "d",
        "parameters": {
            "type": "object",
            "properties": {
                "a": {"description": "a", "title": "A", "type": "integer"},
                "b": {"default": "x", "description": "the second", "title": "B", "type": "string"},
                "c": {
                    "anyOf": [{"type": "number"}, {"type": "null"}],
                    "default": None,
                    "description": "c",
                    "title": "C",
                },
                "d": {"default": "p", "description": "d", "enum": ["p", "q"], "title": "D", "type": "string"},
            },
            "required": ["a"],
            "additionalProperties": False,
        },
        "strict": False,
    }


def test_a_changed_copy_of_the_schema_changes_nothing_else() -> None:
    tool = FunctionTool(everything, description="d")
    schema = tool.schema
    assert "parameters" in schema
    schema["name"] = "other"
    schema["parameters"]["properties"]["a"]["type"] = "string"
    schema["parameters"]["properties"]["d"]["enum"].append("r")
    assert tool.schema == FunctionTool(everything, description="d").schema


def test_pydantic_fields_describe_and_limit_a_parameter() -> None:
    def limited(
        a: Annotated[int, Field(ge=1, description="one or more")],
        b: Annotated[str, "plain", Field(max_length=3)] = "x",
        c: int = Field(3, description="by default"),
    ) -> str:
        return f"{a}{b}{c}"

    assert properties(limited) == {
        "a": {"description": "one or more", "minimum": 1, "title": "A", "type": "integer"},
        "b": {"default": "x", "description": "plain", "maxLength": 3, "title": "B", "type": "string"},
        "c": {"default": 3, "description": "by default", "title": "C", "type": "integer"},
    }


def test_a_model_as_parameter_is_described_in_place_by_its_own_docstring() -> None:
    def placed(point: Point, points: list[Point], own: Annotated[Point, "where"]) -> str:
        return ""

    found = properties(placed)
    assert "$ref" not in json.dumps(found)
    assert found["point"]["description"] == "A place."
    assert found["point"]["properties"].keys() == {"x", "labels"}
    assert found["points"]["items"]["title"] == "Point"
    assert found["own"]["description"] == "where"


def test_a_type_that_holds_itself_stays_a_reference_within_the_parameters() -> None:
    def grown(tree: Tree) -> str:
        return ""

    parameters = FunctionTool(grown, description="d").schema.get("parameters")
    assert parameters is not None
    assert parameters["properties"]["tree"]["$ref"] == "#/$defs/Tree"
    assert "$defs" in parameters


def test_names_that_pydantic_keeps_for_itself_can_be_parameters() -> None:
    def odd(_private: int, json: str, model_dump: str, schema: int = 3, x: int = 1, _x: int = 2) -> str:
        return f"{_private}{json}{model_dump}{schema}{x}{_x}"

    assert properties(odd).keys() == {"_private", "json", "model_dump", "schema", "x", "_x"}
    arguments = {"_private": 1, "json": "j", "model_dump": "m", "_x": 5}
    assert asyncio.run(run(odd, arguments)) == "1jm315"


def test_a_partial_is_described_by_what_is_left() -> None:
    assert properties(functools.partial(everything, 1)).keys() == {"b", "c", "d"}
    found = properties(functools.partial(everything, b="z"))
    assert found["b"]["default"] == "z"
    assert FunctionTool(functools.partial(everything, 1), description="d").name == "everything"


class Adder:
    def __init__(self, base: int) -> None:
        self.base = base

    def __call__(self, a: int) -> int:
        return self.base + a

    async def later(self, a: int) -> int:
        return self.base + a


async def test_methods_and_callable_objects_are_functions_too() -> None:
    assert await run(Adder(2), {"a": 3}) == 5
    assert await run(Adder(2).later, {"a": 3}) == 5
    assert FunctionTool(Adder(2), description="d").name == "Adder"


async def test_a_function_with_requirements_is_a_function_too() -> None:
    @with_requirements(python_packages=["nothing"])
    def twice(a: int) -> int:
        return 2 * a

    assert await run(twice, {"a": 3}) == 6


BARE: Callable[[Any], Any] = lambda a: a  # noqa: E731 - a parameter without annotation is what is tested


def any_number(*args: int) -> int:
    return sum(args)


def any_names(**args: int) -> int:
    return sum(args.values())


@pytest.mark.parametrize(
    ("func", "text"),
    [
        (BARE, "'a' needs a type annotation"),
        (any_number, "any number of values"),
        (any_names, "any number of values"),
    ],
)
def test_a_function_that_cannot_be_described_is_refused_by_parameter(func: Callable[..., Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        FunctionTool(func, description="d", name="bad")


def test_a_type_that_json_cannot_hold_is_refused() -> None:
    def locked(lock: threading.Lock) -> str:
        return ""

    with pytest.raises(TypeError, match=r"'locked'.*JSON cannot hold"):
        FunctionTool(locked, description="d")


def test_an_annotation_that_cannot_be_resolved_is_refused() -> None:
    def lost(a: Nowhere) -> str:  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]  # noqa: F821 - the misuse
        return ""

    with pytest.raises(TypeError, match="Nowhere"):
        FunctionTool(lost, description="d")  # pyright: ignore[reportUnknownArgumentType] - the misuse


def test_a_strict_schema_allows_no_defaults() -> None:
    def plain(a: int) -> int:
        return a

    assert FunctionTool(plain, description="d", strict=True).schema.get("strict") is True
    with pytest.raises(ValueError, match=r"Strict mode is enabled.* b, c, d"):
        _ = FunctionTool(everything, description="d", strict=True).schema


def test_the_types_are_known() -> None:
    def annotated(a: int) -> Annotated[int, "a number"]:
        return a

    def silent(a: int):  # pyright: ignore[reportUnknownParameterType]
        return None

    assert FunctionTool(annotated, description="d").return_type() is int
    assert FunctionTool(silent, description="d").return_type() is object  # pyright: ignore[reportUnknownArgumentType]
    tool = FunctionTool(everything, description="d")
    assert list(tool.args_type().model_fields) == ["a", "b", "c", "d"]
    assert tool.state_type() is None
