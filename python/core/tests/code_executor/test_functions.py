"""Functions that travel to an executor: what they need, and how they are written as text."""

import sys
from typing import Any

import pytest

from autogen_core.code_executor import (
    Alias,
    FunctionWithRequirements,
    FunctionWithRequirementsStr,
    Import,
    ImportFromModule,
    function_stub,
    functions_module,
    required_packages,
    with_requirements,
)
from autogen_core.code_executor._functions import compile_function, import_to_str

ADD = "def add(a: int, b: int = 2) -> int:\n    return a + b\n"


@with_requirements(python_packages=["numpy", "pandas"], global_imports=["json", Alias("numpy", "np")])
def load(path: str) -> list[int]:
    """Load numbers."""
    return [len(path)]


def plain(a: int) -> int:
    return a


def test_a_function_with_requirements_is_still_the_function() -> None:
    assert load("abc") == [3]
    assert load.func("abc") == [3]
    assert (load.python_packages, load.global_imports) == (["numpy", "pandas"], ["json", Alias("numpy", "np")])


def test_requirements_can_be_given_to_a_function_that_exists() -> None:
    made = FunctionWithRequirements[int, Any].from_callable(plain, ["numpy"])
    assert made(3) == 3
    assert (made.python_packages, made.global_imports) == (["numpy"], [])


def test_a_function_given_as_text_is_compiled_but_not_called_here() -> None:
    made = FunctionWithRequirements[Any, Any].from_str(ADD, ["numpy"], ["json"])
    assert isinstance(made, FunctionWithRequirementsStr)
    assert made.compiled_func(1) == 3
    assert (made.func, made._func_name, made.python_packages, made.global_imports) == (ADD, "add", ["numpy"], ["json"])
    with pytest.raises(NotImplementedError):
        made(1)


def test_the_imports_of_a_function_given_as_text_are_not_made() -> None:
    FunctionWithRequirementsStr(ADD, global_imports=["antigravity"])
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("x = 1", "exactly one function"),
        ("", "exactly one function"),
        (ADD + ADD, "exactly one function"),
        ("def f(:", "Could not compile function"),
        ("def f(a: Nowhere): ...", "Nowhere"),
    ],
)
def test_text_that_is_no_function_is_refused(source: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        FunctionWithRequirementsStr(source)


def test_indented_and_async_functions_can_be_compiled() -> None:
    assert compile_function("    async def f():\n        return 1").__name__ == "f"


def test_imports_and_known_names_can_be_used_by_a_compiled_function() -> None:
    made = compile_function("def f(a: int) -> str:\n    return json.dumps([a, extra])", ["json"], {"extra": 7})
    assert made(1) == "[1, 7]"


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ("json", "import json"),
        (Alias("numpy", "np"), "import numpy as np"),
        (ImportFromModule("typing", ["Any", Alias("List", "L")]), "from typing import Any, List as L"),
    ],
)
def test_an_import_is_written_as_python(item: Import, line: str) -> None:
    assert import_to_str(item) == line


def test_imports_from_a_module_are_equal_whether_given_as_list_or_tuple() -> None:
    one, other = ImportFromModule("m", ["a"]), ImportFromModule("m", ("a",))
    assert one == other
    assert hash(one) == hash(other)


def test_a_stub_shows_signature_and_docstring() -> None:
    assert function_stub(load) == 'def load(path: str) -> list[int]:\n    """Load numbers."""\n    ...'
    assert function_stub(FunctionWithRequirementsStr(ADD)) == "def add(a: int, b: int = 2) -> int:\n    ..."


def test_a_module_holds_each_import_once_and_all_functions() -> None:
    also = FunctionWithRequirementsStr(ADD, ["pandas", "scipy"], ["json"])
    module = functions_module([load, plain, also])
    assert module.splitlines()[:2] == ["import json", "import numpy as np"]
    assert module.count("import json") == 1
    assert "with_requirements" not in module
    names: dict[str, Any] = {}
    exec(module.replace("import numpy as np", ""), names)
    assert (names["load"]("ab"), names["plain"](3), names["add"](1)) == ([2], 3, 3)
    assert required_packages([load, plain, also]) == ["numpy", "pandas", "scipy"]
