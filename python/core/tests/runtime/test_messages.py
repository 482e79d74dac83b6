"""Sending and publishing: who gets what, in which order, and what the sender hears."""

import asyncio
import contextvars
import logging
from typing import Any

import pytest

from autogen_core import (
    EVENT_LOGGER_NAME,
    AgentId,
    CancellationToken,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    message_handler,
)
from autogen_core.exceptions import UndeliverableException
from autogen_core.logging import MessageEvent

from .conftest import Work, Worker

A, B = AgentId("worker", "a"), AgentId("worker", "b")


async def start(**options: Any) -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime(**options)
    await Worker.register(runtime, "worker", Worker)
    await runtime.add_subscription(TypeSubscription("jobs", "worker"))
    runtime.start()
    return runtime


async def worker(runtime: SingleThreadedAgentRuntime, id: AgentId = A) -> Worker:
    return await runtime.try_get_underlying_agent_instance(id, Worker)


@pytest.mark.parametrize("sleep_s", [0, 0.001])
async def test_a_request_is_answered_with_what_the_handler_returns(sleep_s: float) -> None:
    runtime = await start()
    assert await runtime.send_message(Work("done", sleep_s=sleep_s), A) == "done"
    await runtime.stop_when_idle()


@pytest.mark.parametrize("sleep_s", [0, 0.001])
async def test_a_sender_is_answered_by_the_handlers_own_exception_object(sleep_s: float) -> None:
    error = KeyError("boom")
    runtime = await start()
    with pytest.raises(KeyError) as caught:
        await runtime.send_message(Work(error=error, sleep_s=sleep_s), A)
    assert caught.value is error
    await runtime.stop_when_idle()


async def test_a_request_whose_handler_does_not_suspend_takes_no_turn_of_the_event_loop() -> None:
    runtime = await start()
    await runtime.send_message(Work(), A)
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    assert await runtime.send_message(Work("at once"), A) == "at once"
    assert turns == []
    await runtime.stop_when_idle()


async def test_a_loop_of_requests_lets_other_tasks_run() -> None:
    runtime = await start()
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    for _ in range(200):
        await runtime.send_message(Work(), A)
    assert turns == [1]
    await runtime.stop_when_idle()


async def test_within_a_handler_the_current_task_is_the_handlers_own_from_its_first_line_on() -> None:
    tasks: list[object] = []

    class Agent(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> None:
            tasks.append(asyncio.current_task())
            async with asyncio.timeout(5), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0.001))
            tasks.append(asyncio.current_task())

    runtime = SingleThreadedAgentRuntime()
    await Agent.register(runtime, "agent", lambda: Agent("x"))
    runtime.start()
    await runtime.send_message(Work(), AgentId("agent", "k"))
    assert tasks[0] is tasks[1]
    assert tasks[0] is not asyncio.current_task()
    assert asyncio.current_task() is not None
    await runtime.stop_when_idle()


async def test_a_time_limit_in_a_handler_ends_the_handler_and_not_its_sender() -> None:
    class Agent(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> str:
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.sleep(30)
            except TimeoutError:
                return "timed out"
            return "not timed out"

    runtime = SingleThreadedAgentRuntime()
    await Agent.register(runtime, "agent", lambda: Agent("x"))
    runtime.start()
    assert await runtime.send_message(Work(), AgentId("agent", "k")) == "timed out"
    await runtime.stop_when_idle()


async def test_a_request_does_not_overtake_messages_that_came_before_it() -> None:
    runtime = await start()
    for number in range(3):
        await runtime.publish_message(Work(f"published {number}"), TopicId("jobs", "a"))
    await runtime.send_message(Work("sent"), A)
    assert (await worker(runtime)).seen == ["published 0", "published 1", "published 2", "sent"]
    await runtime.stop_when_idle()


async def test_publishing_returns_before_the_message_is_handled() -> None:
    runtime = await start()
    await runtime.publish_message(Work("later"), TopicId("jobs", "a"))
    assert runtime.unprocessed_messages_count == 1
    await runtime.stop_when_idle()
    assert (await worker(runtime)).seen == ["later"]


async def test_the_sender_does_not_receive_its_own_message() -> None:
    runtime = await start()
    await runtime.publish_message(Work("mine"), TopicId("jobs", "a"), sender=A)
    await runtime.publish_message(Work("others"), TopicId("jobs", "a"), sender=B)
    await runtime.stop_when_idle()
    assert (await worker(runtime)).seen == ["others"]


async def test_a_handler_publishes_to_the_default_topic_of_its_own_key() -> None:
    topics: list[TopicId] = []

    class Agent(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> None:
            await asyncio.sleep(0)
            topics.append(DefaultTopicId())

    runtime = SingleThreadedAgentRuntime()
    await Agent.register(runtime, "agent", lambda: Agent("x"))
    runtime.start()
    await asyncio.gather(*(runtime.send_message(Work(), AgentId("agent", key)) for key in "xyz"))
    await runtime.stop_when_idle()
    assert [topic.source for topic in topics] == ["x", "y", "z"]


async def test_handlers_see_the_context_variables_of_the_sender() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    class Agent(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> None:
            seen.append(variable.get())
            variable.set("changed by the handler")

    runtime = SingleThreadedAgentRuntime()
    await Agent.register(runtime, "agent", lambda: Agent("x"))
    await runtime.add_subscription(TypeSubscription("t", "agent"))
    runtime.start()
    variable.set("sent")
    await runtime.send_message(Work(), AgentId("agent", "k"))
    variable.set("published")
    await runtime.publish_message(Work(), TopicId("t", "k"))
    await runtime.stop_when_idle()
    assert seen == ["sent", "published"]
    assert variable.get() == "published"


async def test_a_asks_b_and_b_asks_a_back() -> None:
    runtime = await start()
    question = Work(ask=B, ask_with=Work(ask=A, ask_with=Work("answer")))
    assert await runtime.send_message(question, A) == "answer"
    await runtime.stop_when_idle()


@pytest.mark.parametrize("sleep_s", [0, 0.00001])
async def test_10_000_nested_requests_are_answered(sleep_s: float) -> None:
    class Countdown(RoutedAgent):
        @message_handler
        async def handle(self, message: int, ctx: MessageContext) -> int:
            if sleep_s:
                await asyncio.sleep(0)
            if message == 0:
                return 0
            return 1 + await self.send_message(message - 1, AgentId("countdown", str(message % 7)))

    runtime = SingleThreadedAgentRuntime()
    await Countdown.register(runtime, "countdown", lambda: Countdown("x"))
    runtime.start()
    assert await runtime.send_message(10_000, AgentId("countdown", "0")) == 10_000
    await runtime.stop_when_idle()


async def test_an_unknown_agent_type_is_named_together_with_the_known_ones() -> None:
    runtime = await start()
    recipient = AgentId("wroker", "a")
    with pytest.raises(
        UndeliverableException, match=r"Recipient not found.*'wroker'.*registered types: worker"
    ) as caught:
        await runtime.send_message(Work(), recipient)
    assert caught.value.recipient == recipient
    assert isinstance(caught.value, LookupError)
    await runtime.stop_when_idle()


async def test_a_message_that_cannot_become_json_travels_and_logging_it_does_not_disturb_the_delivery(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, EVENT_LOGGER_NAME)

    class Opaque:
        def __repr__(self) -> str:
            raise RuntimeError("not even a repr")

    class Agent(RoutedAgent):
        @message_handler
        async def handle(self, message: Opaque, ctx: MessageContext) -> Opaque:
            return message

    runtime = SingleThreadedAgentRuntime()
    await Agent.register(runtime, "agent", lambda: Agent("x"))
    runtime.start()
    message = Opaque()
    assert await runtime.send_message(message, AgentId("agent", "k")) is message
    await runtime.stop_when_idle()
    events = [record.msg for record in caplog.records if isinstance(record.msg, MessageEvent)]
    assert len(events) == 3  # sent, delivered, answered
    assert all(str(event).startswith("{") for event in events)


async def test_logging_never_creates_an_agent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    runtime = await start()
    await runtime.send_message(Work(), A, sender=AgentId("worker", "never made"))
    assert list(await runtime.save_state()) == ["worker/a"]
    await runtime.stop_when_idle()


async def test_publishing_where_nobody_listens_is_told_with_topic_and_type(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "autogen_core.trace")
    runtime = await start()
    await runtime.publish_message(Work(), TopicId("nobody", "s"))
    await runtime.stop_when_idle()
    assert "nobody hears topic nobody/s: Work is not delivered" in caplog.text
    assert runtime._observer.unheard_count == 1


async def test_message_ids_are_unique_and_have_the_form_of_a_uuid() -> None:
    import uuid

    ids: list[str] = []

    class Agent(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> None:
            ids.append(ctx.message_id)

    runtime = SingleThreadedAgentRuntime()
    await Agent.register(runtime, "agent", lambda: Agent("x"))
    runtime.start()
    for _ in range(100):
        await runtime.send_message(Work(), AgentId("agent", "k"))
    await runtime.send_message(Work(), AgentId("agent", "k"), message_id="my own")
    await runtime.stop_when_idle()
    assert len(set(ids)) == 101
    assert ids[-1] == "my own"
    assert uuid.UUID(ids[0]).version == 4


# Cancellation


async def test_cancelling_the_senders_token_reaches_the_handler_and_everything_it_waits_for() -> None:
    runtime = await start()
    token = CancellationToken()
    request = asyncio.create_task(
        runtime.send_message(Work("outer", ask=B, ask_with=Work("inner", sleep_s=30)), A, cancellation_token=token)
    )
    await asyncio.sleep(0.01)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(request, 1)
    await asyncio.wait_for(runtime.stop_when_idle(), 1)
    assert (await worker(runtime, A)).cancelled == ["outer"]
    assert (await worker(runtime, B)).cancelled == ["inner"]


async def test_cancelling_the_senders_task_reaches_the_handler_its_token_and_everything_it_waits_for() -> None:
    runtime = await start()
    request = asyncio.create_task(runtime.send_message(Work("outer", ask=B, ask_with=Work("inner", sleep_s=30)), A))
    await asyncio.sleep(0.01)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(request, 1)
    await asyncio.wait_for(runtime.stop_when_idle(), 1)
    assert (await worker(runtime, B)).cancelled == ["inner"]
    assert all(token.is_cancelled() for token in (await worker(runtime, A)).tokens)


async def test_a_message_whose_token_is_cancelled_already_is_not_sent() -> None:
    runtime = await start()
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await runtime.send_message(Work(), A, cancellation_token=token)
    await runtime.stop_when_idle()
    assert (await worker(runtime)).seen == []


async def test_a_message_whose_sender_gave_up_while_it_waited_is_not_handled() -> None:
    runtime = SingleThreadedAgentRuntime()
    await Worker.register(runtime, "worker", Worker)
    request = asyncio.create_task(runtime.send_message(Work("given up"), A))
    await asyncio.sleep(0)
    request.cancel()
    await asyncio.wait([request])
    runtime.start()
    await runtime.stop_when_idle()
    assert (await worker(runtime)).seen == []


async def test_a_sender_is_free_although_the_handler_ignores_its_cancellation() -> None:
    release = asyncio.Event()

    class Stubborn(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

    runtime = SingleThreadedAgentRuntime()
    await Stubborn.register(runtime, "stubborn", lambda: Stubborn("x"))
    runtime.start()
    request = asyncio.create_task(runtime.send_message(Work(), AgentId("stubborn", "k")))
    await asyncio.sleep(0.01)
    request.cancel()
    await asyncio.wait_for(asyncio.wait([request]), 1)
    assert request.cancelled()
    release.set()
    await asyncio.wait_for(runtime.stop_when_idle(), 1)
