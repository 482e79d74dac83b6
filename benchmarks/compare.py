"""Runs the cases here and with the reference release, turn by turn, and prints the ratios.

    python benchmarks/compare.py [FILE ...] [--rounds N] [--reference PYTHON]

A file is `runtime`, `agentchat`, `models`, `distributed` or `imports`; by default all. The reference, AutoGen 0.7.5, is
installed into an environment of its own at first use, and only run. Both sides take turns case by case, so that a slow
minute of the machine hits both; a ratio is the median over the rounds.
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
    "runtime": {
        "request": 0.04,
        "1,000 outstanding, per request": 0.10,
        "publish to 1,000 agents, per delivery": 0.08,
        "ring of 100, per hop": 0.10,
        "add_subscription, 10,000 exist": 0.01,
        "add_subscription, 10,000 topics seen": 0.01,
        "first publish, 10,000 subscriptions": 0.03,
        "request of 1 MB": 0.001,
        "request, traced": 0.25,
    },
    "agentchat": {
        "turn of one agent": 0.6,
        "team of 3, per turn": 0.12,
        "team of 50, per turn": 0.06,
        "team of 3, turns 0-300": 0.12,
        "team of 3, turns 2,700-3,000": 0.12,
        "streamed chunk through a team": 0.10,
        "tool call and answer": 0.25,
        "call of a plain function and answer": 0.25,
        "graph of 3, per node": 0.2,
        "graph of 50, per node": 0.2,
        "swarm, per turn": 0.15,
        "200 teams at once, per turn": 0.15,
    },
    "models": {
        "one call, 2 messages": 1.0,
        "one call, 1,000 messages": 0.05,
        "streamed chunk": 0.5,
        "20 tools, added to a call": 0.1,
    },
    "distributed": {
        "gRPC: request": 0.8,
        "gRPC: 1,000 outstanding, per request": 0.6,
        "gRPC: publish, per delivery": 0.7,
        "gRPC: request in the same worker": 0.05,
        "gRPC: request of 1 MB": 0.5,
        "NATS: request": 0.45,
        "NATS: 1,000 outstanding, per request": 0.10,
        "NATS: publish, per delivery": 0.10,
        "NATS: request in the same worker": 0.05,
        "NATS: request of 1 MB": 0.5,
        "NATS, state: request": 1.3,
        "NATS, state: 1,000 outstanding, per request": 0.25,
        "NATS, state: publish, per delivery": 0.20,
        "NATS, state: request in the same worker": 0.6,
    },
    "imports": {
        "autogen_core": 0.45,
        "autogen_agentchat.agents, autogen_agentchat.teams": 0.5,
        "autogen_ext.models.openai": 0.6,
    },
}
"""What the ratio is to be at most."""

FLOORS = ("floor, 2 messages", "floor, 1,000 messages")
"""Cases that nobody is compared with."""

OWN = (
    ("A call with 2 messages against the same JSON posted with aiohttp", "one call, 2 messages", "floor, 2 messages"),
    ("A call with 1,000 messages against the same", "one call, 1,000 messages", "floor, 1,000 messages"),
    ("A traced request against an untraced one", "request, traced", "request"),
    (
        "Turns 2,700-3,000 of a conversation against turns 0-300",
        "team of 3, turns 2,700-3,000",
        "team of 3, turns 0-300",
    ),
)
"""Ratios of two cases here."""


def reference_python() -> Path:
    """Return the interpreter of the reference's environment; it is made if it is not there."""
    python = REFERENCE / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print("installing autogen-agentchat 0.7.5 into", REFERENCE.name, flush=True)
        uv = ["uv"] if not (ROOT / ".venv/bin/uv").exists() else [str(ROOT / ".venv/bin/uv")]
        subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(REFERENCE)], check=True)
        packages = ["autogen-agentchat==0.7.5", "autogen-ext[grpc,openai]==0.7.5", "opentelemetry-sdk"]
        subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), *packages], check=True)
    return python


def run(python: str, file: str, case: str) -> float:
    """Run one case in a process of its own; return its figure in microseconds."""
    if file == "imports":
        script = f"import time; t = time.perf_counter(); import {case}; print((time.perf_counter() - t) * 1e6)"
        return float(_output([python, "-W", "ignore", "-c", script]))
    return json.loads(_output([python, str(ROOT / f"benchmarks/{file}.py"), case]))[case]


def _output(command: list[str]) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", help=", ".join(REACH))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reference", default=None, help="an interpreter that has the reference installed")
    options = parser.parse_args()
    files = options.files or list(REACH)
    if unknown := set(files) - set(REACH):
        parser.error(f"{', '.join(unknown)} is not one of {', '.join(REACH)}")
    cases = [(file, case) for file in files for case in REACH[file]]
    floors = [("models", floor) for floor in FLOORS if "models" in files]
    theirs = options.reference or str(reference_python())
    ours: dict[str, list[float]] = {case: [] for _, case in cases + floors}
    base: dict[str, list[float]] = {case: [] for _, case in cases}
    for number in range(options.rounds):
        for file, case in cases:
            base[case].append(run(theirs, file, case))
            ours[case].append(run(sys.executable, file, case))
        for file, case in floors:
            ours[case].append(run(sys.executable, file, case))
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    print(f"{'work':<50}{'reference us':>14}{'here us':>12}{'ratio':>9}{'reach':>8}")
    for file, case in cases:
        reach = REACH[file][case]
        ratio = statistics.median(mine / other for mine, other in zip(ours[case], base[case], strict=True))
        name = f"import {case}" if file == "imports" else case
        mark = "" if ratio <= reach else "  missed"
        print(
            f"{name:<50}{statistics.median(base[case]):>14.1f}{statistics.median(ours[case]):>12.1f}"
            f"{ratio:>9.4f}{reach:>8}{mark}"
        )
    for text, one, other in OWN:
        if one in ours and other in ours:
            ratio = statistics.median(mine / own for mine, own in zip(ours[one], ours[other], strict=True))
            print(f"{text}: {ratio:.2f}.")
    print("Medians over rounds that alternate; on a shared machine trust the ratios, not the times.")


if __name__ == "__main__":
    main()
