"""Conditions on tool calls and handoffs."""

from autogen_agentchat.conditions import FunctionCallTermination, HandoffTermination
from autogen_agentchat.messages import HandoffMessage, TextMessage, ToolCallExecutionEvent, ToolCallRequestEvent
from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult


def called(*names: str, is_error: bool = False) -> ToolCallExecutionEvent:
    return ToolCallExecutionEvent(
        source="a",
        content=[FunctionExecutionResult(content="", name=name, call_id=name, is_error=is_error) for name in names],
    )


async def test_a_handoff_to_the_target_ends_the_conversation() -> None:
    condition = HandoffTermination("user")
    assert await condition([HandoffMessage(source="a", target="b", content="user, go on")]) is None
    stop = await condition([HandoffMessage(source="b", target="user", content="x")])
    assert stop is not None
    assert "b" in stop.content
    assert "user" in stop.content


async def test_a_handoff_is_recognised_by_its_type_not_by_its_text() -> None:
    assert await HandoffTermination("user")([TextMessage(source="a", content="transferred to user")]) is None


async def test_a_call_of_the_function_ends_the_conversation() -> None:
    condition = FunctionCallTermination("submit")
    assert await condition([called("search", "look_up")]) is None
    assert await condition([called("search", "submit")]) is not None


async def test_a_failed_call_is_a_call() -> None:
    assert await FunctionCallTermination("submit")([called("submit", is_error=True)]) is not None


async def test_a_call_asked_for_but_not_made_yet_does_not_count() -> None:
    request = ToolCallRequestEvent(source="a", content=[FunctionCall(id="1", name="submit", arguments="{}")])
    assert await FunctionCallTermination("submit")([request]) is None
