"""Schemas whose definitions are written out where they are used."""

from typing import Any

from autogen_ext.models._shared._references import without_references


def test_a_reference_is_replaced_by_what_it_stands_for() -> None:
    schema = {
        "$defs": {"Size": {"type": "integer", "title": "Size"}},
        "properties": {
            "a": {"$ref": "#/$defs/Size", "description": "How big"},
            "b": {"items": {"$ref": "#/$defs/Size"}},
        },
    }
    assert without_references(schema) == {
        "properties": {
            "a": {"type": "integer", "title": "Size", "description": "How big"},
            "b": {"items": {"type": "integer", "title": "Size"}},
        }
    }


def test_a_definition_that_holds_itself_ends_in_any_object() -> None:
    node: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    written = without_references({"$defs": {"Node": node}, "$ref": "#/$defs/Node"})
    assert written == {"type": "object", "properties": {"next": {"type": "object"}}}


def test_a_reference_to_nothing_becomes_any_object() -> None:
    assert without_references({"properties": {"a": {"$ref": "#/$defs/Gone"}}}) == {
        "properties": {"a": {"type": "object"}}
    }
