"""Misuse fails to type-check, and what users write passes the strict modes of two type checkers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pyright(path: Path) -> list[tuple[int, str]]:
    """Return the lines and texts of what pyright's strict mode finds in a file."""
    settings = ["--pythonpath", sys.executable, "--project", str(HERE / "pyrightconfig.json")]
    command = [sys.executable, "-m", "basedpyright", "--outputjson", *settings, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [(item["range"]["start"]["line"], item["message"]) for item in found]


@pytest.mark.timeout(180)
def test_each_misuse_is_found_and_nothing_else_is() -> None:
    lines = (HERE / "misuse.py").read_text().splitlines()
    expected = {number for number, line in enumerate(lines) if "# wrong" in line}
    found = pyright(HERE / "misuse.py")
    assert {number for number, _ in found} == expected, found


@pytest.mark.timeout(180)
def test_what_users_write_passes_pyright() -> None:
    assert pyright(HERE / "apps.py") == []


@pytest.mark.timeout(180)
def test_what_users_write_passes_mypy() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, str(HERE / "apps.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    assert done.returncode == 0, done.stdout


def test_what_users_write_runs() -> None:
    subprocess.run([sys.executable, str(HERE / "apps.py")], check=True)
