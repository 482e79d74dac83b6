"""The selector and the swarm team: scripted they do what they promise, and the local model can take their parts."""

import pytest
from running import EXAMPLES, run_example, run_program


def test_the_selector_team_shows_who_was_chosen_and_why() -> None:
    """The model's words, the choice, and the rule's choice without the model."""
    lines = run_example("selector_team.py", AUTOGEN_EXAMPLE_MODEL="script").splitlines()
    assert "The guide should begin." in lines
    assert [line for line in lines if line.startswith("['")] == ["['guide']", "['accountant']", "['editor']"]
    assert lines[-1] == "user -> guide -> accountant -> editor. Text 'DONE' mentioned"


def test_the_swarm_asks_the_customer_and_goes_on_with_who_asked() -> None:
    lines = run_example("swarm_team.py", AUTOGEN_EXAMPLE_MODEL="script").splitlines()
    assert any("two years of guarantee" in line for line in lines)
    assert lines[-1] == ("user -> reception -> workshop -> customer -> workshop. Text 'GOODBYE' mentioned")


@pytest.mark.parametrize("program", ["selector_team.py", "swarm_team.py"])
def test_the_local_model_takes_the_parts(program: str) -> None:
    """What it says is its own affair; the run ends for a reason."""
    result = run_program(EXAMPLES / program, AUTOGEN_EXAMPLE_MODEL="local")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith("user -> ")
