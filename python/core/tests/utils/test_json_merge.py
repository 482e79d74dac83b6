"""Joining JSON schemas: what is left accepts only what both accept."""

from typing import Any

import pytest

from autogen_core.utils._json_merge import merge_schemas


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ({}, {"type": "string"}, {"type": "string"}),
        ({"type": "number"}, {"type": "integer"}, {"type": "integer"}),
        ({"type": ["string", "null"]}, {"type": ["null", "integer"]}, {"type": "null"}),
        ({"type": ["string", "null"]}, {"type": ["null", "string"]}, {"type": ["string", "null"]}),
        ({"minimum": 1, "maximum": 5}, {"minimum": 2, "maximum": 9}, {"minimum": 2, "maximum": 5}),
        ({"required": ["a"]}, {"required": ["b", "a"]}, {"required": ["a", "b"]}),
        ({"enum": [1, 2]}, {"enum": [2, 3]}, {"enum": [2]}),
        ({"title": "one"}, {"title": "two"}, {"title": "two"}),
        ({"additionalProperties": False}, {"additionalProperties": {}}, {"additionalProperties": False}),
        ({"additionalProperties": True}, {"additionalProperties": {}}, {"additionalProperties": {}}),
        (
            {"properties": {"a": {"type": "string"}, "b": {}}},
            {"properties": {"a": {"minLength": 1}, "c": {}}},
            {"properties": {"a": {"allOf": [{"type": "string"}, {"minLength": 1}]}, "b": {}, "c": {}}},
        ),
    ],
)
def test_keywords_of_both_become_one(first: dict[str, Any], second: dict[str, Any], both: dict[str, Any]) -> None:
    assert merge_schemas(first, second) == both


@pytest.mark.parametrize(
    ("first", "second"),
    [({"type": "string"}, {"type": "integer"}), ({"enum": [1]}, {"enum": [2]}), ({"const": 1}, {"const": 2})],
)
def test_what_can_never_be_true_is_refused(first: dict[str, Any], second: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"nothing in common|differ"):
        merge_schemas(first, second)
