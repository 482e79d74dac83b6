"""Events through a gateway, both ways: each once for each who hears it."""

import asyncio

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider

from autogen_core import AgentId, AgentRuntime, TopicId, TypePrefixSubscription, TypeSubscription

from .agents import Cast, Word, knows_messages, speak, until
from .conftest import Place

NEWS = TopicId("news", "k")
_REST_S = 0.3
"""In which a copy too many would have come."""


async def hearers(runtime: AgentRuntime, agent_type: str, topic: str = "news") -> Cast:
    cast = await speak(runtime, agent_type)
    await runtime.add_subscription(TypeSubscription(topic, agent_type))
    return cast


async def all_have_heard(*casts: Cast, words: list[str]) -> None:
    await until(lambda: all(len(cast.heard) >= len(words) for cast in casts))
    await asyncio.sleep(_REST_S)
    for cast in casts:
        assert cast.heard == [f"k: {word}" for word in words], cast.agent_type


async def test_an_event_of_a_worker_reaches_all_on_both_sides_once(place: Place) -> None:
    host = place.gateway()
    nats = await hearers(await place.nats(), "at-nats")
    one, two = await place.worker(host), await place.worker(host)
    casts = [nats, await hearers(one, "one-a"), await hearers(one, "one-b"), await hearers(two, "two")]
    words = [f"word-{number}" for number in range(20)]
    for word in words:
        await one.publish_message(Word(word), NEWS)
    await all_have_heard(*casts, words=words)


async def test_an_event_of_the_other_side_reaches_all_on_both_sides_once(place: Place) -> None:
    host = place.gateway()
    runtime = await place.nats()
    one, two = await place.worker(host), await place.worker(host)
    casts = [await hearers(runtime, "at-nats"), await hearers(one, "one-a"), await hearers(one, "one-b")]
    casts.append(await hearers(two, "two"))
    words = [f"word-{number}" for number in range(20)]
    for word in words:
        await runtime.publish_message(Word(word), NEWS, sender=AgentId("somebody", "s"), message_id=f"id of {word}")
    await all_have_heard(*casts, words=words)
    context = (await casts[1].one()).contexts[0]
    assert (context.sender, context.topic_id) == (AgentId("somebody", "s"), NEWS)
    assert (context.message_id, context.is_rpc) == ("id of word-0", False)


async def test_events_of_workers_at_two_gateways_reach_all_once(place: Place) -> None:
    first, second = place.gateway(), place.gateway()
    one, two = await place.worker(first), await place.worker(second)
    casts = [await hearers(one, "one"), await hearers(two, "two"), await hearers(await place.nats(), "at-nats")]
    await one.publish_message(Word("from one"), NEWS)
    await until(lambda: all(cast.heard for cast in casts))
    await two.publish_message(Word("from two"), NEWS)
    await all_have_heard(*casts, words=["from one", "from two"])


async def test_an_agent_does_not_hear_what_it_has_published_itself(place: Place) -> None:
    host = place.gateway()
    worker = await place.worker(host)
    self_heard, other = await hearers(worker, "talker"), await hearers(worker, "other")
    at_nats = await hearers(await place.nats(), "at-nats")
    await worker.send_message(Word("publish hello"), AgentId("talker", "k"))
    await until(lambda: bool(other.heard and at_nats.heard))
    await asyncio.sleep(_REST_S)
    assert (self_heard.heard, other.heard, at_nats.heard) == (["k: publish hello"], ["k: hello"], ["k: hello"])


async def test_a_prefix_is_heard_and_a_removed_subscription_is_not(place: Place) -> None:
    host = place.gateway()
    runtime = await place.nats()
    worker = await place.worker(host)
    prefix, removed = await speak(worker, "prefix"), await speak(worker, "removed")
    await worker.add_subscription(TypePrefixSubscription("news", "prefix"))
    rule = TypeSubscription("newspaper", "removed")
    await worker.add_subscription(rule)
    await runtime.publish_message(Word("one"), TopicId("newspaper", "k"))
    await until(lambda: bool(prefix.heard and removed.heard))
    await worker.remove_subscription(rule.id)
    await runtime.publish_message(Word("two"), TopicId("newspaper", "k"))
    await until(lambda: len(prefix.heard) == 2)
    await asyncio.sleep(_REST_S)
    assert removed.heard == ["k: one"]


async def test_what_is_published_while_a_worker_is_away_it_hears_when_it_is_back_in_order_once(place: Place) -> None:
    host = place.gateway()
    runtime = await place.nats()
    worker = await place.worker(host)
    before = await hearers(worker, "reader")
    await runtime.publish_message(Word("before"), NEWS)
    await until(lambda: bool(before.heard))
    await worker.close()
    words = [f"word-{number}" for number in range(50)]
    for word in words:
        await runtime.publish_message(Word(word), NEWS)
    back = await hearers(await place.worker(host), "reader")
    await all_have_heard(back, words=words)


async def test_a_trace_goes_through_a_gateway_that_does_not_trace_itself(place: Place) -> None:
    """The parents of the spans of both ends are right, though the gateway has none of its own."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    host = place.gateway(tracer_provider=NoOpTracerProvider())
    worker = await place.worker(host, tracer_provider=provider)
    runtime = await place.nats(tracer_provider=provider)
    await hearers(worker, "at-worker")
    await speak(runtime, "at-nats")
    knows_messages(worker)
    await worker.send_message(Word("ask at-worker hello"), AgentId("at-nats", "k"))
    await until(lambda: sum("process" in span.name for span in spans.get_finished_spans()) >= 2)
    finished = spans.get_finished_spans()
    assert len({span.context.trace_id for span in finished if span.context is not None}) == 1
    names = {span.context.span_id: span.name for span in finished if span.context is not None}
    parents = {span.name: None if span.parent is None else names[span.parent.span_id] for span in finished}
    assert parents == {
        "autogen send at-nats.(k)-A": None,
        "autogen process at-nats.(k)-A": "autogen send at-nats.(k)-A",
        "autogen send at-worker.(k)-A": "autogen process at-nats.(k)-A",
        "autogen process at-worker.(k)-A": "autogen send at-worker.(k)-A",
    }
