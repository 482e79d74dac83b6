"""Servers that only resemble Anthropic's: none crashes a run, and what was odd is told once."""

import logging
from typing import Any

import pytest

from autogen_core import FunctionCall
from autogen_core.models import LLMMessage, RequestUsage, UserMessage

from .canned import CannedServer, Reply, events_of, message, sse, streamed, text, tool_use
from .conftest import MakeClient, Whole

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


def without(body: Any, *names: str) -> Any:
    return {name: value for name, value in body.items() if name not in names}


@pytest.mark.parametrize(
    ("body", "oddity"),
    [
        (without(message(), "usage"), "no usage"),
        ({**message(), "usage": {"input_tokens": None, "output_tokens": 3}}, ""),
        (message(stop=None), "no stop reason"),
        (message(stop="tired"), "'tired' is unknown"),
        ({**message(), "content": "Hello!"}, "a text, not blocks"),
        (message(text("Hel"), {"type": "novelty", "data": 1}, text("lo!")), ""),
        (message(text("<think>Hm.</think>Hello!")), ""),
        (without(message(), "id", "role", "model", "stop_sequence"), ""),
    ],
)
async def test_an_odd_reply_is_read_and_told(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture, body: Any, oddity: str
) -> None:
    server.queue(body)
    result = await make_client().create(HI)
    assert result.content == "Hello!"
    assert ("odd reply" in caplog.text) == bool(oddity)
    assert oddity in caplog.text


def odd_stream(name: str) -> Reply:
    """A stream of "Hello!" with one deviation."""
    start, ping, begin, one, two, end, delta, stop = events_of(text())
    usage_late = {**delta, "usage": {"input_tokens": 7, "output_tokens": 3}}
    no_usage = {**start, "message": without(start["message"], "usage")}
    return {
        "comments": sse(": hello\n\n", start, begin, ": keep alive\n\n", one, two, end, delta, stop),
        "unknown events": sse(start, {"type": "novelty"}, begin, one, two, end, delta, stop),
        "usage at the end only": sse(no_usage, ping, begin, one, two, end, usage_late, stop),
        "no start of the block": sse(start, one, two, end, delta, stop),
        "no stop events": sse(start, begin, one, two, delta),
        "text in the start": sse(start, {**begin, "content_block": text("Hel")}, two, end, delta, stop),
        "no index": sse(start, *(without(event, "index") for event in (begin, one, two, end)), delta, stop),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "comments",
        "unknown events",
        "usage at the end only",
        "no start of the block",
        "no stop events",
        "text in the start",
        "no index",
    ],
)
async def test_an_odd_stream_is_read(server: CannedServer, make_client: MakeClient, name: str) -> None:
    server.queue(odd_stream(name))
    *pieces, result = [item async for item in make_client().create_stream(HI)]
    assert "".join(str(piece) for piece in pieces) == "Hello!"
    assert not isinstance(result, str)
    assert result.content == "Hello!"
    assert result.finish_reason == "stop"
    assert result.usage == RequestUsage(prompt_tokens=7, completion_tokens=3)


async def test_a_stream_that_breaks_off_gives_what_came(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(sse(*events_of(text())[:4]))
    result = [item async for item in make_client().create_stream(HI)][-1]
    assert not isinstance(result, str)
    assert (result.content, result.finish_reason) == ("Hel", "unknown")
    assert "the stream ended early" in caplog.text


async def test_a_reply_that_was_to_be_streamed_and_is_not_is_read(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(message())
    assert [str(item) for item in [item async for item in make_client().create_stream(HI)][:-1]] == ["Hello!"]
    assert "not streamed" in caplog.text


async def test_an_oddity_is_told_once(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    client = make_client()
    server.queue(message(stop=None), message(stop=None))
    await client.create(HI)
    await client.create(HI)
    assert caplog.text.count("odd reply") == 1


async def test_calls_without_ids_or_with_the_same_get_their_own(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    blocks = [tool_use(call_id=""), tool_use(call_id="toolu_1"), tool_use(call_id="toolu_1")]
    server.queue(streamed(*blocks, stop="tool_use") if ask.streams else message(*blocks, stop="tool_use"))
    result = await ask(make_client(), HI)
    assert isinstance(result.content, list)
    assert all(isinstance(call, FunctionCall) and call.id for call in result.content)
    assert len({call.id for call in result.content if isinstance(call, FunctionCall)}) == 3


async def test_a_delta_that_is_not_known_is_passed_over(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be put together again is not sent back either."""
    events = events_of({"type": "thinking", "thinking": "Hm.", "signature": "Eq8="}, text())
    events.insert(4, {"type": "content_block_delta", "index": 0, "delta": {"type": "novel_delta", "x": 1}})
    server.queue(sse(*events))
    result = [item async for item in make_client().create_stream(HI)][-1]
    assert not isinstance(result, str)
    assert (result.content, result.thought, result.provider_data) == ("Hello!", "Hm.", None)
    assert "'novel_delta' is unknown" in caplog.text


async def test_citations_are_part_of_a_reply_that_goes_back(server: CannedServer, make_client: MakeClient) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/citations#streaming-support."""
    citation = {"type": "char_location", "cited_text": "Hel", "document_index": 0, "start_char_index": 0}
    events = events_of(text())
    events.insert(
        4, {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": citation}}
    )
    server.queue(sse(*events))
    result = [item async for item in make_client().create_stream(HI)][-1]
    assert not isinstance(result, str)
    assert result.provider_data is not None
    assert result.provider_data["anthropic"]["message"]["content"] == [{**text(), "citations": [citation]}]
