"""The client against a real model: the embedded one, behind its OpenAI-compatible server.

Needs the extra `local` and the default model's weights; without them these tests are skipped.
"""

import asyncio
import json
import logging
import threading
import time
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
from autogen_ext.models.errors import ContextLengthError
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


def roll(sides: int) -> int:
    """Roll a die."""
    return sides


DICE = FunctionTool(roll, "Rolls a die.", name="roll_dice")


class Person(BaseModel):
    name: str
    age: int


class Departures(logging.Handler):
    """Counts how often the server saw a client's connection closed before its answer was complete."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._seen = threading.Semaphore(0)

    def emit(self, record: logging.LogRecord) -> None:
        if "went away" in record.getMessage():
            self._seen.release()

    async def wait(self) -> bool:
        """Wait for one more; tell whether it came."""
        return await asyncio.to_thread(self._seen.acquire, timeout=10)


@pytest.fixture
def departures() -> Iterator[Departures]:
    """What the server sees of clients that leave."""
    handler, logger = Departures(), logging.getLogger("autogen_ext.models.local")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """The local server, which runs in an event loop of its own while these tests run."""
    try:
        server = local.LocalModelServer()
    except (ImportError, FileNotFoundError) as missing:
        pytest.skip(str(missing))
    started: Future[None] = Future()
    ending = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        try:
            async with server:
                started.set_result(None)
                await ending.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        started.result(60)
        yield server
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(60)
        loop.close()


@pytest.fixture
async def client(server: Any) -> AsyncGenerator[OpenAIChatCompletionClient, None]:
    made = OpenAIChatCompletionClient(
        model="any-name", api_key="none", base_url=server.base_url, model_info=INFO, temperature=0, max_tokens=60
    )
    yield made
    await made.close()


def becomes_busy(engine: Any) -> None:
    """Wait until the engine computes."""
    until = time.monotonic() + 10
    while not engine.busy:
        assert time.monotonic() < until, "the engine does not begin"
        time.sleep(0.01)


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


async def answer(
    client: OpenAIChatCompletionClient, messages: list[LLMMessage], streamed: bool, **kwargs: Any
) -> CreateResult:
    if streamed:
        return (await stream_of(client, messages, **kwargs))[1]
    return await client.create(messages, **kwargs)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("choice", ["auto", "required", WEATHER])
async def test_a_tool_is_called_with_its_arguments(
    client: OpenAIChatCompletionClient, choice: Any, streamed: bool
) -> None:
    tools = [DICE, WEATHER] if choice is WEATHER else [WEATHER]
    result = await answer(client, say("What is the weather in Paris?"), streamed, tools=tools, tool_choice=choice)
    assert result.finish_reason == "function_calls"
    assert isinstance(result.content, list)
    [call] = result.content
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    assert call.id
    assert result.usage.prompt_tokens > 5
    assert result.usage.completion_tokens > 5


async def test_a_tool_that_may_be_called_is_not_where_nothing_speaks_for_it(client: OpenAIChatCompletionClient) -> None:
    result = await client.create(say("Hello!"), tools=[WEATHER], extra_create_args={"max_tokens": 5})
    assert isinstance(result.content, str)


@pytest.mark.parametrize("streamed", [False, True])
async def test_without_leave_no_tool_is_called(client: OpenAIChatCompletionClient, streamed: bool) -> None:
    asked = say("What is the weather in Paris?")
    result = await answer(
        client, asked, streamed, tools=[WEATHER], tool_choice="none", extra_create_args={"max_tokens": 5}
    )
    assert isinstance(result.content, str)


async def test_the_result_of_a_tool_is_taken_and_answered(client: OpenAIChatCompletionClient) -> None:
    question = say("What is the weather in Paris?")
    called = await client.create(question, tools=[WEATHER])
    assert "sunny" in await reported(client, question, called)


@pytest.mark.parametrize("streamed", [False, True])
async def test_two_tools_are_called_at_once_and_both_results_are_taken(
    client: OpenAIChatCompletionClient, streamed: bool
) -> None:
    question = say("What is the weather in Paris and in Rome?")
    parallel = {"parallel_tool_calls": True}
    called = await answer(client, question, streamed, tools=[WEATHER], extra_create_args=parallel)
    assert called.finish_reason == "function_calls"
    assert isinstance(called.content, list)
    assert [json.loads(call.arguments) for call in called.content] == [{"city": "Paris"}, {"city": "Rome"}]
    assert len({call.id for call in called.content}) == 2
    if streamed:
        said = await reported(client, question, called)
        assert "Paris" in said
        assert "Rome" in said


async def reported(client: OpenAIChatCompletionClient, question: list[LLMMessage], called: CreateResult) -> str:
    """Run the calls of an answer, and return what the model makes of the results."""
    assert isinstance(called.content, list)
    results = [
        FunctionExecutionResult(
            content=weather(**json.loads(call.arguments)), name=call.name, call_id=call.id, is_error=False
        )
        for call in called.content
    ]
    said = await client.create(
        [
            *question,
            AssistantMessage(content=called.content, source="bot"),
            FunctionExecutionResultMessage(content=results),
        ],
        tools=[WEATHER],
    )
    assert isinstance(said.content, str)
    return said.content


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_structured_answer_fits_its_class(client: OpenAIChatCompletionClient, streamed: bool) -> None:
    question = say("Alice is 30 years old. Give her name and age as JSON.")
    result = await answer(client, question, streamed, json_output=Person)
    assert isinstance(result.content, str)
    Person.model_validate_json(result.content)


@pytest.mark.parametrize("streamed", [False, True])
async def test_json_mode_answers_with_json(client: OpenAIChatCompletionClient, streamed: bool) -> None:
    question = say("Give the name and age of Alice, who is 30, as JSON.")
    result = await answer(client, question, streamed, json_output=True, extra_create_args={"max_tokens": 200})
    assert isinstance(result.content, str)
    assert isinstance(json.loads(result.content), dict)


async def test_a_stop_text_and_a_limit_end_the_answer(client: OpenAIChatCompletionClient) -> None:
    short = await client.create(say("Count from one to twenty in words."), extra_create_args={"max_tokens": 3})
    assert (short.finish_reason, short.usage.completion_tokens) == ("length", 3)
    stopped = await client.create(say("What is the capital of France?"), extra_create_args={"stop": ["Paris"]})
    assert stopped.finish_reason == "stop"
    assert "Paris" not in str(stopped.content)


async def test_the_same_seed_gives_the_same_answer_and_another_seed_another(client: OpenAIChatCompletionClient) -> None:
    async def drawn(seed: int) -> str:
        chance = {"temperature": 1.5, "seed": seed, "max_tokens": 12}
        return str((await client.create(say("Tell me a story."), extra_create_args=chance)).content)

    stories = [await drawn(seed) for seed in (1, 1, 2, 3)]
    assert stories[0] == stories[1]
    assert len(set(stories)) > 1


@pytest.mark.parametrize("by_token", [False, True])
async def test_giving_up_in_the_middle_closes_the_connection_and_the_next_call_is_answered(
    client: OpenAIChatCompletionClient, departures: Departures, by_token: bool
) -> None:
    token = CancellationToken()
    long = {"max_tokens": 1500}
    stream = client.create_stream(say("Tell me a very long story."), extra_create_args=long, cancellation_token=token)
    assert await anext(stream)
    if by_token:
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await anext(stream)
    else:
        await stream.aclose()
    assert await departures.wait(), "the server saw the connection closed"
    result = await asyncio.wait_for(client.create(say("Hi."), extra_create_args={"max_tokens": 5}), 30)
    assert result.content


async def test_a_cancelled_call_closes_the_connection(
    client: OpenAIChatCompletionClient, departures: Departures, server: Any
) -> None:
    token = CancellationToken()
    long = {"max_tokens": 1500}
    asked = client.create(say("Tell me a very long story."), extra_create_args=long, cancellation_token=token)
    call = asyncio.create_task(asked)
    await asyncio.to_thread(becomes_busy, server._lease.engine_now())
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await departures.wait(), "the server saw the connection closed"


async def test_counted_tokens_are_near_those_that_the_server_reports(client: OpenAIChatCompletionClient) -> None:
    """The vocabulary is another one, so this is about the order of magnitude."""
    messages = say("Tell me something about the history of the city of Paris, in a few words.")
    result = await client.create(messages, extra_create_args={"max_tokens": 1})
    counted = client.count_tokens(messages)
    assert result.usage.prompt_tokens / 2 < counted < result.usage.prompt_tokens * 2
    assert client.remaining_tokens(messages) < 8192
    assert client.count_tokens(messages, tools=[WEATHER]) > counted


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_conversation_that_is_too_long_is_an_error_with_the_numbers(
    client: OpenAIChatCompletionClient, streamed: bool
) -> None:
    with pytest.raises(ContextLengthError) as caught:
        await answer(client, say("word " * 5000), streamed)
    assert caught.value.limit == 4096
    assert caught.value.requested is not None
    assert caught.value.requested > 5000
