"""Writes the JSON schema that a choice of tools, or an answer in JSON, has to follow. Stands on JSON schema alone.

Two things are added to what tools and users ask for. Texts and lists are given a length, since small models repeat
themselves until they are stopped, which would cut the JSON off. And for the smallest models texts begin with a space,
which is taken away again (`without_padding`): a model knows `" Beijing"` from the request as one token and copies it, but
has to spell `"Beijing"` after a quotation mark, and gets it wrong. Must not know any model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from autogen_ext.models._shared._tools import ToolSpec

from ._prompts import FINAL_ANSWER

JsonSchema = dict[str, Any]

ANY_JSON: JsonSchema = {"type": "object"}
"""The schema of JSON mode."""

_COMPACT = {"x-guidance": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}}
"""Asks the engine for JSON on one line: white space is where small models lose themselves, and costs tokens."""

_CONSTRAINTS = frozenset({"enum", "const", "pattern", "format", "maxLength"})
_MAX_ITEMS = 8
"""Entries of a list without a length of its own."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What texts without constraints of their own are held to.

    Attributes:
        characters: Their length.
        padded: Whether they begin with a space, and stay on one line without quotation marks.
    """

    characters: int
    padded: bool = False

    @property
    def text(self) -> JsonSchema:
        """The schema of a text."""
        if not self.padded:
            return {"maxLength": self.characters}
        return {"pattern": f'^ [^ "\\\\\\n\\r\\t][^"\\\\\\n\\r\\t]{{0,{self.characters - 2}}}$'}


def choice_schema(tools: Sequence[ToolSpec], bounds: Bounds, *, may_answer: bool) -> JsonSchema:
    """Return the schema of one choice: a tool and its arguments, or, if allowed, the answer in words."""
    definitions: JsonSchema = {}
    options: list[JsonSchema] = []
    for tool in tools:
        own = _hoisted(tool.name, tool.parameters, definitions)
        parameters: JsonSchema = {"type": "object", "properties": {}, "additionalProperties": False, **own}
        arguments = cast("JsonSchema", bounded(parameters, bounds))
        options.append(_object(tool={"const": tool.name}, arguments=arguments))
    if may_answer:
        options.append(_object(tool={"const": FINAL_ANSWER}))
    schema: JsonSchema = {**_COMPACT, **(options[0] if len(options) == 1 else {"anyOf": options})}
    if definitions:
        schema["$defs"] = bounded(definitions, bounds)
    return schema


def choices_schema(tools: Sequence[ToolSpec], bounds: Bounds, *, count: int, at_least: int) -> JsonSchema:
    """Return the schema of a list of choices, each a tool and its arguments."""
    one = choice_schema(tools, bounds, may_answer=False)
    outer = {key: one.pop(key) for key in ("x-guidance", "$defs") if key in one}
    return {**outer, "type": "array", "items": one, "minItems": at_least, "maxItems": count}


def output_schema(schema: JsonSchema, bounds: Bounds | None) -> JsonSchema:
    """Return the schema of an answer in JSON; with bounds where the model needs them."""
    return {**_COMPACT, **(bounded(schema, bounds) if bounds else schema)}


def bounded(node: Any, bounds: Bounds) -> Any:
    """Return a schema in which every text and list has an end."""
    if isinstance(node, list):
        return [bounded(item, bounds) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    schema = {
        key: value if key in ("enum", "const", "default", "examples") else bounded(value, bounds)
        for key, value in cast("JsonSchema", node).items()
    }
    if schema.get("type") == "string" and not _CONSTRAINTS & schema.keys():
        schema.update(bounds.text)
    elif schema.get("type") == "array":
        schema.setdefault("maxItems", max(_MAX_ITEMS, int(schema.get("minItems", 0))))
    return schema


def without_padding(value: Any) -> Any:
    """Return arguments whose texts have lost the white space around them."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return [without_padding(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: without_padding(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _object(**properties: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _hoisted(name: str, parameters: Mapping[str, Any], definitions: JsonSchema) -> JsonSchema:
    """Move a tool's definitions to where references of the whole schema find them."""
    own = dict(parameters)
    moved = cast("JsonSchema", own.pop("$defs", {}))
    definitions.update({f"{name}.{key}": _renamed(name, value) for key, value in moved.items()})
    return cast("JsonSchema", _renamed(name, own)) if moved else own


def _renamed(name: str, node: Any) -> Any:
    if isinstance(node, list):
        return [_renamed(name, item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    schema = {key: _renamed(name, value) for key, value in cast("JsonSchema", node).items()}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        schema["$ref"] = reference.replace("#/$defs/", f"#/$defs/{name}.", 1)
    return schema
