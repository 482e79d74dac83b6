"""Messages are encoded once, and anew after they were changed."""

import gc
import json
from typing import Any

import pytest

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.models.openai._memo import MessageMemo, json_of, objects_of

from .canned import CannedServer
from .conftest import MakeClient


class Counting:
    """Encodes messages and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, message: LLMMessage) -> list[Any]:
        self.count += 1
        return [message.model_dump()]


def talk() -> list[LLMMessage]:
    return [
        SystemMessage(content="s"),
        UserMessage(content="hi", source="user"),
        UserMessage(content=["a", "b"], source="user"),
        AssistantMessage(content="yes", source="a"),
        AssistantMessage(content=[FunctionCall(id="1", name="add", arguments="{}")], source="a"),
        FunctionExecutionResultMessage(content=[FunctionExecutionResult(content="3", name="add", call_id="1")]),
    ]


def test_a_message_is_encoded_once() -> None:
    encode = Counting()
    memo, messages = MessageMemo(encode), talk()
    first = objects_of(memo.prepare(messages))
    assert objects_of(memo.prepare(messages[1:])) == first[1:]
    assert json.loads(json_of(memo.prepare(messages))) == first
    assert encode.count == len(messages)


def change_text(message: Any) -> None:
    message.content = "changed"


def change_source(message: Any) -> None:
    message.source = "changed"


def change_part(message: Any) -> None:
    message.content[0] = "changed"


def change_call(message: Any) -> None:
    message.content[0].arguments = '{"a": 1}'


def change_result(message: Any) -> None:
    message.content[0].content = "changed"


def add_part(message: Any) -> None:
    message.content.append("changed")


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, change_text),
        (1, change_text),
        (1, change_source),
        (2, change_part),
        (2, add_part),
        (3, change_text),
        (4, change_call),
        (5, change_result),
    ],
)
def test_a_message_that_was_changed_is_encoded_anew(place: int, change: Any) -> None:
    encode = Counting()
    memo, messages = MessageMemo(encode), talk()
    memo.prepare(messages)
    change(messages[place])
    assert objects_of(memo.prepare(messages))[place] == messages[place].model_dump()
    assert encode.count == len(messages) + 1


def test_what_was_kept_goes_with_the_message() -> None:
    memo, messages = MessageMemo(Counting()), talk()
    memo.prepare(messages)
    assert len(memo) == len(messages)
    del messages
    gc.collect()
    assert len(memo) == 0


async def test_a_changed_message_is_sent_as_it_is_now(server: CannedServer, make_client: MakeClient) -> None:
    client = make_client()
    message = UserMessage(content="before", source="user")
    for text in ("before", "after"):
        message.content = text
        await client.create([message])
    assert [request.body["messages"][0]["content"] for request in server.requests] == ["before", "after"]


@pytest.mark.parametrize("text", ["plain", 'quotes " and \\', "Grüße 🎉", "\ud83d alone", "\x00"])
async def test_any_text_arrives(server: CannedServer, make_client: MakeClient, text: str) -> None:
    """Halves of surrogate pairs, which JSON cannot carry in UTF-8, arrive as question marks."""
    await make_client().create([UserMessage(content=text, source="user")])
    assert server.requests[0].body["messages"][0]["content"] == text.replace("\ud83d", "?")


async def test_an_http_client_of_the_users_own_sends_the_same(server: CannedServer, make_client: MakeClient) -> None:
    import openai

    await make_client().create(talk())
    await make_client(http_client=openai.DefaultAsyncHttpxClient()).create(talk())
    one, other = (request.body for request in server.requests)
    assert one == other


async def test_whoever_patches_the_sdk_sees_every_argument_by_its_name(
    server: CannedServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openai.resources.chat import AsyncCompletions

    create: Any = AsyncCompletions.create
    seen: list[dict[str, Any]] = []

    async def watching(self: Any, **kwargs: Any) -> Any:
        seen.append(kwargs)
        return await create(self, **kwargs)

    client: OpenAIChatCompletionClient = make_client(temperature=0.5)
    tool: Any = {"name": "add", "description": "Adds."}
    await client.create(talk(), tools=[tool])
    monkeypatch.setattr(AsyncCompletions, "create", watching)
    result = await client.create(talk(), tools=[tool])
    *pieces, last = [item async for item in client.create_stream(talk(), tools=[tool])]
    assert (result.content, pieces, getattr(last, "content", None)) == ("Hello", ["Hel", "lo"], "Hello")
    assert seen[0] == {**server.requests[0].body}
    assert seen[1]["stream"] is True
    assert server.requests[1].body == server.requests[0].body
