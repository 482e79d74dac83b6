"""The three distributions belong together, and their extras carry the names of 0.7.5."""

from importlib.metadata import metadata, requires, version

import pytest
from contract import extras, gaps

DISTRIBUTIONS = ("autogen-core", "autogen-agentchat", "autogen-ext")


def test_the_three_packages_have_one_version() -> None:
    assert len({version(name) for name in DISTRIBUTIONS}) == 1


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_package_says_the_version_of_its_distribution(name: str) -> None:
    module = __import__(name.replace("-", "_"))
    assert module.__version__ == version(name)


@pytest.mark.parametrize("name", ["autogen-agentchat", "autogen-ext"])
def test_a_package_needs_exactly_its_own_version_of_core(name: str) -> None:
    """The packages share private contracts, so that mixed versions would fail later and less clearly."""
    needed = [text for text in requires(name) or [] if text.startswith("autogen-core")]
    assert needed == [f"autogen-core=={version('autogen-core')}"]


def test_extras_are_those_of_0_7_5_or_declared_as_our_own() -> None:
    """A requirement such as `autogen-ext[openai]` keeps working; a new extra is listed with its reason."""
    ours = set(metadata("autogen-ext").get_all("Provides-Extra") or [])
    assert ours - extras() == set(gaps().own_extras)
