"""Errors are the SDK's and ours in one; they say what to do, carry the numbers, and hold no secret.

Bodies and status codes are those of https://platform.claude.com/docs/en/api/errors.
"""

from typing import Any

import anthropic
import pytest

from autogen_core.models import LLMMessage, UserMessage
from autogen_ext.models import errors
from autogen_ext.models.anthropic import AnthropicChatCompletionClient, MissingApiKeyError, UnusableReplyError

from .canned import CannedServer, Reply, error, events_of, sse, text
from .conftest import KEY, MakeClient, Whole

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


@pytest.mark.parametrize(
    ("kind", "status", "ours", "theirs"),
    [
        ("authentication_error", 401, errors.AuthenticationError, anthropic.AuthenticationError),
        ("permission_error", 403, errors.AuthenticationError, anthropic.PermissionDeniedError),
        ("invalid_request_error", 400, errors.ModelClientError, anthropic.BadRequestError),
        ("not_found_error", 404, errors.ModelClientError, anthropic.NotFoundError),
        ("rate_limit_error", 429, errors.RateLimitedError, anthropic.RateLimitError),
        ("api_error", 500, errors.ServerError, anthropic.InternalServerError),
        ("overloaded_error", 529, errors.ServerError, anthropic.InternalServerError),
    ],
)
async def test_an_error_is_caught_by_our_class_and_by_the_sdks(
    server: CannedServer,
    make_client: MakeClient,
    ask: Whole,
    kind: str,
    status: int,
    ours: type[errors.ModelClientError],
    theirs: type[Exception],
) -> None:
    """See https://platform.claude.com/docs/en/api/errors#http-errors."""
    server.queue(error(kind, "Something went wrong.", status))
    with pytest.raises(ours) as caught:
        await ask(make_client(), HI)
    assert isinstance(caught.value, theirs)
    assert caught.value.provider == "anthropic"
    assert caught.value.model == "claude-opus-5-5"
    assert caught.value.status == status
    assert "Something went wrong." in str(caught.value)


@pytest.mark.parametrize(
    ("words", "limit", "requested"),
    [
        ("prompt is too long: 207791 tokens > 200000 maximum", 200_000, 207_791),
        (
            "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease input length",
            200_000,
            242_959,
        ),
    ],
)
async def test_a_conversation_that_is_too_long_is_an_error_with_the_numbers(
    server: CannedServer, make_client: MakeClient, ask: Whole, words: str, limit: int, requested: int
) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/context-windows."""
    server.queue(error("invalid_request_error", words, 400))
    with pytest.raises(errors.ContextLengthError) as caught:
        await ask(make_client(), HI)
    assert isinstance(caught.value, anthropic.BadRequestError)
    assert (caught.value.limit, caught.value.requested) == (limit, requested)


@pytest.mark.parametrize(("kind", "status"), [("rate_limit_error", 429), ("overloaded_error", 529)])
async def test_a_busy_server_says_how_long_to_wait(
    server: CannedServer, make_client: MakeClient, ask: Whole, kind: str, status: int
) -> None:
    """See https://platform.claude.com/docs/en/api/rate-limits#response-headers."""
    server.queue(error(kind, "Later.", status, retry_after="7"))
    with pytest.raises((errors.RateLimitedError, errors.ServerError)) as caught:
        await ask(make_client(), HI)
    assert caught.value.retry_after == 7
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("kind", "ours", "status"),
    [("overloaded_error", errors.ServerError, 529), ("rate_limit_error", errors.RateLimitedError, 429)],
)
async def test_an_error_within_a_stream_is_the_same_as_one_before_it(
    server: CannedServer, make_client: MakeClient, kind: str, ours: type[errors.ModelClientError], status: int
) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/streaming#error-events."""
    failure = {"type": "error", "error": {"type": kind, "message": "Overloaded"}}
    server.queue(sse(*events_of(text())[:4], failure))
    pieces: list[object] = []
    with pytest.raises(ours) as caught:
        pieces.extend([item async for item in make_client().create_stream(HI)])
    assert caught.value.status == status
    assert isinstance(caught.value, anthropic.APIStatusError)


async def test_a_refused_key_says_what_to_set(server: CannedServer, make_client: MakeClient, ask: Whole) -> None:
    server.queue(error("authentication_error", "invalid x-api-key", 401))
    with pytest.raises(errors.AuthenticationError) as caught:
        await ask(make_client(), HI)
    assert "ANTHROPIC_API_KEY" in caught.value.setting
    assert any("api_key" in note for note in caught.value.__notes__)


async def test_a_missing_key_says_what_to_set(
    server: CannedServer, make_client: MakeClient, ask: Whole, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no profile of this machine
    with pytest.raises(MissingApiKeyError, match="ANTHROPIC_API_KEY") as caught:
        await ask(make_client(api_key=None), HI)
    assert isinstance(caught.value, errors.AuthenticationError)
    assert isinstance(caught.value, ValueError)
    assert server.requests == []


async def test_no_secret_is_in_an_error(server: CannedServer, make_client: MakeClient, ask: Whole) -> None:
    server.queue(error("invalid_request_error", f"Your key {KEY} is odd.", 400))
    with pytest.raises(errors.ModelClientError) as caught:
        await ask(make_client(), HI)
    failed: Any = caught.value
    while failed is not None:
        shown = [str(failed), repr(failed), f"{failed.args!r}{vars(failed)}", str(dict(failed.request.headers))]
        assert not any(KEY in part for part in shown)
        failed = failed.__cause__


async def test_a_body_of_success_that_holds_an_error_is_an_error(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    """As servers do that only resemble Anthropic's; the form is that of the page on errors."""
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    server.queue(Reply(body=body))
    with pytest.raises(UnusableReplyError, match="Overloaded") as caught:
        await ask(make_client(), HI)
    assert isinstance(caught.value, errors.UnusableReplyError)
    assert isinstance(caught.value, anthropic.APIError)


async def test_a_page_instead_of_an_answer_says_so(server: CannedServer, make_client: MakeClient, ask: Whole) -> None:
    server.queue(Reply(body="<html>Hello</html>", headers={"content-type": "text/html"}))
    with pytest.raises(UnusableReplyError, match="base_url"):
        await ask(make_client(), HI)


async def test_a_server_that_cannot_be_reached_is_an_error_of_both_kinds(ask: Whole) -> None:
    client = AnthropicChatCompletionClient(
        model="claude-opus-5-5", api_key="x", base_url="http://127.0.0.1:9", max_retries=0
    )
    with pytest.raises(errors.ModelClientError) as caught:
        await ask(client, HI)
    assert isinstance(caught.value, anthropic.APIConnectionError)
    await client.close()


async def test_a_server_that_does_not_answer_in_time_is_an_error_of_both_kinds(
    server: CannedServer, make_client: MakeClient, ask: Whole
) -> None:
    server.queue(Reply(parts=[], hang=True))
    with pytest.raises(errors.ModelClientError) as caught:
        await ask(make_client(timeout=0.2), HI)
    assert isinstance(caught.value, anthropic.APITimeoutError)


async def test_a_connection_that_breaks_off_within_a_stream_is_an_error_of_both_kinds(
    server: CannedServer, make_client: MakeClient
) -> None:
    broken = sse(*events_of(text())[:4])
    broken.truncate = True
    server.queue(broken)
    with pytest.raises(errors.ModelClientError) as caught:
        assert [item async for item in make_client().create_stream(HI)]
    assert isinstance(caught.value, anthropic.APIConnectionError)
