"""The pinned requirements can be installed anywhere, and say the same versions everywhere."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PYTHON = Path(__file__).resolve().parents[2] / "python"
FOLDER = Path(__file__).resolve().parents[2] / "requirements"
PIN = re.compile(r"^([a-z0-9][\w.-]*)==(\S+)", re.MULTILINE | re.IGNORECASE)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((FOLDER / f"{name}.txt").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["uv", "quickstart", "dev"])
def test_every_package_is_pinned_and_has_hashes(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    blocks = [block for block in re.split(r"\n(?=\S)", text.strip()) if not block.startswith("#")]
    assert blocks
    assert not [block for block in blocks if not PIN.match(block) or "--hash=sha256:" not in block]


@pytest.mark.parametrize("name", ["uv", "quickstart", "dev"])
def test_no_index_and_no_path_is_named(name: str) -> None:
    """Everybody's own index is used; the hashes say what must come from it."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^(-e|--(extra-)?index-url|--find-links)", text, re.MULTILINE)


def test_the_first_program_runs_on_versions_that_are_tested() -> None:
    assert pins("quickstart").items() <= pins("dev").items()


@pytest.mark.parametrize("package", ["core", "agentchat", "ext"])
def test_the_pins_are_what_the_packages_ask_for(package: str) -> None:
    """A dependency that was added or raised in a `pyproject.toml` needs `make lock`."""
    project = tomllib.loads((PYTHON / package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})
    wanted = map(Requirement, [*project["dependencies"], *extras.get("openai", []), *extras.get("local", [])])
    pinned = pins("dev")
    for requirement in wanted:
        if not requirement.name.startswith("autogen-"):
            assert requirement.name in pinned, f"{requirement.name} is not pinned"
            assert requirement.specifier.contains(pinned[requirement.name], prereleases=True), requirement
