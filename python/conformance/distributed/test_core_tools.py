"""The tool agent runs tools for others, and the loop between it and a model: on any worker."""

import asyncio
from typing import Any

import pytest

from autogen_core import AgentId, CancellationToken, FunctionCall
from autogen_core.exceptions import AutoGenError, UndeliverableException
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    UserMessage,
)
from autogen_core.tool_agent import (
    InvalidToolArgumentsException,
    ToolAgent,
    ToolException,
    ToolExecutionException,
    ToolNotFoundException,
    tool_agent_caller_loop,
)
from autogen_core.tools import FunctionTool, Tool, ToolSchema
from autogen_ext.models.replay import ReplayChatCompletionClient

from .runtimes import World

TOOLS = AgentId("tools", "default")


def double(number: int) -> int:
    """Return twice the number."""
    return 2 * number


def fail() -> str:
    """Fail."""
    raise ValueError("boom")


async def forever() -> str:
    """Never return."""
    await asyncio.Event().wait()
    return ""


async def tools(world: World) -> None:
    """Register the tool agent where the test's agents live."""
    world.knows(FunctionCall, FunctionExecutionResult)
    made: list[Tool] = [FunctionTool(func, description="d") for func in (double, fail, forever)]
    await ToolAgent.register(world.agents, "tools", lambda: ToolAgent("runs tools", made))


def result(calls: list[FunctionCall]) -> CreateResult:
    """Return what a model says that wants tools."""
    return CreateResult(finish_reason="function_calls", content=calls, usage=RequestUsage(1, 1), cached=False)


async def loop(world: World, *answers: str | list[FunctionCall], **options: Any) -> list[LLMMessage]:
    """Run the loop at the caller's runtime, with a model that gives prepared answers."""
    model = ReplayChatCompletionClient(
        [answer if isinstance(answer, str) else result(answer) for answer in answers],
        model_info={
            "vision": False,
            "function_calling": True,
            "json_output": False,
            "family": "unknown",
            "structured_output": False,
        },
    )
    task: list[LLMMessage] = [UserMessage(content="go", source="u")]
    schema: list[ToolSchema] = [{"name": "double"}]
    async with asyncio.timeout(10):
        return await tool_agent_caller_loop(world.runtime, TOOLS, model, task, tool_schema=schema, **options)


async def test_a_call_is_answered_with_the_result(world: World) -> None:
    await tools(world)
    answer = await world.runtime.send_message(FunctionCall("1", '{"number": 4}', "double"), TOOLS)
    assert answer == FunctionExecutionResult(content="8", name="double", call_id="1", is_error=False)


CALLS = [
    ("nothing", "{}", ToolNotFoundException, "Error: Tool not found: nothing"),
    ("double", "no json", InvalidToolArgumentsException, "Error: Invalid arguments: no json"),
    ("double", '{"number": "x"}', ToolExecutionException, "Error: 1 validation error"),
    ("fail", "{}", ToolExecutionException, "Error: boom"),
]


@pytest.mark.parametrize(("name", "arguments", "error", "text"), CALLS)
async def test_a_call_that_comes_to_nothing_says_why(
    world: World, name: str, arguments: str, error: type[ToolException], text: str
) -> None:
    await tools(world)
    with pytest.raises(error) as caught:
        await world.runtime.send_message(FunctionCall("1", arguments, name), TOOLS)
    assert (caught.value.call_id, caught.value.name) == ("1", name)
    assert caught.value.content.startswith(text)


@pytest.mark.parametrize(("name", "arguments", "error", "text"), CALLS)
async def test_a_call_that_comes_to_nothing_is_an_error_with_the_text_that_a_model_reads(
    world: World, name: str, arguments: str, error: type[ToolException], text: str
) -> None:
    await tools(world)
    with pytest.raises(AutoGenError, match=text):
        await world.runtime.send_message(FunctionCall("1", arguments, name), TOOLS)


async def test_cancelling_reaches_the_tool(world: World) -> None:
    await tools(world)
    token = CancellationToken()
    call = asyncio.ensure_future(
        world.runtime.send_message(FunctionCall("1", "{}", "forever"), TOOLS, cancellation_token=token)
    )
    await asyncio.sleep(0.05)
    token.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_the_loop_ends_when_the_model_answers_in_text(world: World) -> None:
    await tools(world)
    assert await loop(world, "done", caller_source="it") == [AssistantMessage(content="done", source="it")]


async def test_results_go_back_to_the_model_in_order(world: World) -> None:
    await tools(world)
    calls = [FunctionCall(str(number), f'{{"number": {number}}}', "double") for number in range(5)]
    messages = await loop(world, calls, "done")
    results = messages[1]
    assert isinstance(results, FunctionExecutionResultMessage)
    assert [(item.call_id, item.content) for item in results.content] == [(str(n), str(2 * n)) for n in range(5)]


async def test_failures_go_back_to_the_model(world: World) -> None:
    await tools(world)
    calls = [
        FunctionCall("1", '{"number": 4}', "double"),
        FunctionCall("2", "{}", "fail"),
        FunctionCall("3", "{}", "x"),
    ]
    messages = await loop(world, calls, "done")
    results = messages[1]
    assert isinstance(results, FunctionExecutionResultMessage)
    assert [(item.call_id, item.content, item.is_error) for item in results.content] == [
        ("1", "8", False),
        ("2", "Error: boom", True),
        ("3", "Error: Tool not found: x", True),
    ]


async def test_a_missing_tool_agent_is_not_the_models_concern(world: World) -> None:
    with pytest.raises(UndeliverableException):
        await loop(world, [FunctionCall("1", "{}", "double")])


async def test_cancelling_ends_the_loop(world: World) -> None:
    await tools(world)
    token = CancellationToken()
    task = asyncio.ensure_future(loop(world, [FunctionCall("1", "{}", "forever")], cancellation_token=token))
    await asyncio.sleep(0.05)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
