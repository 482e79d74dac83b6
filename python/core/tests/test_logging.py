"""Event records: facts in `kwargs`, JSON only when written, and never an error."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from autogen_core import EVENT_LOGGER_NAME, AgentId, MessageHandlerContext, TopicId
from autogen_core.logging import (
    AgentConstructionExceptionEvent,
    DeliveryStage,
    LLMCallEvent,
    LLMStreamEndEvent,
    LLMStreamStartEvent,
    MessageDroppedEvent,
    MessageEvent,
    MessageHandlerExceptionEvent,
    MessageKind,
    ToolCallEvent,
)

AGENT = AgentId("type", "key")


def records() -> list[tuple[Any, dict[str, Any]]]:
    """Return one record of each kind, and its facts outside of any agent."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    return [
        (
            LLMCallEvent(messages=[{"a": 1}], response={"b": 2}, prompt_tokens=1, completion_tokens=2, more=3),
            {"type": "LLMCall", "messages": [{"a": 1}], "response": {"b": 2}, **usage, "agent_id": None, "more": 3},
        ),
        (
            LLMStreamStartEvent(messages=[{"a": 1}], more=3),
            {"type": "LLMStreamStart", "messages": [{"a": 1}], "agent_id": None, "more": 3},
        ),
        (
            LLMStreamEndEvent(response={"b": 2}, prompt_tokens=1, completion_tokens=2),
            {"type": "LLMStreamEnd", "response": {"b": 2}, **usage, "agent_id": None},
        ),
        (
            ToolCallEvent(tool_name="t", arguments={"a": 1}, result="r"),
            {"type": "ToolCall", "tool_name": "t", "arguments": {"a": 1}, "result": "r", "agent_id": None},
        ),
        (
            MessageEvent(
                payload="p",
                sender=AGENT,
                receiver=TopicId("topic", "source"),
                kind=MessageKind.PUBLISH,
                delivery_stage=DeliveryStage.SEND,
                more=3,
            ),
            {
                "type": "Message",
                "payload": "p",
                "sender": "type/key",
                "receiver": "topic/source",
                "kind": "MessageKind.PUBLISH",
                "delivery_stage": "DeliveryStage.SEND",
                "more": 3,
            },
        ),
        (
            MessageDroppedEvent(payload="p", sender=None, receiver=AGENT, kind=MessageKind.RESPOND),
            {
                "type": "MessageDropped",
                "payload": "p",
                "sender": None,
                "receiver": "type/key",
                "kind": "MessageKind.RESPOND",
            },
        ),
        (
            MessageHandlerExceptionEvent(payload="p", handling_agent=AGENT, exception=ValueError("bad")),
            {"type": "MessageHandlerException", "payload": "p", "handling_agent": "type/key", "exception": "bad"},
        ),
        (
            AgentConstructionExceptionEvent(agent_id=AGENT, exception=ValueError("bad")),
            {"type": "AgentConstructionException", "agent_id": "type/key", "exception": "bad"},
        ),
    ]


@pytest.mark.parametrize(("record", "facts"), records())
def test_a_record_holds_its_facts_and_writes_them_as_json(record: Any, facts: dict[str, Any]) -> None:
    assert record.kwargs == facts
    assert json.loads(str(record)) == facts


def test_a_record_of_a_model_or_tool_names_the_agent_that_is_at_work() -> None:
    with MessageHandlerContext.populate_context(AGENT):
        assert ToolCallEvent(tool_name="t", arguments={}, result="").kwargs["agent_id"] == "type/key"
        assert LLMStreamStartEvent(messages=[]).kwargs["agent_id"] == "type/key"


def test_usage_can_be_read_from_the_record() -> None:
    record = LLMCallEvent(messages=[], response={}, prompt_tokens=3, completion_tokens=4)
    assert (record.prompt_tokens, record.completion_tokens) == (3, 4)


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_writing_never_raises_whatever_a_record_holds() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    for value in (object(), Broken(), {1, 2}, b"\xff", {("a", 1): 2}, loop, float("nan")):
        text = str(ToolCallEvent(tool_name="t", arguments={"value": value}, result="r"))
        assert json.loads(text)["tool_name"] == "t"


def test_an_error_without_text_is_recorded() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    record = MessageHandlerExceptionEvent(payload="p", handling_agent=AGENT, exception=BrokenError())
    assert "BrokenError" in str(record)


def test_a_listener_receives_the_record_itself(caplog: pytest.LogCaptureFixture) -> None:
    record = ToolCallEvent(tool_name="t", arguments={}, result="r")
    with caplog.at_level(logging.INFO, logger=EVENT_LOGGER_NAME):
        logging.getLogger(EVENT_LOGGER_NAME).info(record)
    assert caplog.records[0].msg is record


def test_records_need_neither_pydantic_nor_protobuf() -> None:
    program = (
        "import sys, autogen_core.logging; sys.exit('pydantic' in sys.modules or 'google.protobuf' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
