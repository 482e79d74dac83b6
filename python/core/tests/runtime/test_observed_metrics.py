"""The metrics of messages: what is counted and measured, and by which attributes."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint

from autogen_core import (
    AgentId,
    DropMessage,
    TopicId,
    TypeSubscription,
)
from autogen_core.exceptions import MessageDroppedException, UndeliverableException

from .conftest import Work, Worker
from .watched import JOBS, A, Drop, make, nobody_is_configured

__all__ = ["nobody_is_configured"]  # a fixture


class Meter:
    """A meter provider that is the global one, and what it has measured."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])

    def points(self, name: str) -> Sequence[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def counts(self, name: str, *attributes: str) -> dict[tuple[Any, ...], int | float]:
        """The sums of a counter, or the counts of a histogram, by some attributes."""
        counts: dict[tuple[Any, ...], int | float] = {}
        for point in self.points(name):
            assert isinstance(point, NumberDataPoint | HistogramDataPoint)
            key = tuple((point.attributes or {}).get(attribute) for attribute in attributes)
            counts[key] = counts.get(key, 0) + (point.value if isinstance(point, NumberDataPoint) else point.count)
        return counts


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meter]:
    meter = Meter()
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", meter.provider)
    yield meter
    meter.provider.shutdown()


TYPES = ("autogen.agent.type", "autogen.topic.type", "autogen.message.type")


async def test_messages_are_counted_when_they_are_sent_and_when_they_are_handled(meter: Meter) -> None:
    runtime = await make()
    await runtime.add_subscription(TypeSubscription("jobs", "other"))
    runtime.start()
    for key in ("a", "b"):
        await runtime.send_message(Work(), AgentId("worker", key))
    await runtime.publish_message(Work(), JOBS)
    await runtime.stop_when_idle()
    assert meter.counts("messaging.client.sent.messages", "messaging.operation.name", *TYPES) == {
        ("send", "worker", None, "Work"): 2,
        ("publish", None, "jobs", "Work"): 1,
    }
    handled = {("worker", None, "Work"): 3, ("other", None, "Work"): 1}
    assert meter.counts("messaging.client.consumed.messages", *TYPES) == handled
    assert meter.counts("autogen.message.queue.duration", *TYPES) == handled
    assert meter.counts("messaging.process.duration", *TYPES) == handled
    assert meter.counts("autogen.message.failures") == {}
    assert meter.counts("autogen.message.undeliverable") == {}


async def test_waiting_and_handling_are_measured_in_seconds(meter: Meter) -> None:
    runtime = await make()
    request = asyncio.create_task(runtime.send_message(Work(sleep_s=0.03), A))
    await asyncio.sleep(0.05)
    runtime.start()
    await request
    await runtime.stop_when_idle()
    (waited,) = meter.points("autogen.message.queue.duration")
    (took,) = meter.points("messaging.process.duration")
    assert 0.04 <= waited.sum < 10
    assert 0.02 <= took.sum < 10
    assert took.explicit_bounds[0] == 0.005


async def test_failures_are_counted_by_the_type_of_their_error_and_cancelled_work_is_none(meter: Meter) -> None:
    runtime = await make()
    runtime.start()
    with pytest.raises(KeyError):
        await runtime.send_message(Work(error=KeyError("boom")), A)
    await runtime.publish_message(Work(error=ValueError("bang")), JOBS)
    gives_up = asyncio.create_task(runtime.send_message(Work(sleep_s=30), A))
    await asyncio.sleep(0.01)
    gives_up.cancel()
    await asyncio.gather(gives_up, return_exceptions=True)
    await runtime.stop_when_idle()
    assert meter.counts("autogen.message.failures", "autogen.agent.type", "error.type") == {
        ("worker", "KeyError"): 1,
        ("worker", "ValueError"): 1,
    }
    assert sum(meter.counts("messaging.process.duration", "error.type").values()) == 3


@pytest.mark.parametrize(("outcome", "reason"), [(DropMessage, "dropped"), (PermissionError("no"), "refused")])
async def test_messages_that_an_intervention_handler_stops_are_counted(meter: Meter, outcome: Any, reason: str) -> None:
    runtime = await make(intervention_handlers=[Drop(outcome)])
    runtime.start()
    with pytest.raises((MessageDroppedException, PermissionError)):
        await runtime.send_message(Work(), A)
    await runtime.publish_message(Work(), JOBS)
    await runtime.stop_when_idle()
    assert meter.counts("autogen.message.undeliverable", "autogen.undeliverable.reason", *TYPES) == {
        (reason, "worker", None, "Work"): 1,
        (reason, None, "jobs", "Work"): 1,
    }


async def test_messages_that_reach_nobody_are_counted_with_the_reason(meter: Meter) -> None:
    runtime = await make()
    waits = asyncio.create_task(runtime.send_message(Work(), A))
    gives_up = asyncio.create_task(runtime.send_message(Work(), A))
    await asyncio.sleep(0)
    gives_up.cancel()
    await asyncio.gather(gives_up, return_exceptions=True)
    with pytest.raises(UndeliverableException):
        await runtime.send_message(Work(), AgentId("nobody", "k"))
    runtime.start()
    await runtime.stop()
    runtime.start()
    await runtime.publish_message(Work(), TopicId("nothing", "a"))
    await runtime.stop_when_idle()
    with pytest.raises(UndeliverableException):
        await waits
    assert meter.counts("autogen.message.undeliverable", "autogen.undeliverable.reason", *TYPES) == {
        ("unknown_recipient", None, None, "Work"): 1,
        ("stopped", "worker", None, "Work"): 1,
        ("unheard", None, "nothing", "Work"): 1,
    }


async def test_the_numbers_by_which_teams_tell_their_agents_apart_are_no_attributes(meter: Meter) -> None:
    runtime = await make()
    for number in range(3):
        unique = f"0b7f2c9e-1d34-4c56-8a78-9abcdef0123{number}"
        await Worker.register(runtime, f"writer_{unique}", Worker)
        runtime.start()
        await runtime.send_message(Work(), AgentId(f"writer_{unique}", unique))
        await runtime.publish_message(Work(), TopicId(f"group_topic_{unique}", unique))
        await runtime.stop_when_idle()
    assert meter.counts("messaging.client.sent.messages", *TYPES) == {
        ("writer", None, "Work"): 3,
        (None, "group_topic", "Work"): 3,
    }
