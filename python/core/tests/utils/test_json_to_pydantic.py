"""JSON schemas as pydantic models: what a schema accepts the model accepts, and the reverse where pydantic can check it."""

import datetime
import ipaddress
import uuid
from enum import Enum
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, RootModel, ValidationError

from autogen_core.utils import SchemaConversionError, schema_to_pydantic_model


def obj(properties: dict[str, Any], required: Any = "", **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split(), **more}


def model_of(schema: dict[str, Any]) -> type[BaseModel]:
    """Return a model with one required field `a` of a schema, which may have definitions."""
    more: dict[str, Any] = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
    return schema_to_pydantic_model(obj({"a": schema}, "a", **more))


def accepts(schema: dict[str, Any], value: Any) -> bool:
    try:
        model_of(schema).model_validate({"a": value})
    except ValidationError:
        return False
    return True


NODE = obj({"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/N"}}}, "v")
NAME = obj({"name": {"type": "string"}}, "name")
AGE = obj({"age": {"type": "integer"}}, "age")
CAT = obj({"kind": {"const": "cat"}, "lives": {"type": "integer"}}, "kind", title="Cat")
DOG = obj({"kind": {"const": "dog"}}, "kind", title="Dog")


CASES: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    ({"type": "string"}, ["x", ""], [1, None, []]),
    ({"type": "integer"}, [1, -1], [1.5, "x", None]),
    ({"type": "number"}, [1, 1.5], ["x", None]),
    ({"type": "boolean"}, [True], ["x", None, 7]),
    ({"type": "null"}, [None], [0, ""]),
    ({"type": "array"}, [[], [1, "x"]], ["x", None]),
    ({"type": "object"}, [{}, {"x": 1}], ["x", []]),
    ({}, [1, "x", None, [], {}], []),
    ({"description": "anything"}, [1, "x", None], []),
    ({"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^a"}, ["ab", "abc"], ["a", "abcd", "bb"]),
    ({"type": "integer", "minimum": 1, "maximum": 5}, [1, 5], [0, 6]),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, [0.5], [0, 1]),
    ({"type": "integer", "multipleOf": 3}, [3, 9], [4]),
    ({"type": "integer", "format": "int32"}, [2**31 - 1, -(2**31)], [2**31]),
    ({"type": "integer", "format": "int64"}, [2**63 - 1], [2**63]),
    (
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        [[1], [1, 2]],
        [[], [1, 2, 3], ["x"]],
    ),
    ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, [[1, 2]], [[1, 1]]),
    ({"type": "object", "minProperties": 1}, [{"x": 1}], [{}]),
    ({"enum": ["p", "q"]}, ["p"], ["r", 1]),
    ({"type": "string", "enum": ["p"]}, ["p"], ["r"]),
    ({"enum": [1, None, "z"]}, [1, None, "z"], [2, "q"]),
    ({"enum": [1.5, [1]]}, [1.5, [1]], [2, [2]]),
    ({"const": "k"}, ["k"], ["l"]),
    ({"type": ["string", "null"]}, ["x", None], [1]),
    ({"type": ["string", "integer"]}, ["x", 1], [None, []]),
    ({"type": "string", "nullable": True}, ["x", None], [1]),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, ["x", 1], [[], None]),
    ({"oneOf": [{"type": "string"}, NAME]}, ["x", {"name": "n"}], [1, {"name": 1}]),
    ({"allOf": [NAME, AGE]}, [{"name": "n", "age": 1}], [{"name": "n"}, {"age": 1}]),
    ({"allOf": [{"type": "integer", "minimum": 1}, {"type": "number", "maximum": 3}]}, [1, 3], [0, 4, 1.5]),
    ({"allOf": [{"enum": [1, 2]}, {"enum": [2, 3]}]}, [2], [1, 3]),
    ({"type": "string", "anyOf": [{"minLength": 3}, {"pattern": "^a"}]}, ["xyz", "a"], ["xy"]),
    ({"type": "string", "anyOf": [{"type": "null"}, {"minLength": 3}]}, ["xyz"], ["xy", None]),
    ({**NAME, "anyOf": [{"required": ["x"]}, AGE]}, [{"name": "n", "age": 1}], [{"age": 1}]),
    ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}, [["x", 1]], [[1, "x"], ["x"]]),
    ({"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}, [["x", 1]], [[1, "x"]]),
    ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, [["x", 1, 2]], [[[]]]),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, [{"k": 1}], [{"k": "x"}]),
    (obj({"x": {"type": "integer"}}, additionalProperties=False), [{"x": 1}], [{"x": 1, "y": 2}]),
    (obj({"x": {"type": "integer"}}, additionalProperties={"type": "string"}), [{"y": "s"}], [{"y": 2}]),
    (obj({"x": {"type": "integer"}}), [{"x": 1, "y": 2}], [{"x": "s"}]),
    ({"properties": {"x": {"type": "integer"}}, "required": ["x"]}, [{"x": 1}], [{}]),
    ({"items": {"type": "integer"}}, [[1]], [["x"]]),
    ({"$ref": "#/$defs/N", "$defs": {"N": NODE}}, [{"v": 1, "kids": [{"v": 2}]}], [{"v": 1, "kids": [{}]}]),
    ({"$ref": "#/$defs/E", "$defs": {"E": {"enum": ["p"]}}}, ["p"], ["q"]),
    ({"$ref": "#/$defs/S", "minLength": 2, "$defs": {"S": {"type": "string"}}}, ["xx"], ["x", 1]),
    ({"discriminator": {"propertyName": "kind"}, "oneOf": [CAT, DOG]}, [{"kind": "dog"}], [{"kind": "cow"}]),
    # what pydantic cannot check is let through
    ({"type": "string", "format": "uri-reference", "x-more": 1, "readOnly": True}, ["x"], [1]),
    ({"type": "string", "pattern": "^(?=a)"}, ["a", "b"], [1]),
    ({"not": {"type": "string"}}, [1, "x"], []),
    ({"type": "integer", "if": {"minimum": 3}, "then": {"multipleOf": 2}}, [4, 5], ["x"]),
]


@pytest.mark.parametrize(("schema", "good", "bad"), CASES)
def test_a_model_accepts_what_its_schema_describes(schema: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not accepts({**schema}, value)] == []
    assert [value for value in bad if accepts({**schema}, value)] == []


@pytest.mark.parametrize(
    ("format", "text", "value"),
    [
        ("date-time", "2024-02-29T12:00:00Z", datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)),
        ("date", "2024-02-29", datetime.date(2024, 2, 29)),
        ("time", "12:00:00", datetime.time(12)),
        ("duration", "P1D", datetime.timedelta(days=1)),
        ("uuid", "12345678-1234-1234-8234-123456789012", uuid.UUID("12345678-1234-1234-8234-123456789012")),
        ("uuid4", "12345678-1234-4234-8234-123456789012", uuid.UUID("12345678-1234-4234-8234-123456789012")),
        ("ipv4", "127.0.0.1", ipaddress.IPv4Address("127.0.0.1")),
        ("ipv6", "::1", ipaddress.IPv6Address("::1")),
        ("ipv4-network", "10.0.0.0/8", ipaddress.IPv4Network("10.0.0.0/8")),
        ("uri", "http://example.com/", AnyUrl("http://example.com/")),
        ("binary", "abc", b"abc"),
        ("hostname", "example.com", "example.com"),
    ],
)
def test_formats_become_python_types(format: str, text: str, value: Any) -> None:
    made = model_of({"type": "string", "format": format}).model_validate({"a": text})
    assert made.model_dump() == {"a": value}
    assert made.model_dump(mode="json") == {"a": text}


def test_properties_that_are_not_required_are_their_default_or_none() -> None:
    model = schema_to_pydantic_model(
        obj(
            {"a": {"type": "string"}, "b": {"type": "integer", "default": 3}, "c": {"default": 1, "type": "integer"}},
            "c",
        )
    )
    assert model.model_validate({"c": 2}).model_dump() == {"a": None, "b": 3, "c": 2}
    with pytest.raises(ValidationError):
        model.model_validate({})


def test_defaults_of_models_and_tuples_are_converted() -> None:
    schema = obj(
        {"n": {**NAME, "default": {"name": "x"}}, "t": {"type": "array", "prefixItems": [{}, {}], "default": [1, 2]}}
    )
    made = schema_to_pydantic_model(schema).model_validate({})
    assert made.model_dump() == {"n": {"name": "x"}, "t": (1, 2)}
    assert isinstance(getattr(made, "n", None), BaseModel)


def test_titles_and_descriptions_are_kept() -> None:
    model = schema_to_pydantic_model(
        obj({"a": {"type": "string", "title": "T", "description": "D"}}, description="All")
    )
    field = model.model_fields["a"]
    assert (field.title, field.description, model.__doc__) == ("T", "D", "All")


def test_models_are_named_after_the_argument_the_field_or_the_definition() -> None:
    schema = obj(
        {"inner": NAME, "list": {"type": "array", "items": AGE}, "node": {"$ref": "#/$defs/N"}},
        **{"$defs": {"N": NODE}},
    )
    names = schema_to_pydantic_model(schema, "Order").model_json_schema()["$defs"].keys()
    assert names == {"Order_inner", "Order_list_item", "N"}
    assert schema_to_pydantic_model({}).__name__ == "GeneratedModel"


def test_names_that_python_or_pydantic_cannot_take_are_kept_in_json() -> None:
    names = ["a-b", "a_b", "class", "_x", "x", "model_config", "json", "1a", "", "a b"]
    model = schema_to_pydantic_model(obj({name: {"type": "integer"} for name in names}))
    values = {name: index for index, name in enumerate(names)}
    assert model.model_validate(values).model_dump(by_alias=True) == values
    assert model.model_json_schema()["properties"].keys() == set(names)


def test_further_properties_are_kept_if_they_are_allowed() -> None:
    model = schema_to_pydantic_model(obj({"a": {"type": "integer"}}, additionalProperties=True))
    assert model.model_validate({"a": 1, "b": 2}).model_dump() == {"a": 1, "b": 2}


def test_definitions_may_hold_themselves_and_each_other() -> None:
    schema = {
        "$ref": "#/$defs/A",
        "$defs": {
            "A": obj({"b": {"$ref": "#/$defs/B"}}),
            "B": obj({"a": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}, "n": {"type": "integer"}}, "n"),
        },
    }
    model = schema_to_pydantic_model(schema)
    made = model.model_validate({"b": {"n": 1, "a": {"b": {"n": 2}}}})
    assert made.model_dump() == {"b": {"n": 1, "a": {"b": {"n": 2, "a": None}}}}
    with pytest.raises(ValidationError):
        model.model_validate({"b": {"n": 1, "a": {"b": {}}}})


def test_the_document_itself_may_be_referred_to() -> None:
    model = schema_to_pydantic_model(obj({"next": {"$ref": "#"}, "v": {"type": "integer"}}))
    assert model.model_validate({"v": 1, "next": {"v": 2}}).model_dump(exclude_none=True) == {"v": 1, "next": {"v": 2}}
    with pytest.raises(ValidationError):
        model.model_validate({"next": {"v": "x"}})


def test_a_definition_that_is_no_object_may_hold_itself() -> None:
    value = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#/$defs/V"}}]}
    model = schema_to_pydantic_model(obj({"a": {"$ref": "#/$defs/V"}}, "a", **{"$defs": {"V": value}}))
    assert model.model_validate({"a": [1, [2, []]]}).model_dump() == {"a": [1, [2, []]]}
    with pytest.raises(ValidationError):
        model.model_validate({"a": [1, ["x"]]})


def test_references_may_point_anywhere_in_the_document() -> None:
    schema = obj({"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}, "c": {"$ref": "#/definitions/x~1y"}})
    schema["definitions"] = {"x/y": {"type": "boolean"}}
    model = schema_to_pydantic_model(schema)
    assert model.model_validate({"b": 1, "c": True}).model_dump() == {"a": None, "b": 1, "c": True}


@pytest.mark.parametrize(
    ("schema", "value"), [({"type": "array", "items": {"type": "string"}}, ["x"]), ({"enum": ["x"]}, "x")]
)
def test_a_schema_of_something_else_than_an_object_is_a_root_model(schema: dict[str, Any], value: Any) -> None:
    model = schema_to_pydantic_model(schema)
    assert issubclass(model, RootModel)
    assert model.model_validate(value).model_dump() == value


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ([], "must be an object"),
        (obj({"a": {"$ref": "#/$defs/Nope"}}, **{"$defs": {"Yes": {}}}), r"'#/\$defs/Nope' .*definitions: Yes"),
        (obj({"a": {"$ref": "http://example.com/x.json"}}), "example"),
        (obj({"a": {"type": "text"}}), "Unsupported type 'text'"),
        (obj({"a": 3}), "Expected a schema"),
        (obj({"a": {"anyOf": [True, {"allOf": [3]}]}}), "Expected a schema"),
        (obj({"a": {"allOf": [{"type": "string"}, {"type": "integer"}]}}), "contradict"),
        (obj({"a": {"type": "string", "anyOf": [{"type": "null"}]}}), "No part of anyOf"),
        (obj({"a": {"allOf": [{"const": 1}, {"const": 2}]}}), "contradict"),
        (obj({"a": {"allOf": [{"enum": [1]}, {"enum": [2]}]}}), "contradict"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "leads back to itself"),
        (
            obj({"a": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}, {"minimum": 1}]}}}),
            "leads back to itself",
        ),
    ],
)
def test_a_schema_without_a_meaning_is_refused(schema: Any, text: str) -> None:
    with pytest.raises(SchemaConversionError, match=text) as caught:
        schema_to_pydantic_model(schema)
    assert isinstance(caught.value, ValueError)


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(SchemaConversionError, match="too deeply"):
        schema_to_pydantic_model(schema)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    """A part."""

    size: Annotated[float, Field(gt=0)]
    color: Color = Color.RED


class Leaf(BaseModel):
    kind: Literal["leaf"] = "leaf"


class Branch(BaseModel):
    kind: Literal["branch"] = "branch"
    twigs: list[Annotated[Union["Branch", Leaf], Field(discriminator="kind")]] = []


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=9, description="What it is called.")
    parts: list[Part] = []
    best: Optional[Part] = None  # noqa: UP045 - the old form is what is tested
    by_name: dict[str, Part] = {}
    pair: tuple[int, str] = (1, "x")
    either: int | list[str] | None = None
    tree: Branch = Branch()
    when: datetime.date = datetime.date(2024, 2, 29)


def test_the_schema_of_a_pydantic_model_makes_a_model_that_reads_and_writes_the_same() -> None:
    made = schema_to_pydantic_model(Whole.model_json_schema())
    tree: dict[str, Any] = {"kind": "branch", "twigs": [{"kind": "leaf"}, {"kind": "branch", "twigs": []}]}
    part = {"size": 1.5, "color": "blue"}
    good: list[dict[str, Any]] = [
        {"name": "a"},
        {"name": "a", "parts": [part], "best": part, "by_name": {"k": part}, "pair": [2, "y"], "tree": tree},
        {"name": "a", "either": ["x"]},
        {"name": "a", "either": 3},
    ]
    for value in good:
        original, copy = Whole.model_validate(value), made.model_validate(value)
        assert copy.model_dump(mode="json") == original.model_dump(mode="json")
    for value in (
        {},
        {"name": ""},
        {"name": "a", "more": 1},
        {"name": "a", "parts": [{"size": 0}]},
        {"name": "a", "pair": [1]},
    ):
        with pytest.raises(ValidationError):
            made.model_validate(value)


def test_a_schema_is_not_changed() -> None:
    schema, same = Whole.model_json_schema(), Whole.model_json_schema()
    schema_to_pydantic_model(schema)
    assert schema == same
