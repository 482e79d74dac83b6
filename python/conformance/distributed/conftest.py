"""Each test of this folder that asks for a `world` or a `system` runs once on every runtime and placement there is."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from .runtimes import System, World, systems, until

FAULT = "fault(system, reason): the runtime does not do this yet; `system` is as `grpc`, `grpc-there`, `grpc[a case]`"
ONLY = "only(systems, reason): the test is of these systems only; why the others have no such thing"

HERE = Path(__file__).parent
PATIENCE_S = 25.0


def limited(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Let a test take only so long."""

    @functools.wraps(test)
    async def run(**fixtures: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test(**fixtures)

    return run


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks of these tests known."""
    for mark in (FAULT, ONLY):
        config.addinivalue_line("markers", mark)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on every system, or on those that its mark `only` names."""
    if "system" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("only")
        found = [one for one in systems() if only is None or {one.name, str(one)} & set(only.args[0])]
        metafunc.parametrize("system", found, ids=[str(one) for one in found])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test with a known fault must fail on that runtime, so that the mark goes when the fault is gone.

    A test whose runtime leaves it waiting fails where it waits, and what it opened is closed.
    """
    for item in items:
        if item.path.parent != HERE:
            continue
        if isinstance(item, pytest.Function) and {"world", "traced"} & set(item.fixturenames):
            item.obj = limited(item.obj)
        call = item.callspec if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
        system = None if call is None else call.params.get("system")
        for mark in item.iter_markers("fault"):
            (name, _, case), reason = mark.args[0].rstrip("]").partition("["), mark.args[1]
            if isinstance(system, System) and name in {system.name, str(system)} and case in item.name:
                item.add_marker(pytest.mark.xfail(strict=True, reason=reason))


@pytest.fixture
async def world(system: System) -> AsyncGenerator[World]:
    """The system under test, started. After the test it is closed, and none of its tasks is left."""
    before = asyncio.all_tasks()
    async with system.world() as opened:
        yield opened
    own = before | {asyncio.current_task()}
    # Those of a server that has stopped end by themselves, a little later.
    await until(lambda: asyncio.all_tasks() <= own)
