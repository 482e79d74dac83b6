"""Intervention handlers: they chain, drop, refuse, ask agents, and see one message at a time."""

import asyncio
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    DefaultInterventionHandler,
    DropMessage,
    InterventionHandler,
    MessageContext,
    SingleThreadedAgentRuntime,
)
from autogen_core.exceptions import MessageDroppedException

from .conftest import JOBS, A, Work, Worker, make, seen


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


class Approver(DefaultInterventionHandler):
    """Asks an agent about each message, also about the answer, before it lets it pass."""

    def __init__(self) -> None:
        self.runtime: SingleThreadedAgentRuntime | None = None

    async def on_send(self, message: Any, *, message_context: MessageContext, recipient: AgentId) -> Any:
        return await self._ask(message, recipient)

    async def on_response(self, message: Any, *, sender: AgentId, recipient: AgentId | None) -> Any:
        return await self._ask(message, sender)

    async def on_publish(self, message: Any, *, message_context: MessageContext) -> Any:
        return await self._ask(message, None)

    async def _ask(self, message: Any, agent: AgentId | None) -> Any:
        if agent is not None and agent.type == "approver":
            return message
        assert self.runtime is not None
        await self.runtime.send_message(Work("approve?", sleep_s=0.001), AgentId("approver", "k"))
        return message


async def test_an_intervention_handler_may_ask_an_agent_and_wait_for_its_answer() -> None:
    approver = Approver()
    runtime = approver.runtime = await make(intervention_handlers=[approver])
    await Worker.register(runtime, "approver", Worker)
    runtime.start()
    async with asyncio.timeout(3):
        assert await asyncio.gather(*(runtime.send_message(Work(str(n)), A) for n in range(3))) == ["0", "1", "2"]
        await runtime.publish_message(Work("published"), JOBS)
        await runtime.stop_when_idle()
    assert await seen(runtime) == ["0", "1", "2", "published"]
    asked = (await runtime.try_get_underlying_agent_instance(AgentId("approver", "k"), Worker)).seen
    assert asked == ["approve?"] * 7  # three requests, their answers, and a published message


async def test_intervention_handlers_see_answers_and_messages_one_at_a_time() -> None:
    class Watcher(DefaultInterventionHandler):
        def __init__(self) -> None:
            self.inside = 0

        async def on_send(self, message: Any, **_: Any) -> Any:
            self.inside += 1
            assert self.inside == 1
            await asyncio.sleep(0.001)
            self.inside -= 1
            return message

        on_response = on_send

    runtime = await make(intervention_handlers=[Watcher()])
    runtime.start()
    assert len(await asyncio.gather(*(runtime.send_message(Work(sleep_s=0.0005), A) for _ in range(5)))) == 5
    await runtime.stop_when_idle()


async def test_intervention_handlers_serve_in_one_event_loop_after_another() -> None:
    class Slow(DefaultInterventionHandler):
        async def on_send(self, message: Any, **_: Any) -> Any:
            await asyncio.sleep(0.001)
            return message

        on_response = on_send

    runtime = await make(intervention_handlers=[Slow()])

    async def serve() -> list[str]:
        runtime.start()
        answers = await asyncio.gather(*(runtime.send_message(Work(str(n), sleep_s=0.001), A) for n in range(3)))
        await runtime.stop_when_idle()
        return answers

    def other_loop() -> list[str]:
        return asyncio.run(serve())

    assert await serve() == ["0", "1", "2"]
    assert await asyncio.to_thread(other_loop) == ["0", "1", "2"]
