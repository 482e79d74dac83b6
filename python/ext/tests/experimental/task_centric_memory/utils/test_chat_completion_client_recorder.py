"""A session is recorded, and a program that replays it must ask the same in the same order."""

import json
from pathlib import Path

import pytest

from autogen_core.models import LLMMessage, UserMessage
from autogen_ext.experimental.task_centric_memory.utils import ChatCompletionClientRecorder
from autogen_ext.models.replay import ReplayChatCompletionClient

HI: list[LLMMessage] = [UserMessage(content="hi", source="u")]
OTHER: list[LLMMessage] = [UserMessage(content="other", source="u")]

SESSION_OF_0_7_5 = """[
  {
    "mode": "create",
    "messages": [{"content": "hi", "source": "u", "type": "UserMessage"}],
    "response": {
      "finish_reason": "stop",
      "content": "one two",
      "usage": {"prompt_tokens": 1, "completion_tokens": 2},
      "cached": true,
      "logprobs": null,
      "thought": null
    },
    "stream": []
  }
]"""


class Lines:
    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, line: str) -> None:
        self.said.append(line)

    error = info


def nobody() -> ReplayChatCompletionClient:
    return ReplayChatCompletionClient([])


async def recorded(path: Path) -> None:
    recorder = ChatCompletionClientRecorder(ReplayChatCompletionClient(["one two", "three four"]), "record", str(path))
    await recorder.create(HI)
    assert [item async for item in recorder.create_stream(OTHER)][:-1] == ["three ", "four"]
    recorder.finalize()


async def test_a_session_replays_as_it_was_recorded(tmp_path: Path) -> None:
    path, log = tmp_path / "folder" / "session.json", Lines()
    await recorded(path)
    player = ChatCompletionClientRecorder(nobody(), "replay", str(path), log)
    assert (await player.create(HI)).content == "one two"
    assert [getattr(item, "content", item) async for item in player.create_stream(OTHER)] == [
        "three ",
        "four",
        "three four",
    ]
    player.finalize()
    assert log.said[-1] == "All recorded calls were made."


async def test_a_session_of_0_7_5_replays(tmp_path: Path) -> None:
    """Recorded from 0.7.5."""
    path = tmp_path / "session.json"
    path.write_text(SESSION_OF_0_7_5, encoding="utf-8")
    player = ChatCompletionClientRecorder(nobody(), "replay", str(path))
    assert player.records == json.loads(SESSION_OF_0_7_5)
    assert (await player.create(HI)).content == "one two"


async def test_other_messages_another_way_or_one_call_more_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    await recorded(path)
    player = ChatCompletionClientRecorder(nobody(), "replay", str(path))
    with pytest.raises(ValueError, match=r"Current message list doesn't match .* of call 1: from message 1 on"):
        await player.create(OTHER)
    with pytest.raises(ValueError, match="2 now, 1 then"):
        await player.create([*HI, *HI])
    with pytest.raises(ValueError, match="recorded as create, and is now create_stream"):
        await anext(player.create_stream(HI))
    await player.create(HI)
    with pytest.raises(ValueError, match="only 1 of the 2 recorded calls"):
        player.finalize()
    async for _ in player.create_stream(OTHER):
        pass
    with pytest.raises(ValueError, match="No more recorded turns to check"):
        await player.create(HI)


def test_a_file_that_is_no_session_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    with pytest.raises(ValueError, match="Failed to load recorded session"):
        ChatCompletionClientRecorder(nobody(), "replay", str(path))
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="Failed to load recorded session"):
        ChatCompletionClientRecorder(nobody(), "replay", str(path))


def test_the_wrapped_client_says_what_the_model_can_do(tmp_path: Path) -> None:
    client = nobody()
    recorder = ChatCompletionClientRecorder(client, "record", str(tmp_path / "s.json"))
    assert recorder.base_client is client
    assert recorder.model_info == client.model_info
