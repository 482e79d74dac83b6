"""Errors of connectors: of the SDK's classes and of ours at once, with advice, and without secrets.

https://platform.openai.com/docs/guides/error-codes
"""

import logging
import traceback
from typing import Any

import pytest
from semantic_kernel.exceptions import ServiceResponseException

from autogen_core.models import LLMMessage, UserMessage
from autogen_ext.models.errors import (
    AuthenticationError,
    ContextLengthError,
    ModelClientError,
    RateLimitedError,
    ServerError,
)
from autogen_ext.models.semantic_kernel import SKChatCompletionAdapter

from .._shared.server import ProtocolServer, Reply
from .conftest import SECRET, MakeClient, completion

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


async def failing(client: SKChatCompletionAdapter, *, streamed: bool = False) -> Any:
    """Ask, and return the error."""
    try:
        if streamed:
            _ = [piece async for piece in client.create_stream(HI)]
        else:
            await client.create(HI)
    except ModelClientError as error:
        return error
    raise AssertionError("there was no error")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ModelClientError), (401, AuthenticationError), (429, RateLimitedError), (503, ServerError)],
)
async def test_statuses_are_typed_errors(
    server: ProtocolServer, make_client: MakeClient, status: int, kind: type[ModelClientError], streamed: bool
) -> None:
    body = {"error": {"message": f"It is broken: {SECRET}", "code": "broken"}}
    server.queue(Reply(body=body, status=status, headers={"retry-after": "2"}))
    error = await failing(make_client(), streamed=streamed)
    assert isinstance(error, kind)
    assert isinstance(error, ServiceResponseException)
    assert (error.provider, error.model, error.status) == ("semantic_kernel", "gpt-4o", status)
    assert "It is broken: **********" in str(error)
    assert SECRET not in f"{error!r} {error} {''.join(traceback.format_exception(error))}"
    if isinstance(error, RateLimitedError | ServerError):
        assert error.retry_after == 2
    if isinstance(error, AuthenticationError):
        assert "api_key" in error.setting


async def test_a_conversation_that_is_too_long_tells_the_numbers(
    server: ProtocolServer, make_client: MakeClient
) -> None:
    text = "This model's maximum context length is 128000 tokens. However, your messages resulted in 200000 tokens."
    server.queue(Reply(body={"error": {"message": text, "code": "context_length_exceeded"}}, status=400))
    error = await failing(make_client())
    assert isinstance(error, ContextLengthError)
    assert (error.limit, error.requested) == (128000, 200000)


async def test_an_error_of_another_sdk_is_typed_as_well(
    server: ProtocolServer, ollama_client: SKChatCompletionAdapter
) -> None:
    """https://docs.ollama.com/api/errors; the connector for Ollama lets the SDK's errors pass."""
    server.queue(Reply(body={"error": "too many requests"}, status=429))
    error = await failing(ollama_client)
    assert isinstance(error, RateLimitedError)


async def test_no_record_or_representation_holds_the_key(
    server: ProtocolServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(completion())
    client = make_client()
    with caplog.at_level(logging.DEBUG):
        await client.create(HI)
    assert SECRET not in caplog.text + repr(client)
