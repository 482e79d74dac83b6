"""Errors of the provider: of the SDK's own classes, with advice, and without secrets."""

import logging
import pickle
import traceback
from typing import Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from autogen_core import TRACE_LOGGER_NAME, FunctionCall
from autogen_core.models import AssistantMessage, ModelInfo, UserMessage
from autogen_ext.models import errors
from autogen_ext.models.openai import OpenAIChatCompletionClient

from .canned import CannedServer, Reply, call, completion, message, sse
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
    assert "OPENAI_API_KEY" in str(caught.value)
    assert "api_key" in str(caught.value)
    assert isinstance(caught.value, errors.AuthenticationError)
    assert caught.value.setting == "OPENAI_API_KEY"


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


HI = [UserMessage(content="hi", source="user")]
TOO_LONG = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 10010 tokens. Please "
    "reduce the length of the messages."
)


async def failing(client: OpenAIChatCompletionClient, streamed: bool) -> openai.OpenAIError:
    """Return the error that a call ends with."""
    asking = read(client) if streamed else client.create(HI)
    with pytest.raises(openai.OpenAIError) as caught:
        await asking
    return caught.value


async def read(client: OpenAIChatCompletionClient) -> None:
    """Read a stream to its end."""
    async for _ in client.create_stream(HI):
        pass


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [200, 400, 413, 500])
async def test_a_conversation_that_is_too_long_is_an_error_with_the_numbers(
    server: CannedServer, make_client: MakeClient, status: int, streamed: bool
) -> None:
    body = {"error": {"message": TOO_LONG, "type": "invalid_request_error", "code": "context_length_exceeded"}}
    server.queue(Reply(body=body, status=status))
    error = await failing(make_client(), streamed)
    assert isinstance(error, errors.ContextLengthError)
    assert isinstance(error, openai.APIError)
    assert (error.limit, error.requested) == (8192, 10010)
    assert (error.provider, error.model, error.status) == ("openai", "gpt-4o", status)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "ours", "theirs"),
    [
        (429, errors.RateLimitedError, openai.RateLimitError),
        (500, errors.ServerError, openai.InternalServerError),
        (529, errors.ServerError, openai.InternalServerError),
    ],
)
async def test_errors_that_pass_say_how_long_to_wait(
    server: CannedServer,
    make_client: MakeClient,
    status: int,
    ours: type[errors.RateLimitedError | errors.ServerError],
    theirs: type[openai.APIError],
    streamed: bool,
) -> None:
    server.queue(Reply(body={"error": {"message": "later"}}, status=status, headers={"retry-after": "2"}))
    error = await failing(make_client(), streamed)
    assert isinstance(error, ours)
    assert isinstance(error, theirs)
    assert (error.retry_after, error.status) == (2.0, status)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"message": "slow down", "code": 429}, errors.RateLimitedError),
        ({"message": "slow down", "type": "rate_limit_exceeded"}, errors.RateLimitedError),
        ({"message": "broken", "code": 502}, errors.ServerError),
        ({"message": "odd", "code": {"not": "hashable"}}, errors.UnusableReplyError),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_error_in_a_good_reply_is_of_the_kind_that_its_fields_tell(
    server: CannedServer,
    make_client: MakeClient,
    body: dict[str, Any],
    kind: type[errors.ModelClientError],
    streamed: bool,
) -> None:
    """Routers report so what went wrong behind them."""
    server.queue(sse({"error": body}) if streamed else {"error": body})
    error = await failing(make_client(), streamed)
    assert isinstance(error, kind)
    assert isinstance(error, errors.UnusableReplyError)
    assert error.body == body


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422])
async def test_every_refusal_is_an_error_of_both_trees(
    server: CannedServer, make_client: MakeClient, status: int
) -> None:
    server.queue(Reply(body={"error": {"message": "no"}}, status=status))
    error = await failing(make_client(), streamed=False)
    assert isinstance(error, openai.APIStatusError)
    assert isinstance(error, errors.ModelClientError)
    assert error.status == error.status_code == status


async def test_a_server_that_does_not_answer_in_time_is_an_error_of_both_trees(
    server: CannedServer, make_client: MakeClient
) -> None:
    server.queue(Reply(lines=[], hang=True))
    error = await failing(make_client(timeout=0.05), streamed=False)
    assert isinstance(error, openai.APITimeoutError)
    assert isinstance(error, errors.ModelClientError)


@pytest.mark.parametrize("streamed", [False, True])
async def test_no_secret_hangs_on_an_error(server: CannedServer, make_client: MakeClient, streamed: bool) -> None:
    """Not in its text, fields, chain or the request that it carries, and not in the span."""
    server.queue(Reply(body={"error": {"message": f"bad key {SECRET}"}}, status=401))
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "get_tracer_provider", lambda: provider)
        error: Any = await failing(make_client(), streamed)
    (span,) = exporter.get_finished_spans()
    assert SECRET not in span.to_json()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "AuthenticationError"
    assert SECRET not in "".join(traceback.format_exception(error))
    assert SECRET not in str(list(error.request.headers.raw))
    for link in (error, error.__cause__, error.__context__):
        if link is not None:
            assert SECRET not in f"{link!r} {vars(link)}"


async def test_a_key_in_the_address_does_not_show(server: CannedServer, make_client: MakeClient) -> None:
    server.queue({})
    address = server.base_url.replace("http://", "http://someone:secret-word@")
    error = await failing(make_client(base_url=address), streamed=False)
    assert "secret-word" not in f"{error} {error!r} {getattr(error, 'request', '')}"


async def test_an_unknown_model_chats_and_calls_tools_with_one_warning(
    server: CannedServer, make_client: MakeClient
) -> None:
    tool: Any = {"name": "add", "description": "Adds."}
    with pytest.warns(UserWarning, match="'never-heard-of-it' is not known") as caught:
        clients = [make_client(model="never-heard-of-it") for _ in range(2)]
    assert len(caught) == 1
    server.queue(completion(message("Hello")), completion(message(None, tool_calls=[call()])))
    assert (await clients[0].create(HI)).content == "Hello"
    assert isinstance((await clients[1].create(HI, tools=[tool])).content, list)
    info = clients[0].model_info
    assert info["function_calling"]
    assert not any(info[ability] for ability in ("vision", "json_output", "structured_output"))


async def test_what_the_user_says_about_a_model_wins(make_client: MakeClient) -> None:
    said = ModelInfo(vision=True, function_calling=False, json_output=True, family="mine", structured_output=True)
    assert make_client(model="never-heard-of-that", model_info=said).model_info == said
    assert make_client(model="gpt-4o", model_info=said).model_info == said


async def test_an_interrupted_conversation_is_healed_before_it_is_sent(
    server: CannedServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    asking = AssistantMessage(content=[FunctionCall(id="c1", name="add", arguments="{}")], source="a")
    history = [*HI, asking, *HI]
    with caplog.at_level(logging.WARNING, logger=TRACE_LOGGER_NAME):
        await make_client().create(history)
    sent = server.requests[0].body["messages"]
    assert [item["role"] for item in sent] == ["user", "assistant", "tool", "user"]
    assert sent[2]["tool_call_id"] == "c1"
    assert "interrupted" in sent[2]["content"]
    assert history == [*HI, asking, *HI]
    assert "no result" in caplog.text


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_is_a_span_and_is_measured(
    server: CannedServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    client = make_client(temperature=0.5)
    if streamed:
        async for _ in client.create_stream(HI, include_usage=True):
            pass
    else:
        await client.create(HI)
    (span,) = exporter.get_finished_spans()
    attributes: Any = span.attributes
    assert span.name == "chat gpt-4o"
    assert attributes["gen_ai.provider.name"] == "openai"
    assert attributes["gen_ai.request.temperature"] == 0.5
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (7, 3)
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.response.model"] == "canned"
    assert attributes["server.address"] == "127.0.0.1"
    assert "gen_ai.input.messages" not in attributes
