"""Messages as bytes, with the names that say what they are. Stands on the serialisers of autogen_core; knows no transport."""

import json
from typing import Any, NamedTuple, cast

from autogen_core import (
    JSON_DATA_CONTENT_TYPE,
    PROTOBUF_DATA_CONTENT_TYPE,
    UnknownPayload,
    try_get_known_serializers_for_type,
)
from autogen_core.lowlevel import SerializationRegistry

_PLAIN: dict[str, type[Any]] = {kind.__name__: kind for kind in (type(None), bool, int, float, str, list, dict)}
"""Answers that are no messages but plain JSON values, by the type name that they have on the wire."""


class UnreadableError(ValueError):
    """What came over the wire is no message."""


class Written(NamedTuple):
    """A message as it travels: its type's name, its content type, and its bytes."""

    type_name: str
    content_type: str
    data: bytes


def write(message: Any, registry: SerializationRegistry, prefer: str = JSON_DATA_CONTENT_TYPE) -> Written:
    """Write a message, or a plain JSON value, in the preferred content type if it has that.

    Raises:
        ValueError: It has no serialiser, and is of no kind that gets one by itself.
    """
    if isinstance(message, UnknownPayload):
        return Written(message.type_name, message.data_content_type, message.payload)
    name = registry.type_name(message)
    content_type = _content_type(message, name, registry, prefer)
    if content_type is None:
        if type(message) in _PLAIN.values():
            return Written(name, JSON_DATA_CONTENT_TYPE, _plain(message))
        raise ValueError(
            f"Unknown type {name} with content type {prefer}. Register a serializer with add_message_serializer, or make "
            "it a dataclass, pydantic model or protobuf message."
        )
    return Written(name, content_type, registry.serialize(message, type_name=name, data_content_type=content_type))


def read(written: Written, registry: SerializationRegistry) -> Any:
    """Read a message; one of an unknown type becomes an `UnknownPayload`.

    Raises:
        UnreadableError: The bytes are not what their type says.
    """
    name, content_type, data = written
    try:
        if name in _PLAIN and content_type == JSON_DATA_CONTENT_TYPE and not registry.is_registered(name, content_type):
            return json.loads(data)
        return registry.deserialize(data, type_name=name, data_content_type=content_type)
    except Exception as error:
        raise UnreadableError(f"A payload of type {name!r} as {content_type!r} cannot be read: {error}") from error


def _content_type(message: Any, name: str, registry: SerializationRegistry, prefer: str) -> str | None:
    other = JSON_DATA_CONTENT_TYPE if prefer == PROTOBUF_DATA_CONTENT_TYPE else PROTOBUF_DATA_CONTENT_TYPE
    for content_type in (prefer, other):
        if registry.is_registered(name, content_type):
            return content_type
    known = try_get_known_serializers_for_type(cast("type[Any]", type(message)))
    if not known:
        return None
    registry.add_serializer(known)
    return known[0].data_content_type


def _plain(value: Any) -> bytes:
    try:
        data = json.dumps(value, allow_nan=True)
        exact = type(value) not in {list, dict} or json.loads(data) == value
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A {type(value).__name__} that holds more than JSON can say cannot be sent: {error}"
        ) from error
    if not exact:
        raise ValueError(f"A {type(value).__name__} that JSON would change (its keys, or tuples in it) cannot be sent.")
    return data.encode()
