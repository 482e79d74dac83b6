"""The saved state of agents: each message has its effect on it once, wherever the agent lives."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from autogen_core import AgentId, MessageContext, RoutedAgent, message_handler
from autogen_core.exceptions import MessageTooLargeError, RemoteError
from autogen_ext.runtimes.nats import NatsAgentRuntime

from . import doers
from .doers import Do, Doer, Keeper, Notes, Said, Workers, key_at, register, settled
from .waiting import until

workers = doers.workers
KEEPER = AgentId("keeper", "a")


async def stored(runtime: NatsAgentRuntime, agent: AgentId) -> tuple[int, bytes | None]:
    """Return the revision and the state that the server has of an agent."""
    record = await runtime._residents.states.load(agent)
    return record.revision, record.state


async def test_an_agent_goes_on_at_another_worker_from_its_saved_state(workers: Workers) -> None:
    notes = Notes()
    first = await workers()
    await register(first, notes, "keeper")
    assert await first.send_message(Do("one"), KEEPER) == Said("one", 1)
    await first.stop()
    second = await workers()
    await register(second, notes, "keeper")
    assert await second.send_message(Do("two"), KEEPER) == Said("two", 2)
    assert [one.runtime for one in notes.heard] == [first, second]
    assert await second.agent_save_state(KEEPER) == {"count": 2, "last": "two"}


async def test_agents_without_saved_state_begin_anew_at_another_worker(workers: Workers) -> None:
    notes = Notes()
    first = await workers()
    await register(first, notes, "doer", Doer)
    assert await first.send_message(Do("one"), AgentId("doer", "a")) == Said("one", 1)
    await first.stop()
    second = await workers()
    await register(second, notes, "doer", Doer)
    assert await second.send_message(Do("two"), AgentId("doer", "a")) == Said("two", 1)
    assert await stored(second, AgentId("doer", "a")) == (0, None)


async def test_a_state_that_did_not_change_is_not_written(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await runtime.send_message(Do("one"), KEEPER)
    before = await stored(runtime, KEEPER)
    assert await runtime.send_message(Do("look"), KEEPER, message_id="m") == Said("look", 2)
    assert await runtime.send_message(Do("look"), KEEPER, message_id="m") == Said("look", 2)
    assert await stored(runtime, KEEPER) == before
    assert notes.texts() == ["one", "look"]


async def test_an_agent_with_saved_state_handles_one_message_at_a_time(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    calls = [asyncio.create_task(runtime.send_message(Do(str(n), gate="g"), KEEPER)) for n in range(5)]
    await notes.have("0")
    await runtime.send_message(Do("elsewhere"), AgentId("keeper", "b"))
    assert notes.texts(KEEPER) == ["0"]
    notes.gate("g").set()
    assert await asyncio.gather(*calls) == [Said(str(n), n + 1) for n in range(5)]
    assert notes.most_at_once == 1


async def test_an_agent_without_saved_state_handles_many_messages_at_a_time(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "doer", Doer)
    calls = [asyncio.create_task(runtime.send_message(Do(str(n), gate="g"), AgentId("doer", "a"))) for n in range(5)]
    await notes.have(*"01234")
    notes.gate("g").set()
    await asyncio.gather(*calls)
    assert notes.most_at_once == 5


async def test_an_agent_may_ask_itself(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    async with asyncio.timeout(5):
        said = await runtime.send_message(Do("outer", ask=str(KEEPER), then=Do("inner")), KEEPER)
    assert said == Said("outer", 2)
    assert await runtime.agent_save_state(KEEPER) == {"count": 2, "last": "inner"}


async def test_a_call_that_comes_back_through_another_worker_is_let_in(workers: Workers) -> None:
    """A asks B, and B asks A back; both save state, and live at different workers."""
    notes = Notes()
    one, two = await workers(), await workers()
    await register(one, notes, "keeper")
    await register(two, notes, "keeper")
    await settled(one, two)
    a, b = key_at(one, "keeper"), key_at(two, "keeper")
    back = Do("in b", ask=str(a), then=Do("back in a"))
    waiting = asyncio.create_task(one.send_message(Do("in a", ask=str(b), then=back, gate="g"), a))
    await notes.have("in a")
    later = asyncio.create_task(two.send_message(Do("later"), a))
    notes.gate("g").set()
    async with asyncio.timeout(5):
        assert await waiting == Said("in a", 2)
        assert await later == Said("later", 3)
    assert notes.texts() == ["in a", "in b", "back in a", "later"]
    assert {one.runtime for one in notes.heard} == {one, two}
    assert await one.agent_save_state(b) == {"count": 1, "last": "in b"}


async def test_an_agent_that_waits_can_be_asked_for_its_state_by_whom_it_waits_for(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    seen: list[object] = []

    class Asker(Doer):
        async def on_message_impl(self, message: object, ctx: object) -> Said:
            seen.append(await self.runtime.agent_save_state(KEEPER))
            return Said("asked", 0)

    await register(runtime, notes, "keeper")
    await register(runtime, notes, "asker", Asker)
    async with asyncio.timeout(5):
        await runtime.send_message(Do("one", ask="asker/a"), KEEPER)
    assert seen == [{"count": 1, "last": "one"}]


async def test_a_state_that_cannot_be_saved_is_told_to_the_caller_and_the_message_had_no_effect(
    workers: Workers,
) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await runtime.send_message(Do("one"), KEEPER)
    notes.broken.add("two")
    with pytest.raises(OSError, match="cannot save two") as caught:
        await runtime.send_message(Do("two"), KEEPER)
    assert isinstance(caught.value, RemoteError)
    assert await runtime.send_message(Do("three"), KEEPER) == Said("three", 2)
    assert notes.made == [KEEPER, KEEPER]


async def test_nothing_stays_behind_when_a_state_cannot_be_saved_after_a_call_from_within(workers: Workers) -> None:
    """The message of that call is acknowledged, too: a stop does not wait for it."""
    notes, runtime = Notes(), await workers(drain_timeout=30.0)
    await register(runtime, notes, "keeper")
    notes.broken.add("inner")
    with pytest.raises(OSError, match="cannot save inner"):
        await runtime.send_message(Do("outer", ask=str(KEEPER), then=Do("inner")), KEEPER)
    async with asyncio.timeout(10):
        await runtime.stop()


async def test_a_state_that_is_too_large_is_told_to_the_caller_and_the_message_had_no_effect(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()

    class Hoarder(Keeper):
        async def save_state(self) -> dict[str, object]:
            return {**await super().save_state(), "more": "." * (runtime._link.max_bytes if self.last == "much" else 0)}

    await register(runtime, notes, "hoarder", Hoarder)
    agent = AgentId("hoarder", "a")
    await runtime.send_message(Do("one"), agent)
    async with asyncio.timeout(5):
        with pytest.raises(MessageTooLargeError, match="state of hoarder/a"):
            await runtime.send_message(Do("much"), agent)
        assert await runtime.send_message(Do("two"), agent) == Said("two", 2)


@pytest.mark.parametrize("kind", [Doer, Keeper])
async def test_an_answer_that_is_too_large_is_told_to_the_caller(workers: Workers, kind: type[Doer]) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "doer", kind)
    agent = AgentId("doer", "a")
    async with asyncio.timeout(5):
        for _ in range(2):
            with pytest.raises(MessageTooLargeError, match="answer"):
                await runtime.send_message(Do("much", answer_bytes=runtime._link.max_bytes), agent, message_id="m")
        assert await runtime.send_message(Do("two"), agent) == Said("two", 2)


async def test_an_answer_of_some_length_is_not_kept_with_the_state_but_given(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    said = await runtime.send_message(Do("long", answer_bytes=200_000), KEEPER, message_id="m")
    assert said.count == 1
    assert len((await stored(runtime, KEEPER))[1] or b"") < 1_000


async def test_the_state_of_an_agent_is_saved_and_loaded_from_a_worker_without_it(workers: Workers) -> None:
    notes = Notes()
    host, other = await workers(), await workers()
    await register(host, notes, "keeper")
    await other.agent_load_state(KEEPER, {"count": 41, "last": "x"})
    assert await host.send_message(Do("one"), KEEPER) == Said("one", 42)
    assert await other.agent_save_state(KEEPER) == {"count": 42, "last": "one"}
    assert (await other.agent_metadata(KEEPER))["description"] == "does what it is told"
    await host.stop()
    await host.start()
    assert await other.agent_save_state(KEEPER) == {"count": 42, "last": "one"}


async def test_a_loaded_state_that_cannot_be_kept_is_told_and_changes_nothing(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await runtime.send_message(Do("one"), KEEPER)
    notes.broken.add("bad")
    async with asyncio.timeout(5):
        with pytest.raises(OSError, match="cannot save bad"):
            await runtime.agent_load_state(KEEPER, {"count": 7, "last": "bad"})
        with pytest.raises(KeyError):
            await runtime.agent_load_state(KEEPER, {"count": 7})
        assert await runtime.send_message(Do("two"), KEEPER) == Said("two", 2)


async def test_a_state_that_somebody_else_wrote_meanwhile_is_read_again(workers: Workers) -> None:
    """The message is handled again, on that state, and so has its effect once."""
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await runtime.send_message(Do("one"), KEEPER)
    call = asyncio.create_task(runtime.send_message(Do("two", gate="g"), KEEPER))
    await notes.have("two")
    states = runtime._residents.states
    record = await states.load(KEEPER)
    record.state = b'{"count": 100, "last": "elsewhere"}'
    await states.save(KEEPER, record)
    notes.gate("g").set()
    assert await call == Said("two", 101)
    assert notes.texts() == ["one", "two", "two"]
    assert await runtime.agent_save_state(KEEPER) == {"count": 101, "last": "two"}


async def test_a_message_that_somebody_else_has_handled_meanwhile_is_answered_and_not_handled_again(
    workers: Workers,
) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    answer = await _answer_of(workers, notes, "m2")
    await runtime.send_message(Do("one"), KEEPER)
    call = asyncio.create_task(runtime.send_message(Do("two", gate="g"), KEEPER, message_id="m2"))
    await notes.have("two")
    states = runtime._residents.states
    record = await states.load(KEEPER)
    record.state = b'{"count": 2, "last": "two"}'
    record.add("m2", answer)
    await states.save(KEEPER, record)
    notes.gate("g").set()
    assert await call == Said("two", 2)
    assert await runtime.agent_save_state(KEEPER) == {"count": 2, "last": "two"}


async def _answer_of(workers: Workers, notes: Notes, id: str) -> bytes:
    """Return what another agent has kept as the answer "two", 2 to a message."""
    runtime, other = workers.made[0], AgentId("keeper", "other")
    await runtime.send_message(Do("one"), other)
    await runtime.send_message(Do("two"), other, message_id=id)
    answer = (await runtime._residents.states.load(other)).answer_of(id)
    notes.heard.clear()
    assert answer
    return answer


async def test_an_idle_agent_is_forgotten_and_comes_back_with_its_state(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    await register(runtime, notes, "keeper")
    await register(runtime, notes, "doer", Doer)
    await runtime.send_message(Do("one"), KEEPER)
    await runtime.send_message(Do("one"), AgentId("doer", "a"))
    busy = asyncio.create_task(runtime.send_message(Do("busy", gate="g"), AgentId("keeper", "busy")))
    await notes.have("busy")
    await until(lambda: runtime._residents._residents[KEEPER].idle_since is not None)
    await asyncio.sleep(0.01)
    await runtime._residents.evict_idle(0)
    assert notes.closed == [KEEPER]  # neither the busy one, nor one that would lose what it knows
    assert await runtime.send_message(Do("two"), KEEPER) == Said("two", 2)
    assert notes.made.count(KEEPER) == 2
    notes.gate("g").set()
    assert await busy == Said("busy", 1)


async def test_a_factory_that_fails_is_told_and_the_next_message_tries_again(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()
    failures = [KeyError("no model")]

    def make() -> Keeper:
        if failures:
            raise failures.pop()
        return Keeper(notes)

    await Keeper.register(runtime, "keeper", make)
    with pytest.raises(KeyError, match="no model"):
        await runtime.send_message(Do("one"), KEEPER)
    assert await runtime.send_message(Do("two"), KEEPER) == Said("two", 1)


async def test_what_a_saved_state_cannot_say_is_told(workers: Workers) -> None:
    notes, runtime = Notes(), await workers()

    class Odd(Keeper):
        async def save_state(self) -> dict[str, object]:
            return {"set": {1}}

    await register(runtime, notes, "odd", Odd)
    with pytest.raises(TypeError, match="not JSON serializable"):
        await runtime.send_message(Do("one"), AgentId("odd", "a"))


class Reminding(RoutedAgent):
    """Sends itself a message, ends when that has begun, and so before that has ended."""

    def __init__(self) -> None:
        super().__init__("reminds itself")
        self._count = 0
        self._begun, self._ended = asyncio.Event(), asyncio.Event()
        self._sending: asyncio.Task[Any] | None = None

    @message_handler
    async def handle(self, message: Do, ctx: MessageContext) -> int:
        if message.text == "remind":
            self._sending = asyncio.create_task(cast("Any", self.send_message(Do("late"), self.id)))
            await self._begun.wait()
            asyncio.get_running_loop().call_later(0.1, self._ended.set)
        elif message.text == "late":
            self._begun.set()
            await self._ended.wait()
            self._count += 1
        return self._count

    async def save_state(self) -> Mapping[str, Any]:
        return {"count": self._count}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self._count = state["count"]


async def test_what_an_agent_sends_itself_without_waiting_for_it_is_saved_too(workers: Workers) -> None:
    first, second = await workers(), await workers()
    for runtime in (first, second):
        await runtime.register_factory("reminding", Reminding)
    agent = AgentId("reminding", "a")
    assert await first.send_message(Do("remind"), agent) == 0
    await until(lambda: all(not puller.works for one in (first, second) for puller in one._ownership._pullers.values()))
    assert (await stored(first, agent))[1] == b'{"count":1}'
