"""A code executor for tests: it runs each block in a process of its own, on this machine."""

import asyncio
import sys
from typing import Self

from pydantic import BaseModel

from autogen_core import CancellationToken, Component
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult

PROGRAMS = {"python": (sys.executable, "-I", "-c"), "sh": ("sh", "-c")}


class TerminalConfig(BaseModel):
    greeting: str = ""


class Terminal(CodeExecutor, Component[TerminalConfig]):
    """Runs code, and notes what. A cancelled process is killed and waited for.

    Args:
        greeting: Precedes all output.
    """

    component_config_schema = TerminalConfig

    def __init__(self, greeting: str = "") -> None:
        self.greeting = greeting
        self.ran: list[str] = []
        self.processes: list[asyncio.subprocess.Process] = []
        self.started = asyncio.Event()

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        output, exit_code = self.greeting, 0
        for block in code_blocks:
            self.ran.append(block.code)
            process = await asyncio.create_subprocess_exec(
                *PROGRAMS[block.language.lower()],
                block.code,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            self.processes.append(process)
            try:
                assert process.stdout is not None
                output += (await process.stdout.readuntil(b"ready\n")).decode() if "ready" in block.code else ""
                self.started.set()
                output += (await process.communicate())[0].decode()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.communicate()
            exit_code = process.returncode or 0
            if exit_code:
                break
        return CodeResult(exit_code=exit_code, output=output)

    async def start(self) -> None:
        self.started.clear()

    async def stop(self) -> None:
        assert all(process.returncode is not None for process in self.processes)

    async def restart(self) -> None:
        self.ran.append("restart")

    def _to_config(self) -> TerminalConfig:
        return TerminalConfig(greeting=self.greeting)

    @classmethod
    def _from_config(cls, config: TerminalConfig) -> Self:
        return cls(greeting=config.greeting)
