"""What memories write is in a turn's requests, exactly once, and never between a call and its result."""

from collections.abc import Callable
from typing import Any

import pytest

from autogen_agentchat.agents._recollection import Recollection
from autogen_core import CancellationToken, FunctionCall
from autogen_core.memory import ListMemory, Memory, MemoryContent, MemoryQueryResult, UpdateContextResult
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)


def user(text: str) -> UserMessage:
    return UserMessage(content=text, source="user")


def pair(call_id: str) -> list[LLMMessage]:
    call = FunctionCall(id=call_id, name="f", arguments="{}")
    result = FunctionExecutionResult(content="r", name="f", call_id=call_id, is_error=False)
    return [AssistantMessage(content=[call], source="bob"), FunctionExecutionResultMessage(content=[result])]


def remembers(text: str = "likes tea") -> ListMemory:
    return ListMemory(memory_contents=[MemoryContent(content=text, mime_type="text/plain")])


def shape(messages: list[LLMMessage]) -> str:
    """One letter a message: u, s, a(nswer), c(all), r(esult)."""
    letters: dict[type[object], str] = {UserMessage: "u", SystemMessage: "s", FunctionExecutionResultMessage: "r"}
    return "".join(
        letters.get(type(message), "") or ("a" if isinstance(message.content, str) else "c") for message in messages
    )


class Writer(Memory):
    """A memory that does with the context what a test says."""

    def __init__(self, write: Callable[[ChatCompletionContext], Any]) -> None:
        self._write = write

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        await self._write(model_context)
        return UpdateContextResult(memories=MemoryQueryResult(results=[]))

    async def query(
        self, query: str | MemoryContent, cancellation_token: CancellationToken | None = None, **kwargs: Any
    ) -> MemoryQueryResult:
        return MemoryQueryResult(results=[])

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None: ...

    async def clear(self) -> None: ...

    async def close(self) -> None: ...


async def test_what_was_recalled_follows_the_new_messages_and_precedes_the_answers() -> None:
    context = UnboundedChatCompletionContext(initial_messages=[user("a"), user("b")])
    recollection = Recollection()
    found = await recollection.ask([remembers()], context)
    assert [[content.content for content in each] for each in found] == [["likes tea"]]
    assert shape(recollection.apply(await context.get_messages(), [])) == "uus"
    said = pair("1")
    for message in said:
        await context.add_message(message)
    assert shape(recollection.apply(await context.get_messages(), said)) == "uuscr"


async def test_the_conversation_itself_stays_as_it_was() -> None:
    context = UnboundedChatCompletionContext(initial_messages=[user("a")])
    await Recollection().ask([remembers(), remembers()], context)
    assert shape(await context.get_messages()) == "u"


async def test_each_memory_adds_its_own() -> None:
    context = UnboundedChatCompletionContext(initial_messages=[user("a")])
    recollection = Recollection()
    await recollection.ask([remembers(), ListMemory(), remembers("likes jam")], context)
    assert shape(recollection.apply(await context.get_messages(), [])) == "uss"


@pytest.mark.parametrize(("kept", "expected"), [(5, "uscrcr"), (4, "scrcr"), (2, "scr")])
async def test_a_context_that_shows_only_the_end_still_gets_it_and_no_pair_is_torn(kept: int, expected: str) -> None:
    recollection = Recollection()
    await recollection.ask([remembers()], UnboundedChatCompletionContext(initial_messages=[user("a")]))
    said = pair("1") + pair("2")
    shown: list[LLMMessage] = [user("a"), *said][-kept:]
    assert shape(recollection.apply(shown, said)) == expected


async def test_a_context_that_returns_copies_and_leaves_out_the_middle_tears_no_pair() -> None:
    """Then the place can only be counted from the end, and the count may hit a pair of an earlier turn."""
    recollection = Recollection()
    await recollection.ask([remembers()], UnboundedChatCompletionContext(initial_messages=[user("a")]))
    said = pair("1") + pair("2")
    shown = [message.model_copy() for message in [user("a"), *pair("0"), user("left out"), *pair("2")]]
    assert shape(shown) == "ucrucr"
    assert shape(recollection.apply(shown, said)) == "uscrucr"


async def test_a_memory_that_replaces_the_history_does_so_for_this_turn_only() -> None:
    async def summarise(context: ChatCompletionContext) -> None:
        last = (await context.get_messages())[-1]
        await context.clear()
        await context.add_message(SystemMessage(content="all before"))
        await context.add_message(last)

    context = UnboundedChatCompletionContext(initial_messages=[user("a"), user("b"), user("c")])
    recollection = Recollection()
    await recollection.ask([Writer(summarise)], context)
    request = recollection.apply(await context.get_messages(), [])
    assert sorted(shape(request)) == ["s", "u"]
    assert shape(await context.get_messages()) == "uuu"


async def test_an_equal_message_said_before_is_not_taken_for_the_memorys() -> None:
    async def repeat(context: ChatCompletionContext) -> None:
        await context.add_message(user("a"))

    context = UnboundedChatCompletionContext(initial_messages=[user("a")])
    recollection = Recollection()
    await recollection.ask([Writer(repeat)], context)
    assert shape(recollection.apply(await context.get_messages(), [])) == "uu"
