"""Agents of a runtime: made once, registered, evicted, closed, and their state."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)
from autogen_core.exceptions import RegistrationError, UndeliverableException

from .conftest import A, Work, Worker, make, seen


async def test_an_agent_is_made_once_however_many_messages_come_at_a_time() -> None:
    made: list[Worker] = []

    async def slowly() -> Worker:
        await asyncio.sleep(0.01)
        made.append(Worker())
        return made[-1]

    runtime = SingleThreadedAgentRuntime()
    await Worker.register(runtime, "worker", slowly)
    runtime.start()
    await asyncio.gather(*(runtime.send_message(Work(str(n)), A) for n in range(5)))
    await runtime.stop_when_idle()
    assert len(made) == 1
    assert made[0].seen == ["0", "1", "2", "3", "4"]


async def test_a_failing_factory_answers_every_sender_and_the_next_message_tries_again() -> None:
    attempts: list[int] = []

    async def sometimes() -> Worker:
        attempts.append(1)
        await asyncio.sleep(0.001)
        if len(attempts) == 1:
            raise ConnectionError("not yet")
        return Worker()

    runtime = SingleThreadedAgentRuntime()
    await Worker.register(runtime, "worker", sometimes)
    runtime.start()
    answers = await asyncio.gather(*(runtime.send_message(Work(), A) for _ in range(2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError, ConnectionError]
    assert await runtime.send_message(Work("made"), A) == "made"
    await runtime.stop_when_idle()


async def test_a_factory_that_makes_another_class_is_refused_naming_both() -> None:
    runtime = SingleThreadedAgentRuntime()

    class Other(Worker): ...

    await Worker.register(runtime, "worker", Other)
    with pytest.raises(RegistrationError, match="made a Other, but was registered for Worker"):
        await runtime.get(A, lazy=False)


async def test_a_taken_type_or_id_is_refused() -> None:
    runtime = await make()
    with pytest.raises(ValueError, match="'worker' already exists"):
        await Worker.register(runtime, "worker", Worker)
    with pytest.raises(ValueError, match="has a factory"):
        await Worker().register_instance(runtime, A)
    await Worker().register_instance(runtime, AgentId("single", "1"))
    with pytest.raises(ValueError, match="single/1 already exists"):
        await Worker().register_instance(runtime, AgentId("single", "1"))


async def test_an_instance_is_served_under_its_id_and_lives_in_one_runtime() -> None:
    runtime, other = SingleThreadedAgentRuntime(), SingleThreadedAgentRuntime()
    instance = Worker()
    single = AgentId("single", "1")
    await instance.register_instance(runtime, single)
    await Worker().register_instance(runtime, AgentId("single", "2"))
    runtime.start()
    assert await runtime.send_message(Work("served"), single) == "served"
    assert instance.seen == ["served"]
    assert await runtime.try_get_underlying_agent_instance(single, Worker) is instance
    with pytest.raises(UndeliverableException):
        await runtime.send_message(Work(), AgentId("single", "3"))
    with pytest.raises(RuntimeError, match="another runtime"):
        await instance.register_instance(other, single)
    await runtime.stop_when_idle()


async def test_asking_for_an_agent_that_is_not_there_or_of_another_class_is_a_typed_error() -> None:
    runtime = await make()
    assert await runtime.get("anything") == AgentId("anything", "default")
    nobody = AgentId("nobody", "k")
    asks: list[Callable[[], Awaitable[Any]]] = [
        lambda: runtime.get(nobody, lazy=False),
        lambda: runtime.agent_metadata(nobody),
        lambda: runtime.agent_save_state(nobody),
        lambda: runtime.agent_load_state(nobody, {}),
        lambda: runtime.try_get_underlying_agent_instance(nobody),
    ]
    for ask in asks:
        with pytest.raises(LookupError, match="nobody not found"):
            await ask()
    with pytest.raises(TypeError, match="is a Worker, not a SingleThreadedAgentRuntime"):
        await runtime.try_get_underlying_agent_instance(A, SingleThreadedAgentRuntime)  # type: ignore[type-var]  # the mistake under test


async def test_the_state_of_all_agents_is_saved_and_taken_up() -> None:
    class Keeper(RoutedAgent):
        def __init__(self) -> None:
            super().__init__("keeps")
            self.kept = 0
            self.closed = False

        @message_handler
        async def handle(self, message: int, ctx: MessageContext) -> int:
            self.kept += message
            return self.kept

        async def save_state(self) -> dict[str, Any]:
            return {"kept": self.kept}

        async def load_state(self, state: Any) -> None:
            self.kept = state["kept"]

        async def close(self) -> None:
            self.closed = True

    first, second = SingleThreadedAgentRuntime(), SingleThreadedAgentRuntime()
    for runtime in (first, second):
        await Keeper.register(runtime, "keeper", Keeper)
        runtime.start()
    for key, number in (("a", 1), ("b", 2)):
        await first.send_message(number, AgentId("keeper", key))
    state = await first.save_state()
    assert state == {"keeper/a": {"kept": 1}, "keeper/b": {"kept": 2}}
    await second.load_state({**state, "unknown/x": {"left": "out"}})
    assert await second.send_message(10, AgentId("keeper", "b")) == 12
    keeper = await first.try_get_underlying_agent_instance(AgentId("keeper", "a"), Keeper)
    await first.close()
    await second.close()
    assert keeper.closed


async def test_a_saved_state_for_an_agent_that_keeps_none_is_a_warning() -> None:
    runtime = await make()
    with pytest.warns(UserWarning, match="Worker has no load_state"):
        await runtime.agent_load_state(A, {"something": 1})


async def test_closing_closes_every_agent_once_although_one_of_them_fails() -> None:
    closed: list[str] = []

    class Closer(Worker):
        async def close(self) -> None:
            closed.append(self.id.key)
            if self.id.key == "a":
                raise ConnectionError("cannot hang up")

    runtime = SingleThreadedAgentRuntime()
    await Closer.register(runtime, "closer", Closer)
    for key in "ab":
        await runtime.get("closer", key, lazy=False)
    with pytest.raises(ExceptionGroup, match="could not be closed"):
        await runtime.close()
    await runtime.close()
    assert closed == ["a", "b"]


class Keeper(Worker):
    """A worker whose state outlives its object: the factory looks it up."""

    async def save_state(self) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        return {"seen": self.seen}


async def register_keepers(runtime: SingleThreadedAgentRuntime, store: dict[AgentId, Any]) -> None:
    def make_keeper() -> Keeper:
        keeper = Keeper()
        keeper.seen = list(store.get(keeper.id, {"seen": []})["seen"])
        return keeper

    await Keeper.register(runtime, "keeper", make_keeper)


async def test_an_idle_agent_is_evicted_with_its_state_and_made_anew_by_the_next_message() -> None:
    store: dict[AgentId, Any] = {}
    runtime = SingleThreadedAgentRuntime()
    await register_keepers(runtime, store)
    runtime.start()
    keeper = AgentId("keeper", "k")
    await runtime.send_message(Work("first"), keeper)
    before = await runtime.try_get_underlying_agent_instance(keeper, Keeper)
    evicting = asyncio.create_task(runtime.evict(keeper, save=store.__setitem__))
    await asyncio.sleep(0)
    await runtime.send_message(Work("came meanwhile"), keeper)
    assert await evicting
    after = await runtime.try_get_underlying_agent_instance(keeper, Keeper)
    assert after is not before
    assert after.seen == ["first", "came meanwhile"]
    assert not await runtime.evict(AgentId("keeper", "never made"))
    await runtime.stop_when_idle()


async def test_an_agent_that_is_handling_a_message_is_not_evicted_and_all_idle_ones_are() -> None:
    store: dict[AgentId, Any] = {}
    runtime = SingleThreadedAgentRuntime()
    await register_keepers(runtime, store)
    runtime.start()
    for number in range(100):
        await runtime.send_message(Work(), AgentId("keeper", str(number)))
    busy = AgentId("keeper", "7")
    request = asyncio.create_task(runtime.send_message(Work("busy", sleep_s=0.3), busy))
    await asyncio.sleep(0.01)
    assert not await runtime.evict(busy)

    async def save(agent: AgentId, state: Any) -> None:
        store[agent] = state

    assert len(await runtime.evict_idle(save=save)) == 99
    assert list(runtime._directory.agents) == [busy]
    assert len(store) == 99
    assert await request == "busy"
    await runtime.stop_when_idle()


async def test_an_agent_in_the_first_step_of_its_handler_is_not_evicted_by_what_it_calls() -> None:
    class Evictor(RoutedAgent):
        @message_handler
        async def handle(self, message: AgentId, ctx: MessageContext) -> bool:
            return await runtime.evict(message)

    class Asker(RoutedAgent):
        @message_handler
        async def handle(self, message: AgentId, ctx: MessageContext) -> bool:
            return await self.send_message(self.id, message)

    runtime = SingleThreadedAgentRuntime()
    await Evictor.register(runtime, "evictor", lambda: Evictor("x"))
    await Asker.register(runtime, "asker", lambda: Asker("x"))
    runtime.start()
    evictor, asker = AgentId("evictor", "k"), AgentId("asker", "k")
    for _ in range(2):  # the second time, none of the agents has to be made first
        assert not await runtime.send_message(evictor, evictor)
        assert not await runtime.send_message(evictor, asker)
    assert await runtime.evict(asker)
    await runtime.stop_when_idle()


async def test_an_agent_whose_state_cannot_be_saved_stays() -> None:
    def fail(agent: AgentId, state: Any) -> None:
        raise OSError("disk full")

    runtime = await make()
    runtime.start()
    await runtime.send_message(Work("kept"), A)
    with pytest.raises(OSError, match="disk full"):
        await runtime.evict(A, save=fail)
    assert await seen(runtime) == ["kept"]
    await runtime.stop_when_idle()
