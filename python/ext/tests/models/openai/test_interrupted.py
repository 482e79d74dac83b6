"""Interrupted histories heal: calls without results get one marked error result before sending, once.

The stored history is repaired.
"""

import json
import logging
from typing import Any

import pytest

from autogen_agentchat.agents import AssistantAgent
from autogen_core import FunctionCall
from autogen_core.model_context import UnboundedChatCompletionContext
from autogen_core.models import AssistantMessage, LLMMessage, UserMessage

from .canned import CannedServer, Json
from .conftest import MakeClient

BROKEN: list[LLMMessage] = [
    UserMessage(content="Add.", source="user"),
    AssistantMessage(content=[FunctionCall(id="c1", name="add", arguments="{}")], source="bob"),
    UserMessage(content="Well?", source="user"),
]


def results_in(messages: list[Json]) -> list[Json]:
    return [message for message in messages if message["role"] == "tool"]


async def test_a_conversation_is_healed_for_each_request_and_left_as_it_is(
    server: CannedServer, make_client: MakeClient
) -> None:
    client = make_client()
    messages = list(BROKEN)
    for _ in range(2):
        await client.create(messages)
    assert messages == BROKEN
    for request in server.requests:
        assert [message["role"] for message in request.body["messages"]] == ["user", "assistant", "tool", "user"]
        [result] = results_in(request.body["messages"])
        assert (result["tool_call_id"], result["content"][:6]) == ("c1", "Error:")


@pytest.mark.parametrize("loaded", [False, True])
async def test_an_agent_repairs_what_it_keeps_so_that_its_client_finds_nothing_to_heal(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture, loaded: bool
) -> None:
    context = UnboundedChatCompletionContext(list(BROKEN))
    if loaded:
        bob = AssistantAgent("bob", make_client())
        await bob.load_state({"llm_context": json.loads(json.dumps(await context.save_state()))})
    else:
        bob = AssistantAgent("bob", make_client(), model_context=context)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            await bob.run(task="Go on.")
    for request in server.requests:
        [result] = results_in(request.body["messages"])
        assert result["tool_call_id"] == "c1"
    state: Any = await bob.save_state()
    kept = [m for m in state["llm_context"]["messages"] if m["type"] == "FunctionExecutionResultMessage"]
    [[result]] = [message["content"] for message in kept]
    assert (result["call_id"], result["is_error"]) == ("c1", True)
    [warning] = caplog.messages  # the agent's own, and none of the client's
    assert warning.startswith("Agent bob: its conversation was interrupted")
