"""Chat messages, and how people and models read them."""

import pytest

from autogen_agentchat.messages import (
    BaseTextChatMessage,
    HandoffMessage,
    MultiModalMessage,
    StopMessage,
    TextMessage,
    ToolCallSummaryMessage,
)
from autogen_core import Image
from autogen_core.models import UserMessage

PIXELS = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAC0lEQVR4nGNgQAYAAA4AAamRc7EAAAAASUVORK5CYII="


@pytest.mark.parametrize(
    "message",
    [
        TextMessage(source="a", content="hello"),
        StopMessage(source="a", content="hello"),
        HandoffMessage(source="a", content="hello", target="b"),
        ToolCallSummaryMessage(source="a", content="hello", tool_calls=[], results=[]),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_text_reads_the_same_for_people_and_models(message: BaseTextChatMessage) -> None:
    assert message.to_text() == message.to_model_text() == "hello"
    assert message.to_model_message() == UserMessage(content="hello", source="a")


def test_handoffs_do_not_share_their_context() -> None:
    one, other = (HandoffMessage(source="a", content="x", target="b") for _ in range(2))
    one.context.append(UserMessage(content="x", source="a"))
    assert other.context == []


def test_people_read_one_part_a_line() -> None:
    message = MultiModalMessage(source="a", content=["look:", Image.from_base64(PIXELS), "nice"])
    assert message.to_text() == "look:\n<image>\nnice"


def test_a_terminal_that_shows_images_gets_them() -> None:
    image = Image.from_base64(PIXELS)
    text = MultiModalMessage(source="a", content=["look:", image]).to_text(iterm=True)
    assert text == f"look:\n\x1b]1337;File=inline=1:{image.to_base64()}\x07\n"


def test_models_without_eyes_read_a_placeholder() -> None:
    message = MultiModalMessage(
        source="a", content=["a", Image.from_base64(PIXELS), Image.from_base64(PIXELS), "b", "c"]
    )
    assert message.to_model_text() == "a [image] [image]bc"
    assert message.to_model_text(image_placeholder="?") == "a ? ?bc"
    assert message.to_model_text(image_placeholder=None).count(Image.from_base64(PIXELS).to_base64()) == 2


def test_models_with_eyes_get_the_image_itself() -> None:
    image = Image.from_base64(PIXELS)
    model_message = MultiModalMessage(source="a", content=["a", image]).to_model_message()
    assert model_message.content == ["a", image]
    assert model_message.source == "a"
