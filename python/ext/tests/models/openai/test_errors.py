"""Errors of the provider: of the SDK's own classes, with advice, and without secrets."""

import logging
import pickle
import traceback

import openai
import pytest

from autogen_core.models import UserMessage

from .canned import CannedServer, Reply, completion, message
from .conftest import MakeClient

SECRET = "sk-secret-of-the-tests"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_errors_are_those_of_the_sdk_without_the_key(
    server: CannedServer, make_client: MakeClient, status: int, kind: type[openai.APIStatusError], streamed: bool
) -> None:
    """A server, or a proxy in front of it, may repeat the key in its error."""
    body = {"error": {"message": f"bad request with {SECRET}", "code": "broken", "details": [f"key={SECRET}"]}}
    server.queue(Reply(body=body, status=status, headers={"retry-after": "2"}))
    client, messages = make_client(), [UserMessage(content="hi", source="user")]
    asking = anext(client.create_stream(messages)) if streamed else client.create(messages)
    with pytest.raises(kind) as caught:
        await asking
    error = caught.value
    assert error.status_code == status
    assert error.response.headers["retry-after"] == "2"
    assert error.code == "broken"
    assert "bad request with **********" in str(error)
    assert SECRET not in f"{error!r} {error.message} {error.body} {''.join(traceback.format_exception(error))}"


async def test_a_refused_key_says_where_it_comes_from(server: CannedServer, make_client: MakeClient) -> None:
    server.queue(Reply(body={"error": {"message": "bad key"}}, status=401))
    with pytest.raises(openai.AuthenticationError) as caught:
        await make_client().create([UserMessage(content="hi", source="user")])
    assert "OPENAI_API_KEY" in caught.value.__notes__[0]


async def test_an_error_in_a_good_reply_is_free_of_secrets_too(server: CannedServer, make_client: MakeClient) -> None:
    server.queue({"error": {"message": f"bad key {SECRET}"}})
    with pytest.raises(openai.APIError) as caught:
        await make_client().create([UserMessage(content="hi", source="user")])
    assert SECRET not in f"{caught.value!r} {caught.value.body}"


async def test_a_placeholder_for_a_key_is_no_secret(server: CannedServer, make_client: MakeClient) -> None:
    server.queue(Reply(body={"error": {"message": "expected x"}}, status=400))
    with pytest.raises(openai.BadRequestError, match="expected x"):
        await make_client(api_key="x").create([UserMessage(content="hi", source="user")])


async def test_a_server_that_is_not_there_is_an_error_of_the_connection(make_client: MakeClient) -> None:
    with pytest.raises(openai.APIConnectionError):
        await make_client(base_url="http://127.0.0.1:9/v1").create([UserMessage(content="hi", source="user")])


async def test_the_sdk_repeats_a_request_that_failed_for_a_passing_reason(
    server: CannedServer, make_client: MakeClient
) -> None:
    server.queue(Reply(body={}, status=503, headers={"retry-after-ms": "1"}), completion(message("At last")))
    result = await make_client(max_retries=1).create([UserMessage(content="hi", source="user")])
    assert result.content == "At last"
    assert len(server.requests) == 2


async def test_no_record_representation_or_dump_holds_the_key(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    with caplog.at_level(logging.DEBUG):
        await client.create([UserMessage(content="hi", source="user")])
    assert SECRET not in caplog.text
    assert SECRET not in repr(client)
    assert SECRET not in repr(client.dump_component())
    assert SECRET.encode() in pickle.dumps(client)  # a pickle has to hold it, so it is not for strangers
