"""Joining JSON schemas: what accepts only what both accept. Stands on nothing."""

from collections.abc import Callable
from typing import Any, cast

Schema = dict[str, Any]


def merge_schemas(first: Schema, second: Schema) -> Schema:
    """Return one schema for what two schemas say together. Where both have a note, such as a title, the second's stays.

    Raises:
        ValueError: No value can satisfy both.
    """
    merged = {**first, **second}
    for key in first.keys() & second.keys():
        rule = _RULES.get(key)
        if rule is not None:
            merged[key] = rule(first[key], second[key])
    return merged


def _types(first: Any, second: Any) -> Any:
    one, other = (cast("list[str]", item if isinstance(item, list) else [item]) for item in (first, second))
    both = [kind for kind in one if kind in other]
    if {"number", "integer"} <= {*one, *other} and "integer" not in both:
        both.append("integer")  # each integer is a number
    if not both:
        raise ValueError(f"types {first!r} and {second!r} have nothing in common")
    return both[0] if len(both) == 1 else both


def _values(first: list[Any], second: list[Any]) -> list[Any]:
    both = [value for value in first if value in second]
    if not both:
        raise ValueError(f"enumerations {first!r} and {second!r} have nothing in common")
    return both


def _properties(first: Schema, second: Schema) -> Schema:
    merged = {**first, **second}
    for key in first.keys() & second.keys():
        merged[key] = _both(first[key], second[key])
    return merged


def _both(first: Any, second: Any) -> Any:
    if first is True or second is False:
        return second
    if second is True or first is False:
        return first
    return {"allOf": [first, second]} if first != second else first


def _same(first: Any, second: Any) -> Any:
    if first != second:
        raise ValueError(f"values {first!r} and {second!r} differ")
    return first


def _joined(first: list[Any], second: list[Any]) -> list[Any]:
    return [*first, *(item for item in second if item not in first)]


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "type": _types,
    "enum": _values,
    "const": _same,
    "properties": _properties,
    "$defs": _properties,
    "required": _joined,
    "allOf": _joined,
    "items": _both,
    "additionalProperties": _both,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
"""How two values of a keyword become one. Keywords that are not here take the second value."""
