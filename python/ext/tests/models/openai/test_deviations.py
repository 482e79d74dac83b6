"""Servers that are almost compatible: each deviation gives a valid result or one typed error, and a warning record."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest

from autogen_core import TRACE_LOGGER_NAME, FunctionCall
from autogen_core.models import CreateResult, UserMessage
from autogen_core.tools import ToolSchema
from autogen_ext.models.errors import ModelClientError

from .canned import CannedServer, Reply, call, chunk, completion, message, sse, usage_chunk
from .conftest import MakeClient

ADD: ToolSchema = {"name": "add", "description": "Adds."}
DONE = chunk({}, finish="stop")
USAGE = usage_chunk()


@dataclass(frozen=True)
class Deviation:
    """What a server does, and what a caller gets."""

    name: str
    reply: Any
    content: Any = "Hello"
    """The text, or the names and arguments of the calls."""
    thought: str | None = None
    error: type[Exception] | None = None
    warned: str = ""
    """What the record says; empty where the deviation is so common that it is none."""
    fields: dict[str, Any] = field(default_factory=dict[str, Any])


def calls(*made: Any, finish: str | None = "tool_calls", content: Any = None) -> Any:
    return completion(message(content, finish=finish, tool_calls=list(made)))


def fragment(index: Any = 0, **fields: Any) -> Any:
    """A chunk with a part of a tool call."""
    part: dict[str, Any] = {"function": fields}
    if "id" in fields:
        part["id"] = fields.pop("id")
    if index is not None:
        part["index"] = index
    return chunk({"tool_calls": [part]})


def raw(*lines: str) -> Reply:
    return Reply(lines=lines)


def line(value: Any) -> str:
    return f"data: {json.dumps(value)}\n\n"


CALLED = [("add", '{"a": 1}')]
TWICE = [("add", '{"a": 1}'), ("add", '{"a": 2}')]
ENDING = [chunk({}, finish="tool_calls"), USAGE]

WHOLE = [
    Deviation("usage is absent", completion(message("Hello"), usage=None), warned="no usage"),
    Deviation("usage holds no numbers", completion(message("Hello"), usage={"prompt_tokens": "?"})),
    Deviation("no choices", completion(), error=ModelClientError, warned="no answer"),
    Deviation("an empty object", {}, error=ModelClientError, warned="no answer"),
    Deviation("a list", [], error=ModelClientError, warned="no answer"),
    Deviation("null", None, error=ModelClientError, warned="no answer"),
    Deviation("plain text", "hello", error=ModelClientError, warned="no answer"),
    Deviation(
        "an error object with status 200", {"error": {"message": "boom"}}, error=ModelClientError, warned="no answer"
    ),
    Deviation("an error text with status 200", {"error": "boom"}, error=ModelClientError, warned="no answer"),
    Deviation("null content with tool calls", calls(call()), content=CALLED),
    Deviation("empty content with tool calls", calls(call(), content=""), content=CALLED),
    Deviation("empty arguments", calls(call(arguments="")), content=[("add", "{}")]),
    Deviation("null arguments", calls(call(arguments=None)), content=[("add", "{}")]),
    Deviation("arguments as an object", calls(call(arguments={"a": 1})), content=CALLED, warned="not text"),
    Deviation("an empty tool id", calls(call(call_id="")), content=CALLED, warned="no id"),
    Deviation("a null tool id", calls(call(call_id=None)), content=CALLED, warned="no id"),
    Deviation(
        "repeated tool ids", calls(call(), call(arguments='{"a": 2}')), content=TWICE, warned="the id of another"
    ),
    Deviation("a call without a type", calls({"id": "c", "function": call()["function"]}), content=CALLED),
    Deviation("finish reason stop with tool calls", calls(call(), finish="stop"), content=CALLED),
    Deviation("finish reason null", completion(message("Hello", finish=None))),
    Deviation("finish reason unknown", completion(message("Hello", finish="done")), warned="'done' is unknown"),
    Deviation("finish reason in capitals", completion(message("Hello", finish="STOP"))),
    Deviation("reasoning_content", completion(message("Hello", reasoning_content="Hm.")), thought="Hm."),
    Deviation("reasoning", completion(message("Hello", reasoning="Hm.")), thought="Hm."),
    Deviation("a think block", completion(message("<think>Hm.</think>Hello")), thought="Hm."),
    Deviation("content in parts", completion(message([{"type": "text", "text": "Hello"}]))),  # pyright: ignore[reportArgumentType] - a deviation
    Deviation("no role", completion({"index": 0, "finish_reason": "stop", "message": {"content": "Hello"}})),
    Deviation("extra keys everywhere", completion(message("Hello", mood="fine"), timings={"ms": 1}, x=[1])),
    Deviation("no id, object or model", {"choices": [message("Hello")], "usage": {"prompt_tokens": 1}}),
    Deviation("no content at all", completion(message(None)), content="", warned="neither text nor tool calls"),
    Deviation(
        "a message that is null", completion({"message": None, "finish_reason": "stop"}), content="", warned="neither"
    ),
    Deviation("log probabilities of another form", completion({**message("Hello"), "logprobs": {"tokens": ["x"]}})),
    Deviation(
        "numbers as names",
        calls({"id": 7, "function": {"name": 7, "arguments": 7}}),
        content=[("", "7")],
        warned="not text",
    ),
    Deviation("another content type", Reply(body=completion(message("Hello")), headers={"content-type": "text/plain"})),
    Deviation(
        "a web page",
        Reply(lines=["<html>Welcome</html>"], headers={"content-type": "text/html"}),
        error=ModelClientError,
        warned="no answer",
    ),
    Deviation(
        "half of the JSON",
        Reply(lines=['{"choices": ['], headers={"content-type": "application/json"}),
        error=ModelClientError,
        warned="no answer",
    ),
    Deviation(
        "a connection that breaks",
        Reply(body=completion(message("Hello")), truncate=True),
        error=openai.APIConnectionError,
    ),
]

STREAMED = [
    Deviation("usage is absent", sse(chunk({"content": "Hello"}), DONE), warned="no usage"),
    Deviation(
        "usage in the chunk with the end", sse(chunk({"content": "Hello"}), {**DONE, "usage": {"prompt_tokens": 7}})
    ),
    Deviation("usage in every chunk", sse(chunk({"content": "Hello"}, usage={"prompt_tokens": 7}), DONE)),
    Deviation("chunks without choices", sse(chunk(), chunk({"content": "Hello"}), chunk(), DONE, USAGE)),
    Deviation("choices are null", sse(chunk({"content": "Hello"}), {**chunk(), "choices": None}, DONE, USAGE)),
    Deviation("no role in the first chunk", sse(chunk({"content": "Hello"}), DONE, USAGE)),
    Deviation(
        "a role in every chunk", sse(*[chunk({"role": "assistant", "content": c}) for c in ("Hel", "lo")], DONE, USAGE)
    ),
    Deviation(
        "a delta that is null",
        sse(
            chunk({"content": "Hello"}),
            {**DONE, "choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]},
            USAGE,
        ),
    ),
    Deviation("comments and blank lines", sse(": ping\n\n", "\n\n", chunk({"content": "Hello"}), ":\n\n", DONE, USAGE)),
    Deviation(
        "lines that end with a carriage return",
        raw(*[line(c).replace("\n", "\r\n") for c in (chunk({"content": "Hello"}), DONE, USAGE)]),
    ),
    Deviation(
        "no blank lines between events",
        raw(*[line(c).rstrip() + "\n" for c in (chunk({"content": "Hello"}), DONE, USAGE)], "data: [DONE]\n"),
    ),
    Deviation(
        "no space behind data:",
        raw(*[line(c).replace("data: ", "data:") for c in (chunk({"content": "Hello"}), DONE, USAGE)]),
    ),
    Deviation("no [DONE]", sse(chunk({"content": "Hello"}), DONE, USAGE, done=False)),
    Deviation(
        "chunks after [DONE]",
        raw(line(chunk({"content": "Hello"})), line(DONE), line(USAGE), "data: [DONE]\n\n", "data: x\n\n"),
    ),
    Deviation(
        "a last line that is not ended", raw(line(chunk({"content": "Hello"})), line(USAGE), line(DONE).rstrip())
    ),
    Deviation(
        "a line that is no JSON", sse(chunk({"content": "Hello"}), "data: oops\n\n", DONE, USAGE), warned="no JSON"
    ),
    Deviation("an empty data line", sse(chunk({"content": "Hello"}), "data:\n\n", DONE, USAGE)),
    Deviation("no finish reason", sse(chunk({"content": "Hello"}), USAGE), warned="without a finish reason"),
    Deviation("nothing at all", sse(), content="", warned="neither text nor tool calls"),
    Deviation("a whole reply", Reply(body=completion(message("Hello"))), warned="not streamed"),
    Deviation(
        "an error instead of a stream",
        Reply(body={"error": {"message": "boom"}}),
        error=ModelClientError,
        warned="no answer",
    ),
    Deviation(
        "an error in the stream",
        sse(chunk({"content": "a"}), {"error": {"message": "boom"}}),
        error=ModelClientError,
        warned="no answer",
    ),
    Deviation(
        "an error event",
        sse(chunk({"content": "a"}), 'event: error\ndata: {"message": "boom"}\n\n'),
        error=ModelClientError,
        warned="no answer",
    ),
    Deviation(
        "a stream that breaks off",
        Reply(lines=[line(chunk({"content": "a"}))], truncate=True),
        error=openai.APIConnectionError,
    ),
    Deviation(
        "reasoning_content",
        sse(*[chunk({"reasoning_content": c}) for c in ("H", "m.")], chunk({"content": "Hello"}), DONE, USAGE),
        thought="Hm.",
    ),
    Deviation("reasoning", sse(chunk({"reasoning": "Hm."}), chunk({"content": "Hello"}), DONE, USAGE), thought="Hm."),
    Deviation(
        "a think block in pieces",
        sse(*[chunk({"content": c}) for c in ("<thi", "nk>Hm.</th", "ink>Hello")], DONE, USAGE),
        thought="Hm.",
    ),
    Deviation("a call in one chunk", sse(fragment(id="c", name="add", arguments='{"a": 1}'), *ENDING), content=CALLED),
    Deviation(
        "a name in pieces",
        sse(fragment(id="c", name="a"), fragment(name="dd"), fragment(arguments='{"a": 1}'), *ENDING),
        content=CALLED,
    ),
    Deviation(
        "the name in every fragment",
        sse(fragment(id="c", name="add", arguments='{"a"'), fragment(name="add", arguments=": 1}"), *ENDING),
        content=CALLED,
    ),
    Deviation(
        "the id in every fragment",
        sse(fragment(id="c", name="add", arguments='{"a"'), fragment(id="c", arguments=": 1}"), *ENDING),
        content=CALLED,
    ),
    Deviation(
        "no index",
        sse(
            *[fragment(None, id=i, name="add", arguments=a) for i, a in (("x", '{"a": 1}'), ("y", '{"a": 2}'))], *ENDING
        ),
        content=TWICE,
    ),
    Deviation(
        "one index for two calls",
        sse(*[fragment(0, id=i, name="add", arguments=a) for i, a in (("x", '{"a": 1}'), ("y", '{"a": 2}'))], *ENDING),
        content=TWICE,
    ),
    Deviation(
        "indices that begin at one", sse(fragment(1, id="c", name="add", arguments='{"a": 1}'), *ENDING), content=CALLED
    ),
    Deviation(
        "a call without an id", sse(fragment(name="add", arguments='{"a": 1}'), *ENDING), content=CALLED, warned="no id"
    ),
    Deviation("a call without arguments", sse(fragment(id="c", name="add"), *ENDING), content=[("add", "{}")]),
    Deviation(
        "text between fragments",
        sse(
            fragment(id="c", name="add", arguments='{"a"'),
            chunk({"content": "Hm"}),
            fragment(arguments=": 1}"),
            *ENDING,
        ),
        content=CALLED,
        thought="Hm",
    ),
]


def test_there_are_more_than_thirty_deviations_of_each_kind() -> None:
    assert len(WHOLE) > 30
    assert len(STREAMED) > 30


@pytest.mark.parametrize("watched", [False, True], ids=["", "with a patched SDK"])
@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
async def test_a_deviating_reply_is_a_result_or_one_typed_error(
    server: CannedServer,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    case: Deviation,
    watched: bool,
) -> None:
    if watched:
        patch_sdk(monkeypatch)
    server.queue(case.reply)
    client = make_client()

    async def ask() -> CreateResult:
        return await client.create([UserMessage(content="hi", source="user")], tools=[ADD])

    await check(ask, case, caplog)


@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.name)
async def test_a_deviating_stream_is_a_result_or_one_typed_error(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture, case: Deviation
) -> None:
    server.queue(case.reply)
    client = make_client()

    async def ask() -> CreateResult:
        stream = client.create_stream([UserMessage(content="hi", source="user")], tools=[ADD], include_usage=True)
        *_, result = [item async for item in stream]
        assert isinstance(result, CreateResult)
        return result

    await check(ask, case, caplog)


async def check(ask: Callable[[], Any], case: Deviation, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger=TRACE_LOGGER_NAME):
        if case.error is not None:
            with pytest.raises(case.error) as caught:
                await ask()
            assert isinstance(caught.value, openai.APIError)
            assert isinstance(caught.value, ModelClientError)
        else:
            result = await ask()
            content = result.content
            if not isinstance(content, str):
                assert all(isinstance(made, FunctionCall) and made.id for made in content)
                assert len({made.id for made in content}) == len(content)
                content = [(made.name, made.arguments) for made in content]
            assert content == case.content
            assert result.thought == case.thought
    records = [record.getMessage() for record in caplog.records]
    if case.warned:
        assert len(records) == 1
        assert case.warned in records[0]
    else:
        assert records == []


def patch_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrap the SDK's method as instrumentation does, so that replies come as the SDK's objects."""
    from openai.resources.chat import AsyncCompletions

    create: Any = AsyncCompletions.create

    async def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await create(self, *args, **kwargs)

    monkeypatch.setattr(AsyncCompletions, "create", watched)
