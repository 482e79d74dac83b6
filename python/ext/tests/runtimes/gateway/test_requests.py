"""Requests through a gateway, both ways."""

import asyncio
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from autogen_core import AgentId, AgentRuntime, CancellationToken, UnknownPayload
from autogen_core.exceptions import (
    DeadlineExceededError,
    MessageTooLargeError,
    RemoteError,
    UndeliverableException,
)

from .agents import Big, Cast, Keeper, Word, knows_messages, speak, until
from .conftest import Place

pytestmark = pytest.mark.parametrize("asker", ["grpc", "nats"])


async def asking(place: Place, asker: str) -> tuple[AgentRuntime, Cast]:
    """Return a runtime on one side of a gateway, and speakers on the other."""
    host = place.gateway()
    worker, nats = await place.worker(host), await place.nats()
    asks, answers = (worker, nats) if asker == "grpc" else (nats, worker)
    knows_messages(asks)
    return asks, await speak(answers, "speaker")


SPEAKER = AgentId("speaker", "k")


async def test_a_request_is_answered_through_the_gateway(place: Place, asker: str) -> None:
    asks, cast = await asking(place, asker)
    sender = AgentId("visitor", "v")
    answer = await asks.send_message(Word("hello"), SPEAKER, sender=sender, message_id="m-1")
    assert answer == Word("HELLO")
    context = (await cast.one()).contexts[0]
    assert (context.sender, context.message_id, context.is_rpc, context.topic_id) == (sender, "m-1", True, None)


@pytest.mark.parametrize(("order", "answer"), [("none", None), ("plain", {"a": [1, 2.5, None, "é"]})])
async def test_an_answer_may_be_nothing_or_plain(place: Place, asker: str, order: str, answer: object) -> None:
    asks, _ = await asking(place, asker)
    assert await asks.send_message(Word(order), SPEAKER) == answer


async def test_a_protobuf_message_and_its_answer_go_through(place: Place, asker: str) -> None:
    asks, _ = await asking(place, asker)
    answer = await asks.send_message(StringValue(value="é→x"), SPEAKER)
    assert answer == StringValue(value="x→é")


async def test_a_message_of_a_type_that_only_the_ends_know_stays_as_it_came(place: Place, asker: str) -> None:
    asks, cast = await asking(place, asker)
    raw = UnknownPayload("Word", "application/json", b'{ "text":  "\\u00e9" }')
    assert await asks.send_message(raw, SPEAKER) == Word("É")
    assert cast.heard == ["k: é"]


async def test_an_error_keeps_type_text_and_traceback(place: Place, asker: str) -> None:
    asks, _ = await asking(place, asker)
    with pytest.raises(KeyError) as caught:
        await asks.send_message(Word("fail"), SPEAKER)
    error = caught.value
    assert isinstance(error, RemoteError)
    assert (error.type_name, error.text) == ("builtins.KeyError", "'boom'")
    assert 'raise KeyError("boom")' in error.traceback


async def test_an_unknown_agent_type_is_told_at_once(place: Place, asker: str) -> None:
    asks, _ = await asking(place, asker)
    async with asyncio.timeout(5):
        with pytest.raises(UndeliverableException, match="nobody"):
            await asks.send_message(Word("hello"), AgentId("nobody", "k"))


async def test_cancelling_a_request_cancels_the_handler(place: Place, asker: str) -> None:
    asks, cast = await asking(place, asker)
    token = CancellationToken()
    request = asyncio.create_task(asks.send_message(Word("sleep 60"), SPEAKER, cancellation_token=token))
    await asyncio.wait_for(cast.under_way.wait(), 10)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    speaker = await cast.one()
    await until(lambda: speaker.cancelled == 1)


async def test_a_deadline_goes_through_and_cancels_the_handler(place: Place, asker: str) -> None:
    asks: Any
    asks, cast = await asking(place, asker)
    await asks.send_message(Word("hello"), SPEAKER)
    with pytest.raises(DeadlineExceededError):
        await asks.send_message(Word("sleep 60"), SPEAKER, timeout=0.5)
    speaker = await cast.one()
    await until(lambda: speaker.cancelled == 1)


async def test_agents_ask_each_other_across_the_gateway_in_a_circle(place: Place, asker: str) -> None:
    asks, cast = await asking(place, asker)
    own = await speak(asks, "own")
    assert await asks.send_message(Word("ask own ask speaker hello"), SPEAKER) == Word("HELLO")
    assert cast.heard == ["k: ask own ask speaker hello", "k: hello"]
    assert own.heard == ["k: ask speaker hello"]


async def test_requests_of_one_sender_to_one_agent_arrive_in_order(place: Place, asker: str) -> None:
    asks, cast = await asking(place, asker)
    words = [f"word-{number}" for number in range(200)]
    await asyncio.gather(*(asks.send_message(Word(word), SPEAKER) for word in words))
    assert cast.heard == [f"k: {word}" for word in words]


async def test_a_message_that_is_too_long_for_the_worker_is_refused_with_a_typed_error(
    place: Place, asker: str
) -> None:
    asks, _ = await asking(place, asker)
    with pytest.raises(MessageTooLargeError):
        await asks.send_message(Big("x" * 5_000_000), SPEAKER)
    assert await asks.send_message(Big("x" * 500_000), SPEAKER) == 500_000


async def test_state_and_metadata_are_reached_through_the_gateway(place: Place, asker: str) -> None:
    asks, cast = await asking(place, asker)
    await Keeper.register(cast.runtime, "keeper", Keeper)
    keeper = AgentId("keeper", "k")
    assert await asks.send_message(Word("one"), keeper) == 1
    assert await asks.agent_save_state(keeper) == {"count": 1}
    await asks.agent_load_state(keeper, {"count": 41})
    assert await asks.send_message(Word("two"), keeper) == 42
    metadata = await asks.agent_metadata(keeper)
    assert (metadata["type"], metadata["key"]) == ("keeper", "k")
