"""Interrupted conversations: the history that an agent keeps is repaired, once, and a whole one is left alone."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from autogen_core import FunctionCall
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    UnboundedChatCompletionContext,
)
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)

from .scripted import ADD, add, agent, calls, text, turn


def asking(*ids: str) -> AssistantMessage:
    return AssistantMessage(content=[FunctionCall(id=i, name="add", arguments="{}") for i in ids], source="bob")


def answering(*ids: str) -> FunctionExecutionResultMessage:
    return FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content=f"result {i}", name="add", call_id=i, is_error=False) for i in ids]
    )


def user(content: str) -> UserMessage:
    return UserMessage(content=content, source="user")


def results(state: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Return the ids of all results in a saved conversation, and whether they are errors."""
    messages = state["messages"]
    return [
        (result["call_id"], result["is_error"])
        for message in messages
        if message["type"] == "FunctionExecutionResultMessage"
        for result in message["content"]
    ]


class Counting(UnboundedChatCompletionContext):
    """Counts how often it is saved and loaded."""

    saved = loaded = 0

    async def save_state(self) -> Mapping[str, Any]:
        self.saved += 1
        return {**await super().save_state(), "of_its_own": 1}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        assert state.get("of_its_own", 1) == 1
        self.loaded += 1
        await super().load_state(state)


async def test_calls_without_results_get_one_marked_result_in_the_stored_history_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = Counting([user("1"), asking("a", "b"), answering("a"), user("2")])
    bob = agent("x", "y", model_context=context)
    with caplog.at_level(logging.WARNING, "autogen_agentchat"):
        await turn(bob, text("3"))
        await turn(bob, text("4"))
    assert (context.saved, context.loaded) == (1, 1)
    assert results(await context.save_state()) == [("a", False), ("b", True)]
    kept = await context.get_messages()
    assert [message.type for message in kept[:5]] == [
        "UserMessage",
        "AssistantMessage",
        "FunctionExecutionResultMessage",
        "FunctionExecutionResultMessage",
        "UserMessage",
    ]
    assert [record.message for record in caplog.records] == [
        "Agent bob: its conversation was interrupted, and is repaired: results follow all calls; 1 that were lost say so."
    ]


async def test_a_whole_history_is_looked_at_once_and_not_loaded_again() -> None:
    messages: list[LLMMessage] = [user("1"), asking("a"), answering("a")]
    context = Counting(messages)
    bob = agent("x", "y", model_context=context)
    for _ in range(2):
        await turn(bob)
    assert (context.saved, context.loaded) == (1, 0)
    kept = await context.get_messages()
    assert all(one is other for one, other in zip(kept, messages, strict=False))


async def test_turns_of_its_own_leave_nothing_to_repair() -> None:
    context = Counting()
    bob = agent(calls(ADD), "x", model_context=context, tools=[add], max_tool_iterations=2)
    await turn(bob)
    assert (context.saved, context.loaded) == (1, 0)


async def test_what_a_bounded_context_does_not_show_is_repaired_and_kept() -> None:
    context = BufferedChatCompletionContext(2, [user("1"), asking("a"), user("2"), user("3"), user("4")])
    bob = agent("x", model_context=context)
    await turn(bob, text("5"))
    state = await context.save_state()
    assert results(state) == [("a", True)]
    assert [m["content"] for m in state["messages"] if m["type"] == "UserMessage"] == ["1", "2", "3", "4", "5"]


async def test_a_loaded_state_is_repaired_and_saved_whole() -> None:
    bob = agent("x", "y")
    messages: list[LLMMessage] = [user("1"), asking("a"), user("2")]
    broken = json.loads(
        json.dumps({"type": "AssistantAgentState", "version": "1.0.0", "llm_context": {"messages": dumped(messages)}})
    )
    await bob.load_state(broken)
    state = await bob.save_state()
    assert results(state["llm_context"]) == [("a", True)]
    before = json.dumps(state)
    await bob.load_state(state)
    assert json.dumps(await bob.save_state()) == before
    await bob.load_state(broken)  # after a turn as well
    await turn(bob)
    await bob.load_state(broken)
    assert results((await bob.save_state())["llm_context"]) == [("a", True)]


async def test_what_was_written_stays_as_it_was() -> None:
    """What a state holds beside the conversation, and fields that this release does not know, go to the context untouched."""
    seen: list[Mapping[str, Any]] = []

    class Seeing(UnboundedChatCompletionContext):
        async def load_state(self, state: Mapping[str, Any]) -> None:
            seen.append(state)
            await super().load_state(state)

    [question, call] = dumped([user("1"), asking("a")])
    question["of_tomorrow"] = 1
    bob = agent("x", model_context=Seeing())
    await bob.load_state({"llm_context": {"messages": [question, call], "more": 2}})
    assert seen[0]["more"] == 2
    assert seen[0]["messages"][:2] == [question, call]


@pytest.mark.parametrize("state", [{"messages": [{"type": "AssistantMessage", "content": [1]}]}, {"text": "all"}, {}])
async def test_a_context_with_a_state_of_its_own_form_is_left_alone(state: dict[str, Any]) -> None:
    class Own(UnboundedChatCompletionContext):
        async def save_state(self) -> Mapping[str, Any]:
            return state

        async def load_state(self, state: Mapping[str, Any]) -> None:
            raise AssertionError("not loaded")

    await turn(agent("x", model_context=Own()))


async def test_a_context_that_cannot_be_saved_is_no_obstacle() -> None:
    class Unsaved(ChatCompletionContext):
        component_provider_override = "tests.Unsaved"

        async def get_messages(self) -> list[LLMMessage]:
            return list(self._messages)

        async def save_state(self) -> Mapping[str, Any]:
            raise NotImplementedError

    await turn(agent("x", model_context=Unsaved()))


def dumped(messages: list[LLMMessage]) -> list[dict[str, Any]]:
    return [message.model_dump() for message in messages]
