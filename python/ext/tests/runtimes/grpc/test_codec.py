"""What stands on the wire, byte by byte where it is a contract; the vectors were written down from the specification."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autogen_core import (
    AgentId,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
    UnknownPayload,
    try_get_known_serializers_for_type,
)
from autogen_core.lowlevel import SerializationRegistry
from autogen_ext.runtimes.grpc._codec import (
    UnreadableError,
    decode_payload,
    encode_event,
    encode_payload,
    event_payload,
    event_sender,
    event_topic,
    from_subscription,
    to_subscription,
)
from autogen_ext.runtimes.grpc.protos import agent_worker_pb2 as wire
from autogen_ext.runtimes.grpc.protos import cloudevent_pb2 as events


@dataclass
class Word:
    text: str


@pytest.fixture
def registry() -> SerializationRegistry:
    registry = SerializationRegistry()
    registry.add_serializer(try_get_known_serializers_for_type(Word))
    return registry


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field as protobuf writes it; short ones only."""
    return bytes([number << 3 | 2, len(content)]) + content


def test_a_request_is_these_bytes() -> None:
    request = wire.RpcRequest(
        request_id="7",
        source=wire.AgentId(type="a", key="1"),
        target=wire.AgentId(type="b", key="2"),
        payload=wire.Payload(data_type="Word", data_content_type="application/json", data=b'{"text":"x"}'),
        metadata={"traceparent": "t"},
    )
    payload = field(1, b"Word") + field(2, b"application/json") + field(3, b'{"text":"x"}')
    expected = (
        field(1, b"7")
        + field(2, field(1, b"a") + field(2, b"1"))
        + field(3, field(1, b"b") + field(2, b"2"))
        + field(5, payload)
        + field(6, field(1, b"traceparent") + field(2, b"t"))
    )
    assert request.SerializeToString() == expected
    assert wire.Message(request=request).SerializeToString() == field(1, expected)


def test_an_answer_is_these_bytes() -> None:
    response = wire.RpcResponse(request_id="7", error="boom")
    assert wire.Message(response=response).SerializeToString() == field(2, field(1, b"7") + field(3, b"boom"))


def test_subscriptions_are_these_bytes_and_come_back() -> None:
    exact = to_subscription(TypeSubscription("t", "a", "id"))
    prefix = to_subscription(TypePrefixSubscription("t:", "a", "id"))
    assert exact.SerializeToString() == field(1, b"id") + field(2, field(1, b"t") + field(2, b"a"))
    assert prefix.SerializeToString() == field(1, b"id") + field(3, field(1, b"t:") + field(2, b"a"))
    assert from_subscription(exact) == TypeSubscription("t", "a")
    assert from_subscription(prefix) == TypePrefixSubscription("t:", "a")
    with pytest.raises(UnreadableError, match="Invalid subscription message"):
        from_subscription(wire.Subscription(id="id"))


def test_an_event_is_these_bytes(registry: SerializationRegistry) -> None:
    payload = encode_payload(Word("x"), registry)
    event = encode_event(payload, TopicId("t", "s"), AgentId("a", "k"), "id", {})
    attributes = {
        "datacontenttype": "application/json",
        "dataschema": "Word",
        "agmsgkind": "publish",
        "agagentsendertype": "a",
        "agagentsenderkey": "k",
    }
    written = event.SerializeToString(deterministic=True)
    expected = field(1, b"id") + field(2, b"s") + field(3, b"1.0") + field(4, b"t")
    for name, text in sorted(attributes.items()):
        expected += field(5, field(1, name.encode()) + field(2, field(3, text.encode())))
    assert written == expected + field(6, b'{"text":"x"}')
    assert events.CloudEvent.FromString(written) == event


def test_an_event_comes_back(registry: SerializationRegistry) -> None:
    event = encode_event(encode_payload(Word("é"), registry), TopicId("t", "s"), None, "id", {"traceparent": "p"})
    assert event_topic(event) == TopicId("t", "s")
    assert event_sender(event) is None
    assert decode_payload(event_payload(event), registry) == Word("é")


def test_an_event_of_the_reference_without_a_sender_has_none() -> None:
    event = events.CloudEvent(id="id", type="t", source="s")
    event.attributes["agagentsendertype"].ce_string = "unknown"
    event.attributes["agagentsenderkey"].ce_string = "unknown"
    assert event_sender(event) is None


def test_json_in_text_data_is_read_too(registry: SerializationRegistry) -> None:
    event = events.CloudEvent(id="id", type="t", source="s", text_data='{ "text": "\\u00e9" }')
    event.attributes["dataschema"].ce_string = "Word"
    event.attributes["strange"].SetInParent()
    assert decode_payload(event_payload(event), registry) == Word("é")


def test_an_event_that_does_not_say_what_it_is_cannot_be_read() -> None:
    with pytest.raises(UnreadableError, match="dataschema"):
        event_payload(events.CloudEvent(id="id", type="t", source="s", binary_data=b"{}"))


def test_protobuf_travels_as_any(registry: SerializationRegistry) -> None:
    message = wire.AgentId(type="a", key="k")
    payload = encode_payload(message, registry, "application/x-protobuf")
    assert payload.data_type == "agents.AgentId"
    event = encode_event(payload, TopicId("t", "s"), None, "id", {})
    assert event.proto_data.type_url == "type.googleapis.com/agents.AgentId"
    assert decode_payload(event_payload(event), registry) == message


def test_what_is_unknown_passes_through_unchanged(registry: SerializationRegistry) -> None:
    payload = wire.Payload(data_type="Foreign", data_content_type="application/xml", data=b"<a/>")
    message = decode_payload(payload, registry)
    assert message == UnknownPayload("Foreign", "application/xml", b"<a/>")
    assert encode_payload(message, registry) == payload


def test_a_payload_that_is_not_what_its_type_says_cannot_be_read(registry: SerializationRegistry) -> None:
    payload = wire.Payload(data_type="Word", data_content_type="application/json", data=b'{"text": ')
    with pytest.raises(UnreadableError, match="'Word'"):
        decode_payload(payload, registry)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    registry = SerializationRegistry()
    back = decode_payload(encode_payload(value, registry), registry)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [object(), {1: "a"}, [(1, 2)], {"a": object()}, (1, 2), {1, 2}])
def test_what_json_would_change_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"type|sent"):
        encode_payload(value, SerializationRegistry())
