import logging
import threading

import PIL.Image
import pytest

from autogen_core import TRACE_LOGGER_NAME, Image
from autogen_ext.models._shared import _tokens
from autogen_ext.models._shared._tokens import (
    CountText,
    EncodingTable,
    count_messages,
    count_tools,
    estimate_tokens,
    image_tokens,
    token_counter,
)
from autogen_ext.models._shared._tools import tool_specs


def letters(_: str) -> CountText:
    """Load a counter for which each letter is a token."""
    return len


def unreachable(_: str) -> CountText:
    raise ConnectionError("no route to the tables")


def test_a_table_that_can_be_had_is_used() -> None:
    assert EncodingTable(letters).counter("any")("four") == 4


def test_without_a_table_tokens_are_estimated_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    table = EncodingTable(unreachable)
    with caplog.at_level(logging.WARNING, logger=TRACE_LOGGER_NAME):
        counts = [table.counter(name)("eight letters") for name in ("one", "one", "two")]
    assert counts == [4, 4, 4]
    assert len(caplog.records) == 1
    assert "TIKTOKEN_CACHE_DIR" in caplog.text


def test_a_table_that_does_not_come_is_waited_for_once_and_used_when_it_has_come() -> None:
    arrived = threading.Event()

    def slow(_: str) -> CountText:
        arrived.wait(30)
        return letters("")

    table = EncodingTable(slow, timeout_s=0.01)
    assert table.counter("any") is estimate_tokens
    assert table.counter("any") is estimate_tokens
    arrived.set()
    for _ in range(1000):
        if table.counter("any") is len:
            break
        threading.Event().wait(0.01)
    assert table.counter("any")("four") == 4


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("日本語", 3), ("\ud800", 1)]
)
def test_the_estimate_is_a_token_for_four_bytes(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_the_encoding_is_that_of_the_model_or_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load(encoding: str) -> CountText:
        asked.append(encoding)
        return len

    monkeypatch.setattr(_tokens, "_table", EncodingTable(load))
    token_counter("gpt-4o")
    token_counter("a-model-of-ours")
    assert asked == ["o200k_base", "cl100k_base"]


def test_messages_count_three_each_their_fields_and_three_for_the_reply() -> None:
    message = {"role": "user", "name": "user", "content": "hi"}
    assert count_messages([], len) == 3
    assert count_messages([message], len) == 3 + 3 + 1 + len("useruserhi")
    assert count_messages([{"role": "assistant", "content": None}], len) == 3 + 3 + len("assistant")


def test_parts_of_a_message_count_and_images_bring_their_own_number() -> None:
    parts = [{"type": "image", "tokens": 255}, {"type": "text", "text": "a"}]
    assert count_messages([{"content": parts}], len) == 3 + 3 + 255 + len('{"type": "text", "text": "a"}')


def test_tools_count_by_what_they_say() -> None:
    schema = {"x": {"type": "string", "enum": ["a", "bb"], "description": "dd"}}
    specs = tool_specs(
        [{"name": "e", "description": "d", "parameters": {"type": "object", "properties": schema}}, {"name": "bare"}]
    )
    assert count_tools([], len) == 0
    assert count_tools(specs[:1], len) == 42
    assert count_tools(specs, len) == 42 + 2


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((4, 4), 255), ((512, 512), 255), ((1024, 1024), 765), ((2048, 4096), 1105), ((4096, 100), 765)],
)
def test_images_count_by_tiles(size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(Image.from_pil(PIL.Image.new("RGB", size))) == tokens
