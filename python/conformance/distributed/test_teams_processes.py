"""A worker is killed while its agent speaks: on a runtime that keeps state, another takes the turn, and the run goes on."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from autogen_agentchat.remote import RemoteAgent
from autogen_agentchat.teams import RoundRobinGroupChat

from .runtimes import systems
from .teams_cast import Actor, play, texts

HERE = Path(__file__).resolve().parent
Start = Callable[[str], Awaitable[asyncio.subprocess.Process]]

pytestmark = pytest.mark.skipif(
    not any(system.name == "nats" for system in systems()), reason="NATS is not among the runtimes of this test run"
)


@asynccontextmanager
async def process(address: str, mode: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A worker process that is ready; killed at the end."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"{HERE.name}.teams_worker",
        address,
        mode,
        cwd=HERE.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await heard(started, "ready")
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def heard(process: asyncio.subprocess.Process, text: str) -> None:
    """Wait until a process says something."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := (await process.stdout.readline()).decode().strip():
            if line == text:
                return
    raise AssertionError(f"the worker ended before it said {text!r}")


async def test_a_worker_that_is_killed_in_mid_turn_is_replaced_and_the_run_goes_on() -> None:
    """The conversation is kept: the next worker knows the first turn, and takes the second again."""
    from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsServer

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsServer())
        first = await stack.enter_async_context(process(server.url, "stuck"))
        runtime = NatsAgentRuntime(server.url, drain_timeout=1.0)
        await runtime.start()
        stack.push_async_callback(runtime.close)
        team = RoundRobinGroupChat(
            [RemoteAgent("ann", runtime=runtime), Actor("bob", "yes")], runtime=runtime, max_turns=3
        )
        run = asyncio.create_task(play(team.run_stream(task="go")))
        await heard(first, "asked for turn 1")
        await stack.enter_async_context(process(server.url, "well"))
        first.kill()
        async with asyncio.timeout(30):
            said = await run
    assert texts(said) == ["user: go", "ann: turn 0 (1)", "bob: yes (2)", "ann: turn 1 (2)"]
