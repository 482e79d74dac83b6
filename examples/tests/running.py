"""How the tests run a program: as its user does, in a process of its own, with no key unless a test gives one."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent
TIMEOUT_S = 120.0


def environment(**variables: str) -> dict[str, str]:
    """The environment without what chooses a model, plus the given variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **variables}


def run_program(program: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=environment(**variables),
    )


def start_program(*arguments: str | Path, **variables: str) -> subprocess.Popen[str]:
    """Start Python with these arguments; its output comes line by line on `stdout`."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(**variables),
    )


def run_example(name: str, **variables: str) -> str:
    """Run an example that should succeed, and return what it printed."""
    result = run_program(EXAMPLES / name, **variables)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    return result.stdout
