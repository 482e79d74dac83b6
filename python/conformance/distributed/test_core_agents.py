"""Agents: made once, registered by type or one by one, looked up, told about, saved and loaded, from any worker."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    AgentInstantiationContext,
    AgentProxy,
    AgentRuntime,
    AgentType,
    BaseAgent,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    message_handler,
)
from autogen_core.exceptions import UndeliverableException

from .core_agents import DOER, Amount, Answer, Counter, Doer, Notes, Order, doers
from .runtimes import System, World, until

COUNTER = AgentId("counter", "a")


async def counters(world: World) -> None:
    """Register counters where the test's agents live."""
    world.knows(Amount)
    await Counter.register(world.agents, "counter", Counter)


# Making agents


async def test_an_agent_is_made_once_however_many_messages_come_at_a_time(world: World) -> None:
    made: list[Doer] = []
    notes = Notes()

    async def slowly() -> Doer:
        await asyncio.sleep(0.05)
        made.append(Doer(notes))
        return made[-1]

    world.knows(Order, Answer)
    await Doer.register(world.agents, "doer", slowly)
    texts = [str(number) for number in range(10)]
    await asyncio.gather(*(world.runtime.send_message(Order(text), DOER) for text in texts))
    assert len(made) == 1
    assert notes.texts() == texts


async def test_events_and_requests_make_an_agent_once_together(world: World) -> None:
    made: list[int] = []
    notes = Notes()

    async def slowly() -> Doer:
        made.append(1)
        await asyncio.sleep(0.05)
        return Doer(notes)

    world.knows(Order, Answer)
    await Doer.register(world.agents, "doer", slowly)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    await world.runtime.publish_message(Order("event"), TopicId("news", "a"))
    await world.runtime.send_message(Order("request"), DOER)
    await until(lambda: sorted(notes.texts()) == ["event", "request"])
    assert made == [1]


async def test_a_factory_is_called_for_each_key_and_knows_for_which_and_where(world: World) -> None:
    contexts: list[tuple[AgentId, AgentRuntime]] = []

    def make() -> Doer:
        context = AgentInstantiationContext.current_agent_id(), AgentInstantiationContext.current_runtime()
        contexts.append(context)
        return Doer(Notes())

    world.knows(Order, Answer)
    await Doer.register(world.agents, "doer", make)
    for key in ("a", "b", "a"):
        await world.runtime.send_message(Order(), AgentId("doer", key))
    assert [id for id, _ in contexts] == [AgentId("doer", "a"), AgentId("doer", "b")]
    assert all(runtime is world.agents for _, runtime in contexts)


async def test_an_agent_knows_its_id_and_runtime(world: World) -> None:
    agents: list[BaseAgent] = []

    class Knower(RoutedAgent):
        @message_handler
        async def know(self, message: Order, ctx: MessageContext) -> str:
            agents.append(self)
            return f"{self.id} {self.type} {self.id.key}"

    world.knows(Order)
    await Knower.register(world.agents, "knower", lambda: Knower("knows"))
    assert await world.runtime.send_message(Order(), AgentId("knower", "k")) == "knower/k knower k"
    assert agents[0].runtime is world.agents


async def test_no_agent_is_made_before_its_first_message(world: World) -> None:
    made: list[int] = []

    def make() -> Doer:
        made.append(1)
        return Doer(Notes())

    world.knows(Order, Answer)
    await Doer.register(world.agents, "doer", make)
    assert await world.runtime.get(DOER) == DOER
    assert await world.runtime.get("doer", "a") == DOER
    assert await world.runtime.get(AgentType("doer")) == AgentId("doer", "default")
    assert await world.runtime.get("anything") == AgentId("anything", "default")
    assert made == []
    assert await world.runtime.get(DOER, lazy=False) == DOER
    assert made == [1]


async def test_naming_an_agent_as_the_sender_does_not_make_it(world: World) -> None:
    notes = await doers(world)
    made: list[int] = []

    def make() -> Doer:
        made.append(1)
        return Doer(Notes())

    await Doer.register(world.agents, "sender", make)
    await world.runtime.send_message(Order("x"), DOER, sender=AgentId("sender", "s"))
    assert notes.texts() == ["x"]
    assert made == []


async def test_registering_says_the_type(world: World) -> None:
    world.knows(Order, Answer)
    assert await Doer.register(world.agents, "doer", lambda: Doer(Notes())) == AgentType("doer")
    assert await world.agents.register_factory(AgentType("other"), lambda: Doer(Notes())) == AgentType("other")
    assert await world.runtime.send_message(Order("x"), AgentId("other", "k")) == Answer("x")


async def test_a_taken_type_is_refused_and_the_first_one_serves_on(world: World) -> None:
    await doers(world)
    with pytest.raises(ValueError, match="doer"):
        await world.agents.register_factory("doer", lambda: Doer(Notes()))
    assert await world.runtime.send_message(Order("x"), DOER) == Answer("x")


# Instances


async def test_an_instance_is_served_under_its_id(world: World) -> None:
    notes, other = Notes(), Notes()
    world.knows(Order, Answer)
    await Doer(notes).register_instance(world.agents, AgentId("single", "1"))
    await Doer(other).register_instance(world.agents, AgentId("single", "2"))
    assert await world.runtime.send_message(Order("x"), AgentId("single", "1")) == Answer("x")
    assert await world.runtime.send_message(Order("y"), AgentId("single", "2")) == Answer("y")
    assert (notes.heard, other.heard) == ([("1", "x")], [("2", "y")])
    with pytest.raises(UndeliverableException):
        await world.runtime.send_message(Order("z"), AgentId("single", "3"))


async def test_an_instance_hears_what_it_subscribes_to(world: World) -> None:
    notes = Notes()
    world.knows(Order, Answer)
    await Doer(notes).register_instance(world.agents, AgentId("single", "1"))
    await world.agents.add_subscription(TypeSubscription("news", "single"))
    await world.runtime.publish_message(Order("x"), TopicId("news", "1"))
    await until(lambda: notes.heard == [("1", "x")])


async def test_a_taken_id_a_type_with_a_factory_and_an_agent_of_another_runtime_are_refused(
    world: World, system: System
) -> None:
    await doers(world)
    single = AgentId("single", "1")
    instance = Doer(Notes())
    await instance.register_instance(world.agents, single)
    with pytest.raises(ValueError, match="single/1 already exists"):
        await Doer(Notes()).register_instance(world.agents, single)
    with pytest.raises(ValueError, match="factory"):
        await Doer(Notes()).register_instance(world.agents, DOER)
    async with system.world() as elsewhere:
        with pytest.raises(RuntimeError, match="another runtime"):
            await instance.register_instance(elsewhere.agents, single)


async def test_the_object_of_an_agent_can_be_had_where_it_lives(world: World) -> None:
    notes = await doers(world)
    await world.runtime.send_message(Order("x"), DOER)
    agent = await world.agents.try_get_underlying_agent_instance(DOER, Doer)
    assert agent.notes is notes
    with pytest.raises(TypeError, match="is a Doer, not a Counter"):
        await world.agents.try_get_underlying_agent_instance(DOER, Counter)
    instance = Doer(Notes())
    single = AgentId("single", "1")
    await instance.register_instance(world.agents, single)
    assert await world.agents.try_get_underlying_agent_instance(single, Doer) is instance


# Metadata and state


async def test_metadata_of_an_agent_can_be_had_from_anywhere(world: World) -> None:
    await counters(world)
    for worker in (world.runtime, world.agents, await world.worker()):
        assert await worker.agent_metadata(COUNTER) == {"type": "counter", "key": "a", "description": "counts"}


async def test_state_is_saved_and_loaded_from_anywhere(world: World) -> None:
    await counters(world)
    third = await world.worker()
    await world.runtime.send_message(Amount(3), COUNTER)
    for worker in (world.runtime, world.agents, third):
        assert await worker.agent_save_state(COUNTER) == {"total": 3}
    other = AgentId("counter", "other")
    await third.agent_load_state(other, {"total": 40})
    assert await world.runtime.send_message(Amount(2), other) == 42
    assert await world.runtime.agent_save_state(COUNTER) == {"total": 3}


async def test_a_state_that_an_agent_cannot_take_up_is_its_error(world: World) -> None:
    await counters(world)
    with pytest.raises(KeyError, match="total"):
        await world.runtime.agent_load_state(COUNTER, {})


async def test_an_agent_saved_in_one_system_goes_on_in_another(world: World, system: System) -> None:
    await counters(world)
    await world.runtime.send_message(Amount(3), COUNTER)
    state = await world.runtime.agent_save_state(COUNTER)
    async with system.world() as elsewhere:
        await counters(elsewhere)
        await elsewhere.runtime.agent_load_state(COUNTER, state)
        assert await elsewhere.runtime.send_message(Amount(1), COUNTER) == 4


async def test_a_runtime_saves_and_loads_all_agents_that_live_in_it(world: World, system: System) -> None:
    await counters(world)
    for key, number in (("a", 1), ("b", 2)):
        await world.runtime.send_message(Amount(number), AgentId("counter", key))
    state = await world.agents.save_state()
    assert state == {"counter/a": {"total": 1}, "counter/b": {"total": 2}}
    async with system.world() as elsewhere:
        await counters(elsewhere)
        await elsewhere.agents.load_state({**state, "unknown/x": {"left": "out"}})
        assert await elsewhere.runtime.send_message(Amount(10), AgentId("counter", "b")) == 12


async def test_a_state_is_whatever_json_can_say(world: World) -> None:
    kept: dict[str, Any] = {"list": [1, 2.5, None, True], "nested": {"é": {"☃": "🙂"}}, "empty": {}, "text": "a\nb"}

    class Keeper(RoutedAgent):
        def __init__(self) -> None:
            super().__init__("keeps")
            self.kept: Mapping[str, Any] = {}

        async def save_state(self) -> Mapping[str, Any]:
            return self.kept

        async def load_state(self, state: Mapping[str, Any]) -> None:
            self.kept = state

    await Keeper.register(world.agents, "keeper", Keeper)
    agent = AgentId("keeper", "k")
    await world.runtime.agent_load_state(agent, kept)
    assert await world.runtime.agent_save_state(agent) == kept


async def test_requests_change_the_state_of_an_agent_once_each(world: World) -> None:
    await counters(world)
    totals = await asyncio.gather(*(world.runtime.send_message(Amount(1), COUNTER) for _ in range(100)))
    assert totals == list(range(1, 101))
    assert await world.runtime.agent_save_state(COUNTER) == {"total": 100}


async def test_events_change_the_state_of_an_agent_once_each(world: World) -> None:
    await counters(world)
    for _ in range(100):
        await world.runtime.publish_message(Amount(1), TopicId("amounts", "a"))
    async with asyncio.timeout(10):
        while await world.runtime.agent_save_state(COUNTER) != {"total": 100}:  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert await world.runtime.agent_save_state(COUNTER) == {"total": 100}


async def test_a_saved_state_for_an_agent_that_keeps_none_is_a_warning(world: World) -> None:
    class Forgetful(RoutedAgent): ...

    await Forgetful.register(world.agents, "forgetful", lambda: Forgetful("forgets"))
    with pytest.warns(UserWarning, match="Forgetful has no load_state"):
        await world.runtime.agent_load_state(AgentId("forgetful", "k"), {"something": 1})


async def test_a_proxy_saves_and_loads_state_as_its_runtime_does(world: World) -> None:
    await counters(world)
    await AgentProxy(COUNTER, world.runtime).load_state({"total": 7})
    assert await AgentProxy(COUNTER, world.agents).save_state() == {"total": 7}


async def test_registering_may_leave_subscriptions_out(world: World) -> None:
    world.knows(Amount)
    await Counter.register(
        world.agents, "counter", Counter, skip_class_subscriptions=True, skip_direct_message_subscription=True
    )
    await world.agents.add_subscription(TypeSubscription("last", "counter"))
    for topic_type in ("amounts", "counter:", "last"):
        await world.runtime.publish_message(Amount(1), TopicId(topic_type, "a"))
    async with asyncio.timeout(10):
        while await world.runtime.agent_save_state(COUNTER) == {"total": 0}:  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.01)
    assert await world.runtime.agent_save_state(COUNTER) == {"total": 1}


async def test_many_types_are_registered_at_a_time_and_all_are_reached(world: World) -> None:
    notes = Notes()
    world.knows(Order, Answer)
    names = [f"doer{number}" for number in range(20)]
    await asyncio.gather(*(Doer.register(world.agents, name, lambda: Doer(notes)) for name in names))
    asks = [world.runtime.send_message(Order(name), AgentId(name, "k")) for name in names]
    assert await asyncio.gather(*asks) == [Answer(name) for name in names]
    for name in names:
        await world.runtime.publish_message(Order("event"), TopicId(f"{name}:", "k"))
    await until(lambda: notes.texts().count("event") == 20)
