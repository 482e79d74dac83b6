"""The first program: a team of one agent that uses a tool to answer a question.

It runs on OpenAI where OPENAI_API_KEY is set (OPENAI_BASE_URL names another server of the same kind), else on a small
model on this machine. Start it with `make quickstart`.
"""

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autogen_agentchat.teams import RoundRobinGroupChat

OPENAI_MODEL = "gpt-4o-2024-08-06"
TASK = "What is the weather in New York?"
# The packages are imported inside the functions, so that Ctrl+C ends this program quietly while they load, too.


async def get_weather(city: str) -> str:
    """Get the current weather of a city."""
    return f"The weather in {city} is 23 degrees and sunny."


def openai_team() -> "RoundRobinGroupChat":
    """The team on OpenAI: the agent says itself when it has finished."""
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
    from autogen_agentchat.teams import RoundRobinGroupChat
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    agent = AssistantAgent(
        "weather_agent",
        OpenAIChatCompletionClient(model=OPENAI_MODEL),
        tools=[get_weather],
        system_message="Answer with the help of your tools. When the question is answered, say TERMINATE.",
        reflect_on_tool_use=True,
        model_client_stream=True,
    )
    stop = TextMentionTermination("TERMINATE", sources=["weather_agent"]) | MaxMessageTermination(10)
    return RoundRobinGroupChat([agent], termination_condition=stop)


def local_team() -> "RoundRobinGroupChat":
    """The team on the local model: too small to know when to stop, so the agent's first answer is the last."""
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.conditions import TextMessageTermination
    from autogen_agentchat.teams import RoundRobinGroupChat
    from autogen_ext.models.local import LocalChatCompletionClient

    agent = AssistantAgent(
        "weather_agent",
        LocalChatCompletionClient(),
        tools=[get_weather],
        system_message="Answer with the help of your tools.",
        reflect_on_tool_use=True,
        model_client_stream=True,
    )
    return RoundRobinGroupChat([agent], termination_condition=TextMessageTermination("weather_agent"))


async def main() -> None:
    """Choose the model, run the team, and say what it took."""
    started = time.monotonic()
    if os.environ.get("OPENAI_API_KEY"):
        print(f"Model: {OPENAI_MODEL} of OpenAI. Unset OPENAI_API_KEY to run on this machine.")
        team = openai_team()
    else:
        print("Model: a small one on this machine. Set OPENAI_API_KEY to run on OpenAI.")
        team = local_team()

    from autogen_agentchat.ui import Console

    result = await Console(team.run_stream(task=TASK), output_stats=True)
    speakers = ", ".join(dict.fromkeys(message.source for message in result.messages))
    used = [message.models_usage for message in result.messages if message.models_usage]
    tokens = sum(usage.prompt_tokens + usage.completion_tokens for usage in used)
    seconds = time.monotonic() - started
    print(f"\n{speakers}: {len(result.messages)} messages, {tokens} tokens, {seconds:.1f} s. {result.stop_reason}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("\nStopped.")
        sys.exit(130)
    except (ImportError, FileNotFoundError) as error:  # the client's package, or the local model's weights
        sys.exit(f"There is no model to ask: set OPENAI_API_KEY, or run `make setup` for the local one ({error}).")
    except RuntimeError as error:  # a team raises what went wrong in it
        sys.exit(f"The team could not finish: {error}")
