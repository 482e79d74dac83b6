"""Messages, events and subscriptions as they stand on the wire. Pure: it opens no stream and keeps nothing.

Stands on the generated modules and on the serialisers of autogen_core; knows neither host nor worker.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import any_pb2

from autogen_core import (
    JSON_DATA_CONTENT_TYPE,
    PROTOBUF_DATA_CONTENT_TYPE,
    AgentId,
    Subscription,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
)
from autogen_core.lowlevel import SerializationRegistry
from autogen_ext.runtimes._shared import payloads
from autogen_ext.runtimes._shared.payloads import UnreadableError, Written

from .protos import agent_worker_pb2 as wire
from .protos import cloudevent_pb2 as events

CLIENT_ID = "client-id"
WORKER_ID = "autogen-worker"
SHARED = "autogen-shared"
MAX_BYTES = "autogen-max-bytes"
PUBLISH = "autogen-publish"
"""Headers of calls: the first is 0.7.5's; the others pass between our own workers and host only."""

MESSAGE_ID = "autogen-message-id"
DEADLINE = "autogen-deadline-ms"
PATIENCE = "autogen-patience"
ECHO = "autogen-echo"
"""Metadata of requests: the sender's message id, what is left of the time to answer, whether to wait for an agent type, and
whether it is no message but a worker's question to itself, whether the host has passed on all that came before."""

ONLY = "autogenonly"
"""An attribute of an event: the agent types that it is for in this worker, where another has their agents of this key."""

_SENDER_TYPE, _SENDER_KEY = "agagentsendertype", "agagentsenderkey"
_NOBODY = ("unknown", "unknown")


def client_id_of(metadata: Any) -> str | None:
    """Return the id that a call carries in its headers."""
    return header(metadata, CLIENT_ID)


def header(metadata: Any, name: str) -> str | None:
    """Return a header of a call, or None."""
    for key, value in metadata or ():
        if key == name:
            return value if isinstance(value, str) else bytes(value).decode()
    return None


# Payloads


def encode_payload(message: Any, registry: SerializationRegistry, prefer: str = JSON_DATA_CONTENT_TYPE) -> wire.Payload:
    """Write a message, or a plain JSON value, in the preferred content type if it has that; raises as `payloads.write`."""
    name, content_type, data = payloads.write(message, registry, prefer)
    return wire.Payload(data_type=name, data_content_type=content_type, data=data)


def encode_into(payload: wire.Payload, message: Any, registry: SerializationRegistry) -> None:
    """Write a message, or a plain JSON value, into a place where it is not copied again; raises as `payloads.write`."""
    payload.data_type, payload.data_content_type, payload.data = payloads.write(message, registry)


def decode_payload(payload: wire.Payload, registry: SerializationRegistry) -> Any:
    """Read a message; one of an unknown type becomes an `UnknownPayload`; raises as `payloads.read`."""
    return payloads.read(Written(payload.data_type, payload.data_content_type, payload.data), registry)


# Agents and subscriptions


def to_agent(agent: AgentId) -> wire.AgentId:
    """Write an agent's id."""
    return wire.AgentId(type=agent.type, key=agent.key)


def from_agent(agent: wire.AgentId) -> AgentId:
    """Read an agent's id; raises `UnreadableError` if its type is no name."""
    try:
        return AgentId(agent.type, agent.key)
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def to_subscription(subscription: Subscription) -> wire.Subscription:
    """Write a subscription.

    Raises:
        ValueError: It is of a class of its own, whose rule cannot travel.
    """
    if isinstance(subscription, TypeSubscription):
        exact = wire.TypeSubscription(topic_type=subscription.topic_type, agent_type=subscription.agent_type)
        return wire.Subscription(id=subscription.id, typeSubscription=exact)
    if isinstance(subscription, TypePrefixSubscription):
        prefix = wire.TypePrefixSubscription(
            topic_type_prefix=subscription.topic_type_prefix, agent_type=subscription.agent_type
        )
        return wire.Subscription(id=subscription.id, typePrefixSubscription=prefix)
    raise ValueError(
        f"A {type(subscription).__name__} cannot be sent to the host, which knows TypeSubscription and "
        "TypePrefixSubscription. Express the rule with these."
    )


def from_subscription(subscription: wire.Subscription) -> TypeSubscription | TypePrefixSubscription:
    """Read a subscription; raises `UnreadableError` if it holds no rule."""
    kind = subscription.WhichOneof("subscription")
    if kind == "typeSubscription":
        exact = subscription.typeSubscription
        return TypeSubscription(exact.topic_type, exact.agent_type, subscription.id or None)
    if kind == "typePrefixSubscription":
        prefix = subscription.typePrefixSubscription
        return TypePrefixSubscription(prefix.topic_type_prefix, prefix.agent_type, subscription.id or None)
    raise UnreadableError("Invalid subscription message.")


# Events


def encode_event(
    payload: wire.Payload, topic: TopicId, sender: AgentId | None, id: str, carrier: Mapping[str, str]
) -> events.CloudEvent:
    """Write a published message; `carrier` is what its trace needs."""
    event = events.CloudEvent(id=id, spec_version="1.0", type=topic.type, source=topic.source)
    attributes = {"datacontenttype": payload.data_content_type, "dataschema": payload.data_type, "agmsgkind": "publish"}
    if sender is not None:
        attributes |= {_SENDER_TYPE: sender.type, _SENDER_KEY: sender.key}
    for name, text in (attributes | dict(carrier)).items():
        event.attributes[name].ce_string = text
    if payload.data_content_type == PROTOBUF_DATA_CONTENT_TYPE:
        event.proto_data.CopyFrom(any_pb2.Any.FromString(payload.data))
    else:
        event.binary_data = payload.data
    return event


def event_topic(event: events.CloudEvent) -> TopicId:
    """Return the topic of an event; raises `UnreadableError` if its type is no name."""
    try:
        return TopicId(event.type, event.source)
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def event_sender(event: events.CloudEvent) -> AgentId | None:
    """Return the agent that published an event; None if it does not say, or says `unknown`."""
    sender = attribute(event, _SENDER_TYPE), attribute(event, _SENDER_KEY)
    if sender[0] is None or sender[1] is None or sender == _NOBODY:
        return None
    try:
        return AgentId(sender[0], sender[1])
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def attribute(event: events.CloudEvent, name: str) -> str | None:
    """Return an attribute that is a text; None without it."""
    if name not in event.attributes:
        return None
    value = event.attributes[name]
    kind = value.WhichOneof("attr")
    return str(getattr(value, kind)) if kind in {"ce_string", "ce_uri", "ce_uri_ref"} else None


def event_payload(event: events.CloudEvent) -> wire.Payload:
    """Return what an event carries; raises `UnreadableError` if it does not say of which type that is."""
    name = attribute(event, "dataschema")
    kind = event.WhichOneof("data")
    if name is None or kind is None:
        lacks = "attribute 'dataschema'" if name is None else "data"
        raise UnreadableError(f"Event {event.id!r} of topic type {event.type!r} has no {lacks}.")
    if kind == "proto_data":
        data = event.proto_data.SerializeToString()
    else:
        data = event.binary_data if kind == "binary_data" else event.text_data.encode()
    usual = PROTOBUF_DATA_CONTENT_TYPE if kind == "proto_data" else JSON_DATA_CONTENT_TYPE
    return wire.Payload(data_type=name, data_content_type=attribute(event, "datacontenttype") or usual, data=data)
