"""Run what a change must pass: each step says its name and time, and prints more only where it fails.

`check.py` runs all steps in order and stops at the first failure; `check.py NAME...` runs the named ones. The tests
come last and show their progress, so that the last lines of a run are theirs. Knows the commands, nothing of the
product.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
PYTHON = str(BIN / "python")
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs",
    *(f"python/{name}/{part}" for name in ("core", "agentchat", "ext") for part in ("README.md", "src")),
]
STEPS: dict[str, list[str]] = {
    "format": [str(BIN / "ruff"), "format", "--check", "."],
    "lint": [str(BIN / "ruff"), "check", "."],
    "types": [str(BIN / "basedpyright"), "--warnings"],
    "layers": [str(BIN / "lint-imports"), "--no-logo"],
    "wheels": [PYTHON, "tools/check_wheels.py"],
    "tests": [PYTHON, "-m", "pytest"],
}
EXTRA = {"docs": [PYTHON, "-m", "pytest", "-q", *PAGES]}
SHOWN = {"tests", "docs"}


def run(name: str, command: list[str], position: str) -> bool:
    """Run one step and report it; its output is shown as it comes, or when it has failed."""
    shown = name in SHOWN
    print(f"check {position} {name:<8}", end="\n" if shown else "", flush=True)
    started = time.monotonic()
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=not shown, text=True)
    verdict = f"{'ok' if result.returncode == 0 else 'FAILED'} in {time.monotonic() - started:.1f} s"
    print(f"check {position} {name:<8} {verdict}" if shown else f" {verdict}", flush=True)
    if result.returncode != 0 and not shown:
        print(result.stdout + result.stderr, end="", flush=True)
    return result.returncode == 0


def main() -> int:
    """Run the steps; the exit code is 1 if one failed, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(description="Run what a change must pass.")
    parser.add_argument("step", nargs="*", choices=[*STEPS, *EXTRA, []], help="only these steps")
    chosen: list[str] = parser.parse_args().step or list(STEPS)
    try:
        for index, name in enumerate(chosen, 1):
            if not run(name, (STEPS | EXTRA)[name], f"{index}/{len(chosen)}"):
                return 1
    except KeyboardInterrupt:
        print("\ncheck: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
