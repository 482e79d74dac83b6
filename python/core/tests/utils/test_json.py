"""Finding JSON in what a model wrote."""

import json
from typing import Any

import pytest

from autogen_core.utils import extract_json_from_str

CODE = {"code": "```python\nprint('{}')\n```"}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"a": 1}', [{"a": 1}]),
        ("[1]", [[1]]),
        ('```json\n{"a": 1}\n```', [{"a": 1}]),
        ('```\n{"a": 1}\n```', [{"a": 1}]),
        ('``` JSON\r\n{"a": 1}\r\n```', [{"a": 1}]),
        ('```{"a": 1}```', [{"a": 1}]),
        ('Here:\n```json\n{"a": 1}\n```\nand\n```json\n\n  {"b": 2}\n```\nDone.', [{"a": 1}, {"b": 2}]),
        ('```json\n{"a": 1}\n```\n```python\nprint({})\n```', [{"a": 1}]),
        ('```python\nprint({})\n```\n```json\n{"a": 1}\n```', [{"a": 1}]),
        ('```json\n[{"a": 1}]\n```', [[{"a": 1}]]),
        ('```json\n{"a": 1}', [{"a": 1}]),
        ('I choose {"a": {"b": "}"}}, for {reasons}. {"c": 3}', [{"a": {"b": "}"}}, {"c": 3}]),
        (json.dumps(CODE), [CODE]),
        (f"```json\n{json.dumps(CODE)}\n```", [CODE]),
    ],
)
def test_json_is_found_alone_in_code_blocks_and_between_words(content: str, found: list[Any]) -> None:
    assert extract_json_from_str(content) == found


@pytest.mark.parametrize("content", ["", "no", "{broken", "```json\nbad\n```", "``````", "{x} and {y}"])
def test_text_without_json_is_refused(content: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        extract_json_from_str(content)


def test_a_block_in_another_language_is_not_json() -> None:
    with pytest.raises(ValueError, match="python"):
        extract_json_from_str('```python\n{"a": 1}\n```')
