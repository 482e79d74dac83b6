"""The page on delivery names the tests that hold it to its word; each of them exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "concepts" / "delivery.md"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def named() -> list[tuple[str, str]]:
    """Return the tests that the page names, as file and function."""
    found: list[tuple[str, str]] = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    return sorted(set(found))


@pytest.mark.parametrize(("file", "test"), named())
def test_a_test_that_the_page_names_exists(file: str, test: str) -> None:
    source = (ROOT / "python" / file).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), f"{file} has no {test}"


def test_each_promise_names_a_test() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| P")]
    assert len(rows) >= 10
    assert all(re.search(r"\bT\d", row) for row in rows)
