"""The tool agent runs tools for others, and the loop between it and a model."""

import asyncio
import pickle
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from autogen_core import AgentId, AgentRuntime, CancellationToken, FunctionCall, SingleThreadedAgentRuntime
from autogen_core.exceptions import UndeliverableException
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    UserMessage,
)
from autogen_core.tool_agent import (
    InvalidToolArgumentsException,
    ToolAgent,
    ToolException,
    ToolExecutionException,
    ToolNotFoundException,
    tool_agent_caller_loop,
)
from autogen_core.tools import FunctionTool, Tool, ToolSchema

AGENT = AgentId("tools", "default")


class Scripted(ChatCompletionClient):
    """A client that gives prepared answers, and notes what it was asked."""

    component_type = "model"

    def __init__(self, *answers: str | list[FunctionCall]) -> None:
        self.answers = list(answers)
        self.asked: list[list[LLMMessage]] = []
        self.tools: list[Tool | ToolSchema] = []

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        self.asked.append(list(messages))
        self.tools = list(tools)
        return CreateResult(
            finish_reason="stop", content=self.answers.pop(0), usage=RequestUsage(0, 0), cached=False, thought="hm"
        )

    def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        raise NotImplementedError

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return 0

    @property
    def capabilities(self) -> Any:
        return {}

    @property
    def model_info(self) -> ModelInfo:
        raise NotImplementedError


def double(number: int) -> int:
    return 2 * number


def fail() -> str:
    raise ValueError("boom")


async def forever() -> str:
    await asyncio.Event().wait()
    return ""


@pytest.fixture
async def runtime() -> AsyncGenerator[SingleThreadedAgentRuntime, None]:
    made = SingleThreadedAgentRuntime()
    tools: list[Tool] = [FunctionTool(func, description="d") for func in (double, fail, forever)]
    await ToolAgent.register(made, "tools", lambda: ToolAgent("runs tools", tools))
    made.start()
    yield made
    await made.stop()


async def test_a_call_is_answered_with_the_result(runtime: SingleThreadedAgentRuntime) -> None:
    answer = await runtime.send_message(FunctionCall("1", '{"number": 4}', "double"), AGENT)
    assert answer == FunctionExecutionResult(content="8", name="double", call_id="1", is_error=False)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [
        ("nothing", "{}", ToolNotFoundException, "Error: Tool not found: nothing"),
        ("double", "no json", InvalidToolArgumentsException, "Error: Invalid arguments: no json"),
        ("double", '{"number": "x"}', ToolExecutionException, "Error: 1 validation error"),
        ("double", "[]", ToolExecutionException, "Error: 1 validation error"),
        ("fail", "{}", ToolExecutionException, "Error: boom"),
        ("fail", " ", ToolExecutionException, "Error: boom"),  # no text counts as no arguments
    ],
)
async def test_a_call_that_comes_to_nothing_says_why(
    runtime: SingleThreadedAgentRuntime, name: str, arguments: str, error: type[ToolException], text: str
) -> None:
    with pytest.raises(error) as caught:
        await runtime.send_message(FunctionCall("1", arguments, name), AGENT)
    assert (caught.value.call_id, caught.value.name) == ("1", name)
    assert caught.value.content.startswith(text)
    assert str(caught.value) == caught.value.content
    assert (caught.value.__cause__ is None) is (error is ToolNotFoundException)


async def test_cancelling_reaches_the_tool(runtime: SingleThreadedAgentRuntime) -> None:
    token = CancellationToken()
    task = asyncio.ensure_future(
        runtime.send_message(FunctionCall("1", "{}", "forever"), AGENT, cancellation_token=token)
    )
    await asyncio.sleep(0.01)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_error_survives_copying() -> None:
    error = ToolNotFoundException(call_id="1", content="c", name="n")
    copy = pickle.loads(pickle.dumps(error))
    assert copy == error
    assert {copy, error} == {error}
    assert repr(copy) == "ToolNotFoundException(call_id='1', content='c', name='n')"


async def loop(caller: AgentRuntime, client: Scripted, agent: AgentId = AGENT, **options: Any) -> list[LLMMessage]:
    task: list[LLMMessage] = [UserMessage(content="go", source="u")]
    return await asyncio.wait_for(
        tool_agent_caller_loop(caller, agent, client, task, tool_schema=[{"name": "double"}], **options), timeout=10
    )


async def test_the_loop_ends_when_the_model_answers_in_text(runtime: SingleThreadedAgentRuntime) -> None:
    client = Scripted("done")
    assert await loop(runtime, client, caller_source="it") == [
        AssistantMessage(content="done", source="it", thought="hm")
    ]
    assert client.tools == [{"name": "double"}]


async def test_results_and_failures_go_back_to_the_model_in_order(runtime: SingleThreadedAgentRuntime) -> None:
    calls = [
        FunctionCall("1", '{"number": 4}', "double"),
        FunctionCall("2", "{}", "fail"),
        FunctionCall("3", "{}", "nothing"),
    ]
    client = Scripted(calls, "done")
    messages = await loop(runtime, client)
    results = messages[1]
    assert isinstance(results, FunctionExecutionResultMessage)
    assert [(item.call_id, item.content, item.is_error) for item in results.content] == [
        ("1", "8", False),
        ("2", "Error: boom", True),
        ("3", "Error: Tool not found: nothing", True),
    ]
    assert client.asked[1] == [UserMessage(content="go", source="u"), *messages[:2]]


async def test_a_missing_tool_agent_is_not_the_models_concern(runtime: SingleThreadedAgentRuntime) -> None:
    with pytest.raises(UndeliverableException):
        await loop(runtime, Scripted([FunctionCall("1", "{}", "double")]), AgentId("nobody", "default"))


async def test_cancelling_ends_the_loop(runtime: SingleThreadedAgentRuntime) -> None:
    token = CancellationToken()
    task = asyncio.ensure_future(
        loop(runtime, Scripted([FunctionCall("1", "{}", "forever")]), cancellation_token=token)
    )
    await asyncio.sleep(0.01)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
