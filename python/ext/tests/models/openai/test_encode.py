"""How conversations are written for the models of each family."""

from typing import Any

import PIL.Image
import pytest

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models.openai import _message_transform
from autogen_ext.models.openai._encode import MessageEncoder

PICTURE = Image.from_pil(PIL.Image.new("RGB", (2, 2), (255, 0, 0)))
CALL = FunctionCall(id="c1", name="add", arguments='{"a":1}')


def encode(
    *messages: LLMMessage,
    family: str = ModelFamily.GPT_4O,
    vision: bool = True,
    several_systems: bool = True,
    prefixes: bool = False,
    names: bool = True,
) -> list[Any]:
    info = ModelInfo(
        vision=vision,
        function_calling=True,
        json_output=True,
        family=family,
        structured_output=True,
        multiple_system_messages=several_systems,
    )
    return list(MessageEncoder.for_model(info, name_prefixes=prefixes, names=names).encode(messages))


def user(content: str | list[str | Image], source: str = "ann") -> UserMessage:
    return UserMessage(content=content, source=source)


def assistant(content: str | list[FunctionCall], thought: str | None = None) -> AssistantMessage:
    return AssistantMessage(content=content, thought=thought, source="bot")


def test_a_conversation_with_a_tool_call() -> None:
    results = [
        FunctionExecutionResult(content="3", name="add", call_id="c1", is_error=False),
        FunctionExecutionResult(content="no", name="add", call_id="c2", is_error=True),
    ]
    assert encode(
        SystemMessage(content="Be brief."),
        user("hi"),
        assistant([CALL]),
        FunctionExecutionResultMessage(content=results),
        assistant("Three.", thought="not sent back"),
    ) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi", "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}],
        },
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
        {"role": "tool", "content": "no", "tool_call_id": "c2"},
        {"role": "assistant", "content": "Three."},
    ]


def test_a_thought_beside_tool_calls_is_sent_back_as_their_text() -> None:
    (message,) = encode(assistant([CALL], thought="Adding."))
    assert message["content"] == "Adding."


def test_pictures_are_sent_as_data() -> None:
    (message,) = encode(user(["look", PICTURE]))
    assert message["content"][0] == {"type": "text", "text": "look"}
    assert message["content"][1]["image_url"] == {"url": PICTURE.data_uri, "detail": "auto"}


def test_a_picture_for_a_model_that_cannot_see_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not support vision"):
        encode(user(["look", PICTURE]), vision=False)
    assert encode(user(["only", "words"]), vision=False)


def test_a_name_can_be_left_out_or_put_before_the_text() -> None:
    assert encode(user("hi"), names=False) == [{"role": "user", "content": "hi"}]
    assert encode(user("hi"), prefixes=True) == [{"role": "user", "content": "ann said:\nhi", "name": "ann"}]
    (message,) = encode(user(["hi", PICTURE, "there"]), prefixes=True, names=False)
    assert [part.get("text") for part in message["content"]] == ["ann said:\nhi", None, "there"]
    (message,) = encode(user([PICTURE]), prefixes=True)
    assert len(message["content"]) == 1


def test_a_name_that_is_refused_is_an_error_only_where_it_is_sent() -> None:
    with pytest.raises(ValueError, match="Invalid name: Jürgen"):
        encode(user("hi", source="Jürgen"))
    assert encode(user("hi", source="Jürgen"), names=False, prefixes=True)[0]["content"] == "Jürgen said:\nhi"
    assert encode(user("hi", source="Jürgen"), family=ModelFamily.MISTRAL) == [{"role": "user", "content": "hi"}]


EMPTY = [SystemMessage(content=""), user(""), assistant(""), user(" "), assistant([CALL], thought="")]


@pytest.mark.parametrize(
    ("family", "contents"),
    [
        (ModelFamily.GPT_4O, ["", "", "", " ", ""]),
        (ModelFamily.R1, ["", "", "", " ", ""]),
        ("a family of its own", ["", "", "", " ", ""]),
        (ModelFamily.GEMINI_2_0_FLASH, [" ", " ", " ", " ", " "]),
        (ModelFamily.CLAUDE_3_5_SONNET, [" ", " "]),
        (ModelFamily.PIXTRAL, [" ", "", "", " ", ""]),
    ],
)
def test_messages_without_text_are_written_as_the_family_takes_them(family: str, contents: list[str]) -> None:
    assert [message["content"] for message in encode(*EMPTY, family=family)] == contents


def test_a_dialect_is_found_by_family() -> None:
    assert _message_transform.dialect_of(ModelFamily.CODESRAL) is _message_transform.MISTRAL
    assert _message_transform.dialect_of(ModelFamily.LLAMA_3_3_70B) is _message_transform.OPENAI


def test_a_model_that_takes_several_system_messages_gets_them_as_they_are() -> None:
    messages = [SystemMessage(content="one "), user("hi"), SystemMessage(content="two")]
    assert [message["content"] for message in encode(*messages)] == ["one ", "hi", "two"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["one", "two"], ["one\ntwo"]),
        (["  one\n", "  two  "], ["  one\n\n  two"]),
        (["one "], ["one"]),
        ([""], []),
        (["", "two"], ["\ntwo"]),
    ],
)
def test_for_other_models_system_messages_are_joined(before: list[str], after: list[str]) -> None:
    messages = [user("hi"), *(SystemMessage(content=text) for text in before), user("there")]
    encoded = encode(*messages, several_systems=False)
    assert [message["content"] for message in encoded] == ["hi", *after, "there"]


def test_system_messages_that_are_apart_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="Multiple and Not continuous system messages"):
        encode(SystemMessage(content="one"), user("hi"), SystemMessage(content="two"), several_systems=False)
