"""A host and workers in one process, over real connections: what a program does with them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from autogen_core import (
    AgentId,
    CancellationToken,
    ClosureAgent,
    ClosureContext,
    MessageContext,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
    UnknownPayload,
)
from autogen_core.exceptions import (
    DeadlineExceededError,
    MailboxFullError,
    MessageTooLargeError,
    NotAccessibleError,
    RegistrationError,
    RemoteError,
    UndeliverableException,
)
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from .agents import Big, Speaker, Word, knows_messages, speak, speaker, until

NewWorker = Callable[..., Awaitable[GrpcWorkerAgentRuntime]]


@pytest.fixture
async def two(new_worker: NewWorker) -> tuple[GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntime]:
    """A worker that asks, and one that hosts `far`."""
    near, far = knows_messages(await new_worker()), await new_worker()
    await speak(far, "far")
    return near, far


Two = tuple[GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntime]
FAR = AgentId("far", "default")


async def test_a_request_is_answered_by_another_worker(two: Two) -> None:
    near, far = two
    answer = await near.send_message(Word("hello"), FAR, sender=AgentId("me", "1"), message_id="my-id")
    assert answer == Word("HELLO")
    (context,) = (await speaker(far, "far")).contexts
    assert context.sender == AgentId("me", "1")
    assert (context.is_rpc, context.topic_id, context.message_id) == (True, None, "my-id")


@pytest.mark.parametrize(("order", "answer"), [("none", None), ("plain", {"a": [1, 2.5, None, "é"]})])
async def test_an_answer_may_be_a_plain_value(two: Two, order: str, answer: Any) -> None:
    assert await two[0].send_message(Word(order), FAR) == answer


async def test_requests_of_one_sender_are_handled_in_their_order(two: Two) -> None:
    near, far = two
    words = [str(number) for number in range(200)]
    await asyncio.gather(*(near.send_message(Word(word), FAR) for word in words))
    assert (await speaker(far, "far")).heard == words


async def test_workers_may_call_each_other_back_and_forth(two: Two) -> None:
    near, _ = two
    await speak(near, "near")
    assert await near.send_message(Word("ask near ask far ask near hi"), FAR) == Word("HI")


async def test_messages_between_agents_of_one_worker_do_not_leave_it(two: Two) -> None:
    _, far = two
    await speak(far, "beside")
    await far._link.stop()  # nothing gets through any more
    assert await far.send_message(Word("ask beside hi"), FAR) == Word("HI")


async def test_a_long_chain_of_agents_of_one_worker_does_not_exhaust_the_stack(two: Two) -> None:
    _, far = two
    await speak(far, "beside")
    assert await far.send_message(Word("ask beside ask far " * 400 + "hi"), FAR) == Word("HI")


# Errors


async def test_an_unknown_agent_type_is_told_at_once(two: Two) -> None:
    async with asyncio.timeout(1):
        with pytest.raises(UndeliverableException, match="no agent type 'nobody'"):
            await two[0].send_message(Word("x"), AgentId("nobody", "k"))


async def test_an_error_of_a_handler_keeps_its_type_text_and_traceback(two: Two) -> None:
    with pytest.raises(KeyError, match="boom") as caught:
        await two[0].send_message(Word("fail"), FAR)
    assert isinstance(caught.value, RemoteError)
    assert caught.value.type_name == "builtins.KeyError"
    assert 'raise KeyError("boom")' in caught.value.traceback
    assert caught.value.recipient == FAR


async def test_an_error_goes_through_several_workers(two: Two) -> None:
    near, _ = two
    await speak(near, "near")
    with pytest.raises(KeyError, match="boom"):
        await near.send_message(Word("ask near ask far fail"), FAR)


async def test_an_answer_that_cannot_be_written_is_an_error(two: Two) -> None:
    with pytest.raises(RemoteError, match="Unknown type Odd"):
        await two[0].send_message(Word("odd"), FAR)


async def test_a_factory_that_fails_is_told_to_the_caller(two: Two) -> None:
    near, far = two

    def factory() -> Speaker:
        raise RuntimeError("no parts")

    await far.register_factory("broken", factory)
    with pytest.raises(RuntimeError, match="no parts"):
        await near.send_message(Word("x"), AgentId("broken", "k"))


async def test_a_payload_that_cannot_be_read_is_told_to_the_caller(two: Two) -> None:
    with pytest.raises(RemoteError, match="cannot be read"):
        await two[0].send_message(UnknownPayload("Word", "application/json", b"{"), FAR)


async def test_a_type_that_is_taken_is_refused_by_the_host(two: Two) -> None:
    near, _ = two
    with pytest.raises(RegistrationError, match="already registered") as caught:
        await near.register_factory("far", Speaker)
    assert isinstance(caught.value, grpc.aio.AioRpcError)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert await near.send_message(Word("x"), FAR) == Word("X")


async def test_what_needs_a_started_runtime_says_so() -> None:
    runtime = GrpcWorkerAgentRuntime("127.0.0.1:1")
    with pytest.raises(ValueError, match="start"):
        await runtime.send_message(Word("x"), FAR)
    with pytest.raises(ValueError, match="start"):
        await runtime.publish_message(Word("x"), TopicId("t", "s"))
    with pytest.raises(RuntimeError, match="start"):
        await runtime.register_factory("a", Speaker)
    with pytest.raises(RuntimeError, match="start"):
        await runtime.add_subscription(TypeSubscription("t", "a"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await runtime.start()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="text/plain"):
        GrpcWorkerAgentRuntime("127.0.0.1:1", payload_serialization_format="text/plain")


# Deadlines and cancellation


async def test_a_request_that_takes_too_long_ends_by_its_timeout_and_is_cancelled(two: Two) -> None:
    near, far = two
    with pytest.raises(DeadlineExceededError, match=r"0\.2 seconds"):
        await near.send_message(Word("sleep 30"), FAR, timeout=0.2)
    agent = await speaker(far, "far")
    await until(lambda: agent.cancelled == 1)


async def test_a_timeout_is_a_timeout_error_and_has_a_default(new_worker: NewWorker, two: Two) -> None:
    hasty = knows_messages(await new_worker(timeout=0.1))
    with pytest.raises(TimeoutError):
        await hasty.send_message(Word("sleep 30"), FAR)


async def test_what_a_handler_sends_is_bound_by_its_own_deadline(two: Two) -> None:
    near, _ = two
    await speak(near, "near")
    with pytest.raises(DeadlineExceededError):
        await near.send_message(Word("ask near sleep 30"), FAR, timeout=0.3)
    agent = await speaker(near, "near")
    await until(lambda: agent.cancelled == 1)


async def test_a_timeout_holds_in_the_same_worker_too(two: Two) -> None:
    _, far = two
    with pytest.raises(DeadlineExceededError):
        await far.send_message(Word("sleep 30"), FAR, timeout=0.1)
    agent = await speaker(far, "far")
    await until(lambda: agent.cancelled == 1)
    with pytest.raises(DeadlineExceededError):
        await far.send_message(Word("ask far sleep 30"), FAR, timeout=0.1)
    await until(lambda: agent.cancelled == 2)


async def test_cancelling_the_caller_cancels_the_handler_elsewhere(two: Two) -> None:
    near, far = two
    call = asyncio.create_task(near.send_message(Word("sleep 30"), FAR))
    agent = await speaker(far, "far")
    await agent.under_way.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: agent.cancelled == 1)
    assert agent.contexts[0].cancellation_token.is_cancelled()


async def test_a_call_that_is_cancelled_on_its_way_is_not_left_running(two: Two) -> None:
    """That it is cancelled goes by another stream, and may overtake it."""
    near, far = two
    for _ in range(50):
        call = asyncio.create_task(near.send_message(Word("sleep 30"), FAR))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    await near.send_message(Word("last"), FAR)
    await until(lambda: not far._delivery.tasks and not far._serving._handling)


async def test_cancelling_the_token_cancels_the_handler_elsewhere(two: Two) -> None:
    near, far = two
    token = CancellationToken()
    call = asyncio.create_task(near.send_message(Word("sleep 30"), FAR, cancellation_token=token))
    agent = await speaker(far, "far")
    await agent.under_way.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: agent.cancelled == 1)
    with pytest.raises(asyncio.CancelledError):
        await near.send_message(Word("x"), FAR, cancellation_token=token)


# Events


async def test_an_event_reaches_all_who_hear_it_once(two: Two) -> None:
    near, far = two
    await speak(near, "near")
    await near.add_subscription(TypeSubscription("news", "near"))
    await far.add_subscription(TypeSubscription("news", "far"))
    await far.add_subscription(TypePrefixSubscription("ne", "far"))
    for number in range(50):
        await near.publish_message(Word(str(number)), TopicId("news", "default"))
    agents = await speaker(near, "near"), await speaker(far, "far")
    expected = [str(number) for number in range(50)]
    await until(lambda: all(len(agent.heard) >= count for agent, count in zip(agents, (50, 100), strict=True)))
    assert agents[0].heard == expected
    assert agents[1].heard[::2] == expected
    assert agents[0].contexts[0].topic_id == TopicId("news", "default")
    assert not agents[0].contexts[0].is_rpc


async def test_an_agent_does_not_hear_itself(two: Two) -> None:
    near, far = two
    await far.add_subscription(TypeSubscription("news", "far"))
    await near.publish_message(Word("mine"), TopicId("news", "default"), sender=FAR)
    await near.publish_message(Word("other"), TopicId("news", "default"), sender=AgentId("far", "another"))
    agent = await speaker(far, "far")
    await until(lambda: len(agent.heard) > 0)
    assert agent.heard == ["other"]


async def test_a_removed_subscription_hears_nothing_more(two: Two) -> None:
    near, far = two
    subscription = TypeSubscription("news", "far")
    await far.add_subscription(subscription)
    with pytest.raises(ValueError, match="already exists"):
        await far.add_subscription(TypeSubscription("news", "far"))
    await far.add_subscription(TypeSubscription("end", "far"))
    await far.remove_subscription(subscription.id)
    with pytest.raises(ValueError, match="does not exist"):
        await far.remove_subscription(subscription.id)
    await near.publish_message(Word("unheard"), TopicId("news", "default"))
    await near.publish_message(Word("heard"), TopicId("end", "default"))
    agent = await speaker(far, "far")
    await until(lambda: len(agent.heard) > 0)
    assert agent.heard == ["heard"]


async def test_a_closure_agent_hears_what_others_publish(two: Two) -> None:
    near, far = two
    heard: list[str] = []

    async def listen(_: ClosureContext, message: Word, ctx: MessageContext) -> None:
        heard.append(message.text)

    await ClosureAgent.register_closure(
        far, "closure", listen, subscriptions=lambda: [TypeSubscription("news", "closure")]
    )
    await near.publish_message(Word("hello"), TopicId("news", "default"))
    await until(lambda: heard == ["hello"])


# State and metadata


async def test_state_and_metadata_of_an_agent_elsewhere(two: Two) -> None:
    near, far = two
    await near.send_message(Word("hello"), FAR)
    assert (await near.agent_metadata(FAR))["description"] == "does what it is told"
    state = await near.agent_save_state(FAR)
    assert state == {"heard": ["hello"]}
    other = AgentId("far", "other")
    await near.agent_load_state(other, state)
    assert (await speaker(far, "far", "other")).heard == ["hello"]
    with pytest.raises(KeyError, match="heard"):
        await near.agent_load_state(other, {})
    with pytest.raises(LookupError, match="nobody"):
        await near.agent_save_state(AgentId("nobody", "k"))


async def test_a_worker_saves_the_agents_that_live_in_it(two: Two) -> None:
    near, far = two
    await near.send_message(Word("hello"), FAR)
    assert await far.save_state() == {"far/default": {"heard": ["hello"]}}
    assert await near.save_state() == {}
    with pytest.raises(NotAccessibleError):
        await near.try_get_underlying_agent_instance(FAR)


async def test_an_instance_can_be_registered(two: Two) -> None:
    near, far = two
    agent = Speaker()
    await agent.register_instance(far, AgentId("single", "one"))
    assert await near.send_message(Word("hi"), AgentId("single", "one")) == Word("HI")
    with pytest.raises(UndeliverableException):
        await near.send_message(Word("hi"), AgentId("single", "two"))


# Limits


async def test_a_message_over_the_limit_is_refused_and_the_connection_lives(two: Two) -> None:
    near, _ = two
    big = Big("x" * 5_000_000)
    with pytest.raises(MessageTooLargeError, match="bytes"):
        await near.send_message(big, FAR)
    with pytest.raises(MessageTooLargeError, match="bytes"):
        await near.publish_message(big, TopicId("news", "s"))
    with pytest.raises(MessageTooLargeError, match="bytes"):
        await near.send_message(Word("big 5000000"), FAR)
    assert await near.send_message(Big("x" * 4_000_000), FAR) == 4_000_000


async def test_limits_can_be_raised_on_all_sides() -> None:
    options = [("grpc.max_receive_message_length", 16_000_000), ("grpc.max_send_message_length", 16_000_000)]
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0", options)
    host.start()
    runtime = GrpcWorkerAgentRuntime(f"127.0.0.1:{host.port}", extra_grpc_config=options)
    small = knows_messages(GrpcWorkerAgentRuntime(f"127.0.0.1:{host.port}"))
    await runtime.start()
    await small.start()
    await speak(runtime, "far")
    assert await small.send_message(Big("x" * 8_000_000), FAR) == 8_000_000
    with pytest.raises(MessageTooLargeError, match="its caller takes"):
        await small.send_message(Word("big 8000000"), FAR)
    await runtime.close()
    await small.close()
    await host.stop(grace=0)


async def test_a_worker_that_has_enough_to_do_refuses_more(new_worker: NewWorker, two: Two) -> None:
    near, _ = two
    busy = await new_worker(max_handling=1)
    await speak(busy, "busy")
    first = asyncio.create_task(near.send_message(Word("sleep 0.5"), AgentId("busy", "default")))
    await (await speaker(busy, "busy")).under_way.wait()
    with pytest.raises(MailboxFullError):
        await near.send_message(Word("x"), AgentId("busy", "default"))
    assert await first == Word("slept")


async def test_events_wait_while_a_worker_has_enough_to_do(new_worker: NewWorker, two: Two) -> None:
    near, _ = two
    busy = await new_worker(max_handling=2)
    await speak(busy, "busy")
    await busy.add_subscription(TypeSubscription("work", "busy"))
    for _ in range(10):
        await near.publish_message(Word("sleep 0.05"), TopicId("work", "default"))
    agent = await speaker(busy, "busy")
    await until(lambda: len(agent.heard) > 0)
    assert len(busy._delivery.tasks) <= 2
    await until(lambda: len(agent.heard) == 10)


# Several workers of one type


async def test_workers_that_share_a_type_have_each_key_once(new_worker: NewWorker, two: Two) -> None:
    near, _ = two
    workers = [await new_worker(shared_types=["pool"]) for _ in range(3)]
    for worker in workers:
        await speak(worker, "pool")
        await worker.add_subscription(TypeSubscription("jobs", "pool"))
    for number in range(60):
        await near.send_message(Word("x"), AgentId("pool", str(number)))
        await near.publish_message(Word("y"), TopicId("jobs", str(number)))

    def heard() -> list[list[str]]:
        agents = [agent for worker in workers for agent in worker._directory.agents.values()]
        return [agent.heard for agent in agents if isinstance(agent, Speaker)]

    await until(lambda: sum(map(len, heard())) == 120)
    assert heard() == [["x", "y"]] * 60
    assert all(len(worker._directory.agents) >= 3 for worker in workers)  # of 20 on average
    assert await workers[0].send_message(Word("from a member"), AgentId("pool", "1")) == Word("FROM A MEMBER")


# Stopping


async def test_stopping_a_worker_finishes_what_it_is_at(two: Two) -> None:
    near, far = two
    call = asyncio.create_task(near.send_message(Word("sleep 0.3"), FAR))
    await (await speaker(far, "far")).under_way.wait()
    await far.stop()
    assert await call == Word("slept")


async def test_stopping_a_worker_answers_its_own_callers(two: Two) -> None:
    near, far = two
    call = asyncio.create_task(near.send_message(Word("sleep 30"), FAR))
    await (await speaker(far, "far")).under_way.wait()
    await near.stop()
    with pytest.raises(UndeliverableException, match="stopped"):
        await call
    await near.start()
    assert await near.send_message(Word("again"), FAR) == Word("AGAIN")


async def test_an_event_whose_handler_is_cut_short_is_told(two: Two, caplog: pytest.LogCaptureFixture) -> None:
    near, _ = two
    hasty = GrpcWorkerAgentRuntime(near._link._address, drain_timeout=0.1)
    await hasty.start()
    await speak(hasty, "hasty")
    await hasty.add_subscription(TypeSubscription("work", "hasty"))
    await near.publish_message(Word("sleep 30"), TopicId("work", "default"))
    agent = await speaker(hasty, "hasty")
    await agent.under_way.wait()
    await hasty.stop()
    assert agent.cancelled == 1
    assert "Error delivering publish message to work/default" in caplog.text


async def test_starting_twice_is_refused(host: GrpcWorkerAgentRuntimeHost, two: Two) -> None:
    with pytest.raises(ValueError, match="already"):
        await two[0].start()
    with pytest.raises(RuntimeError, match="already"):
        host.start()
