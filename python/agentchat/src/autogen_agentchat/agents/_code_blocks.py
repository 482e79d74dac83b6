"""Code in messages: finding it, asking whether it may run, and wording what came of it.

Plain functions and the records of an approval. Stands on the contract of code executors and on the way a human is asked;
knows no agent, no model and no executor.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence

from pydantic import BaseModel, ConfigDict

from autogen_agentchat.base._input import ask_human
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeResult
from autogen_core.models import LLMMessage


class ApprovalRequest(BaseModel):
    """Code that is about to run, and what led to it."""

    model_config = ConfigDict(defer_build=True)

    code: str
    """All blocks in Markdown, each in a fence with its language."""

    context: list[LLMMessage]
    """The agent's conversation so far. Empty for an agent without a model, which keeps none."""


class ApprovalResponse(BaseModel):
    """Whether the code may run."""

    model_config = ConfigDict(defer_build=True)

    approved: bool

    reason: str
    """Why. If it may not, this is what the conversation is told."""


SyncApprovalFunc = Callable[[ApprovalRequest], ApprovalResponse]
AsyncApprovalFunc = Callable[[ApprovalRequest], Awaitable[ApprovalResponse]]
ApprovalFuncType = SyncApprovalFunc | AsyncApprovalFunc
"""Decides about each run of code. A plain function runs in a thread of its own, so it may ask a human and block."""


async def ask_approval(
    function: ApprovalFuncType, request: ApprovalRequest, token: CancellationToken
) -> ApprovalResponse:
    """Ask whether code may run.

    Raises:
        TypeError: The function returned something else than an `ApprovalResponse`. The code must not run.
    """
    answers: list[object] = []
    if _is_coroutine_function(function):
        answers.append(function(request))
    else:

        def ask(_: str) -> str:
            answers.append(function(request))
            return ""

        await ask_human(ask, "", token)
    answer = answers[0]
    if inspect.isawaitable(answer):
        answer = await answer
    if not isinstance(answer, ApprovalResponse):
        raise TypeError(f"approval_func must return an ApprovalResponse, got {type(answer).__name__}.")
    return answer


def _is_coroutine_function(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - the method is looked at, not whether there is one


class CodeBlockFinder:
    """Finds the Markdown code blocks of some languages in a text.

    A block begins with three or more backticks and its language, and ends with as many at the end of a line. Where none
    stand there, backticks in the middle of a line end it. A block without an end is not one: it may have been cut short.

    Args:
        languages: The languages, in upper or lower case.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        names = "|".join(re.escape(name) for name in languages) or "(?!)"
        self._opening = re.compile(
            rf"(?P<indent>(?:^|(?<=\n))[ \t]*)?(?P<fence>`{{3,}})[ \t]*(?P<language>{names})[ \t]*\r?\n", re.IGNORECASE
        )

    def find(self, text: str) -> list[CodeBlock]:
        """Return the blocks in their order, each with the language as it is written there."""
        blocks: list[CodeBlock] = []
        position = 0
        while opening := self._opening.search(text, position):
            closing = _closing(text, opening.end(), opening["fence"])
            if closing is None:
                position = opening.end()
                continue
            code = text[opening.end() : closing.start()].replace("\r\n", "\n")
            blocks.append(CodeBlock(code=_unindented(code, opening["indent"]), language=opening["language"]))
            position = closing.end()
        return blocks


def _closing(text: str, start: int, fence: str) -> re.Match[str] | None:
    """Find the end of a block: code may itself speak of backticks, but hardly at the end of a line."""
    following = re.compile(rf"^[ \t]*{fence}[ \t]*\w", re.MULTILINE).search(text, start)
    end = following.start() if following else len(text)
    at_line_end = re.compile(rf"(?:(?<=\n)[ \t]*)?{fence}`*(?=[ \t]*\r?(?:\n|\Z))").search(text, start)
    if at_line_end is not None and at_line_end.start() < end:
        return at_line_end
    return re.compile(fence).search(text, start)


def _unindented(code: str, indent: str | None) -> str:
    """Take off the indentation of the fence, which a block in a list has."""
    if not indent:
        return code
    return re.sub(rf"^[ \t]{{1,{len(indent)}}}", "", code, flags=re.MULTILINE)


def in_markdown(blocks: Sequence[CodeBlock]) -> str:
    """Return blocks as a human reads them."""
    return "\n\n".join(f"```{block.language}\n{block.code}\n```" for block in blocks)


def worded(result: CodeResult) -> CodeResult:
    """Return a result whose output says all there is to say: also that the code failed, or that it printed nothing."""
    output = result.output
    if not output.strip():
        output = f"The code printed nothing. The POSIX exit code was: {result.exit_code}. To see a value, print it."
    elif result.exit_code != 0:
        output = f"The script ran, then exited with an error (POSIX exit code: {result.exit_code})\nIts output was:\n{output}"
    return CodeResult(exit_code=result.exit_code, output=output)
