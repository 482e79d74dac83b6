"""Fits a JSON schema to what the API can enforce. Stands on nothing; must not know the SDK.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

import json
from typing import Any, cast

JsonSchema = dict[str, Any]

_LIMITS = {
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
}
"""Keywords that the API refuses. The model reads them in the description instead; the answer is validated afterwards."""

_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
"""Values of `format` that it enforces."""


def enforceable(schema: JsonSchema) -> JsonSchema:
    """Return a schema with what the API refuses moved into descriptions."""
    fitted = {key: _value(key, value) for key, value in schema.items() if not _refused(key, value)}
    if "oneOf" in fitted:
        fitted["anyOf"] = fitted.pop("oneOf")
    limits = {key: value for key, value in schema.items() if _refused(key, value)}
    if limits:
        words = ", ".join(f"{key}: {json.dumps(value)}" for key, value in limits.items())
        fitted["description"] = f"{schema['description']} ({words})" if schema.get("description") else words
    return fitted


def is_recursive(schema: JsonSchema) -> bool:
    """Tell whether a schema refers to itself, which the API cannot enforce."""
    definitions = cast("dict[str, JsonSchema]", schema.get("$defs") or {})
    reached = {name: _references(definition) for name, definition in definitions.items()}
    for _ in definitions:
        reached = {
            name: found.union(*(reached.get(other, set()) for other in found)) for name, found in reached.items()
        }
    return "#" in _references(schema) or any(name in found for name, found in reached.items())


def _refused(key: str, value: Any) -> bool:
    if key == "format":
        return value not in _FORMATS
    if key == "minItems" and value in (0, 1):
        return False
    return key in _LIMITS


def _value(key: str, value: Any) -> Any:
    if key in ("properties", "$defs") and isinstance(value, dict):
        return {name: enforceable(part) for name, part in cast("dict[str, JsonSchema]", value).items()}
    if key in ("enum", "const", "default", "examples", "required"):
        return value
    if isinstance(value, list):
        parts = cast("list[Any]", value)
        return [enforceable(cast("JsonSchema", part)) if isinstance(part, dict) else part for part in parts]
    return enforceable(cast("JsonSchema", value)) if isinstance(value, dict) else value


def _references(node: Any) -> set[str]:
    """Return the names that a schema, or a part of one, refers to."""
    if isinstance(node, list):
        return set[str]().union(*(_references(item) for item in cast("list[Any]", node)))
    if not isinstance(node, dict):
        return set()
    found: set[str] = set()
    for key, value in cast("dict[str, Any]", node).items():
        if key == "$ref" and isinstance(value, str):
            found.add(value.removeprefix("#/$defs/"))
        elif key != "$defs":
            found |= _references(value)
    return found
