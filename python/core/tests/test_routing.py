"""Routed agents: which handler takes which message, and what is wrong with a handler is said when its class is defined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import pytest

from autogen_core import (
    AgentId,
    ClosureAgent,
    ClosureContext,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TypeSubscription,
    default_subscription,
    event,
    message_handler,
    rpc,
    type_subscription,
)
from autogen_core.exceptions import CantHandleException, HandlerSignatureError, UndeliverableException


@dataclass
class Ask:
    number: int


@dataclass
class Tell:
    number: int


class Special(Ask):
    """A subclass: messages are routed by their exact class."""


def more_than(number: int) -> Callable[[Ask, MessageContext], bool]:
    return lambda message, ctx: message.number > number


async def ask(agent: type[RoutedAgent], message: object, **options: Any) -> Any:
    """Register an agent, send it one message, and return the answer."""
    runtime = SingleThreadedAgentRuntime(**options)
    await agent.register(runtime, "agent", lambda: agent("under test"))
    runtime.start()
    try:
        return await runtime.send_message(message, AgentId("agent", "key"))
    finally:
        await runtime.stop_when_idle()


async def test_parameters_may_have_any_names_and_annotations_may_be_text() -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def answer(self, question: Ask, about: MessageContext) -> int:
            assert about.is_rpc
            return question.number + 1

    assert await ask(Agent, Ask(1)) == 2


async def test_an_annotation_may_name_a_class_that_is_local_to_the_enclosing_function() -> None:
    @dataclass
    class Local:
        text: str

    class Agent(RoutedAgent):
        @rpc
        async def answer(self, message: Local, ctx: MessageContext) -> str:
            return message.text

    assert await ask(Agent, Local("here")) == "here"


async def test_a_union_routes_each_of_its_members_and_annotated_is_looked_through() -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def answer(self, message: Ask | Annotated[Tell, "note"], ctx: MessageContext) -> Optional[str]:  # noqa: UP045 - the form users write
            return type(message).__name__ if isinstance(message, Tell) else None

    assert await ask(Agent, Tell(1)) == "Tell"
    assert await ask(Agent, Ask(1)) is None


async def test_a_message_is_routed_by_its_exact_class_and_a_request_that_no_handler_takes_says_so() -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def answer(self, message: Ask, ctx: MessageContext) -> None: ...

    with pytest.raises(UndeliverableException, match=r"takes a Special.*handles: Ask") as caught:
        await ask(Agent, Special(1))
    assert caught.value.recipient == AgentId("agent", "key")
    assert caught.value.message_type is Special


async def test_an_agent_may_take_unhandled_messages_itself() -> None:
    unhandled: list[object] = []

    class Agent(RoutedAgent):
        async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> None:
            unhandled.append(message)

    assert await ask(Agent, Ask(5)) is None
    assert unhandled == [Ask(5)]


async def test_handlers_are_asked_in_alphabetical_order_and_the_first_match_handles() -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def c_last(self, message: Ask, ctx: MessageContext) -> str:
            return "last"

        @message_handler(match=more_than(5))
        async def b_large(self, message: Ask, ctx: MessageContext) -> str:
            return "large"

        @rpc(match=more_than(10))
        async def a_huge(self, message: Ask, ctx: MessageContext) -> str:
            return "huge"

    assert [await ask(Agent, Ask(n)) for n in (1, 6, 11)] == ["last", "large", "huge"]


async def test_event_handlers_take_published_messages_and_rpc_handlers_take_requests() -> None:
    taken: list[str] = []

    @default_subscription
    class Agent(RoutedAgent):
        @event
        async def on_event(self, message: Tell, ctx: MessageContext) -> None:
            taken.append(f"event from {ctx.sender} on {ctx.topic_id}")

        @rpc
        async def on_rpc(self, message: Tell, ctx: MessageContext) -> str:
            return "rpc"

    runtime = SingleThreadedAgentRuntime()
    await Agent.register(runtime, "agent", lambda: Agent("x"))
    runtime.start()
    await runtime.publish_message(Tell(1), DefaultTopicId())
    assert await runtime.send_message(Tell(1), AgentId("agent", "default")) == "rpc"
    await runtime.stop_when_idle()
    assert taken == ["event from None on default/default"]


async def test_an_answer_of_another_type_than_annotated_is_an_error_unless_the_handler_is_lenient() -> None:
    class Strict(RoutedAgent):
        @message_handler
        async def answer(self, message: Ask, ctx: MessageContext) -> str:
            return 5  # type: ignore[return-value]  # the mistake under test

    class Lenient(RoutedAgent):
        @message_handler(strict=False)
        async def answer(self, message: Ask, ctx: MessageContext) -> str:
            return 5  # type: ignore[return-value]  # the mistake under test

    with pytest.raises(ValueError, match="is to return str, but returned a int"):
        await ask(Strict, Ask(1))
    assert await ask(Lenient, Ask(1)) == 5


async def test_a_handler_called_directly_with_another_type_is_refused() -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def answer(self, message: Ask, ctx: MessageContext) -> None: ...

    with pytest.raises(CantHandleException, match="does not take a Tell"):
        await Agent.answer(Agent("x"), Tell(1), None)  # type: ignore[arg-type, call-arg]  # the mistake under test


def test_a_missing_annotation_is_named_when_the_class_is_defined() -> None:
    with pytest.raises(HandlerSignatureError, match="message parameter 'question' has no annotation"):

        class _(RoutedAgent):  # noqa: N801 - nobody can name it
            @message_handler  # type: ignore[type-var]  # the mistake under test
            async def answer(self, question, ctx: MessageContext) -> None: ...  # type: ignore[no-untyped-def]  # the mistake under test


def test_a_missing_parameter_a_missing_return_and_a_sync_method_are_named() -> None:
    decorate: Any = message_handler

    async def two(self: Any, message: Ask) -> None: ...

    async def no_return(self: Any, message: Ask, ctx: MessageContext): ...

    def sync(self: Any, message: Ask, ctx: MessageContext) -> None: ...

    async def unknown(self: Any, message: Nowhere, ctx: MessageContext) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the mistake under test

    async def unroutable(self: Any, message: Any, ctx: MessageContext) -> None: ...

    mistakes: list[tuple[Any, str]] = [
        (two, r"takes the parameters \(self, message\)"),
        (no_return, "no return annotation"),
        (sync, "not an async function"),
        (unknown, "'Nowhere' of 'message' cannot be evaluated"),
        (unroutable, "routed by class"),
    ]
    for function, text in mistakes:
        with pytest.raises(HandlerSignatureError, match=text):
            decorate(function)


def test_an_event_handler_that_returns_something_is_refused() -> None:
    with pytest.raises(TypeError, match="must return None"):

        class _(RoutedAgent):  # noqa: N801 - nobody can name it
            @event  # type: ignore[arg-type]  # the mistake under test
            async def on_event(self, message: Ask, ctx: MessageContext) -> str:
                return ""


async def test_class_subscriptions_belong_to_the_decorated_class_only() -> None:
    @type_subscription("news")
    class Parent(RoutedAgent): ...

    class Child(Parent): ...

    assert len(Parent.internal_unbound_subscriptions_list) == 1
    assert Child.internal_unbound_subscriptions_list == []


async def test_a_closure_agent_takes_what_its_function_is_annotated_with() -> None:
    async def double(agent: ClosureContext, message: Ask, ctx: MessageContext) -> int:
        assert agent.id == AgentId("double", "k")
        return message.number * 2

    runtime = SingleThreadedAgentRuntime()
    await ClosureAgent.register_closure(
        runtime,
        "double",
        double,
        unknown_type_policy="error",
        description="doubles",
        subscriptions=lambda: [TypeSubscription("numbers", "double")],
    )
    runtime.start()
    assert await runtime.send_message(Ask(4), AgentId("double", "k")) == 8
    assert (await runtime.agent_metadata(AgentId("double", "k")))["description"] == "doubles"
    with pytest.raises(CantHandleException):
        await runtime.send_message(Tell(4), AgentId("double", "k"))
    await runtime.stop_when_idle()


def test_a_closure_of_another_form_is_refused() -> None:
    async def two(agent: ClosureContext, message: Ask) -> None: ...

    with pytest.raises(HandlerSignatureError, match="takes 2 parameters"):
        ClosureAgent("x", two)  # type: ignore[arg-type]  # the mistake under test
