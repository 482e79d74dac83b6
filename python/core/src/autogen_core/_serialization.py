"""How messages become bytes where they must leave the process: serialisers, and the registry that finds them.

Stands on names and errors. Pydantic and protobuf are touched only for messages made with them; in process nothing is
serialised. The wire name of a message is its class's bare name (AutoGen 0.7.5); two classes of one name are refused once
one of them has to be told from the other.
"""

import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from autogen_core._names import JSON_DATA_CONTENT_TYPE, PROTOBUF_DATA_CONTENT_TYPE, TRACE_LOGGER_NAME
from autogen_core.exceptions import RegistrationError

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter

_logger = logging.getLogger(TRACE_LOGGER_NAME)

T = TypeVar("T")


class MessageSerializer(Protocol[T]):
    """Turns messages of one type into bytes of one content type, and back."""

    @property
    def data_content_type(self) -> str:
        """The content type of the bytes, such as `application/json`."""
        ...

    @property
    def type_name(self) -> str:
        """The name that the message type has on the wire."""
        ...

    def deserialize(self, payload: bytes) -> T:
        """Read a message."""
        ...

    def serialize(self, message: T) -> bytes:
        """Write a message."""
        ...


@dataclass
class UnknownPayload:
    """A message of a type that this process does not know, kept as it came.

    Attributes:
        type_name: The type's name on the wire.
        data_content_type: The content type of the bytes.
        payload: The bytes.
    """

    type_name: str
    data_content_type: str
    payload: bytes


class _ClassSerializer(Generic[T]):
    """What the serialisers of one class share."""

    data_content_type = JSON_DATA_CONTENT_TYPE

    def __init__(self, cls: type[T]) -> None:
        self.cls = cls

    @property
    def type_name(self) -> str:
        """The bare name of the class."""
        return self.cls.__name__


class DataclassJsonMessageSerializer(_ClassSerializer[T]):
    """Dataclasses as JSON objects; fields may be anything that pydantic can validate, nested models included."""

    @cached_property
    def _adapter(self) -> "TypeAdapter[T]":
        from pydantic import TypeAdapter

        return TypeAdapter(self.cls)

    def deserialize(self, payload: bytes) -> T:
        """Read a message; raises `ValueError` if the JSON does not fit the class."""
        return self._adapter.validate_json(payload)

    def serialize(self, message: T) -> bytes:
        """Write a message; raises `ValueError` if a field holds what JSON cannot say."""
        return self._adapter.dump_json(message)


class PydanticJsonMessageSerializer(_ClassSerializer[T]):
    """Pydantic models as JSON objects."""

    cls: "type[BaseModel]"

    def deserialize(self, payload: bytes) -> T:
        """Read a message; raises `ValueError` if the JSON does not fit the class."""
        return self.cls.model_validate_json(payload)  # type: ignore[return-value]  # cls is T, seen as a model

    def serialize(self, message: T) -> bytes:
        """Write a message; raises `ValueError` if a field holds what JSON cannot say."""
        return self.cls.model_dump_json(message).encode()  # type: ignore[arg-type]  # as above


class ProtobufMessageSerializer(_ClassSerializer[T]):
    """Protobuf messages, wrapped in a `google.protobuf.Any` that names their type."""

    data_content_type = PROTOBUF_DATA_CONTENT_TYPE

    @property
    def type_name(self) -> str:
        """The full name of the message type in its `.proto` file."""
        return self.cls.DESCRIPTOR.full_name  # type: ignore[attr-defined]  # protobuf is optional, so untyped here

    def deserialize(self, payload: bytes) -> T:
        """Read a message; raises `ValueError` if the bytes hold another type."""
        from google.protobuf import any_pb2

        envelope: Any = any_pb2.Any.FromString(payload)
        message: Any = self.cls()
        if not envelope.Unpack(message):
            raise ValueError(f"Expected a protobuf message {self.type_name}, got {envelope.type_url!r}.")
        return message

    def serialize(self, message: T) -> bytes:
        """Write a message."""
        from google.protobuf import any_pb2

        envelope: Any = any_pb2.Any()
        envelope.Pack(message)
        return envelope.SerializeToString()


def try_get_known_serializers_for_type(cls: type[Any]) -> list[MessageSerializer[Any]]:
    """Return the serialisers for a dataclass, pydantic model or protobuf message; none for other types."""
    # A class can only derive from what its module imported, so asking the loaded modules imports nothing.
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and issubclass(cls, pydantic.BaseModel):
        return [PydanticJsonMessageSerializer(cls)]
    if dataclasses.is_dataclass(cls):
        return [DataclassJsonMessageSerializer(cls)]
    protobuf = sys.modules.get("google.protobuf.message")
    if protobuf is not None and issubclass(cls, protobuf.Message):
        return [ProtobufMessageSerializer(cls)]
    return []


class SerializationRegistry:
    """The serialisers of a runtime, found by type name and content type."""

    def __init__(self) -> None:
        self._serializers: dict[tuple[str, str], MessageSerializer[Any]] = {}
        self._clashes: dict[tuple[str, str], set[str]] = {}

    def add_serializer(self, serializer: MessageSerializer[Any] | Sequence[MessageSerializer[Any]]) -> None:
        """Add one serialiser, or several.

        A second class under a known name is noted; reading or writing messages of that name then raises.
        """
        for one in serializer if isinstance(serializer, Sequence) else [serializer]:
            key = (one.type_name, one.data_content_type)
            known = self._serializers.setdefault(key, one)
            if _owner(known) != _owner(one):
                self._clashes.setdefault(key, {_owner(known)}).add(_owner(one))
                _logger.warning("message type name %r is used by %s", key[0], sorted(self._clashes[key]))

    def deserialize(self, payload: bytes, *, type_name: str, data_content_type: str) -> Any:
        """Read a message; one of an unknown type is returned as `UnknownPayload`.

        Raises:
            RegistrationError: Two classes are registered under the name.
        """
        serializer = self._find(type_name, data_content_type)
        if serializer is None:
            return UnknownPayload(type_name, data_content_type, payload)
        return serializer.deserialize(payload)

    def serialize(self, message: Any, *, type_name: str, data_content_type: str) -> bytes:
        """Write a message; an `UnknownPayload` is written as it came.

        Raises:
            ValueError: No serialiser is known for the type.
            RegistrationError: Two classes are registered under the name.
        """
        if isinstance(message, UnknownPayload):
            return message.payload
        serializer = self._find(type_name, data_content_type)
        if serializer is None:
            raise ValueError(
                f"No serializer for message type {type_name!r} as {data_content_type}. Register one with "
                "add_message_serializer, or make the message a dataclass, pydantic model or protobuf message."
            )
        return serializer.serialize(message)

    def is_registered(self, type_name: str, data_content_type: str) -> bool:
        """Tell whether messages of this name and content type can be read and written."""
        return (type_name, data_content_type) in self._serializers

    def type_name(self, message: Any) -> str:
        """Return the name that a message has on the wire."""
        if isinstance(message, UnknownPayload):
            return message.type_name
        known = try_get_known_serializers_for_type(message.__class__)
        return known[0].type_name if known else type(message).__name__

    def _find(self, type_name: str, data_content_type: str) -> MessageSerializer[Any] | None:
        clash = self._clashes.get((type_name, data_content_type))
        if clash:
            raise RegistrationError(
                f"Message type name {type_name!r} is used by several classes: {', '.join(sorted(clash))}. "
                "Rename one of them, or give it a serializer with another type name."
            )
        return self._serializers.get((type_name, data_content_type))


def _owner(serializer: MessageSerializer[Any]) -> str:
    """Name what a serialiser is for, so that two registrations of one class are no clash."""
    cls: Any = getattr(serializer, "cls", type(serializer))
    return f"{cls.__module__}.{cls.__qualname__}"


def describe(message: Any) -> str:
    """Write any message as JSON for a log line; never raises."""
    try:
        pydantic = sys.modules.get("pydantic")
        if pydantic is not None and isinstance(message, pydantic.BaseModel):
            return str(message.model_dump_json())
        if dataclasses.is_dataclass(message) and not isinstance(message, type):
            return json.dumps(dataclasses.asdict(message), default=repr)
        return json.dumps(message, default=repr)
    except Exception as error:  # noqa: BLE001 - a log line must not break the delivery that it tells of
        return json.dumps(f"<{type(message).__name__} that cannot be shown: {type(error).__name__}>")
