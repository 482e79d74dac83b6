"""Handoffs: which of several is taken, and what the receiver is told."""

from pydantic import BaseModel

from autogen_agentchat.base import Handoff, Response
from autogen_agentchat.messages import (
    HandoffMessage,
    ToolCallSummaryMessage,
)
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
)
from autogen_core.tools import BaseTool, FunctionTool

from .scripted import add, agent, assert_no_call_lacks_its_result, call, calls, executed, turn


def two_handoffs() -> list[Handoff | str]:
    return [Handoff(target="ann", message="Over to Ann."), Handoff(target="carl", message="Over to Carl.")]


async def test_of_several_handoffs_the_first_is_taken_and_the_others_are_marked() -> None:
    bob = agent(calls(call("transfer_to_carl"), call("transfer_to_ann", "{}", "2")), handoffs=two_handoffs())
    items = await turn(bob)
    taken, refused = executed(items)
    assert (taken.content, taken.is_error) == ("Over to Carl.", False)
    assert refused.is_error
    assert refused.content == "Error: not handed over to ann: only one handoff is possible, and carl was called first"
    response = items[-1]
    assert isinstance(response, Response)
    assert isinstance(response.chat_message, HandoffMessage)
    assert response.chat_message.target == "carl"
    await assert_no_call_lacks_its_result(bob)


async def test_a_handoff_with_broken_arguments_leaves_the_way_to_the_next() -> None:
    bob = agent(calls(call("transfer_to_carl", "[]"), call("transfer_to_ann", "{}", "2")), handoffs=two_handoffs())
    items = await turn(bob)
    assert [result.is_error for result in executed(items)] == [True, False]
    response = items[-1]
    assert isinstance(response, Response)
    assert isinstance(response.chat_message, HandoffMessage)
    assert response.chat_message.target == "ann"


async def test_text_and_tool_results_reach_the_receiver_of_a_handoff() -> None:
    bob = agent(
        calls(call("add", '{"a": 1, "b": 2}'), call("transfer_to_ann", "{}", "2"), thought="Ann knows more"),
        tools=[add],
        handoffs=two_handoffs(),
    )
    response = (await turn(bob))[-1]
    assert isinstance(response, Response)
    assert isinstance(response.chat_message, HandoffMessage)
    said, done = response.chat_message.context
    assert isinstance(said, AssistantMessage)
    assert isinstance(done, FunctionExecutionResultMessage)
    assert said.thought == "Ann knows more"
    assert [each.name for each in said.content if isinstance(each, FunctionCall)] == ["add"]
    assert [result.content for result in done.content] == ["3"]


async def test_text_alone_reaches_the_receiver_as_text() -> None:
    bob = agent(calls(call("transfer_to_ann"), thought="over"), handoffs=two_handoffs())
    response = (await turn(bob))[-1]
    assert isinstance(response, Response)
    assert isinstance(response.chat_message, HandoffMessage)
    assert response.chat_message.context == [AssistantMessage(content="over", source="bob")]


async def test_what_was_found_out_before_a_handoff_reaches_the_receiver_too() -> None:
    """0.7.5 passed on only what stood in the same answer."""
    bob = agent(
        calls(call("add", '{"a": 1, "b": 2}')),
        calls(call("transfer_to_ann", "{}", "2")),
        tools=[add],
        handoffs=two_handoffs(),
        max_tool_iterations=5,
    )
    response = (await turn(bob))[-1]
    assert isinstance(response, Response)
    assert isinstance(response.chat_message, HandoffMessage)
    assert [type(message) for message in response.chat_message.context] == [
        AssistantMessage,
        FunctionExecutionResultMessage,
    ]


class BrokenHandoff(Handoff):
    """A handoff whose tool does something, and fails at it."""

    @property
    def handoff_tool(self) -> BaseTool[BaseModel, BaseModel]:
        def announce() -> str:
            raise ConnectionError("nobody there")

        return FunctionTool(announce, self.description, self.name)


async def test_a_handoff_whose_tool_fails_is_not_taken() -> None:
    handoffs = [BrokenHandoff(target="ann"), *two_handoffs()[1:]]
    bob = agent(calls(call("transfer_to_ann"), call("transfer_to_carl", "{}", "2")), handoffs=handoffs)
    items = await turn(bob)
    failed, refused = executed(items)
    assert (failed.content, failed.is_error) == ("Error: nobody there", True)
    assert refused.is_error
    response = items[-1]
    assert isinstance(response, Response)
    assert isinstance(response.chat_message, ToolCallSummaryMessage)
