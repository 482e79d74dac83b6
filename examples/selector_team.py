"""A team in which a model chooses who speaks next, and a rule has the first word.

It runs offline with scripted answers. With AUTOGEN_EXAMPLE_MODEL=local the local model answers instead: it is too small to
choose well, so expect that the team goes on in its order now and then, and says so.
"""

import asyncio
from collections.abc import Sequence

from _models import model_client
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams import SelectorGroupChat
from autogen_agentchat.ui import Console

TASK = "Two days in Bergen: what should we see, and what will it cost?"


def editor_knows_when(thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
    """Let the editor write once the others have spoken; before that the model chooses."""
    spoken = {message.source for message in thread}
    return "editor" if {"guide", "accountant"} <= spoken else None


async def main() -> None:
    """Make the team, show what it does, and say who spoke."""
    guide = AssistantAgent(
        "guide",
        model_client(["See the harbour and the fish market, and take the funicular up the mountain."]),
        description="Knows the sights of Bergen.",
        system_message="You are a guide in Bergen. Name the sights, in one sentence.",
    )
    accountant = AssistantAgent(
        "accountant",
        model_client(["Two nights, meals and the funicular come to about 480 euros."]),
        description="Works out what a trip costs.",
        system_message="You work out what a trip costs, in one sentence.",
    )
    editor = AssistantAgent(
        "editor",
        model_client(["Bergen in two days: harbour, fish market, funicular. Reckon with 480 euros. DONE"]),
        description="Writes the answer for the customer, when all is known.",
        system_message="Write the answer for the customer, in one sentence, and add the word DONE.",
    )
    team = SelectorGroupChat(
        [guide, accountant, editor],
        model_client(["The guide should begin.", "accountant"]),
        selector_func=editor_knows_when,
        termination_condition=TextMentionTermination("DONE", sources=["editor"]) | MaxMessageTermination(5),
        emit_team_events=True,
    )
    result = await Console(team.run_stream(task=TASK))
    speakers = [message.source for message in result.messages if isinstance(message, BaseChatMessage)]
    print(f"\n{' -> '.join(speakers)}. {result.stop_reason}")


if __name__ == "__main__":
    asyncio.run(main())
