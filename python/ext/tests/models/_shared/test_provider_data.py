"""What a provider wants back: put away, found again by the same protocol and server, and put together from fragments."""

from typing import Any

import pytest

from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage
from autogen_ext.models._shared._provider_data import (
    attach,
    attach_to_first,
    merge_fragments,
    message_fields,
    pack,
    unpack,
)


def test_fields_come_back_to_the_protocol_and_server_that_sent_them() -> None:
    data = pack("openai", "here", call={"mark": 1}, message={})
    assert data == {"openai": {"server": "here", "call": {"mark": 1}}}
    assert unpack(data, "openai", "here", "call") == {"mark": 1}
    assert unpack(data, "openai", "there", "call") == {}
    assert unpack(data, "ollama", "here", "call") == {}
    assert unpack(data, "openai", "here", "message") == {}


def test_nothing_is_no_data() -> None:
    assert pack("openai", "here", call={}, message={}) is None


@pytest.mark.parametrize("damaged", [None, "x", [], {"openai": 1}, {"openai": {"server": "here", "call": "x"}}])
def test_data_that_somebody_damaged_is_none(damaged: Any) -> None:
    assert unpack(damaged, "openai", "here", "call") == {}


def test_a_call_carries_what_is_its_own_and_what_is_the_messages() -> None:
    call = FunctionCall(id="1", name="add", arguments="{}")
    attach(call, pack("openai", "here", call={"mark": 1}))
    attach_to_first([call], pack("openai", "here", message={"details": [2]}))
    assert unpack(call.provider_data, "openai", "here", "call") == {"mark": 1}
    message = AssistantMessage(content=[call], source="a")
    assert message_fields(message, "openai", "here") == {"details": [2]}
    assert message_fields(AssistantMessage(content="text", source="a"), "openai", "here") == {}


def test_calls_of_the_same_class_carry_nothing_of_each_other() -> None:
    marked = FunctionCall(id="1", name="add", arguments="{}")
    attach(marked, pack("openai", "here", call={"mark": 1}))
    assert FunctionCall(id="1", name="add", arguments="{}").provider_data is None


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([{"data": "a"}, {"data": "b"}], {"data": "ab"}),
        ([{"type": "x", "id": "1"}, {"type": "x", "id": "1"}], {"type": "x", "id": "1"}),
        ([{"deep": {"sign": "a"}}, {"deep": {"sign": "b", "n": 1}}], {"deep": {"sign": "ab", "n": 1}}),
        ([{"list": [1]}, {"list": [2]}], {"list": [1, 2]}),
        (
            [{"d": [{"index": 0, "text": "a"}]}, {"d": [{"index": 0, "text": "b"}, {"index": 1, "text": "c"}]}],
            {"d": [{"index": 0, "text": "ab"}, {"index": 1, "text": "c"}]},
        ),
        ([{"a": "x"}, {"a": None}], {"a": "x"}),
        ([{"a": 1}, {"a": 2}], {"a": 2}),
    ],
)
def test_fragments_of_a_stream_become_whole(parts: list[dict[str, Any]], whole: dict[str, Any]) -> None:
    fields: dict[str, Any] = {}
    for part in parts:
        merge_fragments(fields, part)
    assert fields == whole
