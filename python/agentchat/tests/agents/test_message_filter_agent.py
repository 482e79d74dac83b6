"""An agent that is shown only some of the messages."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest

from autogen_agentchat.agents import (
    AssistantAgent,
    BaseChatAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
)
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage, ThoughtEvent
from autogen_core import CancellationToken
from autogen_ext.models.replay import ReplayChatCompletionClient

MESSAGES = [TextMessage(content=content, source=source) for content, source in zip("123456", "abacba", strict=True)]


class Echo(BaseChatAgent):
    """Says what it was shown, and notes everything else that happens to it."""

    def __init__(self) -> None:
        super().__init__("echo", "repeats")
        self.log: list[str] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        shown = " ".join(f"{message.source}{message.to_text()}" for message in messages)
        return Response(chat_message=TextMessage(content=shown, source=self.name))

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        try:
            yield ThoughtEvent(content="hm", source=self.name)
            yield await self.on_messages(messages, cancellation_token)
        finally:
            self.log.append("stream ended")

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.log.append("reset")

    async def on_pause(self, cancellation_token: CancellationToken) -> None:
        self.log.append("pause")

    async def on_resume(self, cancellation_token: CancellationToken) -> None:
        self.log.append("resume")

    async def close(self) -> None:
        self.log.append("close")

    async def save_state(self) -> Mapping[str, Any]:
        return {"seen": len(self.log)}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.log.append(f"load {state}")


def filtered(*entries: PerSourceFilter) -> MessageFilterAgent:
    return MessageFilterAgent("shy", Echo(), MessageFilterConfig(per_source=list(entries)))


def entry(source: str, position: str | None = None, count: int | None = None) -> PerSourceFilter:
    return PerSourceFilter.model_validate({"source": source, "position": position, "count": count})


@pytest.mark.parametrize(
    ("entries", "shown"),
    [
        ([], ""),
        ([entry("a")], "a1 a3 a6"),
        ([entry("b"), entry("a", "last", 1)], "b2 b5 a6"),
        ([entry("a", "first", 2), entry("c", "last", 5)], "a1 a3 c4"),
        ([entry("a", "first", 1), entry("a", "last", 1)], "a1 a6"),
        ([entry("a", "last")], "a1 a3 a6"),
        ([entry("a", None, 1)], "a1 a3 a6"),
        ([entry("a", "last", 0)], "a1 a3 a6"),
        ([entry("nobody")], ""),
    ],
)
async def test_only_what_passes_is_shown_by_sender_in_the_order_of_the_entries(
    entries: list[PerSourceFilter], shown: str
) -> None:
    response = await filtered(*entries).on_messages(MESSAGES, CancellationToken())
    assert response.chat_message.to_text() == shown
    *events, last = [item async for item in filtered(*entries).on_messages_stream(MESSAGES, CancellationToken())]
    assert [type(event) for event in events] == [ThoughtEvent]
    assert isinstance(last, Response)
    assert last.chat_message.to_text() == shown


async def test_a_run_shows_the_task_if_the_user_passes() -> None:
    result = await filtered(entry("user")).run(task="hi")
    assert [message.to_text() for message in result.messages] == ["hi", "userhi"]


async def test_everything_else_goes_to_the_wrapped_agent() -> None:
    wrapped = Echo()
    shy = MessageFilterAgent("shy", wrapped, MessageFilterConfig(per_source=[]))
    token = CancellationToken()
    await shy.on_reset(token)
    await shy.on_pause(token)
    await shy.on_resume(token)
    await shy.close()
    assert wrapped.log == ["reset", "pause", "resume", "close"]
    assert (shy.name, shy.description) == ("shy", "repeats (with message filtering)")
    assert shy.produced_message_types == (TextMessage,)


async def test_a_closed_stream_closes_the_wrapped_agents() -> None:
    wrapped = Echo()
    shy = MessageFilterAgent("shy", wrapped, MessageFilterConfig(per_source=[]))
    stream = shy.on_messages_stream(MESSAGES, CancellationToken())
    await anext(stream)
    await stream.aclose()
    assert wrapped.log == ["stream ended"]


async def test_the_state_is_the_wrapped_agents() -> None:
    """0.7.5 saved nothing of it."""
    wrapped = Echo()
    shy = MessageFilterAgent("shy", wrapped, MessageFilterConfig(per_source=[]))
    state = json.loads(json.dumps(await shy.save_state()))
    await shy.load_state(state)
    assert wrapped.log == ["load {'seen': 0}"]


async def test_a_state_of_0_7_5_changes_nothing() -> None:
    wrapped = Echo()
    shy = MessageFilterAgent("shy", wrapped, MessageFilterConfig(per_source=[]))
    await shy.load_state({"type": "BaseState", "version": "1.0.0"})
    assert wrapped.log == []


async def test_a_loaded_agent_filters_the_same() -> None:
    model = ReplayChatCompletionClient(["x"])
    inner = AssistantAgent("bob", model)
    config = MessageFilterConfig(per_source=[entry("a", "last", 1)])
    dumped = MessageFilterAgent("shy", inner, config).dump_component()
    assert dumped.provider == "autogen_agentchat.agents.MessageFilterAgent"
    assert dumped.config["filter"] == {"per_source": [{"source": "a", "position": "last", "count": 1}]}
    loaded = MessageFilterAgent.load_component(json.loads(dumped.model_dump_json()))
    assert loaded.dump_component() == dumped
    await loaded.on_messages(MESSAGES, CancellationToken())
    assert "a6" not in str(dumped)
    saved = await loaded.save_state()
    assert [message["content"] for message in saved["wrapped_agent_state"]["llm_context"]["messages"]] == ["6", "x"]
