"""One turn of an assistant agent: what the model is asked, what stays in the conversation, and what breaks it."""

import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    HandoffMessage,
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    ToolCallSummaryMessage,
)
from autogen_core import CancellationToken, FunctionCall, Image
from autogen_core.model_context import BufferedChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    LLMMessage,
    UserMessage,
)

from .scripted import ADD, ADD_MORE, Model, add, agent, answer, call, history, remembers, text, turn


class Answer(BaseModel):
    word: str
    number: int = 0


async def test_the_model_gets_the_system_message_the_conversation_and_the_tools() -> None:
    model = Model("one", "two")
    bob = agent(model, tools=[add], handoffs=["ann"])
    await turn(bob, text("a"), text("b", "carl"))
    await turn(bob, text("c"))
    assert model.requests == [
        ["system: S", "user: a", "carl: b"],
        ["system: S", "user: a", "carl: b", "bob> one", "user: c"],
    ]
    assert model.tool_names(0) == ["add", "transfer_to_ann"]
    assert set(model.options[0]) == {"json_output", "tools"}


async def test_without_a_system_message_there_is_none() -> None:
    model = Model("one")
    await turn(agent(model, system_message=None))
    assert model.requests == [["user: hello"]]


async def test_reflection_forbids_tools_and_sees_the_results() -> None:
    model = Model(answer([ADD]), answer("three"))
    bob = agent(model, tools=[add], reflect_on_tool_use=True)
    await turn(bob)
    assert model.requests[1] == ["system: S", "user: hello", "bob> calls add", "results: 1=3"]
    assert model.tool_names(1) is None
    assert model.options[1]["tool_choice"] == "none"
    assert await history(bob) == ["user: hello", "bob> calls add", "results: 1=3", "bob> three"]


async def test_reflection_that_calls_tools_is_an_error_and_the_conversation_stays_complete() -> None:
    bob = agent(Model(answer([ADD]), answer([ADD_MORE])), tools=[add], reflect_on_tool_use=True)
    with pytest.raises(RuntimeError, match="Reflect on tool use produced no valid text response"):
        await turn(bob)
    assert await history(bob) == ["user: hello", "bob> calls add", "results: 1=3"]


async def test_three_dependent_calls_and_an_answer_take_four_requests() -> None:
    third = call("add", '{"a": 5, "b": 5}', "3")
    model = Model(answer([ADD]), answer([ADD_MORE]), answer([third]), answer("ten"))
    result = await agent(model, tools=[add], max_tool_iterations=10).run(task="hello")
    assert len(model.requests) == 4
    assert model.requests[3][2:] == [
        *("bob> calls add", "results: 1=3"),
        *("bob> calls add", "results: 2=5"),
        *("bob> calls add", "results: 3=10"),
    ]
    assert (result.messages[-1].to_text(), result.stop_reason) == ("ten", None)


@pytest.mark.parametrize("reflect", [False, True])
async def test_reaching_the_limit_is_the_stop_reason(reflect: bool) -> None:
    bob = agent(
        Model(answer([ADD]), answer([ADD_MORE]), answer("so far")),
        tools=[add],
        max_tool_iterations=2,
        reflect_on_tool_use=reflect,
    )
    result = await bob.run(task="hello")
    assert result.stop_reason == "Maximum number of tool iterations 2 reached."
    assert result.messages[-1].to_text() == ("so far" if reflect else "5")


async def test_the_one_iteration_of_the_default_is_no_limit_that_was_reached() -> None:
    assert (await agent(Model(answer([ADD])), tools=[add]).run(task="hello")).stop_reason is None


async def test_chunks_name_the_message_they_make_up() -> None:
    bob = agent(Model(answer([ADD]), "so it is"), tools=[add], reflect_on_tool_use=True, model_client_stream=True)
    items = await turn(bob)
    response = items[-1]
    assert isinstance(response, Response)
    chunks = [item for item in items if isinstance(item, ModelClientStreamingChunkEvent)]
    assert "".join(chunk.content for chunk in chunks) == "so it is"
    assert {chunk.full_message_id for chunk in chunks} == {response.chat_message.id}


class Broken(Model):
    """A model whose stream is whatever a test says."""

    def __init__(self, *items: Any) -> None:
        super().__init__()
        self.items = items
        self.closed = False

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        try:
            for item in self.items:
                yield item
        finally:
            self.closed = True


@pytest.mark.parametrize(
    ("items", "match"),
    [(("a", "b"), "No final model result"), ((), "No final model result"), ((3,), "Invalid chunk type: <class 'int'>")],
)
async def test_a_stream_that_breaks_its_promise_is_an_error(items: tuple[Any, ...], match: str) -> None:
    bob = agent(Broken(*items), model_client_stream=True)
    with pytest.raises(RuntimeError, match=match):
        await turn(bob)
    assert await history(bob) == ["user: hello"]


async def test_a_closed_turn_closes_the_models_stream() -> None:
    model = Broken("a", "b", answer("ab"))
    stream = agent(model, model_client_stream=True).on_messages_stream([text("hello")], CancellationToken())
    await anext(stream)
    await stream.aclose()
    assert model.closed


async def test_an_error_of_the_model_comes_through_and_the_next_turn_goes_on() -> None:
    model = Model()
    bob = agent(model)
    with pytest.raises(ValueError, match="No more mock responses"):
        await turn(bob)
    model.chat_completions.append("better")
    await turn(bob, text("again"))
    assert await history(bob) == ["user: hello", "user: again", "bob> better"]


async def test_structured_output_asks_the_model_for_the_type_and_formats_for_humans() -> None:
    model = Model(answer('{"word": "x", "number": 3}'))
    bob = agent(model, output_content_type=Answer, output_content_type_format="{word}: {number}")
    response = (await turn(bob))[-1]
    assert model.options[0]["json_output"] is Answer
    assert isinstance(response, Response)
    assert response.chat_message.to_text() == "x: 3"
    assert await history(bob) == ["user: hello", 'bob> {"word": "x", "number": 3}']


async def test_output_of_another_structure_is_a_validation_error() -> None:
    with pytest.raises(ValidationError):
        await turn(agent(Model(answer("no json")), output_content_type=Answer))


async def test_images_are_left_out_for_a_model_that_cannot_see_but_stay_in_the_conversation() -> None:
    from PIL.Image import new

    message = MultiModalMessage(content=["look", Image(new("RGB", (2, 2)))], source="user")
    blind, seeing = Model("a"), Model("b", vision=True)
    for model in (blind, seeing):
        bob = agent(model)
        await turn(bob, message)
        [kept, _] = await bob.model_context.get_messages()
        assert isinstance(kept.content, list)
    assert blind.requests == [["system: S", "user: look\n<image>"]]
    assert "Image" in seeing.requests[0][1]


async def test_what_a_handoff_brings_along_goes_into_the_conversation() -> None:
    model = Model("ok")
    context: list[LLMMessage] = [
        UserMessage(content="before", source="x"),
        AssistantMessage(content="mine", source="y"),
    ]
    await turn(
        agent(model), text("a"), HandoffMessage(content="take over", source="ann", target="bob", context=context)
    )
    assert model.requests == [["system: S", "user: a", "x: before", "y> mine", "ann: take over"]]


async def test_after_five_turns_each_request_held_the_memory_once_and_the_state_holds_none() -> None:
    model = Model(*("ok" for _ in range(5)))
    bob = agent(model, memory=[remembers("likes tea")])
    for _ in range(5):
        await turn(bob)
    assert [sum("likes tea" in message for message in request) for request in model.requests] == [1] * 5
    assert "likes tea" not in str(await bob.save_state())


async def test_every_request_of_a_turn_holds_the_memory_once_after_the_new_messages() -> None:
    model = Model(answer([ADD]), answer([ADD_MORE]), answer("five"))
    bob = agent(model, tools=[add], memory=[remembers("likes tea")], max_tool_iterations=2, reflect_on_tool_use=True)
    await turn(bob)
    for request in model.requests:
        assert [("likes tea" in message) for message in request[:4]] == [False, False, True, False][: len(request)]
        assert sum("likes tea" in message for message in request) == 1


async def test_a_bounded_context_gets_the_memory_as_well() -> None:
    model = Model(*(answer("ok") for _ in range(4)))
    bob = agent(model, memory=[remembers("likes tea")], model_context=BufferedChatCompletionContext(2))
    for number in range(4):
        await turn(bob, text(f"turn {number}"))
    assert [len(request) for request in model.requests] == [3, 4, 4, 4]
    assert all("likes tea" in request[-1] for request in model.requests)


async def test_a_given_context_is_used() -> None:
    context = UnboundedChatCompletionContext(initial_messages=[UserMessage(content="before", source="user")])
    model = Model("ok")
    bob = agent(model, model_context=context)
    await turn(bob)
    assert bob.model_context is context
    assert model.requests == [["system: S", "user: before", "user: hello"]]


def name_and_result(made: FunctionCall, result: FunctionExecutionResult) -> str:
    return f"{made.name}: {result.content}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tool_call_summary_format": "{tool_name}{arguments} {result} {is_error}"}, 'add{"a": 1, "b": 2} 3 False'),
        ({"tool_call_summary_formatter": name_and_result}, "add: 3"),
    ],
)
async def test_the_summary_of_tool_calls_can_be_formatted(options: dict[str, Any], expected: str) -> None:
    response = (await turn(agent(Model(answer([ADD])), tools=[add], **options)))[-1]
    assert isinstance(response, Response)
    assert isinstance(response.chat_message, ToolCallSummaryMessage)
    assert response.chat_message.content == expected
    assert response.chat_message.tool_calls == [ADD]
    assert [result.content for result in response.chat_message.results] == ["3"]


async def test_tool_calls_and_results_are_logged_as_events(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="autogen_agentchat.events"):
        await turn(agent(Model(answer([ADD])), tools=[add]))
    logged = [record.msg for record in caplog.records if record.name == "autogen_agentchat.events"]
    assert [type(event).__name__ for event in logged] == ["ToolCallRequestEvent", "ToolCallExecutionEvent"]


async def test_usage_in_the_messages_is_the_sum_of_what_the_model_reported() -> None:
    model = Model(answer([ADD]), answer([ADD_MORE]), answer("done"))
    result = await agent(model, tools=[add], max_tool_iterations=3).run(task="hello")
    spent = [message.models_usage for message in result.messages if message.models_usage is not None]
    assert sum(usage.prompt_tokens for usage in spent) == 30
    assert sum(usage.completion_tokens for usage in spent) == 15
