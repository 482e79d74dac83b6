"""Writes out what a JSON schema refers to, for whoever reads its parts apart. Stands on nothing; knows no provider."""

from collections.abc import Mapping
from typing import Any, cast


def without_references(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in which each reference to a definition is replaced by it; one to itself becomes any object."""
    definitions: Mapping[str, Any] = schema.get("$defs") or schema.get("definitions") or {}
    written = _write_out({key: schema[key] for key in schema if key not in ("$defs", "definitions")}, definitions, ())
    return cast("dict[str, Any]", written)


def _write_out(node: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_write_out(item, definitions, inside) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    fields = cast("dict[str, Any]", node)
    reference = fields.get("$ref")
    if not isinstance(reference, str):
        return {key: _write_out(value, definitions, inside) for key, value in fields.items()}
    name = reference.rsplit("/", 1)[-1]
    rest = {key: value for key, value in fields.items() if key != "$ref"}
    if name in inside or name not in definitions:
        return {"type": "object", **rest}
    return {**_write_out(definitions[name], definitions, (*inside, name)), **rest}
