"""The contract of a code executor: runs blocks of code somewhere. Stands on components; must not know where or how."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from autogen_core._cancellation import CancellationToken
from autogen_core._component import ComponentBase


@dataclass
class CodeBlock:
    """A piece of code.

    Attributes:
        code: The text.
        language: Its language, such as `python` or `sh`.
    """

    code: str
    language: str


@dataclass
class CodeResult:
    """What came of running code.

    Attributes:
        exit_code: Zero if all went well.
        output: What the code wrote, both to its output and as errors.
    """

    exit_code: int
    output: str


class CodeExecutor(ABC, ComponentBase[BaseModel]):
    """Runs code. Use it in `async with`, which starts and stops it."""

    component_type = "code_executor"

    @abstractmethod
    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        """Run blocks one after the other, up to the first that fails.

        Args:
            code_blocks: What to run.
            cancellation_token: Ends the running code.

        Raises:
            ValueError: A block cannot be run here, for example because of its language.
            asyncio.TimeoutError: The code took too long.
            asyncio.CancelledError: The token was cancelled.
        """
        ...

    @abstractmethod
    async def start(self) -> None:
        """Get ready to run code: make what it runs in."""
        ...

    @abstractmethod
    async def stop(self) -> None:
        """Give back what `start` made."""
        ...

    @abstractmethod
    async def restart(self) -> None:
        """Forget what code has done so far, for example when an agent is reset."""
        ...

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        await self.stop()
        return None
