"""{stream, not} x {tools, none} x {native schema, JSON mode, plain text} give equal typed objects, or the same typed error."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from autogen_core import FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models._shared._text import extract_json
from autogen_ext.models.errors import UnusableReplyError

from .canned import CannedServer, Reply, call, chunk, completion, message, sse, usage_chunk
from .conftest import MakeClient


class Answer(BaseModel):
    text: str
    count: int = 0


def add(a: int) -> int:
    """Add."""
    return a


ADD = FunctionTool(add, "Adds.", name="add")
BARE = '{"text": "x", "count": 2}'
SHAPES = [BARE, f"```json\n{BARE}\n```", f"```\n{BARE}\n```", f"Here it is: {BARE}", f"{BARE}\nAnything else?"]
MODES: dict[str, Any] = {"native": Answer, "json": True, "text": None}


def reply(text: str | None, streamed: bool, finish: str = "stop", **fields: Any) -> Any:
    """The same answer in one piece, or in many small ones."""
    if not streamed:
        return completion(message(text, finish=finish, **fields))
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)] if text else []
    calls = [{**made, "index": place} for place, made in enumerate(fields.get("tool_calls", []))]
    return sse(
        *[chunk({"content": piece}) for piece in pieces],
        *[chunk({"tool_calls": [made]}) for made in calls],
        chunk({}, finish=finish),
        usage_chunk(),
    )


async def ask(client: ChatCompletionClient, streamed: bool, mode: str, tools: bool) -> CreateResult:
    arguments: dict[str, Any] = {"json_output": MODES[mode], "tools": [ADD] if tools else []}
    messages = [UserMessage(content="hi", source="user")]
    if not streamed:
        return await client.create(messages, **arguments)
    arguments["extra_create_args"] = {"stream_options": {"include_usage": True}}
    *_, last = [item async for item in client.create_stream(messages, **arguments)]
    assert isinstance(last, CreateResult)
    return last


everywhere = pytest.mark.parametrize(
    ("streamed", "tools", "mode"),
    [(streamed, tools, mode) for streamed in (False, True) for tools in (False, True) for mode in MODES],
)


@everywhere
@pytest.mark.parametrize("shape", SHAPES)
async def test_an_answer_is_the_same_object_everywhere(
    server: CannedServer, make_client: MakeClient, streamed: bool, tools: bool, mode: str, shape: str
) -> None:
    server.queue(reply(shape, streamed))
    result = await ask(make_client(), streamed, mode, tools)
    assert isinstance(result.content, str)
    text = result.content if mode != "text" else extract_json(result.content) or ""
    assert Answer.model_validate_json(text) == Answer(text="x", count=2)
    assert (result.finish_reason, result.usage.prompt_tokens, result.thought) == ("stop", 7, None)
    body = server.requests[0].body
    kinds = {"native": "json_schema", "json": "json_object", "text": None}
    assert body.get("response_format", {"type": None})["type"] == kinds[mode]
    assert ("tools" in body) is tools


@everywhere
async def test_calls_are_the_same_everywhere(
    server: CannedServer, make_client: MakeClient, streamed: bool, tools: bool, mode: str
) -> None:
    server.queue(reply(None, streamed, "tool_calls", tool_calls=[call(), call(call_id="call_2")]))
    result = await ask(make_client(), streamed, mode, tools)
    arguments = json.dumps({"a": 1})
    assert result.content == [FunctionCall(id=f"call_{n}", name="add", arguments=arguments) for n in (1, 2)]
    assert result.finish_reason == "function_calls"


@pytest.mark.parametrize("tools", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("text", "finish", "error"),
    [
        ("I do not know.", "stop", ValidationError),
        ('{"count": 1}', "stop", ValidationError),
        ('{"text": "x", "cou', "length", UnusableReplyError),
        ("", "content_filter", UnusableReplyError),
    ],
)
async def test_an_answer_that_does_not_fit_its_class_is_the_same_error_everywhere(
    server: CannedServer,
    make_client: MakeClient,
    streamed: bool,
    tools: bool,
    text: str,
    finish: str,
    error: type[Exception],
) -> None:
    server.queue(reply(text, streamed, finish))
    with pytest.raises(error):
        await ask(make_client(), streamed, "native", tools)


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("tools", [False, True])
async def test_an_error_of_the_server_is_of_one_class_streamed_or_not(
    server: CannedServer, make_client: MakeClient, tools: bool, mode: str
) -> None:
    classes: set[type[Exception]] = set()
    for streamed in (False, True):
        server.queue(Reply(body={"error": {"message": "no"}}, status=422))
        with pytest.raises(Exception, match="no") as caught:
            await ask(make_client(), streamed, mode, tools)
        classes.add(type(caught.value))
    assert len(classes) == 1
