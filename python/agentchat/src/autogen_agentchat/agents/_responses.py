"""Builds what an agent answers with, from what its model and its tools returned: functions without state.

Stands on messages. Knows no agent and no model client.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from pydantic import BaseModel

from autogen_agentchat.base import Response, RunCancelledError
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    StructuredMessage,
    TextMessage,
    ToolCallSummaryMessage,
)
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
)

SummaryFormatter = Callable[[FunctionCall, FunctionExecutionResult], str]


@dataclass(kw_only=True)
class LimitedResponse(Response):
    """A response that was given because a limit was reached, though the model wanted to go on."""

    stop_reason: str
    """What `TaskResult.stop_reason` is to say when the agent runs by itself."""


@dataclass(slots=True)
class ToolRound:
    """One answer of the model that called tools, and what the tools returned."""

    answer: CreateResult
    calls: Sequence[FunctionCall]
    results: Sequence[FunctionExecutionResult]

    def model_messages(self, source: str) -> list[LLMMessage]:
        """Return the round as it stands in a model's context: the calls, and right after them all their results."""
        return [
            AssistantMessage(
                content=list(self.calls),
                thought=self.answer.thought,
                source=source,
                provider_data=self.answer.provider_data,
            ),
            FunctionExecutionResultMessage(content=list(self.results)),
        ]


async def collected(
    stream: AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None], token: CancellationToken
) -> Response:
    """Read the stream of a turn to its end and return the response.

    Raises:
        RunCancelledError: The token was cancelled; the error has what was said until then.
    """
    response: Response | None = None
    said: list[BaseAgentEvent | BaseChatMessage] = []
    try:
        async with aclosing(stream):
            async for item in stream:
                if isinstance(item, Response):
                    response = item
                elif not isinstance(item, ModelClientStreamingChunkEvent):
                    said.append(item)
    except asyncio.CancelledError as error:
        if not token.is_cancelled():
            raise
        raise RunCancelledError(said) from error
    if response is None:
        raise AssertionError("The stream should have returned the final result.")
    return response


def text_message(
    answer: CreateResult,
    source: str,
    message_id: str,
    content_type: type[BaseModel] | None,
    format_string: str | None,
) -> BaseChatMessage:
    """Make the final message of a text; with a content type, of the JSON that the text must be.

    Raises:
        pydantic.ValidationError: The model's text is not what `content_type` asks for.
    """
    text = answer.content if isinstance(answer.content, str) else ""
    if content_type is None:
        return TextMessage(content=text, source=source, models_usage=answer.usage, id=message_id)
    return StructuredMessage[content_type](
        content=content_type.model_validate_json(text),
        source=source,
        models_usage=answer.usage,
        format_string=format_string,
        id=message_id,
    )


def tool_summary(
    tool_round: ToolRound, source: str, format_string: str, formatter: SummaryFormatter | None
) -> ToolCallSummaryMessage:
    """Make the final message of tool results that no model has commented on: one line or paragraph for each call."""
    parts = [
        formatter(call, result) if formatter is not None else format_result(format_string, call, result)
        for call, result in zip(tool_round.calls, tool_round.results, strict=True)
    ]
    return ToolCallSummaryMessage(
        content="\n".join(parts),
        source=source,
        tool_calls=list(tool_round.calls),
        results=list(tool_round.results),
    )


def format_result(format_string: str, call: FunctionCall, result: FunctionExecutionResult) -> str:
    """Fill in a format of `tool_call_summary_format`."""
    return format_string.format(
        tool_name=call.name, arguments=call.arguments, result=result.content, is_error=result.is_error
    )


def check_summary_format(format_string: str) -> None:
    """Fail now rather than after the tools have run.

    Raises:
        ValueError: The format names a field that there is none of, or has stray braces.
    """
    call = FunctionCall(id="", arguments="", name="")
    try:
        format_result(format_string, call, FunctionExecutionResult(content="", name="", call_id="", is_error=False))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(
            f"tool_call_summary_format {format_string!r} cannot be filled in ({error}). "
            "Its fields are {tool_name}, {arguments}, {result} and {is_error}; write other braces twice."
        ) from error


def handoff_context(rounds: Sequence[ToolRound], handoffs: Collection[str], source: str) -> list[LLMMessage]:
    """Say what the receiver of a handoff should know: the agent's texts, and its tool calls with their results.

    Args:
        rounds: What the agent did in this turn.
        handoffs: The names of the handoff tools. Their calls are left out: the handoff message itself says it.
        source: The agent.
    """
    context: list[LLMMessage] = []
    for done in rounds:
        pairs = [pair for pair in zip(done.calls, done.results, strict=True) if pair[0].name not in handoffs]
        if pairs:
            calls, results = zip(*pairs, strict=True)
            context += ToolRound(done.answer, calls, results).model_messages(source)
        elif done.answer.thought:
            context.append(AssistantMessage(content=done.answer.thought, source=source))
    return context
