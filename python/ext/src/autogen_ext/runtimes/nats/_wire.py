"""Messages and answers as they travel over NATS: one line of JSON that says what it is, then the bytes of the message.

A message and its circumstances stand in the body, not in NATS headers, so that a stored message is whole, and reading one costs
one call of a JSON parser. Stands on the shared payloads and errors; knows no connection.
"""

import json
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import from_json, to_json

from autogen_core import JSON_DATA_CONTENT_TYPE, AgentId, TopicId
from autogen_core.exceptions import MessageTooLargeError
from autogen_ext.runtimes._shared import errors
from autogen_ext.runtimes._shared.payloads import UnreadableError, Written

REQUEST, EVENT, SAVE, LOAD, TELL, CANCEL, WAKE = "request", "event", "save", "load", "tell", "cancel", "wake"
"""Kinds of messages. After the first two, three ask for an agent's state and metadata; one says that nobody waits for a message
any more; the last wakes an idle partition."""

NOTHING = Written("", JSON_DATA_CONTENT_TYPE, b"")
"""The payload of a message without one."""


@dataclass(slots=True)
class Message:
    """What one worker sends another.

    Attributes:
        kind: One of the kinds above.
        id: Unique to the message; the same when it is sent again.
        payload: The message itself.
        sender: The agent that sent it; None from outside.
        recipient: The agent that it is for; None for an event.
        topic: Where an event was published; None otherwise.
        hearers: The agent types that hear an event.
        answer_to: The subject of the answer; empty if nobody waits.
        left_ms: How much time was left for the answer when it was sent, in milliseconds; None without limit.
        chain: The ids of the messages whose handlers wait for this one, the outermost first.
        carrier: What its trace needs.
    """

    kind: str
    id: str
    payload: Written
    sender: AgentId | None = None
    recipient: AgentId | None = None
    topic: TopicId | None = None
    hearers: list[str] = field(default_factory=list[str])
    answer_to: str = ""
    left_ms: int | None = None
    chain: list[str] = field(default_factory=list[str])
    carrier: dict[str, str] = field(default_factory=dict[str, str])

    def encode(self) -> bytes:
        """Write it."""
        head: dict[str, Any] = {"kind": self.kind, "id": self.id, "type": self.payload.type_name}
        if self.payload.content_type != JSON_DATA_CONTENT_TYPE:
            head["content"] = self.payload.content_type
        if self.sender is not None:
            head["from"] = [self.sender.type, self.sender.key]
        if self.recipient is not None:
            head["to"] = [self.recipient.type, self.recipient.key]
        if self.topic is not None:
            head["topic"] = [self.topic.type, self.topic.source]
        if self.hearers:
            head["hearers"] = self.hearers
        if self.answer_to:
            head["answer"] = self.answer_to
        if self.chain:
            head["chain"] = self.chain
        if self.carrier:
            head["trace"] = self.carrier
        if self.left_ms is not None:
            head["left"] = self.left_ms
        return b"%b\n%b" % (_line(head), self.payload.data)

    @staticmethod
    def decode(data: bytes) -> "Message":
        """Read one; raises `UnreadableError` if these bytes are none."""
        head, payload = _split(data)
        try:
            sender, recipient, topic = head.get("from"), head.get("to"), head.get("topic")
            message = Message(
                kind=head["kind"],
                id=_text(head["id"]),
                payload=Written(head["type"], head.get("content", JSON_DATA_CONTENT_TYPE), payload),
                sender=None if sender is None else AgentId(*sender),
                recipient=None if recipient is None else AgentId(*recipient),
                topic=None if topic is None else TopicId(*topic),
                hearers=head.get("hearers", []),
                answer_to=head.get("answer", ""),
                left_ms=head.get("left"),
                chain=head.get("chain", []),
                carrier=head.get("trace", {}),
            )
            message.check()
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableError(f"A message cannot be read: {error!r}.") from error
        return message

    def check(self) -> None:
        """Raise `TypeError` or `ValueError` if it cannot be told whom this is for."""
        if self.topic is not None:
            for hearer in self.hearers:
                AgentId(hearer, self.topic.source)
        elif self.recipient is None and self.kind not in {CANCEL, WAKE}:
            raise ValueError("it is for nobody")


@dataclass(slots=True)
class Answer:
    """What a message led to.

    Attributes:
        id: Of the message.
        payload: The answer; None for an error, and for a note.
        error: What it said; None if there was none.
        metadata: Of the error: its type, its text and its traceback.
        worker: Who works on the message; the answer is then still to come. Empty in an answer.
    """

    id: str
    payload: Written | None = None
    error: str | None = None
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    worker: str = ""

    @staticmethod
    def failed(id: str, error: BaseException) -> "Answer":
        """Make the answer that tells of an error."""
        answer = Answer(id)
        answer.error = errors.describe(error, answer.metadata)
        return answer

    def encode(self) -> bytes:
        """Write it."""
        head: dict[str, Any] = {"id": self.id}
        data = b""
        if self.worker:
            head["worker"] = self.worker
        elif self.error is not None:
            head |= {"error": self.error, "about": self.metadata}
        elif self.payload is not None:
            head["type"] = self.payload.type_name
            if self.payload.content_type != JSON_DATA_CONTENT_TYPE:
                head["content"] = self.payload.content_type
            data = self.payload.data
        return b"%b\n%b" % (_line(head), data)

    @staticmethod
    def decode(data: bytes) -> "Answer":
        """Read one; raises `UnreadableError` if these bytes are none."""
        head, payload = _split(data)
        try:
            answer = Answer(head["id"], error=head.get("error"), worker=head.get("worker", ""))
            answer.metadata = head.get("about", {})
            if "type" in head:
                answer.payload = Written(head["type"], head.get("content", JSON_DATA_CONTENT_TYPE), payload)
        except (KeyError, TypeError) as error:
            raise UnreadableError(f"An answer cannot be read: {error!r}.") from error
        return answer


def fitting(answer: Answer, most: int) -> bytes:
    """Write an answer; one that is longer than the server takes becomes the error that says so."""
    data = answer.encode()
    if len(data) <= most:
        return data
    text = f"The answer has {len(data)} bytes; the server takes {most}."
    return Answer.failed(answer.id, MessageTooLargeError(text)).encode()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _line(head: dict[str, Any]) -> bytes:
    """Write a head. Half a surrogate pair, which a Python text may hold and UTF-8 may not, is written as an escape."""
    try:
        return to_json(head)
    except ValueError:
        return json.dumps(head).encode()


def _parsed(line: bytes) -> Any:
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    line, _, payload = data.partition(b"\n")
    try:
        head = _parsed(line)
    except ValueError as error:
        raise UnreadableError(f"What came over NATS does not begin with a line of JSON: {error}.") from error
    if not isinstance(head, dict):
        raise UnreadableError("What came over NATS does not begin with a JSON object.")
    return cast("dict[str, Any]", head), payload
