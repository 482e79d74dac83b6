"""The Magentic-One example prints what it promises."""

from running import run_example


def test_a_magentic_one_team_plans_anew_when_it_is_stuck_and_answers() -> None:
    """There are two briefings; the first leads to nothing, and nothing of it is in the second."""
    output = run_example("magentic_one.py")
    first, second = output.split("The team has this task:")[1:]
    assert "No railway of the name 'Bergen Railway' is known." in first
    assert "The Bergen Line was opened in 1909." in second
    assert "The Flåm Line was opened in 1940." in second
    lines = output.splitlines()
    assert "31 years passed: the Bergen Line opened in 1909, the Flåm Line in 1940." in lines
    assert lines[-2] == "It ended because: Both years and the difference are there."
    assert lines[-1].startswith("MagenticOneOrchestrator: ")
    assert ", researcher: 90 tokens, " in lines[-1]
