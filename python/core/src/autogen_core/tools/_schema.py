"""How a tool is described to a model: the record, and how it is made from a pydantic model. Knows no tools."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypeVar, cast

from pydantic import BaseModel
from typing_extensions import TypedDict

_T = TypeVar("_T")
_REF = "#/$defs/"


class ParametersSchema(TypedDict):
    """A JSON schema of a tool's arguments."""

    type: str
    properties: dict[str, Any]
    required: NotRequired[Sequence[str]]
    additionalProperties: NotRequired[bool]


class ToolSchema(TypedDict):
    """A tool as a model sees it."""

    parameters: NotRequired[ParametersSchema]
    name: str
    description: NotRequired[str]
    strict: NotRequired[bool]
    """Whether the model must follow the parameters exactly. Not all providers can."""


def make_schema(args_type: type[BaseModel], name: str, description: str, *, strict: bool) -> ToolSchema:
    """Describe a tool whose arguments are a pydantic model.

    References are replaced by what they refer to, as not all providers resolve them. Only types that hold themselves
    stay under `$defs`.

    Raises:
        ValueError: In strict mode there are arguments with defaults, or undeclared ones are accepted.
    """
    schema = _inline(args_type.model_json_schema())
    properties = cast("dict[str, Any]", schema.get("properties", {}))
    required = cast("list[str]", schema.get("required", []))
    additional = cast("bool", schema.get("additionalProperties", False))
    if strict and set(required) != properties.keys():
        optional = ", ".join(sorted(properties.keys() - set(required)))
        raise ValueError(
            f"Strict mode is enabled, but not all input arguments are marked as required: tool {name!r} has defaults for "
            f"{optional}."
        )
    if strict and additional:
        raise ValueError(
            f"Strict mode is enabled, but additional arguments are allowed: tool {name!r} must accept only those that "
            "it declares."
        )
    parameters = ParametersSchema(
        type="object", properties=properties, required=required, additionalProperties=additional
    )
    if definitions := schema.get("$defs"):
        parameters = cast("ParametersSchema", {**parameters, "$defs": definitions})
    return ToolSchema(name=name, description=description, parameters=parameters, strict=strict)


def copy_json(value: _T) -> _T:
    """Copy JSON-like data in depth; several times faster than `copy.deepcopy`."""
    if isinstance(value, dict):
        return cast("_T", {key: copy_json(item) for key, item in cast("dict[str, Any]", value).items()})
    if isinstance(value, list):
        return cast("_T", [copy_json(item) for item in cast("list[Any]", value)])
    return value


def _inline(schema: dict[str, Any]) -> dict[str, Any]:
    """Replace references within a schema, and drop the definitions that are no longer needed."""
    definitions: dict[str, Any] = schema.pop("$defs", {})
    recursive = {name for name, item in definitions.items() if name in _reachable(item, definitions)}

    def resolve(node: Any) -> Any:
        if isinstance(node, list):
            return [resolve(item) for item in cast("list[Any]", node)]
        if not isinstance(node, dict):
            return node
        found = cast("dict[str, Any]", node)
        name = _referred(found)
        if name is None or name in recursive:
            return {key: resolve(item) for key, item in found.items()}
        return resolve({**definitions[name], **{key: item for key, item in found.items() if key != "$ref"}})

    if name := _referred(schema):  # a type that holds itself
        schema = definitions[name]
    for name, item in schema.get("properties", {}).items():
        if "$ref" in item and item.get("description") == name:
            del item["description"]  # it repeats the name; the type may have a better one
    result = cast("dict[str, Any]", resolve(schema))
    if kept := recursive & _reachable(result, {name: definitions[name] for name in recursive}):
        result["$defs"] = {name: resolve(definitions[name]) for name in sorted(kept)}
    return result


def _referred(node: dict[str, Any]) -> str | None:
    reference = node.get("$ref")
    return reference.removeprefix(_REF) if isinstance(reference, str) and reference.startswith(_REF) else None


def _reachable(node: Any, definitions: dict[str, Any]) -> set[str]:
    """Return the names of all definitions that a node refers to, directly or through others."""
    found: set[str] = set()
    pending: list[Any] = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            entry = cast("dict[str, Any]", item)
            name = _referred(entry)
            if name in definitions and name not in found:
                found.add(name)
                pending.append(definitions[name])
            pending.extend(entry.values())
        elif isinstance(item, list):
            pending.extend(cast("list[Any]", item))
    return found
