"""Errors of Ollama: of the SDK's classes and of ours at once, with advice, and without secrets.

https://docs.ollama.com/api/errors: a status and `{"error": TEXT}`; within a stream a line of that form.
"""

import logging
import traceback
from typing import Any

import httpx
import ollama
import pytest

from autogen_core.models import LLMMessage, UserMessage
from autogen_ext.models.errors import (
    AuthenticationError,
    ContextLengthError,
    ModelClientError,
    RateLimitedError,
    ServerError,
    UnusableReplyError,
)

from .._shared.server import ProtocolServer, Reply
from .conftest import SECRET, MakeClient, line, reply, stream

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


async def failing(make_client: MakeClient, *, streamed: bool, **arguments: Any) -> Exception:
    """Ask, and return the error."""
    client = make_client(**arguments)
    try:
        if streamed:
            _ = [piece async for piece in client.create_stream(HI)]
        else:
            await client.create(HI)
    except (ModelClientError, OSError) as error:
        return error
    raise AssertionError("there was no error")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "invalid options", ModelClientError),
        (401, "unauthorized", AuthenticationError),
        (404, 'model "llama3.2" not found, try pulling it first', ModelClientError),
        (429, "too many requests", RateLimitedError),
        (500, "the model failed to generate a response", ServerError),
        (502, "cloud model cannot be reached", ServerError),
    ],
)
async def test_statuses_are_typed_errors(
    server: ProtocolServer,
    make_client: MakeClient,
    status: int,
    text: str,
    kind: type[ModelClientError],
    streamed: bool,
) -> None:
    server.queue(Reply(body={"error": f"{text} {SECRET}"}, status=status, headers={"retry-after": "2"}))
    error = await failing(make_client, streamed=streamed, headers={"Authorization": f"Bearer {SECRET}"})
    assert isinstance(error, kind)
    assert isinstance(error, ollama.ResponseError)
    assert (error.provider, error.model, error.status, error.status_code) == ("ollama", "llama3.2", status, status)
    assert text in str(error)
    assert SECRET not in f"{error!r} {error} {error.error} {''.join(traceback.format_exception(error))}"
    if isinstance(error, RateLimitedError | ServerError):
        assert error.retry_after == 2


async def test_a_missing_model_says_how_to_get_it(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(Reply(body={"error": 'model "llama3.2" not found'}, status=404))
    error = await failing(make_client, streamed=False)
    assert "ollama pull llama3.2" in error.__notes__[0]


async def test_a_refused_key_says_where_it_comes_from(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(Reply(body={"error": "unauthorized", "signin_url": "https://ollama.com/connect"}, status=401))
    error = await failing(make_client, streamed=False)
    assert isinstance(error, AuthenticationError)
    assert error.setting == "OLLAMA_API_KEY"
    assert "OLLAMA_API_KEY" in error.__notes__[0]


async def test_an_error_within_a_stream(server: ProtocolServer, make_client: MakeClient) -> None:
    """docs.ollama.com/api/errors, "Errors that occur while streaming"."""
    server.queue(stream(line("Yes"), {"error": "an error was encountered while running the model"}))
    client, pieces = make_client(), list[object]()
    with pytest.raises(ServerError, match="while running the model") as caught:
        pieces.extend([piece async for piece in client.create_stream(HI)])
    assert caught.value.status is None


async def test_a_conversation_that_is_too_long_tells_the_numbers(
    server: ProtocolServer, make_client: MakeClient
) -> None:
    text = "request (5360 tokens) exceeds the available context size (4096 tokens), try increasing it"
    server.queue(Reply(body={"error": text}, status=400))
    error = await failing(make_client, streamed=False)
    assert isinstance(error, ContextLengthError)
    assert (error.limit, error.requested) == (4096, 5360)


async def test_nobody_at_the_host_is_a_connection_error(make_client: MakeClient) -> None:
    error = await failing(make_client, streamed=False, host="http://127.0.0.1:9")
    assert isinstance(error, ConnectionError)
    assert isinstance(error, ServerError)
    assert "http://127.0.0.1:9" in str(error)


async def test_a_reply_that_breaks_off_or_takes_too_long(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(stream(line("The"), truncate=True), stream(line("The"), hang=True))
    broken = await failing(make_client, streamed=True)
    late = await failing(make_client, streamed=True, timeout=0.2)
    assert isinstance(broken, ServerError)
    assert isinstance(broken, httpx.RemoteProtocolError)
    assert isinstance(late, ServerError)
    assert isinstance(late, httpx.ReadTimeout)
    assert "took too long" in str(late)


@pytest.mark.parametrize(
    "lines", [["\n"], ["<html>\n"], ['{"done": true}\n'], ["[1]\n"], ['{"message": {"role": 5}}\n']]
)
async def test_what_is_no_reply_of_ollama_is_one_typed_error(
    server: ProtocolServer, make_client: MakeClient, lines: list[str]
) -> None:
    server.queue(stream(*lines), Reply(lines=lines))
    for streamed in (True, False):
        error = await failing(make_client, streamed=streamed)
        assert isinstance(error, UnusableReplyError)
        assert isinstance(error, ollama.ResponseError)


async def test_no_record_representation_or_dump_of_the_class_holds_the_key(
    server: ProtocolServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", SECRET)
    server.queue(reply())
    client = make_client()
    with caplog.at_level(logging.DEBUG):
        await client.create(HI)
    assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in caplog.text + repr(client) + repr(client.dump_component())
