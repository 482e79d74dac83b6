"""Talking to a model until it is done with tools: calls go to a tool agent, results back to the model.

Stands on models, the tool agent and contracts; must not know what tools there are.
"""

import asyncio

from autogen_core._base_agent import BaseAgent
from autogen_core._cancellation import CancellationToken
from autogen_core._contracts import AgentRuntime
from autogen_core._identity import AgentId
from autogen_core.models._client import ChatCompletionClient
from autogen_core.models._types import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
)
from autogen_core.tools._schema import ToolSchema
from autogen_core.tools._tool import Tool

from ._tool_agent import ToolException


async def tool_agent_caller_loop(
    caller: BaseAgent | AgentRuntime,
    tool_agent_id: AgentId,
    model_client: ChatCompletionClient,
    input_messages: list[LLMMessage],
    tool_schema: list[ToolSchema] | list[Tool],
    cancellation_token: CancellationToken | None = None,
    caller_source: str = "assistant",
) -> list[LLMMessage]:
    """Ask a model, have the tools run that it calls, and ask again, until it answers without calling tools.

    The calls of one answer run at the same time. What fails is told to the model, which may try something else; there is
    no limit to how often.

    Args:
        caller: The agent or runtime that sends the calls.
        tool_agent_id: The tool agent.
        model_client: The model.
        input_messages: The conversation so far. It is not changed.
        tool_schema: The tools that the model may call.
        cancellation_token: Gives up; then `asyncio.CancelledError` is raised.
        caller_source: The source of the messages that hold the model's answers.

    Returns:
        The messages that were added: the model's answers, and the results of tools.

    Raises:
        UndeliverableException: There is no such tool agent.
    """
    added: list[LLMMessage] = []
    while True:
        response = await model_client.create(
            [*input_messages, *added], tools=tool_schema, cancellation_token=cancellation_token
        )
        added.append(
            AssistantMessage(
                content=response.content,
                source=caller_source,
                thought=response.thought,
                provider_data=response.provider_data,
            )
        )
        if isinstance(response.content, str) or not response.content:
            return added
        sent = (
            caller.send_message(call, tool_agent_id, cancellation_token=cancellation_token) for call in response.content
        )
        answers = await asyncio.gather(*sent, return_exceptions=True)
        results = [_result(call, answer) for call, answer in zip(response.content, answers, strict=True)]
        added.append(FunctionExecutionResultMessage(content=results))


def _result(call: FunctionCall, answer: object) -> FunctionExecutionResult:
    """Return what the tool agent answered; what a tool failed of, as a result that tells so."""
    if isinstance(answer, FunctionExecutionResult):
        return answer
    if isinstance(answer, ToolException):
        return FunctionExecutionResult(content=answer.content, name=call.name, call_id=call.id, is_error=True)
    if isinstance(answer, BaseException):  # cancelled, or the call did not reach a tool agent
        raise answer
    raise TypeError(f"Expected a FunctionExecutionResult from the tool agent, but got a {type(answer).__name__}.")
