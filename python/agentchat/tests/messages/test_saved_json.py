"""The JSON of every built-in message, byte for byte what 0.7.5 wrote, in both directions."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    CodeExecutionEvent,
    CodeGenerationEvent,
    HandoffMessage,
    MemoryQueryEvent,
    MessageFactory,
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    SelectorEvent,
    SelectSpeakerEvent,
    StopMessage,
    StructuredMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    ToolCallSummaryMessage,
    UserInputRequestedEvent,
)
from autogen_agentchat.messages._registry import BUILT_IN
from autogen_core import FunctionCall, Image
from autogen_core.code_executor import CodeBlock, CodeResult
from autogen_core.memory import MemoryContent
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)

PIXELS = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAC0lEQVR4nGNgQAYAAA4AAamRc7EAAAAASUVORK5CYII="
CALL = FunctionCall(id="1", name="n", arguments='{"a":1}')
RESULT = FunctionExecutionResult(content="c", name="n", call_id="1", is_error=False)
CALL_JSON = r'{"id": "1", "arguments": "{\"a\":1}", "name": "n"}'
RESULT_JSON = '{"content": "c", "name": "n", "call_id": "1", "is_error": false}'
HEAD = (
    '"id": "i", "source": "s", "models_usage": {"prompt_tokens": 1, "completion_tokens": 2}, '
    '"metadata": {"a": "b"}, "created_at": "2025-01-02T03:04:05.678901Z", '
)


class Point(BaseModel):
    a: int
    b: str = "x"


def _fields(**content: Any) -> dict[str, Any]:
    return {
        "id": "i",
        "source": "s",
        "created_at": datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "metadata": {"a": "b"},
        "models_usage": RequestUsage(prompt_tokens=1, completion_tokens=2),
        **content,
    }


CONTEXT = [
    UserMessage(content="u", source="q"),
    AssistantMessage(content=[CALL], source="a", thought="t"),
    SystemMessage(content="s"),
    FunctionExecutionResultMessage(content=[RESULT]),
]
CONTEXT_JSON = (
    '[{"content": "u", "source": "q", "type": "UserMessage"}, '
    f'{{"content": [{CALL_JSON}], "thought": "t", "source": "a", "type": "AssistantMessage"}}, '
    '{"content": "s", "type": "SystemMessage"}, '
    f'{{"content": [{RESULT_JSON}], "type": "FunctionExecutionResultMessage"}}]'
)
MEMORIES = [
    MemoryContent(content="m", mime_type="text/plain", metadata={"k": 1}),
    MemoryContent(content={"a": 1}, mime_type="application/json"),
]
MEMORIES_JSON = (
    '[{"content": "m", "mime_type": "text/plain", "metadata": {"k": 1}}, '
    '{"content": {"a": 1}, "mime_type": "application/json", "metadata": null}]'
)

SAVED: list[tuple[BaseAgentEvent | BaseChatMessage, str]] = [
    (TextMessage(**_fields(content="h\u00e9\nx")), r'"content": "h\u00e9\nx", "type": "TextMessage"'),
    (StopMessage(**_fields(content="x")), '"content": "x", "type": "StopMessage"'),
    (
        HandoffMessage(**_fields(content="x", target="t", context=CONTEXT)),
        f'"content": "x", "target": "t", "context": {CONTEXT_JSON}, "type": "HandoffMessage"',
    ),
    (
        ToolCallSummaryMessage(**_fields(content="x", tool_calls=[CALL], results=[RESULT])),
        f'"content": "x", "type": "ToolCallSummaryMessage", "tool_calls": [{CALL_JSON}], "results": [{RESULT_JSON}]',
    ),
    (
        MultiModalMessage(**_fields(content=["a", Image.from_base64(PIXELS), "c"])),
        f'"content": ["a", {{"data": "{PIXELS}"}}, "c"], "type": "MultiModalMessage"',
    ),
    (
        ToolCallRequestEvent(**_fields(content=[CALL])),
        f'"content": [{CALL_JSON}], "type": "ToolCallRequestEvent"',
    ),
    (
        ToolCallExecutionEvent(**_fields(content=[RESULT])),
        f'"content": [{RESULT_JSON}], "type": "ToolCallExecutionEvent"',
    ),
    (MemoryQueryEvent(**_fields(content=MEMORIES)), f'"content": {MEMORIES_JSON}, "type": "MemoryQueryEvent"'),
    (
        UserInputRequestedEvent(**_fields(request_id="r")),
        '"request_id": "r", "content": "", "type": "UserInputRequestedEvent"',
    ),
    (
        ModelClientStreamingChunkEvent(**_fields(content="ch")),
        '"content": "ch", "full_message_id": null, "type": "ModelClientStreamingChunkEvent"',
    ),
    (ThoughtEvent(**_fields(content="th")), '"content": "th", "type": "ThoughtEvent"'),
    (SelectSpeakerEvent(**_fields(content=["a", "b"])), '"content": ["a", "b"], "type": "SelectSpeakerEvent"'),
    (SelectorEvent(**_fields(content="sel")), '"content": "sel", "type": "SelectorEvent"'),
    (
        CodeGenerationEvent(
            **_fields(retry_attempt=0, content="1", code_blocks=[CodeBlock(code="1", language="python")])
        ),
        (
            '"retry_attempt": 0, "content": "1", "code_blocks": [{"code": "1", "language": "python"}], '
            '"type": "CodeGenerationEvent"'
        ),
    ),
    (
        CodeExecutionEvent(**_fields(retry_attempt=1, result=CodeResult(exit_code=1, output="out"))),
        '"retry_attempt": 1, "result": {"exit_code": 1, "output": "out"}, "type": "CodeExecutionEvent"',
    ),
    (
        StructuredMessage[Point](**_fields(content=Point(a=1), format_string="A={a}")),
        '"content": {"a": 1, "b": "x"}, "format_string": "A={a}", "type": "StructuredMessage[Point]"',
    ),
]
each_message = pytest.mark.parametrize(("message", "tail"), SAVED, ids=[type(message).__name__ for message, _ in SAVED])


def test_the_table_below_has_every_built_in_type() -> None:
    assert {type(message) for message, _ in SAVED} == {*BUILT_IN, StructuredMessage[Point]}


@each_message
def test_a_message_is_dumped_to_the_json_of_the_reference(message: BaseChatMessage, tail: str) -> None:
    assert json.dumps(message.dump()) == "{" + HEAD + tail + "}"


@each_message
def test_the_json_of_the_reference_is_loaded_and_dumped_unchanged(message: BaseChatMessage, tail: str) -> None:
    factory = MessageFactory()
    factory.register(StructuredMessage[Point])
    saved = "{" + HEAD + tail + "}"
    loaded = factory.create(json.loads(saved))
    assert type(loaded) is type(message)
    assert json.dumps(loaded.dump()) == saved
