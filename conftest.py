"""What holds for every test: no connection leaves this machine, and documented Python blocks are tests.

A block marked `python` in a page or a docstring is a complete program: it runs alone, as `__main__`, and whatever it
asks for it must find offline. Stands on pytest and sybil; knows nothing of the product.
"""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from sybil import Document, Example, Sybil
from sybil.document import PythonDocStringDocument
from sybil.evaluators.python import pad
from sybil.parsers.markdown import CodeBlockParser

LOOPBACK = ("127.", "::1", "::ffff:127.")


class NetworkIsOffError(Exception):
    """A test tried to reach another machine."""


def _stay_on_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and isinstance(address := arguments[1], tuple):
        host = str(address[0])  # pyright: ignore[reportUnknownArgumentType] - an audit event carries objects
        if not host.startswith(LOOPBACK):
            raise NetworkIsOffError(f"tests connect to this machine only, not to {host}")


sys.addaudithook(_stay_on_this_machine)


class DocStrings(PythonDocStringDocument):
    """The docstrings of a Python file, which is not imported for them."""

    def __init__(self, text: str, path: str) -> None:
        Document.__init__(self, text, path)


def run_block(example: Example) -> None:
    """Run a block as a program of its own: fresh names, `__main__` while it runs, true line numbers."""
    source = pad(example.parsed, example.line + example.parsed.line_offset)
    code = compile(source, example.path, "exec", dont_inherit=True)
    program, tests = ModuleType("__main__"), sys.modules["__main__"]
    sys.modules["__main__"] = program
    try:
        exec(code, vars(program))  # noqa: S102 - the page is ours
    finally:
        sys.modules["__main__"] = tests


ROOT = Path(__file__).parent
BLOCKS = [CodeBlockParser(language="python", evaluator=run_block)]
collect_page = Sybil(BLOCKS, pattern="*.md").pytest()
collect_docstrings = Sybil(BLOCKS, pattern="*.py", document_types={".py": DocStrings}).pytest()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Find the blocks of a page, or of a source file's docstrings."""
    collect = collect_docstrings if "src" in file_path.relative_to(ROOT).parts else collect_page
    return collect(file_path, parent)
