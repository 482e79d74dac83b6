"""What the client makes of servers that are almost compatible: a valid result or one typed error, and a record of it."""

import logging
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from autogen_core import TRACE_LOGGER_NAME, FunctionCall
from autogen_core.models import CreateResult, ModelInfo, RequestUsage, UserMessage
from autogen_core.tools import ToolSchema
from autogen_ext.models.errors import ModelClientError
from autogen_ext.models.openai import UnusableReplyError

from .canned import CannedServer, Reply, call, chunk, completion, message, sse, usage_chunk
from .conftest import MakeClient

ADD: ToolSchema = {"name": "add", "description": "Adds."}
REASONER: dict[str, Any] = {
    "model": "our-reasoner",
    "model_info": ModelInfo(vision=False, function_calling=True, json_output=True, family="r1", structured_output=True),
}
LOGPROBS = {
    "content": [
        {
            "token": "x",
            "logprob": -0.5,
            "bytes": [120],
            "top_logprobs": [{"token": "x", "logprob": -0.5, "bytes": None}],
        }
    ]
}


class Answer(BaseModel):
    text: str


async def ask(
    server: CannedServer,
    make_client: MakeClient,
    reply: Reply | Any,
    client: dict[str, Any] | None = None,
    **kwargs: Any,
) -> CreateResult:
    """Return the result of one call that is answered with `reply`."""
    server.queue(reply)
    messages = [UserMessage(content="hi", source="user")]
    return await make_client(**(client or {})).create(messages, tools=[ADD], **kwargs)


async def ask_stream(
    server: CannedServer, make_client: MakeClient, reply: Reply, client: dict[str, Any] | None = None, **kwargs: Any
) -> tuple[list[str], CreateResult]:
    """Return the pieces and the result of one streamed call that is answered with `reply`."""
    server.queue(reply)
    messages = [UserMessage(content="hi", source="user")]
    stream = make_client(**(client or {})).create_stream(messages, tools=[ADD], **kwargs)
    *pieces, result = [item async for item in stream]
    assert isinstance(result, CreateResult)
    return [str(piece) for piece in pieces], result


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": None, "completion_tokens": None}, {"prompt_tokens": "?"}]
)
async def test_a_usage_that_is_missing_or_void_is_zero(
    server: CannedServer, make_client: MakeClient, usage: Any
) -> None:
    result = await ask(server, make_client, completion(message(), usage=usage))
    assert result.usage == RequestUsage(prompt_tokens=0, completion_tokens=0)
    assert result.content == "Hello"


async def test_the_last_usage_of_a_stream_counts_wherever_it_comes(
    server: CannedServer, make_client: MakeClient
) -> None:
    used = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    reply = sse(
        chunk({"content": "a"}, usage=used),
        chunk({"content": "b"}, finish="stop", usage={**used, "completion_tokens": 2}),
        chunk(usage=None),
    )
    _, result = await ask_stream(server, make_client, reply)
    assert result.usage == RequestUsage(prompt_tokens=7, completion_tokens=2)
    assert result.finish_reason == "stop"


@pytest.mark.parametrize(
    ("finish", "normal"), [("STOP", "stop"), ("length", "length"), ("eos", "unknown"), (None, "unknown")]
)
async def test_an_unusual_finish_reason_is_read_the_same_streamed_or_not(
    server: CannedServer, make_client: MakeClient, finish: str | None, normal: str
) -> None:
    whole = await ask(server, make_client, completion(message("x", finish=finish)))
    _, streamed = await ask_stream(
        server, make_client, sse(chunk({"content": "x"}), chunk({}, finish=finish), usage_chunk())
    )
    assert whole.finish_reason == normal
    assert streamed == whole


@pytest.mark.parametrize(
    ("fields", "arguments"),
    [
        ({"arguments": ""}, "{}"),
        ({"arguments": None}, "{}"),
        ({"arguments": {"a": 1}}, '{"a": 1}'),
        ({"call_id": ""}, '{"a": 1}'),
        ({"call_id": None}, '{"a": 1}'),
    ],
)
async def test_tool_calls_without_id_or_with_odd_arguments_are_usable(
    server: CannedServer, make_client: MakeClient, fields: dict[str, Any], arguments: str
) -> None:
    odd = call(**fields)
    whole = await ask(server, make_client, completion(message(None, finish="tool_calls", tool_calls=[odd])))
    _, streamed = await ask_stream(
        server, make_client, sse(chunk({"tool_calls": [odd]}), chunk({}, finish="tool_calls"))
    )
    for result in (whole, streamed):
        assert isinstance(result.content, list)
        assert result.content[0].id
        assert result.content[0] == FunctionCall(id=result.content[0].id, name="add", arguments=arguments)


async def test_the_old_form_of_a_function_call_is_a_tool_call(server: CannedServer, make_client: MakeClient) -> None:
    old = {"name": "add", "arguments": "{}"}
    whole = await ask(server, make_client, completion(message(None, finish="function_call", function_call=old)))
    reply = sse(chunk({"function_call": old}), chunk({}, finish="function_call"))
    _, streamed = await ask_stream(server, make_client, reply)
    for result in (whole, streamed):
        assert isinstance(result.content, list)
        assert (result.content[0].name, result.content[0].arguments) == ("add", "{}")
        assert result.finish_reason == "function_calls"


async def test_content_in_parts_is_their_text(server: CannedServer, make_client: MakeClient) -> None:
    parts: Any = [{"type": "text", "text": "Hel"}, {"type": "other"}, {"type": "text", "text": "lo"}]
    assert (await ask(server, make_client, completion(message(parts)))).content == "Hello"


async def test_a_refusal_is_the_answer_also_where_a_class_was_asked_for(
    server: CannedServer, make_client: MakeClient
) -> None:
    reply = completion(message(None, refusal="I will not."))
    assert (await ask(server, make_client, reply)).content == "I will not."
    assert (await ask(server, make_client, reply, json_output=Answer)).content == "I will not."


async def test_chunks_without_choices_comments_and_blank_lines_are_passed_over(
    server: CannedServer, make_client: MakeClient
) -> None:
    reply = sse(
        ": keep-alive\n\n", chunk(), chunk({"role": "assistant"}), "\n\n", chunk({"content": "a"}), chunk(),
        chunk({"content": "b"}, finish="stop"), chunk(), done=False,
    )  # fmt: skip
    pieces, result = await ask_stream(server, make_client, reply)
    assert pieces == ["a", "b"]
    assert result.content == "ab"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_beside_the_text_is_the_thought(
    server: CannedServer, make_client: MakeClient, name: str
) -> None:
    whole = await ask(server, make_client, completion(message("Yes!", **{name: "hm hm"})))
    reply = sse(
        chunk({name: "hm", "content": ""}),
        chunk({name: " hm", "content": None}),
        chunk({name: None, "content": "Yes"}),
        chunk({"content": "!"}, finish="stop"),
        usage_chunk(),
    )
    pieces, streamed = await ask_stream(server, make_client, reply)
    assert (whole.content, whole.thought) == ("Yes!", "hm hm")
    assert streamed == whole
    assert pieces == ["<think>hm", " hm", "</think>", "Yes", "!"]


async def test_reasoning_that_no_text_follows_is_closed_at_the_end(
    server: CannedServer, make_client: MakeClient
) -> None:
    pieces, result = await ask_stream(server, make_client, sse(chunk({"reasoning": "hm"}), chunk({}, finish="length")))
    assert pieces == ["<think>hm", "</think>"]
    assert (result.content, result.thought) == ("", "hm")


async def test_reasoning_before_tool_calls_is_the_thought_unless_there_is_text(
    server: CannedServer, make_client: MakeClient
) -> None:
    calls: dict[str, Any] = {"tool_calls": [call()], "reasoning_content": "hm"}
    assert (await ask(server, make_client, completion(message(None, **calls)))).thought == "hm"
    assert (await ask(server, make_client, completion(message("Adding.", **calls)))).thought == "Adding."


async def test_a_think_block_is_taken_out_of_the_answer(server: CannedServer, make_client: MakeClient) -> None:
    whole = await ask(server, make_client, completion(message("<think>hm</think>\n\nYes")))
    reply = sse(chunk({"content": "<think>hm</th"}), chunk({"content": "ink>\n\nYes"}, finish="stop"), usage_chunk())
    pieces, streamed = await ask_stream(server, make_client, reply)
    assert (whole.content, whole.thought) == ("Yes", "hm")
    assert streamed == whole
    assert "".join(pieces) == "<think>hm</think>\n\nYes"


async def test_a_reasoning_model_may_begin_inside_its_think_block(
    server: CannedServer, make_client: MakeClient
) -> None:
    result = await ask(server, make_client, completion(message("hm</think>Yes")), REASONER)
    assert (result.content, result.thought) == ("Yes", "hm")


async def test_structured_output_is_found_behind_a_think_block(server: CannedServer, make_client: MakeClient) -> None:
    text = '<think>{"text": 1}</think>```json\n{"text": "x"}\n```'
    result = await ask(server, make_client, completion(message(text)), REASONER, json_output=Answer)
    assert (result.content, result.thought) == ('{"text": "x"}', '{"text": 1}')


async def test_json_mode_takes_json_out_of_a_fence_and_leaves_other_text(
    server: CannedServer, make_client: MakeClient
) -> None:
    fenced = await ask(server, make_client, completion(message("```json\n[1]\n```")), json_output=True)
    prose = await ask(server, make_client, completion(message("I cannot.")), json_output=True)
    assert (fenced.content, prose.content) == ("[1]", "I cannot.")


async def test_log_probabilities_are_read_streamed_or_not(server: CannedServer, make_client: MakeClient) -> None:
    whole = await ask(server, make_client, completion({**message("x"), "logprobs": LOGPROBS}))
    piece = chunk({"content": "x"}, finish="stop")
    piece["choices"][0]["logprobs"] = LOGPROBS
    _, streamed = await ask_stream(server, make_client, sse(piece, usage_chunk()))
    assert whole.logprobs is not None
    assert whole.logprobs[0].token == "x"
    assert whole.logprobs[0].top_logprobs is not None
    assert streamed == whole


async def test_only_the_first_choice_is_read(server: CannedServer, make_client: MakeClient) -> None:
    result = await ask(server, make_client, completion(message("one"), message("two")), extra_create_args={"n": 2})
    assert result.content == "one"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": {"message": "out of memory", "code": 500}}, "out of memory"),
        ({"error": "overloaded"}, "overloaded"),
        ({}, "no choices"),
        ([], "no choices"),
        (completion(), "no choices"),
        ("hello", "base_url"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_body_without_an_answer_is_one_error_of_the_api(
    server: CannedServer, make_client: MakeClient, body: Any, text: str, streamed: bool
) -> None:
    with pytest.raises(UnusableReplyError, match=text) as caught:
        await (ask_stream if streamed else ask)(server, make_client, Reply(body=body))
    assert isinstance(caught.value, openai.APIError)
    assert str(caught.value.request.url).endswith("/v1/chat/completions")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_web_page_instead_of_an_answer_says_to_check_the_address(
    server: CannedServer, make_client: MakeClient, streamed: bool
) -> None:
    page = Reply(lines=["<html>Welcome</html>"], headers={"content-type": "text/html"})
    with pytest.raises(UnusableReplyError, match=r"<html>Welcome.*base_url"):
        await (ask_stream if streamed else ask)(server, make_client, page)


async def test_an_error_in_the_middle_of_a_stream_is_an_error_of_the_api(
    server: CannedServer, make_client: MakeClient
) -> None:
    with pytest.raises(openai.APIError, match="boom"):
        await ask_stream(server, make_client, sse(chunk({"content": "a"}), {"error": {"message": "boom"}}))


async def test_a_stream_that_breaks_off_is_an_error_of_the_connection(
    server: CannedServer, make_client: MakeClient
) -> None:
    lines = sse(chunk({"content": "a"}), done=False).lines
    with pytest.raises(Exception, match=r"(?i)connection|peer closed|incomplete") as caught:
        await ask_stream(server, make_client, Reply(lines=lines, truncate=True))
    assert isinstance(caught.value, openai.APIConnectionError)
    assert isinstance(caught.value, ModelClientError)


async def test_a_whole_reply_instead_of_a_stream_is_taken(server: CannedServer, make_client: MakeClient) -> None:
    pieces, result = await ask_stream(server, make_client, Reply(body=completion(message("Hello"))))
    assert pieces == ["Hello"]
    assert (result.content, result.usage.prompt_tokens) == ("Hello", 7)


async def test_an_empty_stream_is_an_empty_answer(server: CannedServer, make_client: MakeClient) -> None:
    pieces, result = await ask_stream(server, make_client, sse())
    assert pieces == []
    assert (result.content, result.finish_reason) == ("", "unknown")


async def test_what_was_odd_is_recorded_once_for_each_client(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    odd = completion(message(None, finish="done", tool_calls=[call(call_id="")]), usage=None)
    server.queue(odd, odd)
    client = make_client()
    with caplog.at_level(logging.WARNING, logger=TRACE_LOGGER_NAME):
        for _ in range(2):
            await client.create([UserMessage(content="hi", source="user")])
    (record,) = caplog.records
    for part in ("gpt-4o", "no usage", "'done' is unknown", "no id"):
        assert part in record.getMessage()


async def test_a_reply_as_the_protocol_says_leaves_no_record(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger=TRACE_LOGGER_NAME):
        await ask(server, make_client, completion(message(None, finish="tool_calls", tool_calls=[call()])))
    assert caplog.records == []
