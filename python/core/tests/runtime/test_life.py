"""Starting, stopping, stepping, failing: every waiter is answered, and the runtime serves again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    DefaultInterventionHandler,
    DropMessage,
    InterventionHandler,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    message_handler,
)
from autogen_core.exceptions import MessageDroppedException, RegistrationError, UndeliverableException

from .conftest import Work, Worker

A = AgentId("worker", "a")
JOBS = TopicId("jobs", "a")


async def make(**options: Any) -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime(**options)
    await Worker.register(runtime, "worker", Worker)
    await runtime.add_subscription(TypeSubscription("jobs", "worker"))
    return runtime


async def seen(runtime: SingleThreadedAgentRuntime) -> list[str]:
    return (await runtime.try_get_underlying_agent_instance(A, Worker)).seen


async def test_starting_twice_and_stopping_what_is_not_started_are_errors() -> None:
    runtime = await make()
    for stop in (runtime.stop, runtime.stop_when_idle):
        with pytest.raises(RuntimeError, match="not started"):
            await stop()
    runtime.start()
    with pytest.raises(RuntimeError, match="already started"):
        runtime.start()
    await runtime.stop()


async def test_a_runtime_that_stopped_can_be_started_again_and_serves() -> None:
    runtime = await make()
    for _ in range(3):
        runtime.start()
        assert await runtime.send_message(Work("served"), A) == "served"
        await runtime.stop()
        runtime.start()
        await runtime.stop_when_idle()


async def test_stopping_while_a_request_is_handled_answers_its_sender_with_the_result_if_it_is_quick() -> None:
    runtime = await make()
    runtime.start()
    request = asyncio.create_task(runtime.send_message(Work("quick", sleep_s=0.05), A))
    await asyncio.sleep(0.01)
    await runtime.stop()
    assert await asyncio.wait_for(request, 1) == "quick"


async def test_stopping_while_a_request_is_handled_answers_its_sender_with_a_typed_error_if_it_is_slow() -> None:
    runtime = await make()
    runtime.start()
    request = asyncio.create_task(runtime.send_message(Work("slow", sleep_s=30), A))
    await asyncio.sleep(0.01)
    await asyncio.wait_for(runtime.stop(), 5)
    with pytest.raises(UndeliverableException, match="runtime stopped"):
        await asyncio.wait_for(request, 1)


async def test_requests_that_wait_when_the_runtime_stops_are_answered_and_published_messages_wait_on() -> None:
    class Gate(DefaultInterventionHandler):
        def __init__(self) -> None:
            self.entered = asyncio.Event()

        async def on_send(self, message: Any, *, message_context: MessageContext, recipient: AgentId) -> Any:
            self.entered.set()
            await asyncio.sleep(30)

    gate = Gate()
    runtime = await make(intervention_handlers=[gate])
    runtime.start()
    first = asyncio.create_task(runtime.send_message(Work("held in the gate"), A))
    await gate.entered.wait()
    second = asyncio.create_task(runtime.send_message(Work("waits"), A))
    await asyncio.sleep(0)
    await runtime.publish_message(Work("published"), JOBS)
    await asyncio.wait_for(runtime.stop(), 5)
    for request in (first, second):
        with pytest.raises(UndeliverableException, match="runtime stopped"):
            await asyncio.wait_for(request, 1)
    assert runtime.unprocessed_messages_count == 1
    runtime.start()
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["published"]


async def test_a_request_to_a_stopped_runtime_is_refused_at_once() -> None:
    runtime = await make()
    runtime.start()
    await runtime.stop()
    with pytest.raises(UndeliverableException, match="runtime stopped"):
        await runtime.send_message(Work(), A)


async def test_messages_sent_before_the_start_are_handled_after_it_in_their_order() -> None:
    runtime = await make()
    await runtime.publish_message(Work("first"), JOBS)
    request = asyncio.create_task(runtime.send_message(Work("second"), A))
    await asyncio.sleep(0)
    assert runtime.unprocessed_messages_count == 2
    runtime.start()
    assert await request == "second"
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["first", "second"]


async def test_stop_when_idle_waits_for_messages_that_handlers_send() -> None:
    class Relay(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> None:
            await asyncio.sleep(0.01)
            await self.publish_message(Work("relayed", sleep_s=0.01), JOBS)

    runtime = await make()
    await Relay.register(runtime, "relay", lambda: Relay("x"))
    runtime.start()
    await runtime.publish_message(Work(), TopicId("relay:", "k"))
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["relayed"]


async def test_stop_when_stops_once_its_condition_holds() -> None:
    runtime = await make()
    runtime.start()
    done: list[int] = []
    asyncio.get_running_loop().call_later(0.05, done.append, 1)
    await asyncio.wait_for(runtime.stop_when(lambda: bool(done)), 2)
    with pytest.raises(RuntimeError, match="not started"):
        await runtime.stop()


async def test_a_handler_may_stop_the_runtime_but_cannot_wait_for_it_to_be_idle() -> None:
    runtime = await make()
    errors: list[Exception] = []

    class Stopper(RoutedAgent):
        @message_handler
        async def handle(self, message: Work, ctx: MessageContext) -> str:
            try:
                await runtime.stop_when_idle()
            except RuntimeError as error:
                errors.append(error)
            await runtime.stop()
            return "stopped"

    await Stopper.register(runtime, "stopper", lambda: Stopper("x"))
    runtime.start()
    assert await asyncio.wait_for(runtime.send_message(Work(), AgentId("stopper", "k")), 3) == "stopped"
    assert "would wait for itself" in str(errors[0])


async def test_process_next_steps_one_message_and_waits_for_one_if_there_is_none() -> None:
    runtime = await make()
    await runtime.publish_message(Work("first"), JOBS)
    await runtime.publish_message(Work("second"), JOBS)
    await runtime.process_next()
    assert await seen(runtime) == ["first"]
    assert runtime.unprocessed_messages_count == 1
    await runtime.process_next()
    stepping = asyncio.create_task(runtime.process_next())
    request = asyncio.create_task(runtime.send_message(Work("third"), A))
    assert await request == "third"
    await stepping


async def test_the_runtime_serves_in_one_event_loop_after_another() -> None:
    runtime = await make()

    async def serve() -> str:
        runtime.start()
        answer = await runtime.send_message(Work("served", sleep_s=0.001), A)
        await runtime.stop_when_idle()
        return answer

    def other_loop() -> str:
        return asyncio.run(serve())

    assert await serve() == "served"
    assert await asyncio.to_thread(other_loop) == "served"


# Failures of handlers that nobody waits for


async def test_a_failing_event_handler_is_logged_and_counted_and_its_neighbours_are_not_disturbed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = await make()
    await Worker.register(runtime, "neighbour", Worker)
    await runtime.add_subscription(TypeSubscription("jobs", "neighbour"))
    runtime.start()
    await runtime.publish_message(Work("bad", error=KeyError("boom")), JOBS)
    await runtime.publish_message(Work("good"), JOBS)
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["bad", "good"]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert errors[0].name == "autogen_core"
    assert errors[0].exc_info is not None
    assert runtime._observer.failed_count == 2


@pytest.mark.parametrize("sleep_s", [0, 0.01])
async def test_a_failing_event_handler_halts_a_runtime_that_does_not_ignore_it_and_is_raised_by_stop_when_idle(
    sleep_s: float,
) -> None:
    error = KeyError("boom")
    runtime = await make(ignore_unhandled_exceptions=False)
    runtime.start()
    await runtime.publish_message(Work("bad", error=error, sleep_s=sleep_s), JOBS)
    with pytest.raises(KeyError) as caught:
        await asyncio.wait_for(runtime.stop_when_idle(), 3)
    assert caught.value is error
    runtime.start()
    assert await runtime.send_message(Work("serves again"), A) == "serves again"
    await runtime.stop_when_idle()


async def test_a_failing_event_handler_is_raised_by_the_next_step() -> None:
    runtime = await make(ignore_unhandled_exceptions=False)
    await runtime.publish_message(Work(error=KeyError("boom")), JOBS)
    with pytest.raises(KeyError):
        await runtime.process_next()


async def test_requests_that_wait_when_a_failure_halts_the_runtime_are_answered() -> None:
    runtime = await make(ignore_unhandled_exceptions=False)
    await runtime.publish_message(Work(error=KeyError("boom")), JOBS)
    request = asyncio.create_task(runtime.send_message(Work("behind it"), A))
    await asyncio.sleep(0)
    runtime.start()
    with pytest.raises(UndeliverableException, match="runtime stopped"):
        await asyncio.wait_for(request, 1)
    with pytest.raises(KeyError):
        await runtime.stop()


# Interventions


class Suffix(DefaultInterventionHandler):
    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    async def on_send(self, message: Any, *, message_context: MessageContext, recipient: AgentId) -> Any:
        return Work(message.text + self.suffix)

    async def on_publish(self, message: Any, *, message_context: MessageContext) -> Any:
        return Work(message.text + self.suffix)

    async def on_response(self, message: Any, *, sender: AgentId, recipient: AgentId | None) -> Any:
        return message + self.suffix.upper()


class Drop(DefaultInterventionHandler):
    def __init__(self, stage: str, what: Any = DropMessage) -> None:
        self.stage = stage
        self.what = what

    async def on_send(self, message: Any, **_: Any) -> Any:
        return self._do("send", message)

    async def on_publish(self, message: Any, **_: Any) -> Any:
        return self._do("publish", message)

    async def on_response(self, message: Any, **_: Any) -> Any:
        return self._do("response", message)

    def _do(self, stage: str, message: Any) -> Any:
        if stage != self.stage:
            return message
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


async def test_each_intervention_handler_sees_what_the_one_before_it_returned() -> None:
    runtime = await make(intervention_handlers=[Suffix("a"), Suffix("b")])
    runtime.start()
    assert await runtime.send_message(Work("x"), A) == "xabAB"
    await runtime.publish_message(Work("y"), JOBS)
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["xab", "yab"]


@pytest.mark.parametrize("what", [DropMessage, DropMessage()])
@pytest.mark.parametrize("stage", ["send", "response"])
async def test_a_message_dropped_by_an_intervention_handler_releases_its_sender_and_idle_wait_ends(
    stage: str, what: Any
) -> None:
    runtime = await make(intervention_handlers=[Drop(stage, what)])
    runtime.start()
    with pytest.raises(MessageDroppedException, match="Drop dropped"):
        await asyncio.wait_for(runtime.send_message(Work(), A), 1)
    await asyncio.wait_for(runtime.stop_when_idle(), 1)


async def test_a_published_message_that_is_dropped_reaches_nobody_and_idle_wait_ends() -> None:
    runtime = await make(intervention_handlers=[Drop("publish")], ignore_unhandled_exceptions=False)
    runtime.start()
    await runtime.publish_message(Work("dropped"), JOBS)
    await asyncio.wait_for(runtime.stop_when_idle(), 1)
    assert await seen(runtime) == []


@pytest.mark.parametrize("stage", ["send", "response"])
async def test_a_message_refused_by_an_intervention_handler_gives_its_exception_to_the_sender(stage: str) -> None:
    refusal = PermissionError("no")
    runtime = await make(intervention_handlers=[Drop(stage, refusal)])
    runtime.start()
    with pytest.raises(PermissionError) as caught:
        await asyncio.wait_for(runtime.send_message(Work(), A), 1)
    assert caught.value is refusal
    await asyncio.wait_for(runtime.stop_when_idle(), 1)


async def test_a_refused_publish_is_a_failure_that_nobody_waits_for() -> None:
    runtime = await make(
        intervention_handlers=[Drop("publish", PermissionError("no"))], ignore_unhandled_exceptions=False
    )
    runtime.start()
    await runtime.publish_message(Work(), JOBS)
    with pytest.raises(PermissionError):
        await asyncio.wait_for(runtime.stop_when_idle(), 1)


async def test_intervention_handlers_see_one_message_at_a_time() -> None:
    inside: list[str] = []

    class Slow(DefaultInterventionHandler):
        async def on_send(self, message: Any, *, message_context: MessageContext, recipient: AgentId) -> Any:
            assert inside == []
            inside.append(message.text)
            await asyncio.sleep(0.001)
            inside.clear()
            return message

    handlers: list[InterventionHandler] = [Slow()]
    runtime = await make(intervention_handlers=handlers)
    runtime.start()
    await asyncio.gather(*(runtime.send_message(Work(str(n)), A) for n in range(5)))
    await runtime.stop_when_idle()
    assert await seen(runtime) == ["0", "1", "2", "3", "4"]


# Agents


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
