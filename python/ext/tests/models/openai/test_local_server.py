"""The client against a real model: the embedded one, behind its OpenAI-compatible server.

Needs the extra `local` and the default model's weights; without them these tests are skipped.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from pydantic import BaseModel

from autogen_core import CancellationToken
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models.openai import OpenAIChatCompletionClient

local: Any = pytest.importorskip("autogen_ext.models.local")

INFO = ModelInfo(
    vision=False,
    function_calling=True,
    json_output=True,
    family="unknown",
    structured_output=True,
    multiple_system_messages=False,
)


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"{city}: sunny"


WEATHER = FunctionTool(weather, "Tells the weather in a city.", name="get_weather")


class Person(BaseModel):
    name: str
    age: int


@contextlib.asynccontextmanager
async def relay(target: str) -> AsyncGenerator[tuple[str, asyncio.Event], None]:
    """A way to `target` that tells when the client's side of a connection is closed."""
    closed = asyncio.Event()
    host, port = target.removeprefix("http://").split("/")[0].split(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begun
        begun += 1
        there, back = await asyncio.open_connection(host, int(port))
        answering = asyncio.create_task(pump(there, writer))
        await pump(reader, back)
        closed.set()
        await answering
        handled.release()

    begun, handled = 0, asyncio.Semaphore(0)
    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", closed
        for _ in range(begun):
            await asyncio.wait_for(handled.acquire(), 10)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of the local server, which runs in an event loop of its own while these tests run."""
    try:
        server = local.LocalModelServer()
    except (ImportError, FileNotFoundError) as missing:
        pytest.skip(str(missing))
    started: Future[str] = Future()
    ending = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        try:
            async with server:
                started.set_result(server.base_url)
                await ending.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield started.result(60)
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(60)
        loop.close()


@pytest.fixture
async def client(address: str) -> AsyncGenerator[OpenAIChatCompletionClient, None]:
    made = OpenAIChatCompletionClient(
        model="any-name", api_key="none", base_url=address, model_info=INFO, temperature=0, max_tokens=60
    )
    yield made
    await made.close()


def say(text: str) -> list[LLMMessage]:
    return [UserMessage(content=text, source="user")]


async def stream_of(
    client: OpenAIChatCompletionClient, messages: list[LLMMessage], **kwargs: Any
) -> tuple[str, CreateResult]:
    *pieces, result = [item async for item in client.create_stream(messages, include_usage=True, **kwargs)]
    assert isinstance(result, CreateResult)
    return "".join(str(piece) for piece in pieces), result


async def test_chat_says_something_and_counts_it(client: OpenAIChatCompletionClient) -> None:
    result = await client.create(say("What is the capital of France?"))
    assert isinstance(result.content, str)
    assert "Paris" in result.content
    assert result.finish_reason in ("stop", "length")
    assert 0 < result.usage.completion_tokens <= 60
    assert result.usage.prompt_tokens > 5


async def test_a_stream_brings_the_same_answer_in_pieces_and_its_usage(client: OpenAIChatCompletionClient) -> None:
    whole = await client.create(say("What is the capital of France?"))
    text, result = await stream_of(client, say("What is the capital of France?"))
    assert text == result.content == whole.content
    assert result.usage == whole.usage
    assert client.total_usage().completion_tokens == 2 * whole.usage.completion_tokens


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("choice", ["required", WEATHER])
async def test_a_tool_is_called_with_its_arguments(
    client: OpenAIChatCompletionClient, choice: Any, streamed: bool
) -> None:
    question: list[LLMMessage] = [UserMessage(content="What is the weather in Paris?", source="user")]
    arguments: dict[str, Any] = {"tools": [WEATHER], "tool_choice": choice}
    if streamed:
        _, result = await stream_of(client, question, **arguments)
    else:
        result = await client.create(question, **arguments)
    assert result.finish_reason == "function_calls"
    assert isinstance(result.content, list)
    call = result.content[0]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    assert call.id


async def test_without_leave_no_tool_is_called(client: OpenAIChatCompletionClient) -> None:
    result = await client.create(say("What is the weather in Paris?"), tools=[WEATHER], tool_choice="none")
    assert isinstance(result.content, str)


async def test_the_result_of_a_tool_is_taken_and_answered(client: OpenAIChatCompletionClient) -> None:
    question: list[LLMMessage] = [UserMessage(content="What is the weather in Paris?", source="user")]
    called = await client.create(question, tools=[WEATHER], tool_choice="required")
    assert isinstance(called.content, list)
    done = FunctionExecutionResult(
        content="Paris: sunny, 21 degrees", name="get_weather", call_id=called.content[0].id, is_error=False
    )
    answer = await client.create(
        [
            *question,
            AssistantMessage(content=called.content, source="bot"),
            FunctionExecutionResultMessage(content=[done]),
        ]
    )
    assert isinstance(answer.content, str)
    assert answer.content


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_structured_answer_fits_its_class(client: OpenAIChatCompletionClient, streamed: bool) -> None:
    question = say("Alice is 30 years old. Give her name and age as JSON.")
    if streamed:
        _, result = await stream_of(client, question, json_output=Person)
    else:
        result = await client.create(question, json_output=Person)
    assert isinstance(result.content, str)
    Person.model_validate_json(result.content)


async def test_json_mode_answers_with_json(client: OpenAIChatCompletionClient) -> None:
    result = await client.create(
        say("Give the name and age of Alice, who is 30, as JSON."),
        json_output=True,
        extra_create_args={"max_tokens": 200},
    )
    assert isinstance(result.content, str)
    json.loads(result.content)


async def test_a_stop_text_and_a_limit_end_the_answer(client: OpenAIChatCompletionClient) -> None:
    short = await client.create(say("Count from one to twenty in words."), extra_create_args={"max_tokens": 3})
    assert (short.finish_reason, short.usage.completion_tokens) == ("length", 3)
    stopped = await client.create(say("What is the capital of France?"), extra_create_args={"stop": ["Paris"]})
    assert stopped.finish_reason == "stop"
    assert "Paris" not in str(stopped.content)


@pytest.mark.parametrize("by_token", [False, True])
async def test_giving_up_in_the_middle_closes_the_connection_and_the_next_call_is_answered(
    address: str, by_token: bool
) -> None:
    async with relay(address) as (detour, closed):
        client = OpenAIChatCompletionClient(
            model="any-name", api_key="none", base_url=detour, model_info=INFO, temperature=0, max_tokens=1500
        )
        token = CancellationToken()
        stream = client.create_stream(say("Tell me a very long story."), cancellation_token=token)
        assert await anext(stream)
        if by_token:
            token.cancel()
            with pytest.raises(asyncio.CancelledError):
                await anext(stream)
        else:
            await stream.aclose()
        await asyncio.wait_for(closed.wait(), 10)
        result = await asyncio.wait_for(client.create(say("Hi."), extra_create_args={"max_tokens": 5}), 30)
        await client.close()
    assert result.content


async def test_counted_tokens_are_near_those_that_the_server_reports(client: OpenAIChatCompletionClient) -> None:
    """The vocabulary is another one, so this is about the order of magnitude."""
    messages = say("Tell me something about the history of the city of Paris, in a few words.")
    result = await client.create(messages, extra_create_args={"max_tokens": 1})
    counted = client.count_tokens(messages)
    assert result.usage.prompt_tokens / 2 < counted < result.usage.prompt_tokens * 2
