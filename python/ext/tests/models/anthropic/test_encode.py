"""Conversations are written as the API asks; what does not fit is made to fit without losing words.

The rules are those of https://platform.claude.com/docs/en/api/messages/create and
https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls.
"""

from typing import Any

import pytest
from PIL import Image as PILImage

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models._shared._tools import tool_specs
from autogen_ext.models.anthropic._encode import OPENING, Conversation, MessageEncoder, encode_tool, image_tokens

PICTURE = Image(PILImage.new("RGB", (30, 25), "red"))


def encode(*messages: LLMMessage, **settings: Any) -> Conversation:
    defaults: dict[str, Any] = {"vision": True, "several_systems": False}
    return MessageEncoder(**{**defaults, **settings}).encode(messages)


def user(content: Any = "hi") -> UserMessage:
    return UserMessage(content=content, source="user")


def says(content: Any, **fields: Any) -> AssistantMessage:
    return AssistantMessage(content=content, source="agent", **fields)


def calls(*ids: str, arguments: str = "{}") -> AssistantMessage:
    return says([FunctionCall(id=call_id, name="add", arguments=arguments) for call_id in ids])


def results(*ids: str) -> FunctionExecutionResultMessage:
    return FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content=f"of {call_id}", name="add", call_id=call_id) for call_id in ids]
    )


def block(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def test_system_messages_are_joined_and_stand_apart() -> None:
    conversation = encode(SystemMessage(content="a"), SystemMessage(content="b"), user())
    assert conversation.system == "a\nb"
    assert conversation.messages == [{"role": "user", "content": "hi"}]


def test_system_messages_in_between_are_refused_unless_the_model_takes_them() -> None:
    messages = [SystemMessage(content="a"), user(), SystemMessage(content="b")]
    with pytest.raises(ValueError, match="Multiple and Not continuous system messages"):
        encode(*messages)
    conversation = encode(*messages, several_systems=True)
    assert conversation.system == "a"
    assert conversation.messages[1:] == [{"role": "system", "content": "b"}]


def test_a_system_message_alone_is_sent_as_the_users() -> None:
    conversation = encode(SystemMessage(content="Say hello."))
    assert (conversation.system, conversation.messages) == ("", [{"role": "user", "content": "Say hello."}])


@pytest.mark.parametrize("messages", [[], [UserMessage(content=" ", source="user")]])
def test_nothing_to_send_is_refused(messages: list[LLMMessage]) -> None:
    with pytest.raises(ValueError, match="nothing to send"):
        encode(*messages)


def test_messages_of_one_side_become_one_turn() -> None:
    conversation = encode(user("a"), user(["b", PICTURE]), says("c"), says("d"), user("e"))
    assert [message["role"] for message in conversation.messages] == ["user", "assistant", "user"]
    assert conversation.messages[0]["content"][:2] == [block("a"), block("b")]
    assert conversation.messages[0]["content"][2]["type"] == "image"
    assert conversation.messages[1]["content"] == [block("c"), block("d")]


def test_texts_without_visible_characters_are_left_out() -> None:
    conversation = encode(user(["", "a", " \n"]), says("  "), user("b"), says(" c \n"))
    assert conversation.messages == [
        {"role": "user", "content": [block("a"), block("b")]},
        {"role": "assistant", "content": " c"},
    ]


def test_a_conversation_whose_beginning_was_cut_off_begins_with_the_user() -> None:
    assert encode(says("a"), user()).messages[0] == {"role": "user", "content": OPENING}


def test_a_result_whose_call_was_cut_off_keeps_its_words() -> None:
    assert encode(results("c1"), user()).messages == [
        {"role": "user", "content": [block("Result of add: of c1"), block("hi")]}
    ]


def test_results_stand_before_other_words_of_their_turn() -> None:
    conversation = encode(user(), calls("c1"), results("gone", "c1"), user("and?"))
    assert conversation.messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "of c1"},
        block("Result of add: of gone"),
        block("and?"),
    ]


def test_ids_of_other_providers_are_made_plain_and_unique() -> None:
    conversation = encode(user(), calls("add:0"), results("add:0"), calls("add:0"), results("add:0"))
    used = [message["content"][0]["id"] for message in conversation.messages[1::2]]
    answered = [message["content"][0]["tool_use_id"] for message in conversation.messages[2::2]]
    assert used == answered == ["add_0", "add_0_2"]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [("", {}), ('{"a": 1}', {"a": 1}), ("[1]", {"arguments": [1]}), ('{"a', {"arguments": '{"a'})],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments: str, sent: Any) -> None:
    assert encode(user(), calls("c1", arguments=arguments)).messages[1]["content"][0]["input"] == sent


def test_a_thought_of_another_provider_is_a_text_beside_the_calls() -> None:
    message = says([FunctionCall("c1", "{}", "add")], thought="Hm.")
    assert encode(user(), message).messages[1]["content"][0] == block("Hm.")


@pytest.mark.parametrize("changed", ["server", "content"])
def test_what_was_kept_is_left_out_where_it_does_not_belong(changed: str) -> None:
    """Another server would refuse it, and an edited message means something else."""
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "Eq8="}, block("Hello!")]
    data = {"anthropic": {"server": "here", "message": {"content": blocks}}}
    message = says("Hello!" if changed == "server" else "Good bye!", provider_data=data)
    conversation = encode(user(), message, user(), server="there" if changed == "server" else "here")
    assert conversation.messages[1]["content"] == message.content
    assert encode(user(), says("Hello!", provider_data=data), server="here").messages[1]["content"] == blocks


@pytest.mark.parametrize("kept", [True, False])
def test_lost_thoughts_of_an_open_turn_are_noticed(kept: bool) -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Hm.", "signature": "Eq8="},
        {"type": "tool_use", "id": "c1", "name": "add", "input": {}},
    ]
    data = {"anthropic": {"server": "", "message": {"content": blocks}}}
    message = says([FunctionCall("c1", "{}", "add")], provider_data=data if kept else None)
    assert encode(user(), message, results("c1")).lost_thoughts is not kept
    assert not encode(user(), message, results("c1"), says("Done."), user()).lost_thoughts


def test_an_image_is_sent_as_a_png_and_encoded_once() -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/vision#base64-encoded-image-example."""
    first, again = (encode(user([PICTURE])).messages[0]["content"][0]["source"] for _ in range(2))
    assert first == {"type": "base64", "media_type": "image/png", "data": PICTURE.to_base64()}
    assert again["data"] is first["data"]


def test_an_image_is_refused_by_a_model_without_vision() -> None:
    with pytest.raises(ValueError, match="does not support vision"):
        encode(user([PICTURE]), vision=False)


@pytest.mark.parametrize(("size", "tokens"), [((200, 200), 53), ((1000, 1000), 1333), ((3136, 100), 105)])
def test_tokens_of_an_image(size: tuple[int, int], tokens: int) -> None:
    """See https://platform.claude.com/docs/en/build-with-claude/vision#evaluate-image-size."""
    assert image_tokens(Image(PILImage.new("RGB", size))) == tokens


def test_a_strict_tool_is_sent_as_one_where_schemas_are_enforced() -> None:
    """See https://platform.claude.com/docs/en/agents-and-tools/tool-use/strict-tool-use."""

    def add(a: int) -> int:
        return a

    (spec,) = tool_specs([FunctionTool(add, "Adds.", strict=True)])
    assert encode_tool(spec, enforced=True)["strict"] is True
    assert "strict" not in encode_tool(spec, enforced=False)
