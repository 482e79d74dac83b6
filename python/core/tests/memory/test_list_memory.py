"""The list memory: recalls everything, puts it before the model once, and survives as a component."""

import json
from typing import Any

import pytest
from PIL import Image as PILImage

from autogen_core import ComponentLoader, Image
from autogen_core.memory import ListMemory, Memory, MemoryContent, MemoryMimeType
from autogen_core.model_context import BufferedChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import SystemMessage, UserMessage


def text(content: str) -> MemoryContent:
    return MemoryContent(content=content, mime_type=MemoryMimeType.TEXT)


IMAGE = MemoryContent(content=Image(PILImage.new("RGB", (1, 1))), mime_type=MemoryMimeType.IMAGE)


async def test_every_query_recalls_everything_in_order() -> None:
    memory = ListMemory(memory_contents=[text("one")])
    await memory.add(text("two"))
    for query in ("", "anything", text("anything")):
        assert [content.content for content in (await memory.query(query)).results] == ["one", "two"]


async def test_contents_become_one_numbered_system_message() -> None:
    memory = ListMemory(memory_contents=[text("one"), MemoryContent(content={"k": "é"}, mime_type="application/json")])
    await memory.add(MemoryContent(content=b"three", mime_type=MemoryMimeType.BINARY))
    await memory.add(IMAGE)
    context = UnboundedChatCompletionContext()
    update = await memory.update_context(context)
    assert update.memories.results == memory.content
    (message,) = await context.get_messages()
    assert isinstance(message, SystemMessage)
    assert message.content.splitlines()[1:] == ["1. one", '2. {"k": "é"}', "3. three", "4. (an image)"]


async def test_an_empty_memory_adds_nothing() -> None:
    context = UnboundedChatCompletionContext()
    update = await ListMemory().update_context(context)
    assert update.memories.results == []
    assert await context.get_messages() == []


async def test_what_the_model_sees_already_is_not_said_again() -> None:
    memory = ListMemory(memory_contents=[text("one")])
    context = UnboundedChatCompletionContext()
    for _ in range(3):
        await context.add_message(UserMessage(content="hi", source="u"))
        await memory.update_context(context)
    messages = await context.get_messages()
    assert [message.type for message in messages].count("SystemMessage") == 1


async def test_what_the_model_no_longer_sees_is_said_again() -> None:
    memory = ListMemory(memory_contents=[text("one")])
    context = BufferedChatCompletionContext(2)
    for _ in range(3):
        await memory.update_context(context)
        await context.add_message(UserMessage(content="a", source="u"))
        await context.add_message(UserMessage(content="b", source="u"))
    state = await context.save_state()
    assert [message["type"] for message in state["messages"]].count("SystemMessage") == 3


async def test_clearing_forgets_everything() -> None:
    memory = ListMemory(memory_contents=[text("one")])
    await memory.clear()
    assert (await memory.query()).results == []


async def test_the_given_list_is_copied_and_the_contents_can_be_set() -> None:
    given = [text("one")]
    memory = ListMemory("mine", given)
    await memory.add(text("two"))
    assert len(given) == 1
    memory.content = [text("three")]
    assert [content.content for content in (await memory.query()).results] == ["three"]
    await memory.close()


async def test_a_memory_round_trips_through_json() -> None:
    memory = ListMemory("mine", [MemoryContent(content="one", mime_type="text/x", metadata={"a": 1}), IMAGE])
    written = memory.dump_component().model_dump_json()
    image = IMAGE.content
    assert isinstance(image, Image)
    assert json.loads(written)["config"] == {
        "name": "mine",
        "memory_contents": [
            {"content": "one", "mime_type": "text/x", "metadata": {"a": 1}},
            {"content": {"data": image.to_base64()}, "mime_type": "image/*"},
        ],
    }
    loaded = ComponentLoader.load_component(json.loads(written), Memory)
    assert isinstance(loaded, ListMemory)
    assert loaded.name == "mine"
    assert isinstance(loaded.content[1].content, Image)


def test_a_memory_without_a_name_has_the_default_one() -> None:
    assert ListMemory().name == "default_list_memory"


@pytest.mark.parametrize(
    ("mime_type", "written"),
    [(MemoryMimeType.MARKDOWN, "text/markdown"), ("text/x", "text/x"), ("text/plain", "text/plain")],
)
def test_a_mime_type_is_written_as_text(mime_type: Any, written: str) -> None:
    content = MemoryContent(content="x", mime_type=mime_type)
    assert json.loads(content.model_dump_json()) == {"content": "x", "mime_type": written, "metadata": None}
