"""Messages and answers as bytes: what is written is read, and what is no message is said to be none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from autogen_core import AgentId, TopicId
from autogen_core.exceptions import MessageTooLargeError
from autogen_ext.runtimes._shared import errors
from autogen_ext.runtimes._shared.payloads import UnreadableError, Written
from autogen_ext.runtimes.nats._wire import (
    CANCEL,
    EVENT,
    LOAD,
    NOTHING,
    REQUEST,
    SAVE,
    TELL,
    WAKE,
    Answer,
    Message,
    fitting,
)

texts = some.text(some.characters(exclude_categories=()))
names = some.text("abcXYZ0189_-.", min_size=1)
agents = some.builds(AgentId, names, texts)
topics = some.builds(TopicId, names, texts)
payloads = some.builds(
    Written, texts, some.sampled_from(["application/json", "application/x-protobuf"]), some.binary(max_size=200)
)
messages = some.builds(
    Message,
    some.sampled_from([REQUEST, SAVE, LOAD, TELL]),
    texts,
    payloads,
    sender=some.none() | agents,
    recipient=agents,
    answer_to=texts,
    left_ms=some.none() | some.integers(0, 10**9),
    chain=some.lists(texts, max_size=4),
    carrier=some.dictionaries(texts, texts, max_size=3),
)
events = some.builds(Message, some.just(EVENT), texts, payloads, topic=topics, hearers=some.lists(names, max_size=4))


@given(messages | events)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    assert Message.decode(message.encode()) == message


@pytest.mark.parametrize("kind", [CANCEL, WAKE])
def test_what_is_for_no_agent_is_read_too(kind: str) -> None:
    message = Message(kind, "m", NOTHING, answer_to="there")
    assert Message.decode(message.encode()) == message


@given(texts, payloads, texts)
def test_an_answer_is_read_as_it_was_written(id: str, payload: Written, worker: str) -> None:
    for answer in (Answer(id, payload), Answer(id), Answer(id, worker=worker)):
        assert Answer.decode(answer.encode()) == answer


@given(texts, texts)
def test_an_error_is_read_as_it_was_written(id: str, text: str) -> None:
    answer = Answer.decode(Answer.failed(id, KeyError(text)).encode())
    assert answer.id == id
    assert answer.error
    assert answer.metadata[errors.TYPE] == "builtins.KeyError"
    assert isinstance(errors.revive(answer.error, answer.metadata, None, id), KeyError)


@given(some.binary() | texts.map(lambda text: json.dumps(text).encode("utf-8", "surrogatepass")))
def test_bytes_that_are_no_message_are_said_to_be_none(data: bytes) -> None:
    for read in (Message.decode, Answer.decode):
        with pytest.raises(UnreadableError):
            read(data)


json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
)
heads = some.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("kind", "id", "type", "to", "from", "topic", "hearers", "content"), json_values),
)


@given(heads)
def test_a_head_that_is_no_messages_is_said_to_be_none_or_can_be_written_again(head: dict[str, object]) -> None:
    try:
        message = Message.decode(json.dumps(head).encode() + b"\n")
    except UnreadableError:
        return
    assert isinstance(message.id, str)
    assert message.recipient or message.topic or message.kind in {CANCEL, WAKE}


def test_an_answer_that_is_too_long_becomes_the_error_that_says_so() -> None:
    answer = Answer("m", Written("Big", "application/json", b"x" * 100_000))
    assert fitting(answer, len(answer.encode())) == answer.encode()
    told = Answer.decode(fitting(answer, 50_000))
    assert told.id == "m"
    assert told.error is not None
    error = errors.revive(told.error, told.metadata, AgentId("a", "b"), "m")
    assert isinstance(error, MessageTooLargeError)
    assert "50000" in str(error)


def test_a_long_traceback_does_not_make_an_answer_long() -> None:
    assert len(Answer.failed("m", ValueError("x" * 10_000_000)).encode()) < 100_000
