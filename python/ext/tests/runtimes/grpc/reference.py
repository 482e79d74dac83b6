"""Where the other release is: AutoGen 0.7.5 in an environment of its own, which is only run, never read.

    python python/ext/tests/runtimes/grpc/reference.py

installs it into `.venv-reference`, where the benchmarks have it too. `AUTOGEN_REFERENCE_PYTHON` names another interpreter.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[5]
HOME = ROOT / ".venv-reference"
PEER = Path(__file__).with_name("reference_peer.py")
PACKAGES = ["autogen-agentchat==0.7.5", "autogen-ext[grpc,openai]==0.7.5", "opentelemetry-sdk"]


def interpreter() -> Path | None:
    """Return the interpreter that has the other release with its gRPC runtime; None if there is none."""
    named = os.environ.get("AUTOGEN_REFERENCE_PYTHON")
    python = Path(named) if named else HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        return None
    found = subprocess.run([python, "-c", "import autogen_core, grpc"], capture_output=True, check=False)
    return python if found.returncode == 0 else None


def install() -> None:
    """Make the environment, or add what it lacks."""
    own = ROOT / ".venv/bin/uv"
    uv = str(own) if own.exists() else "uv"
    python = HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(HOME)], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *PACKAGES], check=True)


def free_address() -> str:
    """Return an address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Peer:
    """A process of the other release."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hears(self) -> dict[str, Any]:
        """Return what it tells next."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 20)
        return json.loads(line)

    async def does(self, **order: str) -> None:
        """Tell it to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def peer(python: Path, *arguments: str) -> AsyncGenerator[Peer]:
    """Start a process of the other release; it is ready when this enters, and gone when it leaves."""
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(PEER),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        started = Peer(process)
        assert "ready" in await started.hears()
        yield started
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    install()
