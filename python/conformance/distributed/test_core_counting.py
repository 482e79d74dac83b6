"""The metrics of messages: the same counts whichever runtime carries them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import UndeliverableException

from .core_agents import DOER, Order, doers
from .runtimes import World, until

TYPES = ("autogen.agent.type", "autogen.topic.type", "autogen.message.type")

Counts = dict[tuple[Any, ...], int | float]


class Meter:
    """A meter provider that is the global one, and what it has measured."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def counts(self, name: str, *attributes: str) -> Counts:
        """Return the sums of a counter, or the counts of a histogram, by some attributes."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        counts: Counts = {}
        for point in (point for metric in metrics for point in metric.data.data_points):
            assert isinstance(point, NumberDataPoint | HistogramDataPoint)
            key = tuple((point.attributes or {}).get(attribute) for attribute in attributes)
            counts[key] = counts.get(key, 0) + (point.value if isinstance(point, NumberDataPoint) else point.count)
        return counts


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meter]:
    """What is measured in this process."""
    meter = Meter()
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", meter.provider)
    yield meter
    meter.provider.shutdown()


async def test_messages_are_counted_once_when_they_are_sent_and_once_for_each_who_handles_them(
    meter: Meter, world: World
) -> None:
    notes = [await doers(world), await doers(world, "other", here=True)]
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    await world.runtime.add_subscription(TypeSubscription("news", "other"))
    for key in ("a", "b"):
        await world.runtime.send_message(Order(), AgentId("doer", key))
    await world.runtime.publish_message(Order(), TopicId("news", "a"))
    await until(lambda: [len(one.ended) for one in notes] == [3, 1])
    handled = {("doer", None, "Order"): 3, ("other", None, "Order"): 1}
    await until(lambda: meter.counts("messaging.client.consumed.messages", *TYPES) == handled)
    assert meter.counts("messaging.client.sent.messages", "messaging.operation.name", *TYPES) == {
        ("send", "doer", None, "Order"): 2,
        ("publish", None, "news", "Order"): 1,
    }
    assert meter.counts("messaging.process.duration", *TYPES) == handled
    assert meter.counts("autogen.message.failures") == {}
    assert meter.counts("autogen.message.undeliverable") == {}


async def test_failures_are_counted_once_by_the_type_of_their_error_and_cancelled_work_is_none(
    meter: Meter, world: World
) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    with pytest.raises(KeyError):
        await world.runtime.send_message(Order(fail="key"), DOER)
    await world.runtime.publish_message(Order(fail="value"), TopicId("news", "a"))
    call = asyncio.create_task(world.runtime.send_message(Order("slow", sleep=30), DOER))
    await until(lambda: "slow" in notes.texts())
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await until(lambda: notes.cancelled == ["slow"])
    expected = {("doer", "KeyError"): 1, ("doer", "ValueError"): 1}
    await until(lambda: meter.counts("autogen.message.failures", "autogen.agent.type", "error.type") == expected)
    await until(lambda: sum(meter.counts("messaging.process.duration").values()) == 3)


async def test_a_request_to_nobody_is_counted_as_undeliverable(meter: Meter, world: World) -> None:
    world.knows(Order)
    with pytest.raises(UndeliverableException):
        await world.runtime.send_message(Order(), AgentId("nobody", "k"))
    counted = meter.counts("autogen.message.undeliverable", "autogen.undeliverable.reason", "autogen.message.type")
    assert counted == {("unknown_recipient", "Order"): 1}
