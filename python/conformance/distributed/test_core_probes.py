"""What `autogen_core.testing` offers to users' tests serves on every runtime."""

import asyncio

import pytest

from autogen_core import AgentId, MessageContext, TopicId, TypeSubscription
from autogen_core.testing import EventCollector, ProbeAgent

from .core_agents import Answer, Order
from .runtimes import World

PROBE = AgentId("probe", "a")


async def probe(world: World, answer: object = None) -> ProbeAgent:
    """Register a probe where the test's agents live."""
    world.knows(Order, Answer)
    made = ProbeAgent(answer)
    await made.register_instance(world.agents, PROBE)
    await world.agents.add_subscription(TypeSubscription("news", "probe"))
    return made


async def test_a_probe_keeps_what_it_receives_and_answers_as_it_is_told(world: World) -> None:
    made = await probe(world, Answer("yes"))
    assert await world.runtime.send_message(Order("x"), PROBE) == Answer("yes")
    await world.runtime.publish_message(Order("y"), TopicId("news", "a"))
    assert await made.wait_for(2) == [Order("x"), Order("y")]
    assert [received.ctx.is_rpc for received in made.received] == [True, False]


async def test_a_probe_answers_by_a_function(world: World) -> None:
    async def turn(message: Order, ctx: MessageContext) -> Answer:
        await asyncio.sleep(0)
        return Answer(message.text[::-1])

    await probe(world, turn)
    assert await world.runtime.send_message(Order("abc"), PROBE) == Answer("cba")


async def test_a_probe_raises_the_exception_it_is_given(world: World) -> None:
    await probe(world, PermissionError("no"))
    with pytest.raises(PermissionError, match="no"):
        await world.runtime.send_message(Order("x"), PROBE)


async def test_a_collector_hears_of_messages_while_it_is_used_and_not_after(world: World) -> None:
    await probe(world)
    with EventCollector() as collector:
        await world.runtime.send_message(Order("x"), PROBE)
    heard = len(collector.events)
    assert heard >= 3  # sent, delivered, answered
    await world.runtime.send_message(Order("y"), PROBE)
    assert len(collector.events) == heard
