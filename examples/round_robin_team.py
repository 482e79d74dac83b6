"""A writer and a critic who take turns until the critic is content; then the customer has a wish, and they go on.

It runs offline with scripted answers. With AUTOGEN_EXAMPLE_MODEL=local the local model answers instead: it is too small to
criticise well, so expect that a run ends because of its number of messages.
"""

import asyncio

from _models import model_client
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.ui import Console

TASK = "Write a slogan for a café in Bergen, in one line."
WISH = "The customer wants it to say that the café opens at seven."


async def main() -> None:
    """Make the team, run it on the task and on the wish, and say who spoke."""
    writer = AssistantAgent(
        "writer",
        model_client(["Coffee in Bergen.", "It rains. We have coffee.", "It rains. We have coffee, from seven on."]),
        description="Writes slogans.",
        system_message="You write a slogan, in one line, and make it better when you are told how.",
    )
    critic = AssistantAgent(
        "critic",
        model_client(["True of every café here: say what is special about the town.", "APPROVED", "APPROVED"]),
        description="Criticises slogans.",
        system_message="Say in one sentence how to make the slogan better. If it is good, say only APPROVED.",
    )
    team = RoundRobinGroupChat(
        [writer, critic],
        termination_condition=TextMentionTermination("APPROVED", sources=["critic"]) | MaxMessageTermination(6),
    )
    for task in (TASK, WISH):
        result = await Console(team.run_stream(task=task))
        speakers = [message.source for message in result.messages]
        print(f"\n{' -> '.join(speakers)}. {result.stop_reason}\n")


if __name__ == "__main__":
    asyncio.run(main())
