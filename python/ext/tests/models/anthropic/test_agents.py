"""What the provider wants back survives the life of an agent: its turns, saving and loading, and trimming elsewhere."""

import json
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_ext.models.anthropic import AnthropicChatCompletionClient

from .canned import CannedServer, message, text, tool_use
from .conftest import MakeClient

THOUGHT = {"type": "thinking", "thinking": "A sum.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl"}
CALLING = [THOUGHT, text("I add."), tool_use()]
SAYING = [{**THOUGHT, "thinking": "Done."}, text("It is 3.")]


def add(a: int) -> int:
    """Add two."""
    return a + 2


def agent(client: AnthropicChatCompletionClient, **arguments: Any) -> AssistantAgent:
    return AssistantAgent("assistant", client, tools=[add], reflect_on_tool_use=True, **arguments)


def said_by_the_model(body: dict[str, Any]) -> list[Any]:
    return [said["content"] for said in body["messages"] if said["role"] == "assistant"]


async def test_thoughts_survive_saving_and_loading_an_agent(server: CannedServer, make_client: MakeClient) -> None:
    client = make_client()
    first = agent(client)
    server.queue(message(*CALLING, stop="tool_use"), message(*SAYING))
    await first.run(task="Add two to one.")
    assert said_by_the_model(server.body) == [CALLING]
    saved = json.loads(json.dumps(await first.save_state()))
    second = agent(client)
    await second.load_state(saved)
    await second.run(task="And now?")
    assert said_by_the_model(server.body)[0] == CALLING


async def test_thoughts_survive_trimming_elsewhere(server: CannedServer, make_client: MakeClient) -> None:
    trimmed = agent(make_client(), model_context=BufferedChatCompletionContext(buffer_size=4))
    server.queue(message(text("Hello!")), message(*CALLING, stop="tool_use"), message(*SAYING))
    await trimmed.run(task="Hello.")
    await trimmed.run(task="Add two to one.")
    assert said_by_the_model(server.body)[-1] == CALLING
