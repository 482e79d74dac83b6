"""Conditions on what is said and by whom."""

import pytest
from pydantic import BaseModel

from autogen_agentchat.base import TerminationCondition
from autogen_agentchat.conditions import (
    SourceMatchTermination,
    StopMessageTermination,
    TextMentionTermination,
    TextMessageTermination,
)
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    MultiModalMessage,
    StopMessage,
    StructuredMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallSummaryMessage,
)


class Word(BaseModel):
    word: str


def says(text: str, source: str = "a") -> TextMessage:
    return TextMessage(source=source, content=text)


async def test_a_stop_message_ends_the_conversation() -> None:
    condition = StopMessageTermination()
    assert await condition([says("STOP")]) is None
    stop = await condition([says("x"), StopMessage(source="a", content="enough")])
    assert stop is not None
    assert stop.source == "StopMessageTermination"


@pytest.mark.parametrize(
    "message",
    [
        says("I am done."),
        ThoughtEvent(source="a", content="done"),
        MultiModalMessage(source="a", content=["well", "done"]),
        StructuredMessage[Word](source="a", content=Word(word="done")),
        ToolCallSummaryMessage(source="a", content="done", tool_calls=[], results=[]),
        HandoffMessage(source="a", target="b", content="done"),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_a_text_may_be_mentioned_in_any_kind_of_message(message: BaseAgentEvent | BaseChatMessage) -> None:
    assert await TextMentionTermination("done")([message]) is not None


async def test_a_text_is_looked_for_in_its_exact_spelling() -> None:
    assert await TextMentionTermination("DONE")([says("done")]) is None


async def test_only_the_named_sources_can_mention_the_text() -> None:
    condition = TextMentionTermination("done", sources=["b", "c"])
    assert await condition([says("say done when done", source="user")]) is None
    assert await condition([says("done", source="c")]) is not None


async def test_sources_survive_saving() -> None:
    """0.7.5 lost them."""
    saved = TextMentionTermination("done", sources=["b"]).dump_component()
    assert saved.config == {"text": "done", "sources": ["b"]}
    condition = TextMentionTermination.load_component(saved)
    assert await condition([says("done", source="user")]) is None
    assert await condition([says("done", source="b")]) is not None


async def test_what_0_7_5_saved_of_a_text_mention_loads() -> None:
    condition = TextMentionTermination.load_component(
        {
            "provider": "autogen_agentchat.conditions.TextMentionTermination",
            "component_type": "termination",
            "version": 1,
            "component_version": 1,
            "description": "",
            "label": "TextMentionTermination",
            "config": {"text": "done"},
        }
    )
    assert await condition([says("done", source="whoever")]) is not None


async def test_the_list_of_sources_given_may_change_afterwards() -> None:
    sources = ["a"]
    conditions: list[TerminationCondition] = [
        TextMentionTermination("done", sources=sources),
        SourceMatchTermination(sources),
    ]
    sources.clear()
    for condition in conditions:
        assert await condition([says("done")]) is not None


async def test_one_source_given_as_a_plain_text_is_one_name() -> None:
    condition = TextMentionTermination("done", sources="ab")
    assert await condition([says("done", source="a")]) is None
    assert await condition([says("done", source="ab")]) is not None


async def test_a_text_message_ends_the_conversation_and_others_do_not() -> None:
    condition = TextMessageTermination()
    assert await condition([StopMessage(source="a", content="x"), ThoughtEvent(source="a", content="x")]) is None
    assert await condition([says("x")]) is not None


async def test_a_text_message_may_have_to_come_from_one_source() -> None:
    condition = TextMessageTermination("writer")
    assert await condition([says("x", source="user")]) is None
    assert await condition([says("x", source="writer")]) is not None


async def test_an_answer_of_a_named_agent_ends_the_conversation() -> None:
    condition = SourceMatchTermination(["b", "c"])
    assert await condition([says("x")]) is None
    stop = await condition([says("x"), says("x", source="c")])
    assert stop is not None
    assert "'c'" in stop.content


async def test_an_event_of_a_named_agent_counts_as_an_answer() -> None:
    assert await SourceMatchTermination(["b"])([ThoughtEvent(source="b", content="hm")]) is not None
