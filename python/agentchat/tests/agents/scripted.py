"""A scripted model, and items and messages as one readable line each, for the tests of agents."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    MemoryQueryEvent,
    StructuredMessage,
    TextMessage,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from autogen_core import CancellationToken, FunctionCall
from autogen_core.memory import ListMemory, MemoryContent
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models.replay import ReplayChatCompletionClient

Item = BaseAgentEvent | BaseChatMessage | Response


class Model(ReplayChatCompletionClient):
    """Replays answers, and notes each request: how it was made, what was said, with which tools."""

    def __init__(self, *answers: str | CreateResult, vision: bool = False) -> None:
        info = ModelInfo(
            vision=vision, function_calling=True, json_output=True, family="unknown", structured_output=True
        )
        super().__init__(answers, info)
        self.requests: list[list[str]] = []
        self.options: list[dict[str, Any]] = []

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self._note(messages, options)
        return await super().create(messages, **options)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        self._note(messages, options)
        async for item in super().create_stream(messages, **options):
            yield item

    def _note(self, messages: Sequence[LLMMessage], options: Mapping[str, Any]) -> None:
        self.requests.append([said(message) for message in messages])
        self.options.append({key: value for key, value in options.items() if key != "cancellation_token"})

    def tool_names(self, request: int) -> list[str] | None:
        tools = self.options[request].get("tools")
        return None if tools is None else [tool["name"] for tool in tools]


def answer(content: str | list[FunctionCall], thought: str | None = None) -> CreateResult:
    reason = "stop" if isinstance(content, str) else "function_calls"
    usage = RequestUsage(prompt_tokens=10, completion_tokens=5)
    return CreateResult(finish_reason=reason, content=content, usage=usage, cached=False, thought=thought)


CUT_SHORT = "Error: the call was cancelled before it finished"
"""The result of a call that did not come to its end."""


def calls(*made: FunctionCall, thought: str | None = None) -> CreateResult:
    return answer(list(made), thought)


def call(name: str, arguments: str = "{}", call_id: str = "1") -> FunctionCall:
    return FunctionCall(id=call_id, name=name, arguments=arguments)


ADD = call("add", '{"a": 1, "b": 2}')
ADD_MORE = call("add", '{"a": 3, "b": 2}', "2")


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def text(content: str, source: str = "user") -> TextMessage:
    return TextMessage(content=content, source=source)


def line(item: Item) -> str:
    """An item as a test reads it: type, content, and tokens where it has any."""
    if isinstance(item, Response):
        inner = " ".join(type(event).__name__ for event in item.inner_messages or ())
        return f"Response {line(item.chat_message)} <- [{inner}]"
    kind = type(item).__name__
    if isinstance(item, ToolCallRequestEvent):
        content = ", ".join(f"{each.name}({each.arguments})" for each in item.content)
    elif isinstance(item, ToolCallExecutionEvent):
        content = results(item.content)
    elif isinstance(item, StructuredMessage):
        content = cast("StructuredMessage[BaseModel]", item).content.model_dump_json()
    elif isinstance(item, MemoryQueryEvent):
        content = ", ".join(str(each.content) for each in item.content)
    else:
        content = item.to_text()
    usage = item.models_usage
    tokens = f" {usage.prompt_tokens}+{usage.completion_tokens}" if usage is not None else ""
    return f"{kind} {content}{tokens}"


def results(content: Sequence[FunctionExecutionResult]) -> str:
    return ", ".join(f"{each.call_id}{'!' if each.is_error else ''}={each.content}" for each in content)


def said(message: LLMMessage) -> str:
    """A message of the conversation as a test reads it."""
    match message:
        case SystemMessage():
            return f"system: {message.content}"
        case UserMessage():
            return f"{message.source}: {message.content}"
        case FunctionExecutionResultMessage():
            return f"results: {results(message.content)}"
        case AssistantMessage():
            thought = f"({message.thought}) " if message.thought else ""
            if isinstance(message.content, str):
                return f"{message.source}> {thought}{message.content}"
            return f"{message.source}> {thought}calls {' '.join(each.name for each in message.content)}"


def agent(*answers: str | CreateResult | Model, system_message: str | None = "S", **options: Any) -> AssistantAgent:
    """Make an agent with a model that gives these answers, or with the one model given."""
    [first, *_] = answers
    model = first if isinstance(first, Model) else Model(*cast("tuple[str | CreateResult, ...]", answers))
    return AssistantAgent("bob", model, system_message=system_message, **options)


async def turn(bob: AssistantAgent, *messages: BaseChatMessage) -> list[Item]:
    new = messages or (text("hello"),)
    return [item async for item in bob.on_messages_stream(new, CancellationToken())]


async def history(bob: AssistantAgent) -> list[str]:
    return [said(message) for message in await bob.model_context.get_messages()]


def remembers(*contents: str) -> ListMemory:
    return ListMemory(memory_contents=[MemoryContent(content=each, mime_type="text/plain") for each in contents])


def executed(items: Sequence[object]) -> list[FunctionExecutionResult]:
    """Return the results in the one event that has any."""
    [event] = [item for item in items if isinstance(item, ToolCallExecutionEvent)]
    return event.content


async def assert_no_call_lacks_its_result(bob: AssistantAgent) -> None:
    messages = await bob.model_context.get_messages()
    for position, message in enumerate(messages):
        if isinstance(message, AssistantMessage) and isinstance(message.content, list):
            answered = messages[position + 1]
            assert isinstance(answered, FunctionExecutionResultMessage)
            assert [result.call_id for result in answered.content] == [each.id for each in message.content]
