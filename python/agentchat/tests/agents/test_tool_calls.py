"""Tool calls of an agent: broken ones, parallel ones, and through which doors they go."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    TextMessage,
    ToolCallSummaryMessage,
)
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    FunctionExecutionResult,
)
from autogen_core.tools import (
    BaseTool,
    FunctionTool,
    StaticWorkbench,
    ToolResult,
    ToolSchema,
    Workbench,
)

from .scripted import ADD, CUT_SHORT, add, agent, assert_no_call_lacks_its_result, call, calls, executed, turn


def maybe(a: int = 0) -> int:
    """Needs no arguments."""
    return a


async def fail() -> str:
    """Fail."""
    raise ValueError("bad thing")


BROKEN = ["[]", "null", '"x"', "", "1", "{bad", "[" * 100_000]


@pytest.mark.parametrize("arguments", BROKEN)
@pytest.mark.parametrize("name", ["add", "maybe", "transfer_to_ann"])
async def test_arguments_that_are_no_object_give_one_error_result_and_nothing_is_run(name: str, arguments: str) -> None:
    """Neither a tool nor a handoff: the model reads the error and may try again."""
    bob = agent(calls(call(name, arguments)), "sorry", tools=[add, maybe], handoffs=["ann"], max_tool_iterations=2)
    items = await asyncio.wait_for(turn(bob), 5)
    [result] = executed(items)
    assert (result.call_id, result.name, result.is_error) == ("1", name, True)
    assert result.content.startswith("Error: ")
    assert isinstance(items[-1], Response)
    assert items[-1].chat_message.to_text() == "sorry"
    await assert_no_call_lacks_its_result(bob)


async def test_an_unknown_tool_gives_an_error_result() -> None:
    for tools in ([add], None):
        [result] = executed(await turn(agent(calls(call("nope")), tools=tools)))
        assert (result.is_error, result.content) == (True, "Error: tool 'nope' not found in any workbench")


async def test_wrong_arguments_and_failing_tools_give_error_results() -> None:
    bob = agent(calls(call("add", '{"a": "z", "b": 1}'), call("fail", "{}", "2")), tools=[add, fail])
    first, second = executed(await turn(bob))
    assert first.is_error
    assert "valid integer" in first.content
    assert (second.is_error, second.content) == (True, "bad thing")


async def test_a_failed_handoff_with_the_default_settings_answers_with_the_error() -> None:
    """0.7.5 handed over with the error as the message, or hung."""
    response = (await turn(agent(calls(call("transfer_to_ann", "[]")), handoffs=["ann"])))[-1]
    assert isinstance(response, Response)
    assert isinstance(response.chat_message, ToolCallSummaryMessage)
    assert "must be a JSON object" in response.chat_message.content


class Faulty(StaticWorkbench):
    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        raise RuntimeError


async def test_a_workbench_that_raises_gives_an_error_result_that_says_at_least_what() -> None:
    bob = agent(calls(call("add")), workbench=Faulty([FunctionTool(add, "Adds.")]))
    [result] = executed(await turn(bob))
    assert (result.is_error, result.content) == (True, "Error: RuntimeError")


async def test_a_workbench_that_cannot_say_what_it_offers_is_an_error_of_the_turn() -> None:
    class Silent(StaticWorkbench):
        async def list_tools(self) -> list[ToolSchema]:
            raise ConnectionError("server gone")

    with pytest.raises(ConnectionError, match="server gone"):
        await turn(agent("x", workbench=Silent([])))


async def test_calls_run_side_by_side_and_results_keep_the_order_of_the_calls() -> None:
    order: list[str] = []
    go = asyncio.Event()

    async def slow() -> str:
        """Wait for the other."""
        await go.wait()
        order.append("slow")
        return "slow"

    async def fast() -> str:
        """Let the other go."""
        order.append("fast")
        go.set()
        return "fast"

    bob = agent(calls(call("slow"), call("fast", "{}", "2")), tools=[slow, fast])
    made = executed(await asyncio.wait_for(turn(bob), 5))
    assert order == ["fast", "slow"]
    assert [(result.call_id, result.content) for result in made] == [("1", "slow"), ("2", "fast")]


async def test_a_call_that_fails_or_cancels_itself_costs_the_others_nothing() -> None:
    async def give_up() -> str:
        """Cancel itself."""
        raise asyncio.CancelledError

    bob = agent(
        calls(call("give_up"), call("fail", "{}", "2"), call("add", '{"a": 1, "b": 2}', "3")),
        tools=[give_up, fail, add],
    )
    items = await turn(bob)
    assert [result.content for result in executed(items)] == [CUT_SHORT, "bad thing", "3"]
    assert isinstance(items[-1], Response)


async def test_a_program_that_is_told_to_exit_exits() -> None:
    async def leave() -> str:
        """Stop the program."""
        raise Leaving

    with pytest.raises(Leaving):
        await turn(agent(calls(call("leave")), tools=[leave]))


class Leaving(BaseException):
    """Like KeyboardInterrupt, but not treated specially by the test runner."""


class Counting(StaticWorkbench):
    """A workbench whose tools may change, so it has its own `list_tools`."""

    asked = 0

    async def list_tools(self) -> list[ToolSchema]:
        self.asked += 1
        return await super().list_tools()


async def test_a_static_workbench_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    original = StaticWorkbench.list_tools

    async def list_tools(workbench: StaticWorkbench) -> list[ToolSchema]:
        nonlocal asked
        asked += 1
        return await original(workbench)

    monkeypatch.setattr(StaticWorkbench, "list_tools", list_tools)
    bob = agent(calls(ADD), "one", calls(ADD), "two", tools=[add], max_tool_iterations=2)
    await turn(bob)
    await turn(bob)
    assert asked == 1


async def test_a_workbench_that_may_change_is_asked_for_each_request_but_not_for_each_call() -> None:
    workbench = Counting([FunctionTool(add, "Adds.")])
    bob = agent(calls(call("add", '{"a": 1, "b": 2}')), "one", "two", workbench=workbench, max_tool_iterations=2)
    await turn(bob)
    await turn(bob)
    assert workbench.asked == 3


async def test_a_tool_that_appeared_since_the_request_is_found() -> None:
    late = Counting([])
    bob = agent(calls(call("add", '{"a": 1, "b": 2}')), workbench=[StaticWorkbench([]), late])
    stream = bob.on_messages_stream([], CancellationToken())
    await anext(stream)
    late.__init__([FunctionTool(add, "Adds.")])
    [result] = executed([item async for item in stream])
    assert result.content == "3"


async def test_every_call_passes_the_method_that_instrumentors_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    original = AssistantAgent._execute_tool_call

    async def watched(**arguments: Any) -> tuple[FunctionCall, FunctionExecutionResult]:
        seen.append(arguments)
        return await original(**arguments)

    monkeypatch.setattr(AssistantAgent, "_execute_tool_call", staticmethod(watched))
    bob = agent(
        calls(call("add", '{"a": 1, "b": 2}'), call("transfer_to_ann", "{}", "2")), tools=[add], handoffs=["ann"]
    )
    await turn(bob)
    assert [arguments["tool_call"].name for arguments in seen] == ["add", "transfer_to_ann"]
    assert set(seen[0]) == {
        "tool_call",
        "workbench",
        "handoff_tools",
        "agent_name",
        "cancellation_token",
        "stream",
    }
    assert seen[0]["agent_name"] == "bob"


async def test_that_method_can_be_called_by_itself() -> None:
    plain: Sequence[Workbench] = [StaticWorkbench([FunctionTool(add, "Adds.")])]
    none: list[BaseTool[Any, Any]] = []
    made, result = await AssistantAgent._execute_tool_call(
        tool_call=call("add", '{"a": 1, "b": 2}'),
        workbench=plain,
        handoff_tools=none,
        agent_name="bob",
        cancellation_token=CancellationToken(),
        stream=asyncio.Queue(),
    )
    assert (made.id, result.content, result.is_error) == ("1", "3", False)


async def test_a_wrapper_that_fails_gives_an_error_result(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(**_: Any) -> tuple[FunctionCall, FunctionExecutionResult]:
        raise KeyError("telemetry")

    monkeypatch.setattr(AssistantAgent, "_execute_tool_call", staticmethod(broken))
    bob = agent(calls(call("add")), tools=[add])
    [result] = executed(await turn(bob))
    assert (result.is_error, result.content) == (True, "Error: 'telemetry'")


async def test_a_workbench_that_streams_no_result_gives_an_error_result() -> None:
    from autogen_core.tools import StaticStreamWorkbench

    class Endless(StaticStreamWorkbench):
        async def call_tool_stream(
            self,
            name: str,
            arguments: Mapping[str, Any] | None = None,
            cancellation_token: CancellationToken | None = None,
            call_id: str | None = None,
        ) -> AsyncGenerator[Any | ToolResult, None]:
            yield TextMessage(content="on my way", source="tool")

    items = await turn(agent(calls(call("add")), workbench=Endless([FunctionTool(add, "Adds.")])))
    [result] = executed(items)
    assert (result.is_error, result.content) == (True, "Error: tool 'add' ended without a result")
    assert any(isinstance(item, TextMessage) for item in items)
