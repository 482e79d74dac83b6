"""From the leaves of a JSON schema to types: strings, numbers, enumerations, unions and limits. Knows no models."""

import datetime
import importlib.util
import ipaddress
import uuid
from typing import Annotated, Any, Literal, Union

from pydantic import UUID1, UUID3, UUID4, UUID5, AfterValidator, AnyUrl, EmailStr, Field, TypeAdapter
from pydantic_core import SchemaError

Schema = dict[str, Any]

_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1

_STRINGS: dict[str, Any] = {
    "binary": bytes,
    "byte": bytes,
    "date": datetime.date,
    "date-time": datetime.datetime,
    "duration": datetime.timedelta,
    "email": EmailStr if importlib.util.find_spec("email_validator") else str,
    "ipv4": ipaddress.IPv4Address,
    "ipv4-network": ipaddress.IPv4Network,
    "ipv6": ipaddress.IPv6Address,
    "ipv6-network": ipaddress.IPv6Network,
    "time": datetime.time,
    "uri": AnyUrl,
    "url": AnyUrl,
    "uuid": uuid.UUID,
    "uuid1": UUID1,
    "uuid3": UUID3,
    "uuid4": UUID4,
    "uuid5": UUID5,
}

_INTEGERS: dict[str, Any] = {
    "int32": Annotated[int, Field(ge=-_MAX_INT32 - 1, le=_MAX_INT32)],
    "int64": Annotated[int, Field(ge=-_MAX_INT64 - 1, le=_MAX_INT64)],
}

SIMPLE_TYPES: dict[str | None, Any] = {None: Any, "boolean": bool, "null": None}

LIMITS = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minItems": "min_length",
    "maxItems": "max_length",
    "minProperties": "min_length",
    "maxProperties": "max_length",
}


def union_of(types: list[Any]) -> Any:
    return Union[tuple(types)]  # noqa: UP007 - made at run time


def one_of(values: list[Any]) -> Any:
    """Return a type with only these values, which may be of any JSON type."""
    if all(value is None or isinstance(value, str | int) for value in values):
        return Literal[tuple(values)]

    def check(value: Any) -> Any:
        if value not in values:
            raise ValueError(f"expected one of {values!r}")
        return value

    return Annotated[Any, AfterValidator(check), Field(json_schema_extra={"enum": values})]


def string_type(node: Schema, _: str) -> Any:
    base = _STRINGS.get(node.get("format", ""), str)
    return limited(base, node, ("minLength", "maxLength", "pattern")) if base is str else base


def number_type(node: Schema, _: str) -> Any:
    base = _INTEGERS.get(node.get("format", ""), int) if node["type"] == "integer" else float
    return limited(base, node, ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"))


def limited(base: Any, node: Schema, keys: tuple[str, ...]) -> Any:
    limits = {LIMITS[key]: node[key] for key in keys if key in node and not isinstance(node[key], bool)}
    if "pattern" in limits and not _is_usable(limits["pattern"]):
        del limits["pattern"]
    return Annotated[base, Field(**limits)] if limits else base


def _is_usable(pattern: str) -> bool:
    """Tell whether pydantic's regular expressions, which take linear time, know a pattern's syntax."""
    try:
        TypeAdapter(Annotated[str, Field(pattern=pattern)])
    except SchemaError:
        return False
    return True


def unique_items(values: list[Any]) -> list[Any]:
    if any(value in values[:index] for index, value in enumerate(values)):
        raise ValueError("expected each item only once")
    return values
