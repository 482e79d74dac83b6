"""The graph example: its order with the scripted model, and that it ends with the local one."""

import pytest
from running import run_example


def speakers(output: str) -> list[str]:
    heads = [line for line in output.splitlines() if line.startswith("---------- ")]
    return [head.split("(")[-1].split(")")[0] for head in heads]


def test_the_writer_tries_again_until_the_editor_is_content() -> None:
    output = run_example("graph_flow.py", AUTOGEN_EXAMPLE_MODEL="script")
    said = speakers(output)
    assert said[:2] == ["user", "writer"]
    assert sorted(said[2:4]) == sorted(said[6:8]) == ["facts", "grammar"]
    assert [said[4], said[5], said[8], said[9]] == ["editor", "writer", "editor", "printer"]
    assert len(said) == 10
    assert output.splitlines()[-1] == "Digraph execution is complete"


@pytest.mark.timeout(180)
def test_it_runs_on_the_local_model() -> None:
    """What that model says is its own, so the run may also end at its limit."""
    output = run_example("graph_flow.py", AUTOGEN_EXAMPLE_MODEL="local")
    assert {"writer", "grammar", "facts", "editor"} <= set(speakers(output))
    assert output.splitlines()[-1] in {"Digraph execution is complete", "Maximum number of turns 7 reached."}
