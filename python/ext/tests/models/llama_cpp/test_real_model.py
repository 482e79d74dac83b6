"""The client on the library itself and a real model, the default one of `autogen_ext.models.local`.

The library comes as source only and is compiled for many minutes, so it is not part of the development environment: these
tests are for those who have it. `test_client.py` has the same calls on a stand-in.
"""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from pydantic import BaseModel

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import CreateResult, LLMMessage, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models.errors import ContextLengthError
from autogen_ext.models.llama_cpp import LlamaCppChatCompletionClient
from autogen_ext.models.local._weights import DEFAULT_MODEL

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: it has to be compiled")
ROME: list[LLMMessage] = [UserMessage(content="What is the weather in Rome?", source="user")]
SHORT = {"temperature": 0, "max_tokens": 40}


class City(BaseModel):
    name: str
    population: int


def get_weather(city: str) -> str:
    """Get the weather for a city."""
    return f"{city}: sunny"


def roll(sides: int) -> int:
    """Roll a die."""
    return sides


WEATHER, DIE = FunctionTool(get_weather, "Get the weather for a city."), FunctionTool(roll, "Roll a die.")


@pytest.fixture
async def client() -> AsyncGenerator[LlamaCppChatCompletionClient, None]:
    path = DEFAULT_MODEL.find()
    if path is None:
        pytest.skip("the default model of autogen_ext.models.local is not installed")
    made = LlamaCppChatCompletionClient(model_path=str(path), n_ctx=1024, n_threads=1)
    yield made
    await made.close()


async def test_a_call_and_a_stream_give_the_same_result(client: LlamaCppChatCompletionClient) -> None:
    whole = await client.create(ROME, extra_create_args=SHORT)
    *pieces, last = [item async for item in client.create_stream(ROME, extra_create_args=SHORT)]
    assert whole == last
    assert "".join(str(piece) for piece in pieces) == whole.content
    assert (whole.finish_reason, whole.usage.completion_tokens) == ("length", 40)
    assert abs(whole.usage.prompt_tokens - client.count_tokens(ROME)) < 40


async def test_a_call_that_must_be_made_is_made(client: LlamaCppChatCompletionClient) -> None:
    required = await client.create(ROME, tools=[WEATHER, DIE], tool_choice="required", extra_create_args=SHORT)
    assert required.finish_reason == "function_calls"
    [named] = [
        item
        async for item in client.create_stream(ROME, tools=[WEATHER, DIE], tool_choice=WEATHER, extra_create_args=SHORT)
    ]
    assert isinstance(named, CreateResult)
    [call] = named.content
    assert isinstance(call, FunctionCall)
    assert call.name == "get_weather"
    assert "city" in call.arguments


async def test_structured_output_fits(client: LlamaCppChatCompletionClient) -> None:
    result = await client.create(ROME, json_output=City, extra_create_args=SHORT)
    assert isinstance(result.content, str)
    City.model_validate_json(result.content)


async def test_cancelling_stops_the_model(client: LlamaCppChatCompletionClient) -> None:
    token = CancellationToken()
    story = [UserMessage(content="Tell a very long story.", source="user")]
    answer = client.create_stream(story, cancellation_token=token, extra_create_args={"max_tokens": 900})
    for _ in range(5):
        await anext(answer)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(answer)
    assert (await client.create(ROME, extra_create_args=SHORT)).usage.completion_tokens == 40


async def test_a_conversation_that_is_too_long_tells_the_numbers(client: LlamaCppChatCompletionClient) -> None:
    with pytest.raises(ContextLengthError) as caught:
        await client.create([UserMessage(content="Hi " * 2000, source="user")])
    assert caught.value.limit == 1024
    assert caught.value.requested is not None
    assert caught.value.requested > 1024
