"""The contract of a code executor."""

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult


class Echo(CodeExecutor):
    """Returns the code as its output."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        return CodeResult(exit_code=0, output="".join(block.code for block in code_blocks))

    async def start(self) -> None:
        self.notes.append("start")

    async def stop(self) -> None:
        self.notes.append("stop")

    async def restart(self) -> None:
        self.notes.append("restart")


async def test_an_executor_is_started_and_stopped_around_a_block() -> None:
    async with Echo() as executor:
        await executor.restart()
        result = await executor.execute_code_blocks([CodeBlock("a", "sh"), CodeBlock("b", "sh")], CancellationToken())
    assert result == CodeResult(0, "ab")
    assert executor.notes == ["start", "restart", "stop"]


def test_executors_are_components_of_their_own_kind() -> None:
    assert Echo.component_type == "code_executor"
