"""What holds when the network is cut in two: a worker in a network namespace of its own, whose cable is pulled."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from autogen_core import AgentId

from .chaos_fleet import Add, Fleet, new_runtime, overlaps, tell
from .chaos_load import Load
from .conftest import NewServer
from .test_failures import counted

NUMBER = os.getpid() % 250
CABLE, FAR_END = f"agt{NUMBER}a", f"agt{NUMBER}b"
SPACE = f"autogen-test-{NUMBER}"
NEAR, FAR = f"10.213.{NUMBER}.1", f"10.213.{NUMBER}.2"


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no network namespaces here: {' '.join(command)}: {done.stderr.strip()}")


@pytest.fixture
def space() -> Iterator[str]:
    """A network namespace, joined to this one by a pair of virtual cards."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the program `ip`")
    try:
        run("ip", "netns", "add", SPACE)
        run("ip", "link", "add", CABLE, "type", "veth", "peer", "name", FAR_END, "netns", SPACE)
        run("ip", "addr", "add", f"{NEAR}/24", "dev", CABLE)
        run("ip", "link", "set", CABLE, "up")
        run("ip", "-n", SPACE, "addr", "add", f"{FAR}/24", "dev", FAR_END)
        run("ip", "-n", SPACE, "link", "set", FAR_END, "up")
        run("ip", "-n", SPACE, "link", "set", "lo", "up")
        yield SPACE
    finally:
        subprocess.run(["ip", "link", "del", CABLE], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", SPACE], capture_output=True, check=False)


async def _forward(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Join a connection from the other side to the server, which listens on the loopback device only."""
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                to.write(data)
                await to.drain()
        except OSError:
            return  # either end has gone
        finally:
            to.close()

    await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))


async def test_no_agent_is_active_on_both_sides_of_a_cut(
    space: str, new_server: NewServer, namespace: str, tmp_path: Path
) -> None:
    """The side without the server gives its agents up before the other takes them; later it takes part again by itself."""
    server = await new_server()
    door = await asyncio.start_server(partial(_forward, server.port), NEAR, 0)
    through = f"nats://{NEAR}:{door.sockets[0].getsockname()[1]}"
    runtime = new_runtime(server.url, namespace)
    types = ("keep", "plain")
    async with Fleet(server.url, namespace, tmp_path, " ".join(types)) as fleet:
        await fleet.add()
        far = await fleet.add(url=through, within=["ip", "netns", "exec", space])
        await runtime.start()
        try:
            agents = [AgentId(type, f"a{number}") for number in range(50) for type in types]
            load = Load(runtime, agents, partial(Add, seconds=0.02))
            await load.run(2, 200)
            its = load.of_worker(far)
            assert its
            run("ip", "link", "set", CABLE, "down")
            cut = time.monotonic()
            await load.run(10, 200)
            run("ip", "link", "set", CABLE, "up")
            healed = time.monotonic()
            await load.run(12, 200)
            await load.finish()
            assert not load.failures
            came = load.first_after(cut, its, far)
            assert len(came) == len(its)
            load.sent = load.sent.__class__({agent: sent for agent, sent in load.sent.items() if agent.type == "keep"})
            assert await counted(runtime, load) == []
        finally:
            await runtime.close()
            door.close()
        spans = fleet.spans()
        there = [span for span in spans if span.worker == far]
        assert not [span for span in there if cut + 2.0 < span.begin < healed], "it began handlers after its lease"
        assert [span for span in there if span.begin > healed], "it takes part again"
        assert overlaps(spans) == []
        assert fleet.complaints() == []
    tell(
        "others took over after",
        came[0],
        came[-1],
        "back after",
        min(s.begin for s in there if s.begin > healed) - healed,
    )
