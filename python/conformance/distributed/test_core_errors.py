"""What goes wrong is told to whoever waits, by a typed error, at once; nobody waits for ever."""

import asyncio

import pytest

from autogen_core import AgentId, ClosureAgent, MessageContext, RoutedAgent, message_handler
from autogen_core.exceptions import AutoGenError, CantHandleException, RemoteError, UndeliverableException

from .core_agents import DOER, Answer, Doer, Notes, OddError, Order, doers
from .runtimes import World, until

NOBODY = AgentId("nobody", "k")


@pytest.mark.parametrize("sleep", [0, 0.001])
@pytest.mark.parametrize(
    ("name", "kind"),
    [("key", KeyError), ("value", ValueError), ("permission", PermissionError), ("timeout", TimeoutError)],
)
async def test_an_error_of_pythons_own_is_caught_by_its_class_and_says_what_it_said(
    world: World, name: str, kind: type[Exception], sleep: float
) -> None:
    await doers(world)
    with pytest.raises(kind, match="boom"):
        await world.runtime.send_message(Order(fail=name, sleep=sleep), DOER)


async def test_an_error_goes_through_several_agents_and_keeps_its_class_and_text(world: World) -> None:
    await doers(world)
    await doers(world, "other", here=True)
    order = Order(ask="other/b", then=Order(ask="doer/c", then=Order(ask="other/d", then=Order(fail="key"))))
    with pytest.raises(KeyError, match="boom"):
        await world.runtime.send_message(order, DOER)


async def test_an_error_of_a_programs_own_is_caught_by_its_class(world: World) -> None:
    """Wherever it was raised, as long as the caller's process knows the class."""
    await doers(world)
    with pytest.raises(OddError, match="boom"):
        await world.runtime.send_message(Order(fail="odd"), DOER)


async def test_an_error_in_the_middle_may_be_caught_there(world: World) -> None:
    caught: list[str] = []

    class Catcher(RoutedAgent):
        @message_handler
        async def catch(self, message: Order, ctx: MessageContext) -> Answer:
            try:
                await self.send_message(message, AgentId("other", "b"))
            except KeyError as error:
                caught.append(str(error))
            return Answer("caught")

    await doers(world, "other", here=True)
    await Catcher.register(world.agents, "catcher", lambda: Catcher("catches"))
    assert await world.runtime.send_message(Order(fail="key"), AgentId("catcher", "k")) == Answer("caught")
    assert "boom" in caught[0]


async def test_an_error_without_a_text_and_one_of_an_unusual_class_are_errors(world: World) -> None:
    await doers(world)
    with pytest.raises(RuntimeError):
        await world.runtime.send_message(Order(fail="empty"), DOER)
    with pytest.raises((UnicodeDecodeError, RemoteError), match="boom"):
        await world.runtime.send_message(Order(fail="unicode"), DOER)


async def test_an_error_with_a_very_long_text_is_told(world: World) -> None:
    await doers(world)
    with pytest.raises(ValueError, match=r"(?s)begin x.*x end"):
        await world.runtime.send_message(Order(fail="long"), DOER)


async def test_after_an_error_the_agent_serves_on(world: World) -> None:
    notes = await doers(world)
    for _ in range(3):
        with pytest.raises(KeyError):
            await world.runtime.send_message(Order("bad", fail="key"), DOER)
        assert await world.runtime.send_message(Order("good"), DOER) == Answer("good")
    assert notes.texts() == ["bad", "good"] * 3


async def test_each_of_many_callers_gets_its_own_answer_or_error(world: World) -> None:
    await doers(world)
    orders = [Order(str(number), fail="key" if number % 3 == 0 else "") for number in range(60)]
    outcomes = await asyncio.gather(
        *(world.runtime.send_message(order, DOER) for order in orders), return_exceptions=True
    )
    for number, outcome in enumerate(outcomes):
        if number % 3 == 0:
            assert isinstance(outcome, KeyError)
        else:
            assert outcome == Answer(str(number))


async def test_an_agent_that_refuses_a_message_says_so_by_its_own_error(world: World) -> None:
    class Refuser(RoutedAgent):
        @message_handler
        async def refuse(self, message: Order, ctx: MessageContext) -> None:
            raise CantHandleException(f"no {message.text}")

    world.knows(Order)
    await Refuser.register(world.agents, "refuser", lambda: Refuser("refuses"))
    with pytest.raises(CantHandleException, match="no thanks"):
        await world.runtime.send_message(Order("thanks"), AgentId("refuser", "k"))


# Unknown agents


async def test_an_unknown_agent_type_is_a_typed_error_in_under_a_second(world: World) -> None:
    await doers(world)
    async with asyncio.timeout(1):
        with pytest.raises(UndeliverableException, match="nobody") as caught:
            await world.runtime.send_message(Order("x"), NOBODY)
    assert isinstance(caught.value, LookupError)
    assert caught.value.recipient == NOBODY


async def test_an_agent_that_asks_an_unknown_one_is_told(world: World) -> None:
    await doers(world)
    async with asyncio.timeout(2):
        with pytest.raises(LookupError, match="nobody"):
            await world.runtime.send_message(Order(ask="nobody/k"), DOER)


async def test_what_is_asked_about_an_unknown_agent_is_a_typed_error(world: World) -> None:
    await doers(world)
    runtime = world.runtime
    async with asyncio.timeout(5):
        with pytest.raises(LookupError, match="nobody"):
            await runtime.agent_metadata(NOBODY)
        with pytest.raises(LookupError, match="nobody"):
            await runtime.agent_save_state(NOBODY)
        with pytest.raises(LookupError, match="nobody"):
            await runtime.agent_load_state(NOBODY, {})
        with pytest.raises(LookupError, match="nobody"):
            await runtime.get(NOBODY, lazy=False)


async def test_an_unknown_agent_may_be_registered_later(world: World) -> None:
    world.knows(Order, Answer)
    with pytest.raises(UndeliverableException):
        await world.runtime.send_message(Order("x"), DOER)
    await doers(world)
    assert await world.runtime.send_message(Order("x"), DOER) == Answer("x")


# Factories


async def test_a_failing_factory_answers_every_sender_and_the_next_message_tries_again(world: World) -> None:
    attempts: list[int] = []
    notes = Notes()

    async def sometimes() -> Doer:
        attempts.append(1)
        await asyncio.sleep(0.05)
        if len(attempts) == 1:
            raise ConnectionError("not yet")
        return Doer(notes)

    world.knows(Order, Answer)
    await Doer.register(world.agents, "doer", sometimes)
    asks = [world.runtime.send_message(Order("x"), DOER) for _ in range(2)]
    outcomes = await asyncio.wait_for(asyncio.gather(*asks, return_exceptions=True), 10)
    assert isinstance(outcomes[0], ConnectionError)
    assert "not yet" in str(outcomes[0])
    assert all(isinstance(outcome, ConnectionError | Answer) for outcome in outcomes)
    assert await world.runtime.send_message(Order("made"), DOER) == Answer("made")


async def test_a_factory_that_makes_another_class_is_refused_naming_both(world: World) -> None:
    class Other(Doer): ...

    def make() -> Doer:
        return Doer(Notes())

    world.knows(Order, Answer)
    await world.agents.register_factory("doer", make, expected_class=Other)
    with pytest.raises(ValueError, match="made a Doer, but was registered for Other"):
        await world.runtime.send_message(Order("x"), DOER)


async def test_a_failing_factory_leaves_other_agents_alone(world: World) -> None:
    def broken() -> Doer:
        raise RuntimeError("no parts")

    notes = await doers(world)
    await world.agents.register_factory("broken", broken)
    with pytest.raises(RuntimeError, match="no parts"):
        await world.runtime.send_message(Order("x"), AgentId("broken", "k"))
    assert await world.runtime.send_message(Order("x"), DOER) == Answer("x")
    assert notes.texts() == ["x"]


async def test_the_errors_of_delivery_have_one_root(world: World) -> None:
    await doers(world)
    with pytest.raises(AutoGenError):
        await world.runtime.send_message(Order("x"), NOBODY)


async def test_an_error_whose_text_cannot_be_made_is_still_told(world: World) -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    async def fail(agent: object, message: Order, ctx: MessageContext) -> None:
        raise BrokenError

    world.knows(Order)
    await ClosureAgent.register_closure(world.agents, "fail", fail)
    outcome = await asyncio.wait_for(
        asyncio.gather(world.runtime.send_message(Order("x"), AgentId("fail", "k")), return_exceptions=True), 5
    )
    (error,) = outcome
    assert isinstance(error, BrokenError | RemoteError)


async def test_an_error_of_a_handler_whose_sender_has_given_up_disturbs_nobody(world: World) -> None:
    begun: list[str] = []

    async def stubborn(agent: object, message: Order, ctx: MessageContext) -> None:
        begun.append(message.text)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            raise KeyError("could not clean up") from None

    world.knows(Order)
    await ClosureAgent.register_closure(world.agents, "stubborn", stubborn)
    await doers(world)
    call = asyncio.create_task(world.runtime.send_message(Order("x"), AgentId("stubborn", "k")))
    await until(lambda: begun == ["x"])
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await world.runtime.send_message(Order("goes on"), DOER) == Answer("goes on")
