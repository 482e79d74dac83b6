"""Where the other release is: AutoGen 0.7.5 in an environment of its own, which is only run, never read.

The first test that needs it installs it into `.venv-reference`, where the benchmarks have it too, and so does

    python python/ext/tests/runtimes/grpc/reference.py

`AUTOGEN_REFERENCE_PYTHON` names another interpreter.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ROOT = Path(__file__).resolve().parents[5]
HOME = ROOT / ".venv-reference"
PEER = Path(__file__).with_name("reference_peer.py")
PACKAGES = ["autogen-agentchat==0.7.5", "autogen-ext[grpc,openai]==0.7.5", "opentelemetry-sdk"]


class MissingError(Exception):
    """The other release is not here, and cannot be had."""


def interpreter() -> Path:
    """Return the interpreter that has the other release with its gRPC runtime; it is made if it is not there.

    Raises:
        MissingError: It cannot be installed, or `AUTOGEN_REFERENCE_PYTHON` names one that lacks it.
    """
    named = os.environ.get("AUTOGEN_REFERENCE_PYTHON")
    if named:
        if not _has_it(Path(named)):
            raise MissingError(f"AUTOGEN_REFERENCE_PYTHON={named} has no AutoGen 0.7.5 with gRPC.")
        return Path(named)
    python = HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    with _alone():
        if not _has_it(python):
            try:
                _install(python)
            except (OSError, subprocess.CalledProcessError) as error:
                said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
                raise MissingError(f"AutoGen 0.7.5 cannot be installed into {HOME.name} (offline?): {said}") from error
    return python


def _has_it(python: Path) -> bool:
    if not python.exists():
        return False
    return subprocess.run([python, "-c", "import autogen_core, grpc"], capture_output=True, check=False).returncode == 0


def _install(python: Path) -> None:
    own = ROOT / ".venv/bin/uv"
    uv = str(own) if own.exists() else "uv"
    if not python.exists():
        _run(uv, "venv", "-q", "--python", sys.executable, str(HOME))
    _run(uv, "pip", "install", "-q", "--python", str(python), *PACKAGES)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


@contextmanager
def _alone() -> Generator[None]:
    """Keep other test processes out, so that one installs and the others find it."""
    if fcntl is None:
        yield
        return
    lock = ROOT / ".cache/reference.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
    print(interpreter())  # noqa: T201 - it is what one wants to know
