"""Turns a pydantic class into the strict dialect of JSON schema that providers need for structured output.

Strict means: objects allow no further properties and require every one they name. Stands on pydantic; knows no provider.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter
from typing_extensions import TypeIs

JsonSchema = dict[str, Any]


def strict_json_schema(model: type[BaseModel]) -> JsonSchema:
    """Return the strict JSON schema of a pydantic class.

    Defaults of `None` are left out, since a strict object names every property anyway. References that carry further
    keywords are replaced by what they stand for.
    """
    schema = TypeAdapter(model).json_schema()
    return _Strictness(schema, frozenset()).of(schema)


@dataclass(frozen=True, slots=True)
class _Strictness:
    root: JsonSchema
    inlining: frozenset[str]
    """References that are being replaced; one that refers to itself has to stay."""

    def of(self, node: Any) -> Any:
        """Return the strict form of a schema, or of a list of them."""
        if isinstance(node, list):
            return [self.of(item) for item in cast("list[Any]", node)]
        if not _is_object(node):
            return node
        node = dict(node)
        reference = node.get("$ref")
        if isinstance(reference, str) and len(node) > 1:
            return self._inlined(reference, node)
        if "default" in node and node["default"] is None:
            del node["default"]
        options = node.get("allOf")
        if isinstance(options, list) and len(cast("list[Any]", options)) == 1:
            del node["allOf"]
            return self.of({**node, **cast("list[JsonSchema]", options)[0]})
        if node.get("type") == "object":
            node.setdefault("additionalProperties", False)
        properties = node.get("properties")
        if _is_object(properties):
            node["required"] = list(properties)
        return {key: self._value(key, value) for key, value in node.items()}

    def _inlined(self, reference: str, node: JsonSchema) -> Any:
        if reference in self.inlining:
            return {"$ref": reference}
        del node["$ref"]
        inner = _Strictness(self.root, self.inlining | {reference})
        return inner.of({**_resolve(reference, self.root), **node})

    def _value(self, key: str, value: Any) -> Any:
        """Go on with what holds schemas; a default, an example or an enumeration is data and stays as it is."""
        if key in ("properties", "$defs", "definitions") and _is_object(value):
            return {name: self.of(schema) for name, schema in value.items()}
        if key in ("items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "additionalProperties"):
            return self.of(value)
        return value


def _resolve(reference: str, root: JsonSchema) -> JsonSchema:
    node: Any = root
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return dict(cast("Mapping[str, Any]", node))


def _is_object(value: Any) -> TypeIs[dict[str, Any]]:
    return isinstance(value, dict)
