"""An agent with a team inside: two colleagues discuss, and others hear one answer, which a model makes of the discussion.

It runs offline with scripted answers. With AUTOGEN_EXAMPLE_MODEL=local the local model answers instead.
"""

import asyncio

from _models import model_client
from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.ui import Console

TASK = "Should our café in Bergen open in spring or in autumn?"


def board() -> SocietyOfMindAgent:
    """Make the agent with a team inside."""
    optimist = AssistantAgent(
        "optimist",
        model_client(["In spring: the first ships bring guests.", "Then with an awning, in May."]),
        description="Sees the chances.",
        system_message="You see the chances in everything. Answer in one sentence.",
    )
    sceptic = AssistantAgent(
        "sceptic",
        model_client(["It rains in spring, and we have no roof outside.", "AGREED"]),
        description="Sees the risks.",
        system_message="You see the risks in everything. Answer in one sentence, or say only AGREED.",
    )
    agreed = TextMentionTermination("AGREED", sources=["sceptic"]) | MaxMessageTermination(6)
    discussion = RoundRobinGroupChat([optimist, sceptic], termination_condition=agreed)
    return SocietyOfMindAgent("board", discussion, model_client(["We open in May, with an awning."]))


async def main() -> None:
    """Make the team, run it, and say what the clerk, who was not at the discussion, has heard."""
    clerk = AssistantAgent(
        "clerk",
        model_client(["Dear guests, we open in May, and you will sit dry."]),
        description="Writes to the guests.",
        system_message="Write one line to the guests that says what was decided.",
    )
    team = RoundRobinGroupChat([board(), clerk], max_turns=2)
    result = await Console(team.run_stream(task=TASK))
    speakers = [message.source for message in result.messages if isinstance(message, BaseChatMessage)]
    print(f"\n{' -> '.join(speakers)}. {result.stop_reason}")
    heard = [message.source for message in await clerk.model_context.get_messages() if message.type == "UserMessage"]
    print(f"The clerk has heard {' and '.join(heard)}.")


if __name__ == "__main__":
    asyncio.run(main())
