"""What a call used, with its details: read from the server's reply, booked by a ledger in tokens and in money."""

from decimal import Decimal

import pytest

from autogen_core.models import CreateResult, LLMMessage, RequestUsage, UserMessage
from autogen_ext.models.middleware import DetailedUsage, LedgerClient, UsageLedger, UsageTotals

from .canned import CannedServer, Json, chunk, completion, message, sse
from .conftest import MakeClient

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


def reported(**details: Json) -> Json:
    return {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, **details}


USAGE = reported(
    prompt_tokens_details={"cached_tokens": 400, "audio_tokens": 0},
    completion_tokens_details={"reasoning_tokens": 60, "accepted_prediction_tokens": 0},
)
"""See https://platform.openai.com/docs/guides/prompt-caching and https://platform.openai.com/docs/guides/reasoning."""


async def ask(server: CannedServer, client: LedgerClient, usage: Json, *, stream: bool) -> CreateResult:
    if not stream:
        server.queue(completion(message(), usage=usage))
        return await client.create(HI)
    server.queue(sse(chunk({"content": "Hello"}, finish="stop"), chunk(usage=usage)))
    options = {"stream_options": {"include_usage": True}}
    [*_, result] = [item async for item in client.create_stream(HI, extra_create_args=options)]
    assert isinstance(result, CreateResult)
    return result


@pytest.mark.parametrize("stream", [False, True])
async def test_cached_and_reasoning_tokens_and_money_are_booked(
    server: CannedServer, make_client: MakeClient, stream: bool
) -> None:
    """The money was computed by hand from gpt-4o's public prices: per million 2.50 in, 1.25 cached, 10 out."""
    client = LedgerClient(make_client(), UsageLedger(money=True), provider="openai")
    result = await ask(server, client, USAGE, stream=stream)
    assert result.usage == DetailedUsage(1000, 100, cached_tokens=400, reasoning_tokens=60)
    assert client.ledger.total(model="gpt-4o") == UsageTotals(
        calls=1,
        prompt_tokens=1000,
        completion_tokens=100,
        cached_tokens=400,
        reasoning_tokens=60,
        cost_usd=Decimal("0.003"),
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_programs_that_know_two_numbers_see_two(
    server: CannedServer, make_client: MakeClient, stream: bool
) -> None:
    client = make_client()
    result = await ask(server, LedgerClient(client), USAGE, stream=stream)
    assert result.usage == RequestUsage(prompt_tokens=1000, completion_tokens=100)
    assert result.model_dump()["usage"] == {"prompt_tokens": 1000, "completion_tokens": 100}
    assert client.total_usage() == client.actual_usage() == RequestUsage(1000, 100)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "usage",
    [
        reported(),
        reported(prompt_tokens_details=None, completion_tokens_details=None),
        reported(prompt_tokens_details={"cached_tokens": None}, completion_tokens_details={"reasoning_tokens": "?"}),
        reported(prompt_tokens_details={"cached_tokens": 0}, completion_tokens_details={}),
        reported(prompt_tokens_details=[], completion_tokens_details="none"),
    ],
)
async def test_a_server_without_details_gives_a_plain_usage(
    server: CannedServer, make_client: MakeClient, usage: Json, stream: bool
) -> None:
    result = await ask(server, LedgerClient(make_client()), usage, stream=stream)
    assert type(result.usage) is RequestUsage
    assert result.usage == RequestUsage(1000, 100)
