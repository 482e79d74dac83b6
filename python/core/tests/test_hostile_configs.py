"""A configuration is data: loading one imports, runs and starts nothing of what it names, unless the caller trusts it."""

import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autogen_core import ComponentLoader, InMemoryStore
from autogen_core._component import NAMESPACES_VARIABLE
from autogen_core.exceptions import ComponentError
from autogen_core.memory import ListMemory
from autogen_core.tools import FunctionTool, StaticWorkbench, Workbench

_seen: list[tuple[str, str]] = []
_watching = False
_LOUD = (
    "import",
    "exec",
    "compile",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watching and event in _LOUD:
        _seen.append((event, str(args[0])))


sys.addaudithook(_hook)


@contextmanager
def watched() -> Generator[list[tuple[str, str]]]:
    """Record imports, executions of code and starts of processes. A hook stays for ever, so it has a switch."""
    global _watching  # noqa: PLW0603 - the switch
    _seen.clear()
    _watching = True
    try:
        yield _seen
    finally:
        _watching = False


HOSTILE = [
    "os.system",
    "subprocess.Popen",
    "builtins.exec",
    "importlib.import_module",
    "test_evil.Evil",
    "pkg.test_evil.Evil",
    "autogen_core_evil.Evil",
    "autogen_coreevil.Evil",
    "autogen_test_utils.Evil",
    "autogen_core..Evil",
    ".autogen_core.Evil",
    "autogen_core.",
    "autogen_core/../evil.Evil",
    "autogen_core:Evil",
    "__main__.Evil",
    "autogen_core.__class__.Evil",
    "autogen_core.__main__.Evil",
    "autogen_core._component.importlib.import_module",
    "autogen_core._component.os.system",
    "autogen_core._component.BaseModel",
    "autogen_core._component.warnings.sys.modules",
    "autogen_core.tools._function_tool.functools.partial",
    "autogen_core.code_executor._functions.compile_function",
    "autogen_core.FunctionCall.__init__.__globals__",
    "autogen_core.Image.from_file",
    "",
]


@pytest.fixture
def evil_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put modules on the path that leave a mark when they are imported."""
    mark = tmp_path / "mark"
    (tmp_path / "pkg").mkdir()
    for name in ("test_evil.py", "pkg/test_evil.py", "autogen_core_evil.py", "autogen_coreevil.py"):
        (tmp_path / name).write_text(f"open({str(mark)!r}, 'w').close()\n")
    (tmp_path / "autogen_test_utils.py").write_text(
        f"open({str(mark)!r}, 'w').close()\n"
        "from autogen_core import InMemoryStore\n"
        "class Evil(InMemoryStore):\n    component_provider_override = None\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    return mark


@pytest.mark.parametrize("provider", HOSTILE)
def test_a_hostile_provider_is_refused_and_nothing_of_it_is_imported_run_or_started(
    provider: str, evil_modules: Path
) -> None:
    ComponentLoader.load_component({"provider": "autogen_core.InMemoryStore", "config": {}})  # all of ours is loaded
    ComponentLoader.load_component(ListMemory().dump_component())
    with watched() as seen, pytest.raises(ComponentError):
        ComponentLoader.load_component({"provider": provider, "config": {"command": "id", "args": "id", "code": "1"}})
    # Only parts of the package itself may be looked for.
    assert [event for event in seen if event[0] != "import" or not event[1].startswith("autogen_core.")] == []
    assert not evil_modules.exists()


def test_the_test_utilities_are_trusted_only_by_the_environment(
    evil_modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: dict[str, Any] = {"provider": "autogen_test_utils.Evil", "config": {}}
    with pytest.raises(ComponentError, match="autogen_test_utils"):
        ComponentLoader.load_component(config)
    assert not evil_modules.exists()
    monkeypatch.setenv(NAMESPACES_VARIABLE, "autogen_test_utils")
    try:
        assert isinstance(ComponentLoader.load_component(config), InMemoryStore)
        assert evil_modules.exists()
    finally:
        sys.modules.pop("autogen_test_utils", None)


def tool_config(source: str, imports: list[Any]) -> dict[str, Any]:
    return {
        "provider": "autogen_core.tools.FunctionTool",
        "config": {
            "source_code": source,
            "name": "evil",
            "description": "",
            "global_imports": imports,
            "has_cancellation_support": False,
        },
    }


@pytest.mark.parametrize(
    "config",
    [
        tool_config("import os\nos.system('id')\ndef f() -> str:\n    return ''", []),
        tool_config("def f(x=__import__('os').system('id')) -> str:\n    return ''", []),
        tool_config("@__import__\ndef f() -> str:\n    return ''", []),
        tool_config("def f() -> str:\n    return ''", ["antigravity"]),
        tool_config("def f() -> str:\n    return ''", [{"module": "antigravity", "imports": ["fly"]}]),
        tool_config("def f() -> str:\n    return ''", [{"name": "antigravity", "alias": "a"}]),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_source_text_and_import_lists_are_neither_run_nor_imported(config: dict[str, Any], nested: bool) -> None:
    if nested:
        config = {"provider": "autogen_core.tools.StaticWorkbench", "config": {"tools": [config]}}
    StaticWorkbench.load_component(StaticWorkbench([]).dump_component())
    with watched() as seen, pytest.raises(ComponentError, match="allow_source_code=True"):
        ComponentLoader.load_component(config)
    assert seen == []
    assert "antigravity" not in sys.modules


def test_a_hostile_component_within_a_component_is_refused(evil_modules: Path) -> None:
    config: dict[str, Any] = {"provider": "test_evil.Evil", "config": {}}
    with watched() as seen, pytest.raises(ComponentError, match=r"test_evil\.Evil"):
        Workbench.load_component({"provider": "autogen_core.tools.StaticWorkbench", "config": {"tools": [config]}})
    assert seen == []
    assert not evil_modules.exists()


def test_a_component_of_another_kind_within_a_component_is_refused() -> None:
    config: dict[str, Any] = {"provider": "autogen_core.InMemoryStore", "config": {}}
    with pytest.raises(TypeError, match="BaseTool"):
        Workbench.load_component({"provider": "autogen_core.tools.StaticWorkbench", "config": {"tools": [config]}})


def test_source_text_runs_when_the_caller_allows_it_also_within_other_components() -> None:
    tool = tool_config("def f(x: int) -> int:\n    return x + 1", [])
    bench = {"provider": "autogen_core.tools.StaticWorkbench", "config": {"tools": [tool]}}
    assert isinstance(ComponentLoader.load_component(tool, allow_source_code=True), FunctionTool)
    assert isinstance(ComponentLoader.load_component(bench, allow_source_code=True), StaticWorkbench)


def test_the_watch_of_these_tests_sees_what_it_must() -> None:
    tool = tool_config("def f() -> str:\n    return ''", ["antigravity_is_not_there"])
    with watched() as seen, pytest.raises(ComponentError):
        ComponentLoader.load_component(tool, allow_source_code=True)
    assert ("import", "antigravity_is_not_there") in seen
    assert any(event == "exec" for event, _ in seen)


def test_permission_to_run_source_text_ends_with_the_load() -> None:
    tool = tool_config("def f(x: int) -> int:\n    return x + 1", [])
    ComponentLoader.load_component(tool, allow_source_code=True)
    with pytest.raises(ComponentError):
        ComponentLoader.load_component(tool)
    broken = tool_config("def f(x: int) -> int:\n    return", ["there_is_no_such_module"])
    with pytest.raises(ComponentError, match="cannot be loaded"):
        ComponentLoader.load_component(broken, allow_source_code=True)
    with pytest.raises(ComponentError, match="allow_source_code"):
        ComponentLoader.load_component(tool)
