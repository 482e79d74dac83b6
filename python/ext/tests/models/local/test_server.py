"""The server, spoken to by the real `openai` SDK."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncGenerator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel

from autogen_ext.models.local import LocalModelServer
from autogen_ext.models.local._engine import Engine

from .kit import becomes_busy, becomes_idle

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather for a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
DICE: Any = {
    "type": "function",
    "function": {
        "name": "roll_dice",
        "description": "Roll a die.",
        "parameters": {"type": "object", "properties": {"sides": {"type": "integer"}}, "required": ["sides"]},
    },
}


def asks(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.fixture
async def server(engine: Engine) -> AsyncGenerator[LocalModelServer, None]:
    async with LocalModelServer() as running:
        yield running


@pytest.fixture
async def sdk(server: LocalModelServer) -> AsyncGenerator[AsyncOpenAI, None]:
    async with AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


async def test_a_chat_is_answered_under_any_model_name(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(model="gpt-4o", messages=asks("What is the capital of France?"))
    assert answer.model == "gpt-4o"
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_a_stream_ends_with_its_usage_where_that_is_asked_for(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="m", messages=asks("What is the capital of France?"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "Paris" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_stream_has_no_usage_where_nobody_asked(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(model="m", messages=asks("Hi"), stream=True, max_tokens=3)
    assert all(chunk.choices and chunk.usage is None for chunk in [chunk async for chunk in stream])


async def test_a_tool_is_called(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(
        model="m", messages=asks("What is the weather in São Paulo?"), tools=[WEATHER]
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    [call] = choice.message.tool_calls
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "São Paulo"})


async def test_a_streamed_tool_call_comes_in_deltas(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="m", messages=asks("What is the weather in Oslo?"), tools=[WEATHER], stream=True
    )
    chunks = [chunk async for chunk in stream]
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or ()]
    assert parts[0].index == 0
    assert parts[0].id
    assert parts[0].function is not None
    assert parts[0].function.name == "get_weather"
    arguments = "".join(part.function.arguments or "" for part in parts if part.function)
    assert json.loads(arguments) == {"city": "Oslo"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_a_result_is_put_into_words(sdk: AsyncOpenAI) -> None:
    first = await sdk.chat.completions.create(model="m", messages=asks("What is the weather in Oslo?"), tools=[WEATHER])
    message = first.choices[0].message
    assert message.tool_calls is not None
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "It is raining in Oslo."}
    messages: Any = [*asks("What is the weather in Oslo?"), message.model_dump(exclude_none=True), result]
    answer = await sdk.chat.completions.create(model="m", messages=messages, tools=[WEATHER])
    assert "rain" in (answer.choices[0].message.content or "")


async def test_tool_choice_is_obeyed(sdk: AsyncOpenAI) -> None:
    async def called(choice: Any) -> list[str]:
        answer = await sdk.chat.completions.create(
            model="m", messages=asks("Hello!"), tools=[WEATHER, DICE], tool_choice=choice, max_tokens=8
        )
        calls = answer.choices[0].message.tool_calls or []
        return [call.function.name for call in calls if isinstance(call, ChatCompletionMessageFunctionToolCall)]

    assert await called("none") == []
    assert len(await called("required")) == 1
    assert await called({"type": "function", "function": {"name": "roll_dice"}}) == ["roll_dice"]


class Colour(BaseModel):
    name: str
    dark: bool


async def test_an_answer_follows_a_json_schema(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.parse(model="m", messages=asks("Name a colour."), response_format=Colour)
    assert isinstance(answer.choices[0].message.parsed, Colour)


async def test_json_mode_begins_an_object(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(
        model="m", messages=asks("Name a colour as JSON."), response_format={"type": "json_object"}, max_tokens=20
    )
    assert (answer.choices[0].message.content or "").startswith("{")


async def test_limits_seeds_and_stop_words_are_obeyed(sdk: AsyncOpenAI) -> None:
    async def told(**arguments: Any) -> Any:
        question = asks("What is the capital of France?")
        create: Any = sdk.chat.completions.create
        return (await create(model="m", messages=question, **arguments)).choices[0]

    assert (await told(max_completion_tokens=2)).finish_reason == "length"
    assert (await told(max_tokens=2)).finish_reason == "length"
    assert "Paris" not in (await told(stop="Paris")).message.content
    one, other = [await told(seed=3, temperature=1.5, max_tokens=12) for _ in range(2)]
    assert one.message.content == other.message.content


async def test_models_are_listed(sdk: AsyncOpenAI, server: LocalModelServer) -> None:
    assert [model.id async for model in await sdk.models.list()] == [server.model_name]
    assert (await sdk.models.retrieve("anything/else")).id == "anything/else"


async def test_embeddings_come_as_numbers_and_in_base64(sdk: AsyncOpenAI) -> None:
    packed = await sdk.embeddings.create(model="m", input=["one", "two"])
    plain = await sdk.embeddings.create(model="m", input="one", encoding_format="float")
    assert [item.index for item in packed.data] == [0, 1]
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-4)  # pyright: ignore[reportUnknownMemberType] - pytest's type
    assert packed.usage.prompt_tokens > 0
    async with asyncio.timeout(20):
        status, body = await _raw(sdk, "POST", "/v1/embeddings", {"input": "one", "encoding_format": "base64"})
    assert status == 200
    assert len(base64.b64decode(body["data"][0]["embedding"])) == 4 * 576


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "pope", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages[0].content",
    ),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"n": 2}, "n"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"logprobs": True}, "logprobs"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "x"}}, "tools": [WEATHER]}, "tool_choice"),
    ({"response_format": {"type": "xml"}}, "response_format"),
    ({"messages": [{"role": "user", "content": "word " * 5000}]}, "messages"),
    ({"messages": [{"role": "user", "content": "word " * 5000}], "stream": True}, "messages"),
]


@pytest.mark.parametrize(("arguments", "param"), WRONG)
async def test_a_request_that_is_wrong_says_where(sdk: AsyncOpenAI, arguments: dict[str, Any], param: str) -> None:
    create: Any = sdk.chat.completions.create
    with pytest.raises(openai.BadRequestError) as caught:
        await create(**({"model": "m", "messages": asks("Hi")} | arguments))
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


async def test_a_prompt_that_is_too_long_has_the_code_that_programs_know(sdk: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.chat.completions.create(model="m", messages=asks("word " * 5000))
    assert caught.value.code == "context_length_exceeded"


async def test_other_paths_and_methods_are_errors_of_the_same_form(sdk: AsyncOpenAI) -> None:
    for method, path, expected in (("GET", "/v1/nothing", 404), ("GET", "/v1/chat/completions", 405)):
        status, body = await _raw(sdk, method, path)
        assert status == expected
        assert body["error"]["type"] == "invalid_request_error"
    status, body = await _raw(sdk, "POST", "/v1/chat/completions", "{not json")
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")


async def test_the_server_is_healthy(sdk: AsyncOpenAI) -> None:
    assert await _raw(sdk, "GET", "/health") == (200, {"status": "ok"})


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_goes_away_stops_the_engine(server: LocalModelServer, engine: Engine, stream: bool) -> None:
    body = json.dumps({"messages": asks("Write a long story."), "stream": stream, "max_tokens": 900}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(server))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    if stream:
        await reader.readuntil(b'"content": "')
    await becomes_busy(engine)
    writer.close()
    await writer.wait_closed()
    await becomes_idle(engine)


async def test_stopping_the_server_stops_what_it_computes(engine: Engine) -> None:
    server = LocalModelServer()
    await server.start()
    async with AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as sdk:
        stream = await sdk.chat.completions.create(
            model="m", messages=asks("Write a long story."), stream=True, max_tokens=900
        )
        await anext(aiter(stream))
        async with asyncio.timeout(10):
            await server.stop()
        await stream.close()
    await becomes_idle(engine)
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = server.base_url


async def test_a_port_that_is_taken_is_an_error(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await LocalModelServer(port=taken.getsockname()[1]).start()


async def test_two_requests_are_served_at_the_same_time(sdk: AsyncOpenAI) -> None:
    questions = {"What is the capital of France?": "Paris", "What is the capital of Italy?": "Rome"}
    answers = await asyncio.gather(
        *(sdk.chat.completions.create(model="m", messages=asks(question)) for question in questions)
    )
    for answer, expected in zip(answers, questions.values(), strict=True):
        assert expected in (answer.choices[0].message.content or "")


def _port(server: LocalModelServer) -> int:
    return int(server.base_url.removesuffix("/v1").rpartition(":")[2])


async def _raw(sdk: AsyncOpenAI, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a request as it is, and return status and body of the answer."""
    content = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    port = int(str(sdk.base_url).rstrip("/").removesuffix("/v1").rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = content.encode()
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    )
    writer.write(data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(rest)
