"""A program written for AutoGen 0.7.5 and OpenAI runs here unchanged."""

from pathlib import Path

import pytest
from running import run_program

PROGRAM = """
import asyncio
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.ui import Console
from autogen_ext.models.openai import OpenAIChatCompletionClient


async def get_weather(city: str) -> str:
    return f"It is 31 degrees and dry in {city}."


async def main() -> None:
    agent = AssistantAgent(
        name="weather_agent",
        model_client=OpenAIChatCompletionClient(model="gpt-4o-2024-08-06"),
        tools=[get_weather],
        model_client_stream=STREAM,
    )
    termination = TextMentionTermination("TERMINATE") | MaxMessageTermination(6)
    team = RoundRobinGroupChat([agent], termination_condition=termination)
    await Console(team.run_stream(task="What is the weather in New York?"))


asyncio.run(main())
"""


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_is_called_and_the_team_ends(tmp_path: Path, local_server: str, *, stream: bool) -> None:
    """OPENAI_BASE_URL points to the local model, which is too small to say TERMINATE by itself."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.replace("STREAM", str(stream)), encoding="utf-8")
    result = run_program(file, OPENAI_API_KEY="dummy", OPENAI_BASE_URL=local_server)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "get_weather" in result.stdout
    assert "It is 31 degrees and dry in New York." in result.stdout
    assert result.stderr == ""
