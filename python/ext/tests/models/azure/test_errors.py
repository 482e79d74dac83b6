"""Errors of Azure AI: of the SDK's classes and of ours at once, with advice, and without secrets.

https://learn.microsoft.com/rest/api/aifoundry/model-inference/get-chat-completions/get-chat-completions#response, and
https://learn.microsoft.com/azure/machine-learning/reference-model-inference-api for 422 and the content filter.
"""

import logging
import traceback
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)

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
from .conftest import SECRET, MakeClient, completion, sse, update

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]
OPENAI_SAYS = "This model's maximum context length is 4097 tokens. However, you requested 5360 tokens."
GITHUB_SAYS = "Request body too large for gpt-4o model. Max size: 8000 tokens."


async def failing(make_client: MakeClient, *, streamed: bool = False, **arguments: Any) -> Any:
    """Ask, and return the error."""
    client = make_client(**arguments)
    try:
        if streamed:
            _ = [piece async for piece in client.create_stream(HI)]
        else:
            await client.create(HI)
    except (ModelClientError, AzureError) as error:
        return error
    raise AssertionError("there was no error")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "kind", "of_sdk"),
    [
        (400, ModelClientError, HttpResponseError),
        (401, AuthenticationError, ClientAuthenticationError),
        (403, AuthenticationError, HttpResponseError),
        (404, ModelClientError, ResourceNotFoundError),
        (429, RateLimitedError, HttpResponseError),
        (500, ServerError, HttpResponseError),
        (503, ServerError, HttpResponseError),
    ],
)
async def test_statuses_are_typed_errors(
    server: ProtocolServer,
    make_client: MakeClient,
    status: int,
    kind: type[ModelClientError],
    of_sdk: type[HttpResponseError],
    streamed: bool,
) -> None:
    """ErrorResponse: `{"error": {"code", "message"}}`."""
    body = {"error": {"code": "broken", "message": f"It is broken: {SECRET}"}}
    server.queue(Reply(body=body, status=status, headers={"retry-after": "2"}))
    error = await failing(make_client, streamed=streamed)
    assert isinstance(error, kind)
    assert isinstance(error, of_sdk)
    assert (error.provider, error.model, error.status) == ("azure.ai.inference", "gpt-4o", status)
    assert error.status_code == status
    assert str(error) == f"({status}) It is broken: ********** [broken]"
    assert SECRET not in f"{error!r} {error} {error.message} {''.join(traceback.format_exception(error))}"
    if isinstance(error, RateLimitedError | ServerError):
        assert error.retry_after == 2


async def test_a_refused_key_says_which_argument_to_set(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(Reply(body={"error": {"code": "401", "message": "Access denied"}}, status=401))
    error = await failing(make_client)
    assert error.setting == "credential"
    assert "AzureKeyCredential" in error.__notes__[0]


async def test_a_token_that_is_repeated_in_an_error_is_hidden(server: ProtocolServer, make_client: MakeClient) -> None:
    class Credential:
        async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
            return AccessToken("token-of-the-tests", 4102444800)

        async def close(self) -> None: ...

    server.queue(Reply(body={"error": {"message": "bad token-of-the-tests"}}, status=400))
    error = await failing(make_client, credential=Credential(), authentication_policy=_Bearer())
    assert str(error) == "(400) bad **********"


def _Bearer() -> Any:  # noqa: N802 - stands for the SDK's policy, which refuses to send tokens over HTTP
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    class Policy(SansIOHTTPPolicy[Any, Any]):
        def on_request(self, request: Any) -> None:
            request.http_request.headers["Authorization"] = "Bearer token-of-the-tests"

    return Policy()


async def test_a_parameter_that_the_model_does_not_take(server: ProtocolServer, make_client: MakeClient) -> None:
    """reference-model-inference-api, "Models with disparate set of capabilities"."""
    body = {
        "status": 422,
        "code": "parameter_not_supported",
        "detail": {"loc": ["body", "response_format"], "input": "json_object"},
        "message": "One of the parameters contain invalid values.",
    }
    server.queue(Reply(body=body, status=422))
    error = await failing(make_client)
    assert isinstance(error, HttpResponseError)
    assert isinstance(error, ModelClientError)
    assert "parameter_not_supported" in str(error)
    assert "response_format" in str(error)


async def test_a_prompt_that_the_content_filter_stops(server: ProtocolServer, make_client: MakeClient) -> None:
    """reference-model-inference-api, "Content safety"."""
    body = {"status": 400, "code": "content_filter", "message": "The response was filtered", "param": "messages"}
    server.queue(Reply(body=body, status=400))
    error = await failing(make_client)
    assert str(error) == "(400) The response was filtered [content_filter]"


@pytest.mark.parametrize(
    ("status", "code", "text", "numbers"),
    [
        (400, "context_length_exceeded", OPENAI_SAYS, (4097, 5360)),
        (413, "tokens_limit_reached", GITHUB_SAYS, (8000, None)),
    ],
)
async def test_a_conversation_that_is_too_long_tells_the_numbers(
    server: ProtocolServer, make_client: MakeClient, status: int, code: str, text: str, numbers: Any
) -> None:
    """The second is GitHub Models': https://docs.github.com/github-models/use-github-models/prototyping-with-ai-models."""
    server.queue(Reply(body={"error": {"code": code, "message": text}}, status=status))
    error = await failing(make_client)
    assert isinstance(error, ContextLengthError)
    assert isinstance(error, HttpResponseError)
    assert (error.limit, error.requested) == numbers


async def test_nobody_at_the_endpoint(make_client: MakeClient) -> None:
    error = await failing(make_client, endpoint="http://127.0.0.1:9")
    assert isinstance(error, ServerError)
    assert isinstance(error, ServiceRequestError)
    assert "http://127.0.0.1:9" in str(error)


async def test_a_reply_that_breaks_off(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(sse(update({"content": "x"}), done=False, truncate=True))
    error = await failing(make_client, streamed=True)
    assert isinstance(error, ServerError)
    assert isinstance(error, HttpResponseError)


@pytest.mark.parametrize("body", [{"error": {"message": f"no: {SECRET}"}}, {"choices": []}, {"object": "x"}, [1], "x"])
async def test_a_good_status_without_an_answer(server: ProtocolServer, make_client: MakeClient, body: Any) -> None:
    server.queue(Reply(body=body))
    error = await failing(make_client)
    assert isinstance(error, UnusableReplyError)
    assert isinstance(error, HttpResponseError)
    assert SECRET not in f"{error!r} {error} {error.body}"


@pytest.mark.parametrize("line", ["<html>\n\n", "data: {broken\n\n"])
async def test_what_is_no_stream_of_the_api_is_one_typed_error(
    server: ProtocolServer, make_client: MakeClient, line: str
) -> None:
    server.queue(sse(line))
    error = await failing(make_client, streamed=True)
    assert isinstance(error, UnusableReplyError)


async def test_the_sdk_repeats_calls_unless_told_otherwise(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(Reply(body={}, status=429, headers={"retry-after": "0"}), completion("At last"))
    result = await make_client(retry_total=1).create(HI)
    assert result.content == "At last"


async def test_no_record_or_representation_holds_the_key(
    server: ProtocolServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(completion())
    client = make_client()
    with caplog.at_level(logging.DEBUG):
        await client.create(HI)
    assert SECRET not in caplog.text + repr(client)
