"""From a JSON schema to a pydantic model. Stands on errors; must not know tools or messages.

A schema is walked once. What it says about form becomes types: references (also recursive ones), unions, intersections,
tuples, enumerations, formats and limits. What pydantic cannot check (`not`, `if`, unknown formats and keywords, patterns of
other dialects) is not checked: the model then accepts more than the schema. What has no meaning is an error.
"""

import warnings
from typing import Annotated, Any, ForwardRef, Literal, Optional, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, create_model

from autogen_core.exceptions import AutoGenError

from ._json_leaves import LIMITS, SIMPLE_TYPES, limited, number_type, one_of, string_type, union_of, unique_items
from ._json_merge import merge_schemas

Schema = dict[str, Any]


class SchemaConversionError(AutoGenError, ValueError):
    """A JSON schema cannot be expressed as a pydantic model."""


class ReferenceNotFoundError(SchemaConversionError):
    """A JSON schema refers to something that is not in it."""


class UnsupportedKeywordError(SchemaConversionError):
    """A JSON schema asks for a type that does not exist."""


def schema_to_pydantic_model(schema: dict[str, Any], model_name: str = "GeneratedModel") -> type[BaseModel]:
    """Return a pydantic model that accepts what a JSON schema describes.

    Properties that are not required may be left out; they are then their default, or `None`. If the schema does not
    describe an object, the model is a `RootModel`.

    Args:
        schema: The schema. References must point into it.
        model_name: Name of the model; those within it are named after the definitions, or after it and their field.

    Raises:
        SchemaConversionError: The schema refers to what is not there, contradicts itself, or names an unknown type.
    """
    try:
        return _Converter(schema).convert(model_name)
    except RecursionError as error:
        raise SchemaConversionError(f"The schema of {model_name!r} is nested too deeply.") from error


_NOTES = ("title", "description", "examples", "deprecated")
_UNIONS = ("anyOf", "oneOf")
_FORM = {
    *("$ref", "allOf", "const", "enum", "items", "prefixItems", "properties", "required", "type"),
    *("additionalProperties", "format", "uniqueItems", *LIMITS, *_UNIONS),
}
"""The keywords that say something about values. Others are notes, or cannot be checked."""


class _Converter:
    """Converts one document; remembers which definitions are done, and which are under way."""

    def __init__(self, document: Schema) -> None:
        self._document = document
        self._done: dict[str, Any] = {}  # reference -> type
        self._begun: dict[str, str] = {}  # reference -> name of its forward reference
        self._used: set[str] = set()  # forward references that somebody holds
        self._names: dict[str, Any] = {}  # what forward references stand for
        self._models: list[type[BaseModel]] = []

    def convert(self, name: str) -> type[BaseModel]:
        if not isinstance(self._document, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - from outside
            raise SchemaConversionError(f"The schema of {name!r} must be an object, not {self._document!r}.")
        forward = self._begin("#")
        schema = self._flat(self._document)
        is_object = schema.get("type", "object") == "object" and not (
            {"enum", "const", "items", *_UNIONS} & schema.keys()
        )
        model = self._model(schema, name) if is_object else self._root_model(self._type(schema, name), name)
        self._names[forward] = model
        for unfinished in self._models:
            unfinished.model_rebuild(_types_namespace=self._names)
        return model

    def _type(self, schema: Any, name: str) -> Any:
        """Return the type that a schema describes. `name` is for models made on the way."""
        if schema is True or schema == {}:
            return Any
        if not isinstance(schema, dict):
            raise SchemaConversionError(f"Expected a schema for {name!r}, but found {schema!r}.")
        node = cast("Schema", schema)
        found = self._type_of_node(node, name)
        return Optional[found] if node.get("nullable") is True else found  # noqa: UP045 - it may be a forward reference

    def _type_of_node(self, node: Schema, name: str) -> Any:
        form = _FORM & node.keys()
        if form == {"$ref"}:
            return self._referred(node["$ref"])
        if form == {"allOf"} and len(node["allOf"]) == 1:
            return self._type(node["allOf"][0], name)
        if "$ref" in form or "allOf" in form:
            return self._type(self._flat(node), name)
        if "const" in form or "enum" in form:
            return one_of([node["const"]] if "const" in form else node["enum"])
        union = next((key for key in _UNIONS if key in form), None)
        return self._plain(node, name) if union is None else self._union(node, union, name)

    def _plain(self, node: Schema, name: str) -> Any:
        """Return the type of a schema that names one or more types, or implies one."""
        makers = {
            "object": self._object,
            "array": self._array,
            "string": string_type,
            "integer": number_type,
            "number": number_type,
        }
        named = node.get("type") or _implied_type(node)
        kinds = cast("list[Any]", named if isinstance(named, list) else [named])
        found: list[Any] = []
        for kind in kinds:
            if kind in SIMPLE_TYPES:
                found.append(SIMPLE_TYPES[kind])
            elif kind in makers:
                found.append(makers[kind]({**node, "type": kind}, name))
            else:
                raise UnsupportedKeywordError(f"Unsupported type {kind!r} for {name!r}.")
        return union_of(found)

    def _object(self, node: Schema, name: str) -> Any:
        if node.get("properties"):
            return self._model(node, name)
        values = node.get("additionalProperties", True)
        item = Any if isinstance(values, bool) else self._type(values, f"{name}_value")
        return limited(dict[str, item], node, ("minProperties", "maxProperties"))

    def _model(self, node: Schema, name: str) -> type[BaseModel]:
        required = cast("list[str]", node.get("required", []))
        fields: dict[str, Any] = {}
        for key, item in cast("Schema", node.get("properties", {})).items():
            field = _field_name(key, fields)
            fields[field] = self._field(item, f"{name}_{key}", key if field != key else None, required=key in required)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Field name .* shadows an attribute")  # `json`, `copy`, ...
            model = create_model(name, __base__=self._base(node, name), __doc__=node.get("description"), **fields)
        self._models.append(model)
        return model

    def _base(self, node: Schema, name: str) -> type[BaseModel]:
        """Return a base class that treats further properties as the schema says."""
        config = ConfigDict(populate_by_name=True, protected_namespaces=(), serialize_by_alias=True)
        more = node.get("additionalProperties")
        if more is None:
            return type("Base", (BaseModel,), {"model_config": config, "__module__": __name__})
        if more is False:
            return type("Base", (BaseModel,), {"model_config": {**config, "extra": "forbid"}, "__module__": __name__})
        extra = {"__pydantic_extra__": dict[str, self._type(more, f"{name}_value")]}
        body = {"model_config": {**config, "extra": "allow"}, "__annotations__": extra, "__module__": __name__}
        return type("Base", (BaseModel,), body)

    def _field(self, item: Any, name: str, alias: str | None, *, required: bool) -> Any:
        node = cast("Schema", item) if isinstance(item, dict) else {}
        options: dict[str, Any] = {key: node[key] for key in _NOTES if key in node}
        if alias is not None:
            options["alias"] = alias
        found = self._type(item, name)
        if required:
            return Annotated[found, Field(**options)], ...
        if (default := node.get("default")) is not None:
            return Annotated[found, Field(validate_default=_is_converted(default, node), **options)], default
        return Annotated[Optional[found], Field(**options)], None  # noqa: UP045 - it may be a forward reference

    def _array(self, node: Schema, name: str) -> Any:
        items = node.get("items", True)
        first = cast("list[Any]", items if isinstance(items, list) else node.get("prefixItems", []))
        rest = node.get("additionalItems", False) if isinstance(items, list) else items
        if first and (rest is False or "items" not in node):
            return tuple[tuple(self._type(item, f"{name}_item{index}") for index, item in enumerate(first))]  # type: ignore[misc] - made at run time
        kinds = [self._type(item, f"{name}_item{index}") for index, item in enumerate(first)]
        found = list[union_of([*kinds, self._type(rest, f"{name}_item")])]
        if node.get("uniqueItems") is True:
            found = Annotated[found, AfterValidator(unique_items), Field(json_schema_extra={"uniqueItems": True})]
        return limited(found, node, ("minItems", "maxItems"))

    def _union(self, node: Schema, key: str, name: str) -> Any:
        base = {
            other: value for other, value in node.items() if other not in (*_NOTES, key, "default", "discriminator")
        }
        variants: list[Any] = []
        for index, branch in enumerate(cast("list[Any]", node[key])):
            title = cast("Schema", branch).get("title") if isinstance(branch, dict) else None
            label = title if isinstance(title, str) and title.isidentifier() else f"{name}_{index}"
            if not _FORM & base.keys():
                variants.append(self._type(branch, label))
            elif (joined := self._joined(base, branch)) is not None:
                variants.append(self._type(joined, label))
        if not variants:
            raise SchemaConversionError(f"No part of {key} of {name!r} can be true.")
        discriminator = node.get("discriminator", {}).get("propertyName")
        if len(variants) > 1 and discriminator and all(_discriminates(variant, discriminator) for variant in variants):
            return Annotated[union_of(variants), Field(discriminator=discriminator)]
        return union_of(variants)

    def _flat(self, node: Any, seen: frozenset[str] = frozenset()) -> Schema:
        """Return a schema without a reference or `allOf` at its top, by joining what they say with the rest."""
        if not isinstance(node, dict):
            raise SchemaConversionError(f"Expected a schema, but found {node!r}.")
        rest = cast("Schema", node)
        if "$ref" not in rest and "allOf" not in rest:
            return rest
        parts = list(cast("list[Any]", rest.get("allOf", [])))
        if (reference := rest.get("$ref")) is not None:
            if reference in seen:
                raise SchemaConversionError(f"Reference {reference!r} leads back to itself.")
            seen |= {reference}
            parts.insert(0, self._look_up(reference))
        parts.append({key: value for key, value in rest.items() if key not in ("$ref", "allOf")})
        joined: Schema = {}
        for part in parts:
            joined = self._merged(joined, self._flat(part, seen))
        return joined

    def _merged(self, first: Schema, second: Schema) -> Schema:
        try:
            return merge_schemas(first, second)
        except ValueError as error:
            raise SchemaConversionError(f"Parts of the schema contradict each other: {error}.") from error

    def _joined(self, base: Schema, branch: Any) -> Schema | None:
        """Return what a schema says together with one of its alternatives; `None` if that is never true."""
        flat = self._flat(branch)
        try:
            return merge_schemas(base, flat)
        except ValueError:
            return None

    def _begin(self, reference: str) -> str:
        return self._begun.setdefault(reference, f"Forward{len(self._begun)}")

    def _referred(self, reference: str) -> Any:
        """Return the type of a definition, or a forward reference if it is under way."""
        if reference in self._done:
            return self._done[reference]
        if reference in self._begun:
            self._used.add(self._begun[reference])
            return ForwardRef(self._begun[reference])
        forward = self._begin(reference)
        target = self._look_up(reference)
        name = reference.rpartition("/")[2]
        found = self._type(target, name)
        if forward in self._used and not (isinstance(found, type) and issubclass(found, BaseModel)):
            found = self._root_model(found, name)
        self._names[forward] = self._done[reference] = found
        return found

    def _look_up(self, reference: str) -> Any:
        """Return the part of the document that a JSON pointer names."""
        node: Any = self._document
        path, *parts = reference.split("/")
        for part in parts:
            key = part.replace("~1", "/").replace("~0", "~")
            node = cast("Schema", node).get(key) if isinstance(node, dict) else None
        if path != "#" or node is None:
            known = ", ".join(sorted({**self._document.get("definitions", {}), **self._document.get("$defs", {})}))
            raise ReferenceNotFoundError(
                f"Reference {reference!r} is not in the schema (definitions: {known or 'none'})."
            )
        return node

    def _root_model(self, found: Any, name: str) -> type[BaseModel]:
        model = cast("type[BaseModel]", create_model(name, __base__=RootModel[found]))
        self._models.append(model)
        return model


def _is_converted(default: Any, node: Schema) -> bool:
    """Tell whether a default has to become another type. Others are not checked: many schemas break their own rules."""
    if isinstance(default, str):
        return "enum" not in node and (node.get("type") != "string" or "format" in node)
    return isinstance(default, list | dict)


def _implied_type(node: Schema) -> str | None:
    if "properties" in node or "additionalProperties" in node:
        return "object"
    return "array" if "items" in node or "prefixItems" in node else None


def _discriminates(variant: Any, name: str) -> bool:
    field = variant.model_fields.get(name) if isinstance(variant, type) and issubclass(variant, BaseModel) else None
    return field is not None and getattr(field.annotation, "__origin__", None) is Literal


def _field_name(name: str, taken: Schema) -> str:
    """Return a name that pydantic accepts for a property: an identifier, not private, not one it needs itself."""
    if name.isidentifier() and name not in taken and _is_free(name):
        return name
    field = "".join(letter if letter.isalnum() else "_" for letter in name).strip("_")
    field = field if field.isidentifier() else f"field_{field}"
    while field in taken or not _is_free(field):
        field += "_"
    return field


def _is_free(name: str) -> bool:
    return name[0] != "_" and not (name.startswith("model_") and hasattr(BaseModel, name))
