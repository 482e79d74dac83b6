"""Events, as people read them."""

import pytest
from pydantic import ValidationError

from autogen_agentchat.messages import (
    BaseAgentEvent,
    CodeExecutionEvent,
    CodeGenerationEvent,
    MemoryQueryEvent,
    ModelClientStreamingChunkEvent,
    SelectorEvent,
    SelectSpeakerEvent,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    UserInputRequestedEvent,
)
from autogen_core import FunctionCall
from autogen_core.code_executor import CodeResult
from autogen_core.memory import MemoryContent, MemoryMimeType
from autogen_core.models import FunctionExecutionResult

CALL = FunctionCall(id="1", name="get_weather", arguments='{"city": "Oslo"}')
RESULT = FunctionExecutionResult(content="rain", name="get_weather", call_id="1")
MEMORY = MemoryContent(content="likes rain", mime_type=MemoryMimeType.TEXT)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ToolCallRequestEvent(source="a", content=[CALL]), str([CALL])),
        (ToolCallExecutionEvent(source="a", content=[RESULT]), str([RESULT])),
        (MemoryQueryEvent(source="a", content=[MEMORY]), str([MEMORY])),
        (ThoughtEvent(source="a", content="hm"), "hm"),
        (ModelClientStreamingChunkEvent(source="a", content="he"), "he"),
        (SelectSpeakerEvent(source="a", content=["b", "c"]), "['b', 'c']"),
        (SelectorEvent(source="a", content="b"), "b"),
        (UserInputRequestedEvent(source="a", request_id="r"), ""),
        (CodeGenerationEvent(source="a", retry_attempt=0, content="print()", code_blocks=[]), "print()"),
        (CodeExecutionEvent(source="a", retry_attempt=0, result=CodeResult(exit_code=0, output="ok")), "ok"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_reads_as_its_content(event: BaseAgentEvent, text: str) -> None:
    assert event.to_text() == text


def test_a_tool_call_names_the_tool_and_its_arguments_for_the_reader() -> None:
    text = ToolCallRequestEvent(source="a", content=[CALL]).to_text()
    assert "get_weather" in text
    assert "Oslo" in text


def test_a_request_for_input_has_no_content() -> None:
    with pytest.raises(ValidationError):
        UserInputRequestedEvent(source="a", request_id="r", content="x")  # pyright: ignore[reportArgumentType] - the misuse under test
