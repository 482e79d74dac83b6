"""Messages as bytes, for runtimes that cross processes."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import BaseModel

from autogen_core import (
    JSON_DATA_CONTENT_TYPE,
    PROTOBUF_DATA_CONTENT_TYPE,
    UnknownPayload,
    try_get_known_serializers_for_type,
)
from autogen_core.exceptions import RegistrationError
from autogen_core.lowlevel import SerializationRegistry


class Model(BaseModel):
    text: str


@dataclass
class Nested:
    when: datetime
    model: Model
    choice: "int | str" = 1


@pytest.mark.parametrize(
    ("message", "content_type", "name"),
    [
        (Model(text="ü"), JSON_DATA_CONTENT_TYPE, "Model"),
        (Nested(datetime(2026, 1, 1, tzinfo=UTC), Model(text="x"), "y"), JSON_DATA_CONTENT_TYPE, "Nested"),
        (StringValue(value="x"), PROTOBUF_DATA_CONTENT_TYPE, "google.protobuf.StringValue"),
    ],
)
def test_a_message_comes_back_equal(message: object, content_type: str, name: str) -> None:
    registry = SerializationRegistry()
    registry.add_serializer(try_get_known_serializers_for_type(type(message)))
    assert registry.type_name(message) == name
    assert registry.is_registered(name, content_type)
    payload = registry.serialize(message, type_name=name, data_content_type=content_type)
    assert registry.deserialize(payload, type_name=name, data_content_type=content_type) == message


def test_an_unknown_type_is_kept_as_it_came_and_written_as_it_came() -> None:
    registry = SerializationRegistry()
    unknown = registry.deserialize(b"bytes", type_name="Far", data_content_type="x/y")
    assert unknown == UnknownPayload("Far", "x/y", b"bytes")
    assert registry.type_name(unknown) == "Far"
    assert registry.serialize(unknown, type_name="Far", data_content_type="x/y") == b"bytes"


def test_a_type_without_serializer_is_named_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="add_message_serializer"):
        SerializationRegistry().serialize(object(), type_name="object", data_content_type=JSON_DATA_CONTENT_TYPE)
    assert try_get_known_serializers_for_type(int) == []


def test_two_classes_of_one_name_are_refused_with_both_modules_named() -> None:
    registry = SerializationRegistry()
    other = type("Model", (BaseModel,), {"__module__": "elsewhere"})
    for cls in (Model, Model, other):
        registry.add_serializer(try_get_known_serializers_for_type(cls))
    with pytest.raises(RegistrationError, match=r"elsewhere\.Model, .*test_serialization\.Model"):
        registry.serialize(Model(text="x"), type_name="Model", data_content_type=JSON_DATA_CONTENT_TYPE)
    with pytest.raises(RegistrationError):
        registry.deserialize(b"{}", type_name="Model", data_content_type=JSON_DATA_CONTENT_TYPE)


def test_bytes_of_another_protobuf_type_are_refused() -> None:
    (serializer,) = try_get_known_serializers_for_type(StringValue)
    from google.protobuf import any_pb2, wrappers_pb2

    wrong = any_pb2.Any()
    wrong.Pack(wrappers_pb2.Int32Value(value=1))
    with pytest.raises(ValueError, match=r"Expected a protobuf message google\.protobuf\.StringValue"):
        serializer.deserialize(wrong.SerializeToString())
