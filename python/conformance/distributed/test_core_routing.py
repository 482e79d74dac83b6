"""Which handler of an agent takes which message: the same on every runtime."""

from collections.abc import Callable
from typing import Annotated, Any, Optional

import pytest
from pydantic import BaseModel

from autogen_core import (
    AgentId,
    BaseAgent,
    ClosureAgent,
    ClosureContext,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    event,
    message_handler,
    rpc,
)
from autogen_core.exceptions import CantHandleException, UndeliverableException

from .core_agents import Amount, Answer, Order
from .runtimes import World, until

AGENT = AgentId("agent", "k")


class Base(BaseModel):
    """A message with a subclass."""

    text: str


class Special(Base):
    """Messages are routed by their exact class."""


async def ask(world: World, agent: type[RoutedAgent], *messages: Any) -> list[Any]:
    """Register an agent, send it messages, and return the answers."""
    await agent.register(world.agents, "agent", lambda: agent("under test"))
    world.knows(Amount, Answer, Base, Special)
    return [await world.runtime.send_message(message, AGENT) for message in messages]


def more_than(number: int) -> Callable[[Amount, MessageContext], bool]:
    """Return a predicate for large amounts."""
    return lambda message, _: message.number > number


async def test_a_union_routes_each_of_its_members_and_annotated_is_looked_through(world: World) -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def answer(self, message: Amount | Annotated[Base, "note"], ctx: MessageContext) -> Optional[str]:  # noqa: UP045 - the form users write
            return type(message).__name__ if isinstance(message, Base) else None

    assert await ask(world, Agent, Base(text="x"), Amount(1)) == ["Base", None]


async def test_a_message_is_routed_by_its_exact_class(world: World) -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def general(self, message: Base, ctx: MessageContext) -> str:
            return "general"

        @message_handler
        async def special(self, message: Special, ctx: MessageContext) -> str:
            return "special"

    assert await ask(world, Agent, Special(text="x"), Base(text="x")) == ["special", "general"]


async def test_a_request_that_no_handler_takes_is_a_typed_error_that_says_what_the_agent_takes(world: World) -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def answer(self, message: Base, ctx: MessageContext) -> None: ...

    with pytest.raises(UndeliverableException, match=r"takes a Special.*handles: Base") as caught:
        await ask(world, Agent, Special(text="x"))
    assert caught.value.recipient == AGENT


async def test_an_agent_may_take_unhandled_messages_itself(world: World) -> None:
    unhandled: list[object] = []

    class Agent(RoutedAgent):
        async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> None:
            unhandled.append(message)

    world.knows(Amount)
    assert await ask(world, Agent, Amount(5)) == [None]
    assert unhandled == [Amount(5)]


async def test_an_event_that_no_handler_takes_disturbs_nobody(world: World) -> None:
    heard: list[int] = []

    class Agent(RoutedAgent):
        @event
        async def hear(self, message: Amount, ctx: MessageContext) -> None:
            heard.append(message.number)

    await ask(world, Agent)
    await world.agents.add_subscription(TypeSubscription("news", "agent"))
    await world.runtime.publish_message(Base(text="no handler"), TopicId("news", "k"))
    await world.runtime.publish_message(Amount(1), TopicId("news", "k"))
    await until(lambda: heard == [1])


async def test_handlers_are_asked_in_alphabetical_order_and_the_first_match_handles(world: World) -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def c_last(self, message: Amount, ctx: MessageContext) -> str:
            return "last"

        @message_handler(match=more_than(5))
        async def b_large(self, message: Amount, ctx: MessageContext) -> str:
            return "large"

        @rpc(match=more_than(10))
        async def a_huge(self, message: Amount, ctx: MessageContext) -> str:
            return "huge"

    assert await ask(world, Agent, Amount(1), Amount(6), Amount(11)) == ["last", "large", "huge"]


async def test_a_predicate_sees_the_context(world: World) -> None:
    friend = AgentId("friend", "1")

    class Agent(RoutedAgent):
        @rpc(match=lambda _, ctx: ctx.sender == friend)
        async def a_friend(self, message: Amount, ctx: MessageContext) -> str:
            return "hello"

        @rpc
        async def b_stranger(self, message: Amount, ctx: MessageContext) -> str:
            return "who are you"

    assert await ask(world, Agent, Amount(1)) == ["who are you"]
    assert await world.runtime.send_message(Amount(1), AGENT, sender=friend) == "hello"


async def test_a_request_that_no_predicate_takes_is_a_typed_error(world: World) -> None:
    class Agent(RoutedAgent):
        @rpc(match=more_than(10))
        async def huge(self, message: Amount, ctx: MessageContext) -> str:
            return "huge"

    with pytest.raises(UndeliverableException):
        await ask(world, Agent, Amount(1))


async def test_event_handlers_take_published_messages_and_rpc_handlers_take_requests(world: World) -> None:
    taken: list[str] = []

    class Agent(RoutedAgent):
        @event
        async def on_event(self, message: Amount, ctx: MessageContext) -> None:
            taken.append(f"event from {ctx.sender} on {ctx.topic_id}")

        @rpc
        async def on_rpc(self, message: Amount, ctx: MessageContext) -> str:
            return "rpc"

    assert await ask(world, Agent, Amount(1)) == ["rpc"]
    await world.agents.add_subscription(TypeSubscription("news", "agent"))
    await world.runtime.publish_message(Amount(1), TopicId("news", "k"))
    await until(lambda: taken == ["event from None on news/k"])


async def test_an_event_handler_alone_takes_no_request(world: World) -> None:
    class Agent(RoutedAgent):
        @event
        async def on_event(self, message: Amount, ctx: MessageContext) -> None: ...

    with pytest.raises(UndeliverableException):
        await ask(world, Agent, Amount(1))


async def test_an_answer_of_another_type_than_annotated_is_an_error(world: World) -> None:
    class Strict(RoutedAgent):
        @message_handler
        async def answer(self, message: Amount, ctx: MessageContext) -> str:
            return 5  # type: ignore[return-value]  # the mistake under test

    with pytest.raises(ValueError, match="is to return str, but returned a int"):
        await ask(world, Strict, Amount(1))


async def test_an_answer_of_another_type_is_sent_if_the_handler_is_lenient(world: World) -> None:
    class Lenient(RoutedAgent):
        @message_handler(strict=False)
        async def answer(self, message: Amount, ctx: MessageContext) -> str:
            return 5  # type: ignore[return-value]  # the mistake under test

    assert await ask(world, Lenient, Amount(1)) == [5]


async def test_an_agent_without_handlers_of_its_own_decides_in_on_message(world: World) -> None:
    class Picky(BaseAgent):
        async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
            if isinstance(message, Order):
                return Answer(message.text)
            raise CantHandleException("only orders")

    await Picky.register(world.agents, "agent", lambda: Picky("picky"))
    world.knows(Order, Answer, Amount)
    assert await world.runtime.send_message(Order("x"), AGENT) == Answer("x")
    with pytest.raises(CantHandleException, match="only orders"):
        await world.runtime.send_message(Amount(1), AGENT)


# Closure agents


async def test_a_closure_agent_takes_what_its_function_is_annotated_with(world: World) -> None:
    ids: list[AgentId] = []

    async def double(agent: ClosureContext, message: Amount, ctx: MessageContext) -> int:
        ids.append(agent.id)
        return message.number * 2

    await ClosureAgent.register_closure(
        world.agents, "double", double, unknown_type_policy="error", description="doubles"
    )
    world.knows(Amount, Order)
    agent = AgentId("double", "k")
    assert await world.runtime.send_message(Amount(4), agent) == 8
    assert ids == [agent]
    assert (await world.runtime.agent_metadata(agent))["description"] == "doubles"
    with pytest.raises(CantHandleException):
        await world.runtime.send_message(Order("x"), agent)


async def test_a_closure_agent_hears_what_others_publish(world: World) -> None:
    heard: list[tuple[str, AgentId | None]] = []

    async def listen(agent: ClosureContext, message: Order, ctx: MessageContext) -> None:
        heard.append((message.text, ctx.sender))

    await ClosureAgent.register_closure(
        world.agents, "closure", listen, subscriptions=lambda: [TypeSubscription("news", "closure")]
    )
    world.knows(Order)
    await world.runtime.publish_message(Order("hello"), TopicId("news", "s"), sender=AgentId("me", "1"))
    await until(lambda: heard == [("hello", AgentId("me", "1"))])


async def test_a_closure_agent_sends_and_publishes(world: World) -> None:
    heard: list[str] = []

    async def listen(agent: ClosureContext, message: Order, ctx: MessageContext) -> None:
        heard.append(f"{message.text} from {ctx.sender}")

    async def relay(agent: ClosureContext, message: Amount, ctx: MessageContext) -> Answer:
        await agent.publish_message(Order("published"), TopicId("news", "s"))
        await agent.send_message(Order("sent"), AgentId("closure", "s"))
        return Answer("relayed")

    await ClosureAgent.register_closure(
        world.runtime, "closure", listen, subscriptions=lambda: [TypeSubscription("news", "closure")]
    )
    await ClosureAgent.register_closure(world.agents, "relay", relay)
    world.knows(Order, Amount, Answer)
    assert await world.runtime.send_message(Amount(1), AgentId("relay", "r")) == Answer("relayed")
    await until(lambda: sorted(heard) == ["published from relay/r", "sent from relay/r"])
