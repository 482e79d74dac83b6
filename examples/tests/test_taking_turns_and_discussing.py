"""The round robin and the society of mind: scripted they do what they promise, and the local model can take their parts."""

import pytest
from running import EXAMPLES, run_example, run_program


def test_the_round_robin_goes_on_with_its_conversation_in_the_next_run() -> None:
    """The first run ends when the critic approves; the second begins with the writer and the wish."""
    lines = run_example("round_robin_team.py", AUTOGEN_EXAMPLE_MODEL="script").splitlines()
    assert [line for line in lines if " -> " in line] == [
        "user -> writer -> critic -> writer -> critic. Text 'APPROVED' mentioned",
        "user -> writer -> critic. Text 'APPROVED' mentioned",
    ]
    assert "It rains. We have coffee, from seven on." in lines


def test_of_a_society_of_mind_the_others_hear_the_answer_alone() -> None:
    lines = run_example("society_of_mind.py", AUTOGEN_EXAMPLE_MODEL="script").splitlines()
    assert "It rains in spring, and we have no roof outside." in lines
    assert lines[-2].startswith("user -> optimist -> sceptic -> optimist -> sceptic -> board -> clerk. ")
    assert lines[-1] == "The clerk has heard user and board."


@pytest.mark.parametrize("program", ["round_robin_team.py", "society_of_mind.py"])
def test_the_local_model_takes_the_parts(program: str) -> None:
    """What it says is its own affair; each run ends for a reason."""
    result = run_program(EXAMPLES / program, AUTOGEN_EXAMPLE_MODEL="local")
    assert result.returncode == 0, result.stderr
    assert any(line.startswith("user -> ") for line in result.stdout.splitlines())
