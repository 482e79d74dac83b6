"""Runs a file of cases here and with the reference release, turn by turn, and prints the ratios.

    python benchmarks/compare.py [--rounds N] [--reference PYTHON]

The reference, AutoGen 0.7.5, is installed into an environment of its own at first use, and only run. Both sides take turns case
by case, so that a slow minute of the machine hits both; a ratio is the median over the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / ".venv-reference"

REACH = {
    "request": 0.04,
    "1,000 outstanding, per request": 0.10,
    "publish to 1,000 agents, per delivery": 0.08,
    "ring of 100, per hop": 0.10,
    "add_subscription, 10,000 exist": 0.01,
    "add_subscription, 10,000 topics seen": 0.01,
    "first publish, 10,000 subscriptions": 0.03,
    "request of 1 MB": 0.001,
    "request, traced": 0.25,
    "import autogen_core": 0.45,
}
"""What the ratio is to be at most."""


def reference_python() -> Path:
    """Return the interpreter of the reference's environment; it is made if it is not there."""
    python = REFERENCE / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print("installing autogen-agentchat 0.7.5 into", REFERENCE.name, flush=True)
        uv = ["uv"] if not (ROOT / ".venv/bin/uv").exists() else [str(ROOT / ".venv/bin/uv")]
        subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(REFERENCE)], check=True)
        packages = ["autogen-agentchat==0.7.5", "autogen-ext[openai]==0.7.5", "opentelemetry-sdk"]
        subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), *packages], check=True)
    return python


def run(python: str, case: str) -> float:
    """Run one case in a process of its own; return its figure in microseconds."""
    if case == "import autogen_core":
        script = "import time; t = time.perf_counter(); import autogen_core; print((time.perf_counter() - t) * 1e6)"
        return float(_output([python, "-c", script]))
    return json.loads(_output([python, str(ROOT / "benchmarks/runtime.py"), case]))[case]


def _output(command: list[str]) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reference", default=None, help="an interpreter that has the reference installed")
    options = parser.parse_args()
    theirs = options.reference or str(reference_python())
    ours: dict[str, list[float]] = {}
    base: dict[str, list[float]] = {}
    for number in range(options.rounds):
        for case in REACH:
            base.setdefault(case, []).append(run(theirs, case))
            ours.setdefault(case, []).append(run(sys.executable, case))
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    print(f"{'work':<42}{'reference us':>14}{'here us':>12}{'ratio':>9}{'reach':>8}")
    for case, reach in REACH.items():
        ratio = statistics.median(mine / other for mine, other in zip(ours[case], base[case], strict=True))
        mark = "" if ratio <= reach else "  missed"
        print(
            f"{case:<42}{statistics.median(base[case]):>14.1f}{statistics.median(ours[case]):>12.1f}"
            f"{ratio:>9.4f}{reach:>8}{mark}"
        )
    traced = statistics.median(ours["request, traced"]) / statistics.median(ours["request"])
    print(f"A traced request takes {traced:.1f} times an untraced one.")
    print("Medians over rounds that alternate; on a shared machine trust the ratios, not the times.")


if __name__ == "__main__":
    main()
