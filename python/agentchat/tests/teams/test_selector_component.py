"""A `SelectorGroupChat` as a component, and how it is made."""

from collections.abc import Sequence
from typing import Any

import pytest

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams import GroupChatError
from autogen_agentchat.teams._selector import SelectorGroupChat
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_ext.models.replay import ReplayChatCompletionClient

from .selector_speakers import Chooser, chat, speakers


def ann(thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
    return "ann"


def assistants(model: ReplayChatCompletionClient, **options: Any) -> SelectorGroupChat:
    agents = [AssistantAgent(name, ReplayChatCompletionClient([f"I am {name}"])) for name in ("ann", "bob", "cas")]
    return SelectorGroupChat(list(agents), model, **options)


async def test_a_dumped_and_loaded_team_behaves_the_same() -> None:
    team = assistants(
        ReplayChatCompletionClient(["zz", "cas", "cas"]),
        name="trio",
        description="Three of them.",
        termination_condition=MaxMessageTermination(20),
        max_turns=2,
        selector_prompt="{participants}: {history}",
        allow_repeated_speaker=True,
        max_selector_attempts=2,
        emit_team_events=True,
        model_client_streaming=True,
        model_context=BufferedChatCompletionContext(buffer_size=1),
    )
    dumped = team.dump_component()
    again = SelectorGroupChat.load_component(dumped)
    assert again.dump_component() == dumped
    for each in (team, again):
        with pytest.raises(GroupChatError):  # the third answer would be cas's second
            await each.run(task="go")
    states = [await each.save_state() for each in (team, again)]
    threads = [state["agent_states"]["SelectorGroupChatManager"]["message_thread"] for state in states]
    assert [[message["content"] for message in thread] for thread in threads] == [["go", "I am cas"]] * 2


async def test_functions_are_not_in_the_configuration() -> None:
    """As in 0.7.5: a loaded team asks its model."""
    team = assistants(ReplayChatCompletionClient(["bob"]), max_turns=1, selector_func=ann)
    config = team.dump_component().config
    assert sorted(config) == [
        "allow_repeated_speaker",
        "description",
        "emit_team_events",
        "max_selector_attempts",
        "max_turns",
        "model_client",
        "model_client_streaming",
        "name",
        "participants",
        "selector_prompt",
    ]
    again = SelectorGroupChat.load_component(team.dump_component())
    assert speakers(await again.run(task="go")) == ["bob"]


def test_misuse_is_told_when_the_team_is_made() -> None:
    with pytest.raises(ValueError, match="At least two participants"):
        chat(Chooser(), "a")
    with pytest.raises(ValueError, match="At least one participant"):
        chat(Chooser(), "")
    with pytest.raises(ValueError, match="unique"):
        chat(Chooser(), "aa")
    with pytest.raises(ValueError, match="selector_prompt"):
        chat(Chooser(), selector_prompt="{names}")


async def test_two_teams_made_from_one_configuration_share_no_conversation() -> None:
    team = assistants(ReplayChatCompletionClient(["ann"]), max_turns=1)
    one, two = (SelectorGroupChat.load_component(team.dump_component()) for _ in range(2))
    await one.run(task="for one")
    await two.run(task="for two")
    for each, other in ((one, "for two"), (two, "for one")):
        assert other not in str(await each.save_state())
