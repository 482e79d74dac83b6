"""A human in the conversation."""

import asyncio
import threading
from typing import Any, cast

import pytest

from autogen_agentchat.agents import UserProxyAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, TextMessage, UserInputRequestedEvent
from autogen_core import CancellationToken

Context = UserProxyAgent.InputRequestContext


async def ask(human: UserProxyAgent, *messages: BaseChatMessage) -> tuple[UserInputRequestedEvent, BaseChatMessage]:
    request, response = [item async for item in human.on_messages_stream(messages, CancellationToken())]
    assert isinstance(request, UserInputRequestedEvent)
    assert isinstance(response, Response)
    return request, response.chat_message


def handoff(target: str = "human") -> HandoffMessage:
    return HandoffMessage(content="please", source="ann", target=target)


async def test_a_plain_function_is_asked_with_a_prompt() -> None:
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return "typed"

    _, message = await ask(UserProxyAgent("human", input_func=answer), TextMessage(content="?", source="ann"))
    assert isinstance(message, TextMessage)
    assert (message.content, message.source) == ("typed", "human")
    assert prompts == ["Enter your response: "]


async def test_a_coroutine_function_also_gets_the_token() -> None:
    tokens: list[CancellationToken | None] = []

    async def answer(prompt: str, cancellation_token: CancellationToken | None) -> str:
        tokens.append(cancellation_token)
        return prompt

    token = CancellationToken()
    response = await UserProxyAgent("human", input_func=answer).on_messages([], token)
    assert response.chat_message.to_text() == "Enter your response: "
    assert tokens == [token]


async def test_an_object_with_an_asynchronous_call_is_a_coroutine_function_too() -> None:
    class Form:
        async def __call__(self, prompt: str, cancellation_token: CancellationToken | None) -> str:
            return "filled in"

    assert (await ask(UserProxyAgent("human", input_func=Form())))[1].to_text() == "filled in"


async def test_a_handoff_is_answered_with_a_handoff_back() -> None:
    _, message = await ask(UserProxyAgent("human", input_func=lambda prompt: prompt), handoff())
    assert isinstance(message, HandoffMessage)
    assert (message.target, message.content) == ("ann", "Handoff received from ann. Enter your response: ")


async def test_only_the_last_message_can_hand_over() -> None:
    messages = (handoff(), TextMessage(content="?", source="carl"))
    _, message = await ask(UserProxyAgent("human", input_func=lambda _: "x"), *messages)
    assert isinstance(message, TextMessage)


async def test_a_handoff_to_somebody_else_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="Handoff message target does not match agent name"):
        await ask(UserProxyAgent("human", input_func=lambda _: "x"), handoff("carl"))


async def test_both_kinds_of_function_can_read_the_id_of_their_request() -> None:
    async def later(prompt: str, cancellation_token: CancellationToken | None) -> str:
        await asyncio.sleep(0)
        return Context.request_id()

    def now(prompt: str) -> str:
        return Context.request_id()

    for function in (now, later):
        request, message = await ask(UserProxyAgent("human", input_func=function))
        assert message.to_text() == request.request_id


def test_elsewhere_there_is_no_request() -> None:
    with pytest.raises(RuntimeError, match="must be called within the input function"):
        Context.request_id()
    with Context.populate_context("mine"):
        assert Context.request_id() == "mine"
    with pytest.raises(RuntimeError, match="cannot be instantiated"):
        Context()


async def test_an_error_of_the_function_is_the_cause() -> None:
    def fail(prompt: str) -> str:
        raise KeyError("keyboard")

    async def fail_later(prompt: str, cancellation_token: CancellationToken | None) -> str:
        raise KeyError("keyboard")

    for function in (fail, fail_later):
        with pytest.raises(RuntimeError, match="Failed to get user input") as raised:
            await ask(UserProxyAgent("human", input_func=function))
        assert isinstance(raised.value.__cause__, KeyError)


async def test_an_answer_must_be_text() -> None:
    with pytest.raises(RuntimeError, match="expected a str, got int"):
        await ask(UserProxyAgent("human", input_func=cast("Any", len)))


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="input_func must be a function"):
        UserProxyAgent("human", input_func=cast("Any", "no"))


async def test_cancelling_ends_the_wait_for_a_coroutine_function() -> None:
    async def wait(prompt: str, cancellation_token: CancellationToken | None) -> str:
        await asyncio.sleep(60)
        return "never"

    await _cancelled(UserProxyAgent("human", input_func=wait))


async def test_cancelling_ends_the_wait_for_a_blocked_function() -> None:
    """And the thread in which it blocks does not keep the program from ending."""
    release = threading.Event()

    def block(prompt: str) -> str:
        release.wait(60)
        return "late"

    try:
        await _cancelled(UserProxyAgent("human", input_func=block))
        [thread] = [each for each in threading.enumerate() if each.name == "autogen-user-input"]
        assert thread.daemon
    finally:
        release.set()
    thread.join(5)
    await asyncio.sleep(0)


async def _cancelled(human: UserProxyAgent) -> None:
    token = CancellationToken()
    stream = human.on_messages_stream([], token)
    await anext(stream)
    asyncio.get_running_loop().call_later(0.01, token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(anext(stream), 1)


async def test_a_human_is_saved_by_name_and_description() -> None:
    human = UserProxyAgent("human", description="pays", input_func=lambda _: "x")
    dumped = human.dump_component()
    assert dumped.config == {"name": "human", "description": "pays"}
    loaded = UserProxyAgent.load_component(dumped)
    assert (loaded.name, loaded.description, loaded.input_func) == ("human", "pays", input)
    assert loaded.produced_message_types == (TextMessage, HandoffMessage)
    await loaded.on_reset()
    await loaded.on_reset(CancellationToken())
