"""The front page: version and logger names."""

import subprocess
import sys

import pytest

import autogen_agentchat


def test_logger_names_are_those_programs_already_use() -> None:
    assert autogen_agentchat.TRACE_LOGGER_NAME == "autogen_agentchat"
    assert autogen_agentchat.EVENT_LOGGER_NAME == "autogen_agentchat.events"


def test_the_version_is_a_plain_text() -> None:
    assert autogen_agentchat.__version__.split(".")[0].isdigit()


@pytest.mark.parametrize("package", ["messages", "state", "base", "conditions", "ui", "utils"])
def test_the_lower_floors_load_no_agent_and_no_team(package: str) -> None:
    program = (
        f"import sys, autogen_agentchat.{package}\n"
        "print(*(name for name in sys.modules if name.startswith(('autogen_agentchat.agents', 'autogen_agentchat.teams'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
