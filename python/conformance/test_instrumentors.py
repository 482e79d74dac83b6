"""What others built on 0.7.5 works: an instrumentor from the package index finds the call points that it wraps by name."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("instrumented_team.py")


def test_openinference_sees_a_team_its_agents_their_tools_and_model_calls() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our program
    assert done.returncode == 0, done.stderr
    spans: list[dict[str, Any]] = json.loads(done.stdout)
    shape = {(span["name"], span["parent"], span["attributes"]["openinference.span.kind"]) for span in spans}
    assert shape == {
        ("RoundRobinGroupChat.run_stream", None, "CHAIN"),
        ("forecaster.on_messages_stream", "RoundRobinGroupChat.run_stream", "AGENT"),
        ("listener.on_messages_stream", "RoundRobinGroupChat.run_stream", "AGENT"),
        ("forecaster.weather", "forecaster.on_messages_stream", "TOOL"),
        ("OpenAIChatCompletionClient.create", "forecaster.on_messages_stream", "LLM"),
        ("OpenAIChatCompletionClient.create", "listener.on_messages_stream", "LLM"),
    }
    assert {span["status"] for span in spans} == {"OK"}
    calls = [span["attributes"] for span in spans if span["attributes"]["openinference.span.kind"] == "LLM"]
    assert [(call["llm.token_count.prompt"], call["llm.token_count.completion"]) for call in calls] == [(3, 2)] * 3
    [tool] = [span["attributes"] for span in spans if span["name"] == "forecaster.weather"]
    assert tool["output.value"] == "sunny in Paris"
