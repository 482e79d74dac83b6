"""Content as text, and conversations without images."""

import pytest
from pydantic import BaseModel

from autogen_agentchat.utils import content_to_str, remove_images
from autogen_core import FunctionCall, Image
from autogen_core.models import AssistantMessage, FunctionExecutionResult, LLMMessage, SystemMessage, UserMessage

IMAGE = Image.from_base64(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAC0lEQVR4nGNgQAYAAA4AAamRc7EAAAAASUVORK5CYII="
)
CALL = FunctionCall(id="1", name="n", arguments="{}")
RESULT = FunctionExecutionResult(content="c", name="n", call_id="1")


class Point(BaseModel):
    x: int


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (["look", IMAGE, "there"], "look\n<image>\nthere"),
        ([CALL, CALL], f"{CALL}\n{CALL}"),
        ([RESULT], str(RESULT)),
        (Point(x=1), '{"x":1}'),
        ([], ""),
    ],
)
def test_content_reads_as_one_part_a_line(content: str | list[str | Image] | Point, text: str) -> None:
    assert content_to_str(content) == text


def test_images_are_replaced_and_nothing_else() -> None:
    seen = UserMessage(content=["look", IMAGE], source="u")
    messages: list[LLMMessage] = [
        SystemMessage(content="s"),
        seen,
        UserMessage(content="plain", source="u"),
        AssistantMessage(content="a", source="a"),
    ]
    blind = remove_images(messages)
    assert blind[1] == UserMessage(content="look\n<image>", source="u")
    assert [blind[0], *blind[2:]] == [messages[0], *messages[2:]]
    assert seen.content == ["look", IMAGE], "the messages given are not changed"
