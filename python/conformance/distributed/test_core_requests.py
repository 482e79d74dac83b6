"""A message to one agent: answered, in order, handled concurrently, whoever and wherever the agent is."""

import asyncio
import uuid
from typing import Any

import pytest

from autogen_core import AgentId, AgentProxy, ClosureAgent, MessageContext, RoutedAgent, message_handler

from .core_agents import DOER, Amount, Answer, Order, doers
from .runtimes import World, until


@pytest.mark.parametrize("sleep", [0, 0.001])
async def test_a_request_is_answered_with_what_the_handler_returns(world: World, sleep: float) -> None:
    await doers(world)
    assert await world.runtime.send_message(Order("done", sleep=sleep), DOER) == Answer("done")


async def test_a_request_may_go_to_any_worker_and_from_any(world: World) -> None:
    await doers(world)
    await doers(world, "beside", here=True)
    third = await world.worker()
    for agent in (DOER, AgentId("beside", "a")):
        for worker in (world.runtime, world.agents, third):
            assert await worker.send_message(Order("hi"), agent) == Answer("hi")


async def test_a_handler_sees_who_sends_that_it_is_a_request_and_under_which_id(world: World) -> None:
    notes = await doers(world)
    sender = AgentId("me", "1")
    await world.runtime.send_message(Order("x"), DOER, sender=sender, message_id="my own id")
    (context,) = notes.contexts
    assert (context.sender, context.topic_id, context.is_rpc) == (sender, None, True)
    assert context.message_id == "my own id"
    assert not context.cancellation_token.is_cancelled()


async def test_a_message_from_outside_has_no_sender_and_an_id_of_its_own(world: World) -> None:
    notes = await doers(world)
    for _ in range(10):
        await world.runtime.send_message(Order("x"), DOER)
    assert {context.sender for context in notes.contexts} == {None}
    ids = {context.message_id for context in notes.contexts}
    assert len(ids) == 10
    assert all(uuid.UUID(id).version for id in ids)


async def test_what_a_handler_sends_has_its_agent_as_the_sender(world: World) -> None:
    await doers(world)
    notes = await doers(world, "other", here=True)
    await world.runtime.send_message(Order(ask="other/b"), DOER)
    assert [context.sender for context in notes.contexts] == [DOER]


async def test_a_proxy_asks_as_its_runtime_does(world: World) -> None:
    await doers(world)
    proxy = AgentProxy(DOER, world.runtime)
    assert await proxy.send_message(Order("by proxy"), sender=AgentId("me", "1")) == Answer("by proxy")
    assert (await proxy.metadata)["description"] == "does what it is told"


ANSWERS: list[Any] = [
    None,
    True,
    0,
    -1.5,
    "",
    "text é ☃ 🙂",
    [],
    [1, "a", None, {"b": [2.5]}],
    {"a": {"b": [1, 2, None]}},
]


@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
async def test_an_answer_may_be_nothing_or_a_plain_value(world: World, answer: Any) -> None:
    class Teller(RoutedAgent):
        @message_handler
        async def tell(self, message: Amount, ctx: MessageContext) -> Any:
            return answer

    await Teller.register(world.agents, "teller", lambda: Teller("tells"))
    world.knows(Amount)
    got = await world.runtime.send_message(Amount(0), AgentId("teller", "k"))
    assert got == answer
    assert type(got) is type(answer)


# Keys

KEYS = ["é☃🙂", "two words", "a.b.c", "*", ">", "a>b*c", "line\nbreak", "tab\t", "a/b/c", "%2F", "$JS", " ", "x" * 500]


@pytest.mark.parametrize("key", KEYS, ids=ascii)
async def test_a_key_may_be_any_text(world: World, key: str) -> None:
    notes = await doers(world)
    assert await world.runtime.send_message(Order("x"), AgentId("doer", key)) == Answer("x")
    assert notes.heard == [(key, "x")]


async def test_agents_of_one_type_are_told_apart_by_key_exactly(world: World) -> None:
    notes = await doers(world)
    keys = ["a", "A", "a ", " a", "a.", "a*", "á", "a\u0301"]
    for key in keys:
        await world.runtime.send_message(Order(key), AgentId("doer", key))
    assert notes.heard == [(key, key) for key in keys]


@pytest.mark.parametrize("agent_type", ["_a", "a-b", "a.b", "A1", "x" * 100])
async def test_an_agent_type_may_be_any_name(world: World, agent_type: str) -> None:
    await doers(world, agent_type)
    assert await world.runtime.send_message(Order("x"), AgentId(agent_type, "k")) == Answer("x")


# Order and concurrency


async def test_requests_of_one_sender_to_one_recipient_are_begun_in_their_order(world: World) -> None:
    notes = await doers(world)
    texts = [str(number) for number in range(200)]
    answers = await asyncio.gather(*(world.runtime.send_message(Order(text), DOER) for text in texts))
    assert answers == [Answer(text) for text in texts]
    assert notes.texts() == texts


async def test_order_holds_for_each_of_many_recipients_at_a_time(world: World) -> None:
    notes = await doers(world)
    texts = [str(number) for number in range(30)]
    keys = [f"k{number}" for number in range(10)]
    asks = [world.runtime.send_message(Order(text), AgentId("doer", key)) for text in texts for key in keys]
    await asyncio.gather(*asks)
    assert {key: notes.texts(key) for key in keys} == dict.fromkeys(keys, texts)


async def test_an_agent_begins_the_next_message_while_it_waits_for_something(world: World) -> None:
    """Handlers of one agent run concurrently: the second could not end before the first, were it not so."""
    notes = await doers(world)
    slow = asyncio.create_task(world.runtime.send_message(Order("slow", sleep=30), DOER))
    await until(lambda: notes.texts() == ["slow"])
    assert await asyncio.wait_for(world.runtime.send_message(Order("quick"), DOER), 5) == Answer("quick")
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


async def test_agents_are_busy_at_the_same_time(world: World) -> None:
    notes = await doers(world)
    asks = [
        asyncio.create_task(world.runtime.send_message(Order("x", sleep=30), AgentId("doer", str(number))))
        for number in range(20)
    ]
    await until(lambda: len(notes.heard) == 20)
    for ask in asks:
        ask.cancel()
    await asyncio.gather(*asks, return_exceptions=True)


async def test_an_agent_may_ask_itself(world: World) -> None:
    await doers(world)
    order = Order(ask="doer/a", then=Order(ask="doer/a", then=Order("from within")))
    assert await asyncio.wait_for(world.runtime.send_message(order, DOER), 5) == Answer("from within")


async def test_a_asks_b_and_b_asks_a_back(world: World) -> None:
    await doers(world)
    await doers(world, "other", here=True)
    order = Order(ask="other/b", then=Order(ask="doer/a", then=Order(ask="other/b", then=Order("answer"))))
    assert await asyncio.wait_for(world.runtime.send_message(order, DOER), 5) == Answer("answer")


async def test_many_recursions_at_a_time_are_all_answered(world: World) -> None:
    await doers(world)
    await doers(world, "other", here=True)
    order = Order(ask="other/b", then=Order(ask="doer/a", then=Order("answer", sleep=0.001)))
    asks = [world.runtime.send_message(order, DOER) for _ in range(100)]
    assert await asyncio.wait_for(asyncio.gather(*asks), 20) == [Answer("answer")] * 100


async def test_a_deep_recursion_is_answered(world: World) -> None:
    class Countdown(RoutedAgent):
        @message_handler
        async def down(self, message: Amount, ctx: MessageContext) -> int:
            if message.number == 0:
                return 0
            return 1 + await self.send_message(
                Amount(message.number - 1), AgentId("countdown", str(message.number % 7))
            )

    await Countdown.register(world.agents, "countdown", lambda: Countdown("counts down"))
    world.knows(Amount)
    assert await world.runtime.send_message(Amount(300), AgentId("countdown", "0")) == 300


async def test_a_time_limit_in_a_handler_ends_the_handler_and_not_its_sender(world: World) -> None:
    async def hurry(agent: object, message: Order, ctx: MessageContext) -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(30)
        except TimeoutError:
            return "timed out"
        return "not timed out"

    await ClosureAgent.register_closure(world.agents, "hurry", hurry)
    world.knows(Order)
    assert await world.runtime.send_message(Order(), AgentId("hurry", "k")) == "timed out"


async def test_a_handlers_current_task_is_its_own(world: World) -> None:
    tasks: list[object] = []

    async def look(agent: object, message: Order, ctx: MessageContext) -> None:
        tasks.append(asyncio.current_task())
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0.001))
        tasks.append(asyncio.current_task())

    await ClosureAgent.register_closure(world.agents, "look", look)
    world.knows(Order)
    await asyncio.gather(*(world.runtime.send_message(Order(), AgentId("look", "k")) for _ in range(2)))
    assert len(set(tasks)) == 2
    assert asyncio.current_task() not in tasks


async def test_a_loop_of_requests_lets_other_tasks_run(world: World) -> None:
    await doers(world)
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    for _ in range(200):
        await world.runtime.send_message(Order(), DOER)
    assert turns == [1]
