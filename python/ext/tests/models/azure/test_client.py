"""`create` and `create_stream` against exchanges from the reference of the model inference API.

https://learn.microsoft.com/rest/api/aifoundry/model-inference/get-chat-completions/get-chat-completions
https://learn.microsoft.com/azure/machine-learning/reference-model-inference-chat-completions
"""

import asyncio
import logging
import subprocess
import sys
from typing import Any

import pytest
from azure.ai.inference.aio import ChatCompletionsClient
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
from autogen_ext.models.azure import AzureAIChatCompletionClient
from autogen_ext.models.azure.config import GITHUB_MODELS_ENDPOINT
from autogen_ext.models.errors import UnusableReplyError

from .._shared.server import ProtocolServer
from .conftest import SECRET, USAGE, MakeClient, call, completion, sse, update

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool(add, "Adds.")


class City(BaseModel):
    name: str


async def stream_of(client: ChatCompletionClient, *args: Any, **kwargs: Any) -> tuple[list[str], CreateResult]:
    """Read a stream to its end: its pieces, and the result that must be its last item."""
    *pieces, result = [item async for item in client.create_stream(*args, **kwargs)]
    assert isinstance(result, CreateResult)
    return [str(piece) for piece in pieces], result


async def test_a_completion(server: ProtocolServer, make_client: MakeClient) -> None:
    """Get Chat Completions: `POST /chat/completions?api-version=...`, key in `api-key` and `Authorization`."""
    server.queue(completion())
    client = make_client(temperature=0.5)
    result = await client.create([SystemMessage(content="Be brief."), *HI])
    [request] = server.requests
    assert request.path.startswith("/chat/completions?api-version=20")
    assert request.headers["api-key"] == SECRET
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["user-agent"].startswith("autogen-python/")
    assert request.body == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "model": "gpt-4o",
        "temperature": 0.5,
    }
    assert result == CreateResult(
        finish_reason="stop", content="Hello", usage=RequestUsage(prompt_tokens=205, completion_tokens=5), cached=False
    )
    assert client.total_usage() == client.actual_usage() == result.usage


async def test_a_stream(server: ProtocolServer, make_client: MakeClient) -> None:
    """Chat completions, "Stream": data-only server-sent events, terminated by `data: [DONE]`."""
    server.queue(
        sse(update({"role": "assistant", "content": ""}), update({"content": "Hel"}), update({"content": "lo"}),
            update(finish="stop", **USAGE))
    )  # fmt: skip
    pieces, result = await stream_of(make_client(), HI)
    assert server.requests[0].body["stream"] is True
    assert pieces == ["Hel", "lo"]
    assert (result.content, result.finish_reason) == ("Hello", "stop")
    assert result.usage == RequestUsage(prompt_tokens=205, completion_tokens=5)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls(server: ProtocolServer, make_client: MakeClient, streamed: bool) -> None:
    """ChatCompletionsToolCall: whole, or in fragments by index."""
    if streamed:
        server.queue(
            sse(
                update({"role": "assistant", "content": "Adding."}),
                update({"tool_calls": [call("add", "", "c1", index=0)]}),
                update({"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1'}}]}),
                update({"tool_calls": [{"index": 0, "function": {"arguments": ', "b": 2}'}}]}),
                update({"tool_calls": [call("add", '{"a": 3, "b": 4}', "c2", index=1)]}),
                update(finish="tool_calls"),
            )
        )
        pieces, result = await stream_of(make_client(), HI, tools=[ADD])
        assert pieces == ["Adding."]
    else:
        calls = [call("add", '{"a": 1, "b": 2}', "c1"), call("add", '{"a": 3, "b": 4}', "c2")]
        server.queue(completion("Adding.", finish="tool_calls", message={"tool_calls": calls}))
        result = await make_client().create(HI, tools=[ADD])
    body = server.requests[0].body
    assert body["tool_choice"] == "auto"
    assert body["tools"][0]["function"].keys() == {"name", "description", "parameters"}
    assert result.finish_reason == "function_calls"
    assert result.thought == "Adding."
    assert result.content == [
        FunctionCall(id="c1", name="add", arguments='{"a": 1, "b": 2}'),
        FunctionCall(id="c2", name="add", arguments='{"a": 3, "b": 4}'),
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ("none", "none"),
        (ADD, {"type": "function", "function": {"name": "add"}}),
    ],
)
async def test_the_choice_of_tools(server: ProtocolServer, make_client: MakeClient, choice: Any, sent: Any) -> None:
    """ChatCompletionsToolChoicePreset and ChatCompletionsNamedToolChoice."""
    server.queue(completion())
    await make_client().create(HI, tools=[ADD], tool_choice=choice)
    assert server.requests[0].body["tool_choice"] == sent


async def test_calls_and_results_are_sent_back(server: ProtocolServer, make_client: MakeClient) -> None:
    """ChatRequestAssistantMessage and ChatRequestToolMessage."""
    server.queue(completion())
    asked = AssistantMessage(content=[FunctionCall(id="c1", name="add", arguments="{}")], thought="Adding.", source="a")
    done = FunctionExecutionResult(content="3", name="add", call_id="c1", is_error=False)
    await make_client().create([*HI, asked, FunctionExecutionResultMessage(content=[done])])
    assert server.requests[0].body["messages"][1:] == [
        {"role": "assistant", "content": "Adding.", "tool_calls": [call("add", "{}", "c1")]},
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
    ]


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_a_model_wants_back_is_sent_back_unchanged_also_from_a_saved_state(
    server: ProtocolServer, make_client: MakeClient, streamed: bool
) -> None:
    """Models behind the API add fields, such as signatures of thoughts; they go to the same endpoint only."""
    signed = {**call("add", "{}", "c1"), "extra_content": {"google": {"thought_signature": "c2ln"}}}
    message = {"tool_calls": [signed], "reasoning_content": "Hm.", "cache": "a1"}
    if streamed:
        server.queue(sse(update({**message, "tool_calls": [{**signed, "index": 0}]}), update(finish="tool_calls")))
        _, result = await stream_of(make_client(), HI, tools=[ADD])
    else:
        server.queue(completion("", message=message))
        result = await make_client().create(HI, tools=[ADD])
    assert isinstance(result.content, list)
    asked = AssistantMessage(
        content=result.content, thought=result.thought, source="a", provider_data=result.provider_data
    )
    asked = AssistantMessage.model_validate_json(asked.model_dump_json())
    done = FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="3", name="add", call_id="c1", is_error=False)]
    )
    server.queue(completion())
    await make_client().create([*HI, asked, done])
    assert server.requests[1].body["messages"][1] == {"role": "assistant", "content": "", **message}
    async with ProtocolServer() as other:
        other.queue(completion())
        await make_client(endpoint=other.url).create([*HI, asked, done])
        assert other.requests[0].body["messages"][1].keys() == {"role", "content", "tool_calls"}
        assert other.requests[0].body["messages"][1]["tool_calls"] == [call("add", "{}", "c1")]


async def test_images(server: ProtocolServer, make_client: MakeClient) -> None:
    """ChatMessageImageContentItem."""
    server.queue(completion())
    image = Image(PillowImage.new("RGB", (1, 1)))
    await make_client().create([UserMessage(content=["What?", image], source="user")])
    text, picture = server.requests[0].body["messages"][0]["content"]
    assert text == {"type": "text", "text": "What?"}
    assert picture["type"] == "image_url"
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    with pytest.raises(ValueError, match="does not support vision"):
        await make_client(model="Phi-4").create([UserMessage(content=[image], source="user")])


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("text", ['{"name": "Rome"}', '```json\n{"name": "Rome"}\n```', 'It is {"name": "Rome"}'])
async def test_structured_output(server: ProtocolServer, make_client: MakeClient, text: str, streamed: bool) -> None:
    """ChatCompletionsResponseFormatJsonSchema."""
    client = make_client()
    if streamed:
        server.queue(sse(update({"content": text}), update(finish="stop")))
        _, result = await stream_of(client, HI, json_output=City)
    else:
        server.queue(completion(text))
        result = await client.create(HI, json_output=City)
    form = server.requests[0].body["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["name"] == "City"
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["schema"]["required"] == ["name"]
    assert result.content == '{"name": "Rome"}'


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("ending", "kind"), [("stop", ValidationError), ("length", UnusableReplyError)])
async def test_an_answer_that_does_not_fit_is_the_same_error_streamed_or_not(
    server: ProtocolServer, make_client: MakeClient, streamed: bool, ending: str, kind: type[Exception]
) -> None:
    server.queue(
        sse(update({"content": '{"na'}), update(finish=ending)) if streamed else completion('{"na', finish=ending)
    )
    client = make_client()
    with pytest.raises(kind):
        await (stream_of(client, HI, json_output=City) if streamed else client.create(HI, json_output=City))


@pytest.mark.parametrize(
    ("configured", "asked", "sent"),
    [
        (None, None, None),
        (None, True, {"type": "json_object"}),
        ("json_object", None, {"type": "json_object"}),
        ("json_object", False, None),
        ({"type": "json_object"}, None, {"type": "json_object"}),
    ],
)
async def test_the_form_of_answers(
    server: ProtocolServer, make_client: MakeClient, configured: Any, asked: bool | None, sent: Any
) -> None:
    """ChatCompletionsResponseFormat."""
    server.queue(completion('So: {"a": 1}'))
    result = await make_client(response_format=configured).create(HI, json_output=asked)
    assert server.requests[0].body.get("response_format") == sent
    assert result.content == ('{"a": 1}' if sent else 'So: {"a": 1}')


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("field", ["reasoning_content", "<think>"])
async def test_reasoning_is_a_thought(
    server: ProtocolServer, make_client: MakeClient, field: str, streamed: bool
) -> None:
    """https://learn.microsoft.com/azure/ai-foundry/foundry-models/how-to/use-chat-reasoning."""
    client = make_client(model="DeepSeek-R1")
    tagged = field == "<think>"
    if streamed:
        thinking = {"content": "<think>Hm.</think>"} if tagged else {field: "Hm."}
        server.queue(sse(update(thinking), update({"content": "Yes"}), update(finish="stop")))
        pieces, result = await stream_of(client, HI)
        assert "".join(pieces) == "<think>Hm.</think>Yes"
    else:
        server.queue(completion("<think>Hm.</think>Yes") if tagged else completion("Yes", message={field: "Hm."}))
        result = await client.create(HI)
    assert (result.thought, result.content) == ("Hm.", "Yes")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("new", "unknown"),
        (None, "unknown"),
    ],
)
async def test_finish_reasons(server: ProtocolServer, make_client: MakeClient, word: str | None, reason: str) -> None:
    """CompletionsFinishReason."""
    server.queue(completion(finish=word))
    assert (await make_client().create(HI)).finish_reason == reason


async def test_odd_replies_give_results_and_one_warning_each(
    server: ProtocolServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Models behind the API leave out what it promises: usage, content, ids, arguments."""
    odd = {"tool_calls": [call("add", "", ""), call("add", '{"a": 3}', "")]}
    server.queue(completion(None, finish=None, message=odd, usage=None), sse(update({"content": "x"}), done=False))
    client = make_client()
    with caplog.at_level(logging.WARNING, TRACE_LOGGER_NAME):
        result = await client.create(HI, tools=[ADD])
        _, streamed = await stream_of(client, HI)
    assert isinstance(result.content, list)
    assert [one.arguments for one in result.content] == ["{}", '{"a": 3}']
    assert len({one.id for one in result.content}) == 2
    assert result.usage == RequestUsage(prompt_tokens=0, completion_tokens=0)
    assert (streamed.content, streamed.finish_reason) == ("x", "unknown")
    assert "no usage was reported" in caplog.text
    assert "ended without a reason" in caplog.text


async def test_extra_fields_pass_through_to_the_model(server: ProtocolServer, make_client: MakeClient) -> None:
    """Model inference API, "Extensibility": the header `extra-parameters: pass-through`."""
    server.queue(completion())
    await make_client().create(HI, extra_create_args={"model_extras": {"safe_prompt": True}, "seed": 7})
    assert server.requests[0].headers["extra-parameters"] == "pass-through"
    assert server.requests[0].body["safe_prompt"] is True
    assert server.requests[0].body["seed"] == 7


@pytest.mark.parametrize("name", ["stream", "messages", "bogus"])
async def test_arguments_that_cannot_be_set_are_refused_before_anything_is_sent(
    server: ProtocolServer, make_client: MakeClient, name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        await make_client().create(HI, extra_create_args={name: 1})
    assert server.requests == []


@pytest.mark.parametrize("how", ["token", "close", "task"])
async def test_cancelling_a_stream_closes_the_connection(
    server: ProtocolServer, make_client: MakeClient, how: str
) -> None:
    server.queue(sse(update({"content": "The"}), done=False, hang=True))
    token = CancellationToken()
    answer = make_client().create_stream(HI, cancellation_token=token)
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
    server.queue(sse(done=False, hang=True))
    token = CancellationToken()
    waiting = asyncio.ensure_future(make_client().create(HI, cancellation_token=token))
    await server.asked.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_an_interrupted_history_is_healed_before_it_is_sent(
    server: ProtocolServer, make_client: MakeClient
) -> None:
    server.queue(completion())
    lost = AssistantMessage(content=[FunctionCall(id="c1", name="add", arguments="{}")], source="a")
    await make_client().create([lost, *HI])
    assert [message["role"] for message in server.requests[0].body["messages"]] == ["assistant", "tool", "user"]


async def test_an_unknown_model_chats_and_calls_tools_after_one_warning(
    server: ProtocolServer, make_client: MakeClient
) -> None:
    with pytest.warns(UserWarning, match="'my-deployment' is not known"):
        client = make_client(model="my-deployment")
    make_client(model="my-deployment")  # a second warning would be an error
    server.queue(completion(None, message={"tool_calls": [call()]}))
    assert isinstance((await client.create(HI, tools=[ADD])).content, list)


async def test_model_info_wins(server: ProtocolServer, make_client: MakeClient) -> None:
    info = ModelInfo(vision=False, function_calling=False, json_output=False, family="x", structured_output=False)
    client = make_client(model_info=info)
    assert client.model_info == info
    for refused in ({"tools": [ADD]}, {"json_output": True}, {"json_output": City}):
        with pytest.raises(ValueError, match="does not support"):
            await client.create(HI, **refused)  # pyright: ignore[reportArgumentType] - one of several arguments
    assert server.requests == []


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ({"endpoint": None}, "endpoint is required"),
        ({"credential": None}, "credential is required"),
        ({"endpoint": GITHUB_MODELS_ENDPOINT, "model": None}, "model is required"),
    ],
)
def test_what_a_client_needs(make_client: MakeClient, missing: dict[str, None], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make_client(**missing)


async def test_github_models_are_known_by_their_makers_names(make_client: MakeClient) -> None:
    client = make_client(endpoint=GITHUB_MODELS_ENDPOINT, model="openai/gpt-4o-mini")
    assert client.model_info["structured_output"] is True
    assert client.remaining_tokens(HI) == 128_000 - client.count_tokens(HI)
    assert client.count_tokens(HI, tools=[ADD]) > client.count_tokens(HI)


async def test_misspelt_arguments_are_warned_of(make_client: MakeClient) -> None:
    with pytest.warns(UserWarning, match="Unknown arguments of the client are ignored: temprature"):
        make_client(temprature=1)


async def test_calls_go_through_the_public_method_of_the_sdk(
    server: ProtocolServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    complete = vars(ChatCompletionsClient)["complete"]

    async def patched(self: ChatCompletionsClient, **kwargs: Any) -> Any:
        seen.append(bool(kwargs.get("stream")))
        return await complete(self, **kwargs)

    monkeypatch.setattr(ChatCompletionsClient, "complete", patched)
    server.queue(completion(), sse(update({"content": "x"}, finish="stop")))
    client = make_client()
    await client.create(HI)
    await stream_of(client, HI)
    assert seen == [False, True]


async def test_calls_are_recorded_as_events(
    server: ProtocolServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(completion(), sse(update({"content": "x"}, finish="stop")))
    client = make_client()
    with caplog.at_level(logging.INFO, EVENT_LOGGER_NAME):
        await client.create(HI)
        await stream_of(client, HI)
    kinds: list[object] = [type(record.msg) for record in caplog.records if record.name == EVENT_LOGGER_NAME]
    assert kinds == [LLMCallEvent, LLMStreamStartEvent, LLMStreamEndEvent]


async def test_usage_can_be_added(make_client: MakeClient) -> None:
    client: AzureAIChatCompletionClient = make_client()
    client.add_usage(RequestUsage(prompt_tokens=1, completion_tokens=2))
    assert client.total_usage() == RequestUsage(prompt_tokens=1, completion_tokens=2)


def test_without_the_sdk_the_extra_is_named() -> None:
    program = "import sys; sys.modules['azure.ai.inference'] = None; import autogen_ext.models.azure"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'pip install "autogen-ext[azure]"' in ended.stderr
