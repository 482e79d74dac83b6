"""The first program over several processes: the answer, and no process that stays behind."""

import os
import re
import signal
import time

import pytest
from running import EXAMPLES, TIMEOUT_S, run_program, start_program

QUICKSTART = EXAMPLES / "quickstart_distributed.py"
STOPS_WITHIN_S = 15.0


def pids(output: str) -> list[int]:
    """The processes that the program said it has started."""
    said = re.search(r"Process \d+ has the team, (\d+) the weather agent, (\d+) the guide", output)
    assert said, output
    return [int(pid) for pid in said.groups()]


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(started: list[int]) -> None:
    until = time.monotonic() + STOPS_WITHIN_S
    while any(map(running, started)):
        assert time.monotonic() < until, started
        time.sleep(0.05)


def test_two_agents_in_two_processes_answer_without_a_key() -> None:
    """The tool runs in the process of its agent, and the other agent answers what it heard."""
    result = run_program(QUICKSTART)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    first, _ = pids(result.stdout)
    assert f"Asked in process {first}." in result.stdout
    assert result.stdout.splitlines()[-1].startswith("user, weather_agent, guide: 5 messages, ")
    wait_until_gone(pids(result.stdout))


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_no_worker_stays(by: signal.Signals) -> None:
    process = start_program(QUICKSTART)
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if "has the team" in line:
            break
    started = pids(seen)
    assert all(map(running, started))
    os.kill(process.pid, by)
    rest, _ = process.communicate(timeout=TIMEOUT_S)
    if by is signal.SIGINT:
        assert "Traceback" not in rest
        assert process.returncode == 130, rest
        assert rest.splitlines()[-1] == "Stopped."
    wait_until_gone(started)
