"""Where the runtimes differ on purpose, each difference with its reason: what a process cannot do for another.

A test here says what each of them does. Whoever adds a runtime adds what it does here, or does as the others.
"""

import asyncio
import contextvars
import inspect
from dataclasses import dataclass
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    ClosureAgent,
    MessageContext,
    SingleThreadedAgentRuntime,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
    UnknownPayload,
)
from autogen_core.exceptions import NotAccessibleError, RegistrationError, RemoteError
from autogen_core.lowlevel import RunScope
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime

from .core_agents import DOER, Answer, Doer, Notes, OddError, Order, doers
from .runtimes import World, until


class EndsWith:
    """A subscription of a program's own."""

    id = "own"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EndsWith)

    def is_match(self, topic_id: TopicId) -> bool:
        """Tell whether the topic's type ends as it should."""
        return topic_id.type.endswith("end")

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        """Return the one who hears it."""
        return DOER


async def test_a_subscription_of_a_class_of_its_own_is_asked_in_process_and_refused_where_it_must_travel(
    world: World,
) -> None:
    """Its rule is code, which a host or server cannot run."""
    notes = await doers(world)
    if world.distributed:
        with pytest.raises(ValueError, match="TypeSubscription"):
            await world.agents.add_subscription(EndsWith())
        return
    await world.agents.add_subscription(EndsWith())
    await world.runtime.publish_message(Order("x"), TopicId("the.end", "s"))
    await until(lambda: notes.heard == [("a", "x")])


async def test_an_agent_with_two_subscriptions_to_a_topic_hears_an_event_by_each_but_once_in_nats(world: World) -> None:
    """By each as in 0.7.5. A durable mailbox keeps one message under one id."""
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    await world.agents.add_subscription(TypePrefixSubscription("ne", "doer"))
    await world.runtime.publish_message(Order("x"), TopicId("news", "a"))
    await world.runtime.publish_message(Order("last"), TopicId("net", "a"))
    await until(lambda: "last" in notes.texts())
    assert notes.texts() == (["x", "last"] if world.name == "nats" else ["x", "x", "last"])


async def test_an_error_of_a_programs_own_class_is_itself_in_process_and_a_remote_error_with_its_name_elsewhere(
    world: World,
) -> None:
    """The caller's process need not have the class. Where it travelled, the error tells all that can be told."""
    await doers(world)
    with pytest.raises((OddError, RemoteError), match="boom") as caught:
        await world.runtime.send_message(Order(fail="odd"), DOER, message_id="m1")
    if not world.by_wire:
        assert type(caught.value) is OddError
        return
    assert isinstance(caught.value, RemoteError)
    assert caught.value.type_name.endswith("core_agents.OddError")
    assert caught.value.text == "boom"
    assert "OddError: boom" in caught.value.traceback
    assert "_do" in caught.value.traceback
    assert caught.value.recipient == DOER


async def test_the_remote_traceback_is_shown_with_the_error(world: World) -> None:
    """In process Python shows it by itself."""
    await doers(world)
    with pytest.raises(KeyError) as caught:
        await world.runtime.send_message(Order(fail="key"), DOER)
    if world.by_wire:
        assert isinstance(caught.value, RemoteError)
        assert caught.value.type_name == "builtins.KeyError"
        assert any("Traceback" in note and "_do" in note for note in caught.value.__notes__)


async def test_a_remote_error_names_the_message(world: World) -> None:
    """In process the caller knows which call it awaits; a log of another process needs the id."""
    await doers(world)
    with pytest.raises(KeyError) as caught:
        await world.runtime.send_message(Order(fail="key"), DOER, message_id="m1")
    if world.by_wire:
        assert isinstance(caught.value, RemoteError)
        assert caught.value.message_id == "m1"


async def test_a_message_is_handed_over_in_process_and_copied_over_the_wire(world: World) -> None:
    """So nobody should change a message that was sent."""
    got: list[Order] = []

    async def keep(agent: object, message: Order, ctx: MessageContext) -> Order:
        got.append(message)
        return message

    await ClosureAgent.register_closure(world.agents, "keep", keep)
    world.knows(Order)
    sent = Order("x")
    answer = await world.runtime.send_message(sent, AgentId("keep", "k"))
    assert got == [sent]
    assert answer == sent
    assert (got[0] is sent) is not world.by_wire
    assert (answer is sent) is not world.by_wire


class Opaque:
    """Nothing that could be written."""


async def test_a_message_that_cannot_be_written_goes_anywhere_in_process_and_is_refused_over_the_wire(
    world: World,
) -> None:
    """The sender is told at once, before anything is sent."""

    async def take(agent: object, message: Any, ctx: MessageContext) -> str:
        return type(message).__name__

    await ClosureAgent.register_closure(world.agents, "take", take)
    if world.by_wire:
        with pytest.raises(ValueError, match="Unknown type Opaque"):
            await world.runtime.send_message(Opaque(), AgentId("take", "k"))
    else:
        assert await world.runtime.send_message(Opaque(), AgentId("take", "k")) == "Opaque"


@pytest.mark.parametrize(
    "answer", [Opaque(), {1: "a"}, [(1, 2)], {"a": {1, 2}}], ids=["object", "keys", "tuple", "set"]
)
async def test_an_answer_that_the_wire_would_change_is_an_error_there(world: World, answer: Any) -> None:
    """An answer that arrives is equal to what the handler returned; else the caller is told."""

    async def tell(agent: object, message: Order, ctx: MessageContext) -> Any:
        return answer

    await ClosureAgent.register_closure(world.agents, "tell", tell)
    world.knows(Order)
    if world.by_wire:
        async with asyncio.timeout(5):
            with pytest.raises(RemoteError):
                await world.runtime.send_message(Order(), AgentId("tell", "k"))
    else:
        assert await world.runtime.send_message(Order(), AgentId("tell", "k")) is answer


async def test_a_message_of_a_class_that_the_receiver_does_not_know_arrives_unread_over_the_wire(world: World) -> None:
    """It may be passed on as it came."""

    @dataclass
    class Stranger:
        text: str

    got: list[Any] = []

    async def take(agent: object, message: Any, ctx: MessageContext) -> None:
        got.append(message)

    await ClosureAgent.register_closure(world.agents, "take", take)
    await world.runtime.send_message(Stranger("x"), AgentId("take", "k"))
    if world.apart:
        assert got == [UnknownPayload("Stranger", "application/json", b'{"text":"x"}')]
    else:
        assert got == [Stranger("x")]


@pytest.mark.only(("grpc-there", "nats-there"), "a runtime that made the agent has its object")
async def test_the_object_of_an_agent_elsewhere_cannot_be_had(world: World) -> None:
    await doers(world)
    await world.runtime.send_message(Order("x"), DOER)
    with pytest.raises(NotAccessibleError):
        await world.runtime.try_get_underlying_agent_instance(DOER, Doer)


@pytest.mark.only(("grpc-there", "nats-there"), "a runtime saves what lives in it; here that is everything")
async def test_a_runtime_saves_only_agents_that_live_in_it(world: World) -> None:
    await doers(world)
    await world.runtime.send_message(Order("x"), DOER)
    assert await world.runtime.save_state() == {}


async def test_context_variables_of_the_sender_are_seen_in_process_only(world: World) -> None:
    """They hold anything, so they cannot be written; deadlines and traces do travel. The scope of a run is one of them."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []
    scopes: list[RunScope | None] = []

    async def look(agent: object, message: Order, ctx: MessageContext) -> None:
        seen.append(variable.get())
        scopes.append(RunScope.current())

    await ClosureAgent.register_closure(world.agents, "look", look)
    world.knows(Order)
    variable.set("sent")
    with RunScope("a run"):
        await world.runtime.send_message(Order(), AgentId("look", "k"))
    assert seen == ["unset" if world.by_wire else "sent"]
    assert (scopes == [None]) is world.by_wire


@pytest.mark.only(("grpc-there", "nats-there"), "within a runtime a type is registered once")
async def test_a_type_of_another_worker_is_refused_by_grpc_and_shared_by_nats(world: World) -> None:
    """A gRPC host keeps nothing, so two workers of a type must agree by `shared_types`; in NATS they are members of one."""
    await doers(world)
    if world.name == "grpc":
        with pytest.raises(RegistrationError):
            await Doer.register(world.runtime, "doer", lambda: Doer(Notes()))
    else:
        await Doer.register(world.runtime, "doer", lambda: Doer(Notes()))
    assert await world.runtime.send_message(Order("x"), DOER) == Answer("x")


@pytest.mark.only(("nats-there",), "without a durable mailbox the sender is told that nobody is there")
async def test_in_nats_a_request_waits_until_a_worker_has_its_agent(world: World) -> None:
    """A message outlives the workers that could handle it."""
    notes = await doers(world)
    await world.runtime.send_message(Order("first"), DOER)
    await world.agents.stop()
    call = asyncio.create_task(world.runtime.send_message(Order("waits"), DOER))
    await asyncio.sleep(0.1)
    assert not call.done()
    await Doer.register(await world.worker(), "doer", lambda: Doer(notes))
    assert await call == Answer("waits")
    assert notes.texts() == ["first", "waits"]


def test_interventions_are_the_local_runtimes() -> None:
    """As in 0.7.5: between workers a message belongs to nobody who could intervene."""
    assert "intervention_handlers" in inspect.signature(SingleThreadedAgentRuntime).parameters
    assert "intervention_handlers" not in inspect.signature(GrpcWorkerAgentRuntime).parameters


async def test_before_its_start_the_local_runtime_keeps_messages_and_a_grpc_worker_refuses_them() -> None:
    """There is nobody yet who could take them; 0.7.5 refuses by the same classes."""
    local, worker = SingleThreadedAgentRuntime(), GrpcWorkerAgentRuntime("127.0.0.1:1")
    notes = Notes()
    await Doer.register(local, "doer", lambda: Doer(notes))
    await local.add_subscription(TypeSubscription("news", "doer"))
    await local.publish_message(Order("kept"), TopicId("news", "a"))
    local.start()
    await local.stop_when_idle()
    assert notes.texts() == ["kept"]
    await local.close()
    with pytest.raises(ValueError, match="start"):
        await worker.send_message(Order("x"), DOER)
    with pytest.raises(ValueError, match="start"):
        await worker.publish_message(Order("x"), TopicId("news", "a"))
    with pytest.raises(RuntimeError, match="start"):
        await worker.register_factory("doer", lambda: Doer(Notes()))


async def test_after_its_stop_the_local_runtime_says_undeliverable_and_a_distributed_one_that_it_must_run(
    world: World,
) -> None:
    """Each as in 0.7.5, whose local runtime let the caller wait."""
    await doers(world)
    await world.runtime.stop()
    with pytest.raises(ValueError if world.distributed else LookupError):
        await world.runtime.send_message(Order("x"), DOER)
