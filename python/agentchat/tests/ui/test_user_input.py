"""Questions to the user wait for the console."""

import asyncio
import threading

import pytest

from autogen_agentchat.agents import UserProxyAgent
from autogen_agentchat.ui import UserInputManager
from autogen_core import CancellationToken

asking = UserProxyAgent.InputRequestContext.populate_context


async def test_the_question_waits_until_the_console_has_come_to_it() -> None:
    manager = UserInputManager(lambda prompt: f"{prompt} yes")
    with asking("r1"):
        answer = asyncio.ensure_future(manager.get_wrapped_callback()("sure?", None))
    await asyncio.sleep(0.01)
    assert not answer.done()
    manager.notify_event_received("r1")
    assert await answer == "sure? yes"
    assert manager.input_events == {}


async def test_a_question_announced_before_it_is_asked_does_not_wait() -> None:
    """0.7.5 waited for ever."""
    manager = UserInputManager(lambda prompt: "yes")
    manager.notify_event_received("r1")
    with asking("r1"):
        assert await manager.get_wrapped_callback()("sure?", None) == "yes"
    assert manager.input_events == {}


async def test_questions_do_not_take_each_others_turn() -> None:
    manager = UserInputManager(lambda prompt: prompt)
    ask = manager.get_wrapped_callback()
    answers: list[asyncio.Future[str]] = []
    for request in ("r1", "r2"):
        with asking(request):
            answers.append(asyncio.ensure_future(ask(request, None)))
    manager.notify_event_received("r2")
    assert await answers[1] == "r2"
    assert not answers[0].done()
    manager.notify_event_received("r1")
    assert await answers[0] == "r1"


async def test_a_plain_function_may_block_and_knows_its_request() -> None:
    answered = threading.Event()

    def ask_slowly(prompt: str) -> str:
        assert answered.wait(timeout=30), "nobody else could run"
        return UserProxyAgent.InputRequestContext.request_id()

    manager = UserInputManager(ask_slowly)
    manager.notify_event_received("r1")
    with asking("r1"):
        answer = asyncio.ensure_future(manager.get_wrapped_callback()("sure?", None))
    await asyncio.sleep(0.01)
    answered.set()
    assert await answer == "r1"


async def test_an_async_function_gets_the_token_too() -> None:
    async def ask(prompt: str, cancellation_token: CancellationToken | None) -> str:
        return f"{prompt} {cancellation_token is token}"

    token = CancellationToken()
    manager = UserInputManager(ask)
    manager.notify_event_received("r1")
    with asking("r1"):
        assert await manager.get_wrapped_callback()("same?", token) == "same? True"


async def test_cancelling_the_token_ends_the_wait_and_leaves_nothing_behind() -> None:
    manager = UserInputManager(lambda prompt: "never asked")
    token = CancellationToken()
    with asking("r1"):
        answer = asyncio.ensure_future(manager.get_wrapped_callback()("sure?", token))
    await asyncio.sleep(0.01)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert manager.input_events == {}


async def test_what_the_function_raises_reaches_the_agent() -> None:
    def fail(prompt: str) -> str:
        raise EOFError

    manager = UserInputManager(fail)
    manager.notify_event_received("r1")
    with asking("r1"), pytest.raises(EOFError):
        await manager.get_wrapped_callback()("sure?", None)


async def test_the_wrapped_function_is_only_for_user_proxies() -> None:
    with pytest.raises(RuntimeError, match="input function of a UserProxyAgent"):
        await UserInputManager(lambda prompt: "yes").get_wrapped_callback()("sure?", None)
