"""`create` and `create_stream` against exchanges from Ollama's reference.

https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
"""

import asyncio
import base64
import io
import logging
import subprocess
import sys
from typing import Any

import pytest
from ollama import AsyncClient
from PIL import Image as PillowImage
from pydantic import BaseModel, ValidationError

from autogen_core import EVENT_LOGGER_NAME, TRACE_LOGGER_NAME, CancellationToken, FunctionCall, Image
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent, LLMStreamStartEvent
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models.errors import UnusableReplyError

from .._shared.server import ProtocolServer
from .conftest import MakeClient, call, final, line, reply, stream

SKY: list[LLMMessage] = [UserMessage(content="why is the sky blue?", source="user")]


def get_current_weather(location: str, format: str = "celsius") -> str:
    """Get the current weather for a location."""
    return f"{location}: 20 {format}"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


WEATHER = FunctionTool(get_current_weather, "Get the current weather for a location")
ADD = FunctionTool(add, "Adds.")


class Ollama(BaseModel):
    age: int
    available: bool


async def stream_of(client: ChatCompletionClient, *args: Any, **kwargs: Any) -> tuple[list[str], CreateResult]:
    """Read a stream to its end: its pieces, and the result that must be its last item."""
    *pieces, result = [item async for item in client.create_stream(*args, **kwargs)]
    assert isinstance(result, CreateResult)
    return [str(piece) for piece in pieces], result


async def test_a_chat_without_streaming(server: ProtocolServer, make_client: MakeClient) -> None:
    """api.md, "Chat request (No streaming)"."""
    server.queue(reply(eval_count=298))
    result = await make_client().create([SystemMessage(content="Be brief."), *SKY])
    assert server.requests[0].path == "/api/chat"
    assert server.requests[0].body == {
        "model": "llama3.2",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "why is the sky blue?"},
        ],
        "stream": False,
        "tools": [],
    }
    assert result == CreateResult(
        finish_reason="stop",
        content="Hello! How are you today?",
        usage=RequestUsage(prompt_tokens=26, completion_tokens=298),
        cached=False,
    )


async def test_a_chat_with_streaming(server: ProtocolServer, make_client: MakeClient) -> None:
    """api.md, "Chat Request (Streaming)"."""
    server.queue(stream(line("The"), line(" sky"), line("", **final())))
    client = make_client()
    pieces, result = await stream_of(client, SKY)
    assert server.requests[0].body["stream"] is True
    assert pieces == ["The", " sky"]
    assert (result.content, result.finish_reason) == ("The sky", "stop")
    assert result.usage == client.total_usage() == client.actual_usage()
    assert result.usage == RequestUsage(prompt_tokens=26, completion_tokens=282)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_offered_and_calls_come_back(
    server: ProtocolServer, make_client: MakeClient, streamed: bool
) -> None:
    """api.md, "Chat request (with tools)": calls have no ids, and arguments are objects."""
    calls = {"tool_calls": [call(format="celsius", location="Paris, FR"), call("add", a=1, b=2)]}
    if streamed:
        server.queue(stream(line("", message=calls), line("", **final())))
        pieces, result = await stream_of(make_client(), SKY, tools=[WEATHER, ADD])
        assert pieces == []
    else:
        server.queue(reply("", message=calls))
        result = await make_client().create(SKY, tools=[WEATHER, ADD])
    sent = server.requests[0].body["tools"]
    assert [tool["function"]["name"] for tool in sent] == ["get_current_weather", "add"]
    assert sent[1] == {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds.",
            "parameters": {
                "type": "object",
                "required": ["a", "b"],
                "properties": {
                    "a": {"type": "integer", "description": "a"},
                    "b": {"type": "integer", "description": "b"},
                },
            },
        },
    }
    assert result.finish_reason == "function_calls"
    first, second = result.content
    assert isinstance(first, FunctionCall)
    assert isinstance(second, FunctionCall)
    assert (first.name, first.arguments) == ("get_current_weather", '{"format": "celsius", "location": "Paris, FR"}')
    assert (second.name, second.arguments) == ("add", '{"a": 1, "b": 2}')
    assert len({first.id, second.id, ""}) == 3


@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        ("auto", ["get_current_weather", "add"]),
        ("required", ["get_current_weather", "add"]),
        ("none", []),
        (ADD, ["add"]),
    ],
)
async def test_a_choice_of_tools_is_made_by_what_is_offered(
    server: ProtocolServer, make_client: MakeClient, choice: Any, offered: list[str]
) -> None:
    """api.md knows no `tool_choice`."""
    server.queue(reply("", message={"tool_calls": [call("add", a=1, b=2)]}))
    await make_client().create(SKY, tools=[WEATHER, ADD], tool_choice=choice)
    assert [tool["function"]["name"] for tool in server.requests[0].body["tools"]] == offered
    assert "tool_choice" not in server.requests[0].body


async def test_a_required_call_that_does_not_come_is_told_in_a_record(
    server: ProtocolServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(reply("No."))
    with caplog.at_level(logging.WARNING, TRACE_LOGGER_NAME):
        result = await make_client().create(SKY, tools=[ADD], tool_choice="required")
    assert result.content == "No."
    assert "no tool was called although one was required" in caplog.text


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("text", ['{"age": 22, "available": false}', '```json\n{"age": 22, "available": false}\n```'])
async def test_structured_output(server: ProtocolServer, make_client: MakeClient, text: str, streamed: bool) -> None:
    """api.md, "Chat request (Structured outputs)": the schema goes into `format`."""
    client = make_client(options={"temperature": 0})
    if streamed:
        server.queue(stream(line(text), line("", **final())))
        _, result = await stream_of(client, SKY, json_output=Ollama)
    else:
        server.queue(reply(text))
        result = await client.create(SKY, json_output=Ollama)
    body = server.requests[0].body
    assert body["options"] == {"temperature": 0}
    assert body["format"]["properties"] == {
        "age": {"title": "Age", "type": "integer"},
        "available": {"title": "Available", "type": "boolean"},
    }
    assert body["format"]["required"] == ["age", "available"]
    assert isinstance(result.content, str)
    assert Ollama.model_validate_json(result.content) == Ollama(age=22, available=False)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("ending", "kind"), [("stop", ValidationError), ("length", UnusableReplyError)])
async def test_an_answer_that_does_not_fit_is_the_same_error_streamed_or_not(
    server: ProtocolServer, make_client: MakeClient, streamed: bool, ending: str, kind: type[Exception]
) -> None:
    server.queue(
        stream(line('{"age": '), line("", **final(done_reason=ending)))
        if streamed
        else reply('{"age": ', done_reason=ending)
    )
    client = make_client()
    asking = stream_of(client, SKY, json_output=Ollama) if streamed else client.create(SKY, json_output=Ollama)
    with pytest.raises(kind):
        await asking
    assert client.total_usage().prompt_tokens == 26  # it was charged all the same


@pytest.mark.parametrize(
    ("configured", "asked", "sent"),
    [
        (None, True, "json"),
        (None, False, None),
        (None, None, None),
        ("json", None, "json"),
        ("json", False, None),
        ({"type": "json_object"}, None, "json"),
        ({"type": "object", "properties": {}}, None, {"type": "object", "properties": {}}),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}, None, {"type": "array"}),
    ],
)
async def test_the_form_of_answers(
    server: ProtocolServer, make_client: MakeClient, configured: Any, asked: bool | None, sent: Any
) -> None:
    server.queue(reply('Here: {"a": 1}'))
    result = await make_client(response_format=configured).create(SKY, json_output=asked)
    assert server.requests[0].body.get("format") == sent
    assert result.content == ('{"a": 1}' if sent else 'Here: {"a": 1}')


@pytest.mark.parametrize("streamed", [False, True])
async def test_thinking_comes_back_as_thought_and_is_sent_again(
    server: ProtocolServer, make_client: MakeClient, streamed: bool
) -> None:
    """https://docs.ollama.com/capabilities/thinking: `think` asks for it, and it stands in `message.thinking`."""
    calls = {"tool_calls": [call("add", a=1, b=2)]}
    client = make_client(think=True)  # not known to think
    if streamed:
        server.queue(
            stream(
                line("", message={"thinking": "I shall"}),
                line("", message={"thinking": " add."}),
                line("", message=calls),
                line("", **final()),
            )
        )
        pieces, result = await stream_of(client, SKY, tools=[ADD])
        assert "".join(pieces) == "<think>I shall add.</think>"
    else:
        server.queue(reply("", message={"thinking": "I shall add.", **calls}))
        result = await client.create(SKY, tools=[ADD])
    assert server.requests[0].body["think"] is True
    assert result.thought == "I shall add."
    assert isinstance(result.content, list)
    done = FunctionExecutionResult(content="3", name="add", call_id=result.content[0].id, is_error=False)
    saved = AssistantMessage(content=result.content, thought=result.thought, source="a").model_dump_json()
    server.queue(reply("3"))
    await client.create(
        [*SKY, AssistantMessage.model_validate_json(saved), FunctionExecutionResultMessage(content=[done])], tools=[ADD]
    )
    assert server.requests[1].body["messages"][1:] == [
        {"role": "assistant", "thinking": "I shall add.", "tool_calls": [call("add", a=1, b=2)]},
        {"role": "tool", "content": "3", "tool_name": "add"},
    ]


async def test_images_are_sent_in_base64(server: ProtocolServer, make_client: MakeClient) -> None:
    """api.md, "Chat request (with images)"."""
    server.queue(reply("A dot."))
    image = Image(PillowImage.new("RGB", (1, 1), "red"))
    await make_client(model="llava").create([UserMessage(content=["what is in this image?", image], source="user")])
    message = server.requests[0].body["messages"][0]
    assert message["content"] == "what is in this image?"
    assert PillowImage.open(io.BytesIO(base64.b64decode(message["images"][0]))).size == (1, 1)


async def test_an_image_for_a_blind_model_is_refused_before_anything_is_sent(
    server: ProtocolServer, make_client: MakeClient
) -> None:
    image = Image(PillowImage.new("RGB", (1, 1)))
    with pytest.raises(ValueError, match="does not support vision"):
        await make_client().create([UserMessage(content=[image], source="user")])
    assert server.requests == []


async def test_options_of_a_call_are_added_to_those_of_the_client(
    server: ProtocolServer, make_client: MakeClient
) -> None:
    """api.md, "Chat request (Reproducible outputs)"."""
    server.queue(reply())
    client = make_client(options={"temperature": 0, "seed": 1})
    await client.create(SKY, extra_create_args={"options": {"seed": 101}, "num_predict": 5, "keep_alive": "10m"})
    body = server.requests[0].body
    assert body["options"] == {"temperature": 0, "seed": 101, "num_predict": 5}
    assert body["keep_alive"] == "10m"


@pytest.mark.parametrize(
    ("word", "reason"), [("stop", "stop"), ("length", "length"), ("load", "unknown"), (None, "stop")]
)
async def test_stop_reasons(server: ProtocolServer, make_client: MakeClient, word: str | None, reason: str) -> None:
    """api.md, `done_reason`; older servers leave it out."""
    server.queue(reply(done_reason=word))
    assert (await make_client().create(SKY)).finish_reason == reason


async def test_a_stream_that_just_ends_gives_what_came(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(stream(line("The sky")))
    _, result = await stream_of(make_client(), SKY)
    assert (result.content, result.finish_reason) == ("The sky", "unknown")


@pytest.mark.parametrize("how", ["token", "close", "task"])
async def test_cancelling_a_stream_closes_the_connection(
    server: ProtocolServer, make_client: MakeClient, how: str
) -> None:
    server.queue(stream(line("The"), hang=True))
    token = CancellationToken()
    answer = make_client().create_stream(SKY, cancellation_token=token)
    assert await anext(answer) == "The"
    if how == "close":
        await answer.aclose()
    else:
        waiting = asyncio.ensure_future(anext(answer))
        await asyncio.sleep(0)
        _ = token.cancel() if how == "token" else waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_cancelling_a_call_closes_the_connection(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(stream(hang=True))
    token = CancellationToken()
    waiting = asyncio.ensure_future(make_client().create(SKY, cancellation_token=token))
    await server.asked.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_an_interrupted_history_is_healed_before_it_is_sent(
    server: ProtocolServer, make_client: MakeClient
) -> None:
    server.queue(reply())
    lost = AssistantMessage(content=[FunctionCall(id="1", name="add", arguments='{"a": 1, "b": 2}')], source="a")
    await make_client().create([lost, *SKY])
    roles = [message["role"] for message in server.requests[0].body["messages"]]
    assert roles == ["assistant", "tool", "user"]
    assert "interrupted" in server.requests[0].body["messages"][1]["content"]


async def test_an_unknown_model_chats_and_calls_tools_after_one_warning(
    server: ProtocolServer, make_client: MakeClient
) -> None:
    with pytest.warns(UserWarning, match="'brand-new' is not known"):
        client = make_client(model="brand-new")
    make_client(model="brand-new")  # a second warning would be an error
    server.queue(reply("", message={"tool_calls": [call("add", a=1, b=2)]}))
    result = await client.create(SKY, tools=[ADD])
    assert isinstance(result.content, list)
    assert client.remaining_tokens([]) < 4096


async def test_model_info_wins(server: ProtocolServer, make_client: MakeClient) -> None:
    info = ModelInfo(vision=False, function_calling=False, json_output=False, family="x", structured_output=False)
    client = make_client(model_info=info)
    for refused in ({"tools": [ADD]}, {"json_output": True}, {"json_output": Ollama}):
        with pytest.raises(ValueError, match="does not support"):
            await client.create(SKY, **refused)  # pyright: ignore[reportArgumentType] - one of several arguments
    assert server.requests == []


async def test_calls_go_through_the_public_method_of_the_sdk(
    server: ProtocolServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    chat = vars(AsyncClient)["chat"]

    async def patched(self: AsyncClient, *args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["model"])
        return await chat(self, *args, **kwargs)

    monkeypatch.setattr(AsyncClient, "chat", patched)
    server.queue(reply(), stream(line("Hi"), line("", **final())))
    client = make_client()
    await client.create(SKY)
    await stream_of(client, SKY)
    assert seen == ["llama3.2", "llama3.2"]


async def test_calls_are_recorded_as_events(
    server: ProtocolServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(reply(), stream(line("Hi"), line("", **final())))
    client = make_client()
    with caplog.at_level(logging.INFO, EVENT_LOGGER_NAME):
        await client.create(SKY)
        await stream_of(client, SKY)
    kinds: list[object] = [type(record.msg) for record in caplog.records if record.name == EVENT_LOGGER_NAME]
    assert kinds == [LLMCallEvent, LLMStreamStartEvent, LLMStreamEndEvent]


def test_tokens_are_counted_and_what_is_left_depends_on_num_ctx(make_client: MakeClient) -> None:
    client = make_client(options={"num_ctx": 1000})
    used = client.count_tokens(SKY, tools=[ADD])
    assert used > client.count_tokens(SKY) > 5
    assert client.remaining_tokens(SKY, tools=[ADD]) == 1000 - used
    assert make_client().remaining_tokens(SKY) > 100_000


def test_without_the_sdk_the_extra_is_named() -> None:
    program = "import sys; sys.modules['ollama'] = None; import autogen_ext.models.ollama"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'pip install "autogen-ext[ollama]"' in ended.stderr
