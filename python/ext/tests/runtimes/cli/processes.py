"""Commands as processes of their own, which end with the test, or with the test's process."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODULE = ("-m", "autogen_ext.runtimes")
_PATIENCE_S = 30

# On Linux the process asks to die with this one, and then becomes the command; forking here would disturb gRPC's threads.
_GUARD = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL);"
    " os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
_PYTHON = [sys.executable, *(["-I", "-S", "-c", _GUARD] if sys.platform == "linux" else [])]


class Command:
    """A process of `python -m autogen_ext.runtimes`, and what it wrote."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip())
            self._more.set()
        self._more.set()

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until a line matches."""
        seen = 0
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while True:
                    for line in self.lines[seen:]:
                        seen += 1
                        if found := re.search(pattern, line):
                            return found
                    if self._reading.done():
                        raise AssertionError(f"It ended without {pattern!r}:\n{self.text}")
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"It did not say {pattern!r}:\n{self.text}") from None

    async def ready(self) -> "Command":
        await self.says(r"autogen: ready$")
        return self

    async def health(self) -> str:
        """The address of its probes."""
        return (await self.says(r"health at (http://[^/]+)"))[1]

    async def listens(self) -> str:
        return (await self.says(r"listens on (?:nats://|tls://)?(\S+)"))[1]

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; return its status as a shell sees it."""
        async with asyncio.timeout(_PATIENCE_S):
            status = await self.process.wait()
            await self._reading
        return status

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()


async def run(
    *arguments: str, environment: Mapping[str, str] | None = None, program: tuple[str, ...] = MODULE
) -> Command:
    """Start a command in the folder of these tests; `program` are other arguments of Python."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AUTOGEN_")}
    process = await asyncio.create_subprocess_exec(
        *_PYTHON,
        *program,
        *arguments,
        cwd=HERE,
        env={**inherited, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    return Command(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url: str, method: str = "GET") -> tuple[int, Any]:
    """Ask an endpoint; return the status and the JSON it answers, None if it answers something else."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answer:
            status, kind, body = answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, kind, body = error.code, error.headers.get_content_type(), error.read()
    return status, json.loads(body) if body and kind == "application/json" else None


async def probe(url: str) -> tuple[int, Any]:
    return await asyncio.to_thread(ask, url)


async def until(url: str, wanted: Callable[[int, Any], bool]) -> Any:
    """Ask an endpoint until it answers what is wanted; return that."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            status, body = await probe(url)
            if wanted(status, body):
                return body
            await asyncio.sleep(0.02)
