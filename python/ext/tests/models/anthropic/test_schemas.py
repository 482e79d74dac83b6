"""Schemas keep what the API can enforce; the rest goes into words.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from autogen_ext.models._shared._schemas import strict_json_schema
from autogen_ext.models.anthropic._schemas import enforceable, is_recursive


class Leaf(BaseModel):
    pattern: str = Field(pattern="^a")
    tags: Annotated[list[str], Field(min_length=1, max_length=3)]


class Tree(BaseModel):
    left: Leaf
    right: "Tree | None" = None


class Pair(BaseModel):
    first: Leaf
    second: Leaf


def test_limits_become_words_and_names_stay() -> None:
    schema = enforceable(strict_json_schema(Leaf))
    assert schema["properties"] == {
        "pattern": {"title": "Pattern", "type": "string", "description": 'pattern: "^a"'},
        "tags": {
            "title": "Tags",
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": "maxItems: 3",
        },
    }


def test_words_are_added_to_a_description() -> None:
    assert enforceable({"type": "integer", "minimum": 1, "description": "Age."})["description"] == "Age. (minimum: 1)"


def test_one_of_several_becomes_any_of_them() -> None:
    options: list[Any] = [{"type": "string", "format": "email"}, {"type": "string", "format": "novel"}]
    assert enforceable({"oneOf": options})["anyOf"] == [
        {"type": "string", "format": "email"},
        {"type": "string", "description": 'format: "novel"'},
    ]


def test_data_in_a_schema_stay_what_they_are() -> None:
    schema = {"type": "string", "enum": ["minimum"], "default": {"minimum": 1}}
    assert enforceable(schema) == schema


def test_a_schema_that_refers_to_itself_is_found_out() -> None:
    assert is_recursive(strict_json_schema(Tree))
    assert not is_recursive(strict_json_schema(Pair))
