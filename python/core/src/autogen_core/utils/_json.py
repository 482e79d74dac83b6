"""Finding JSON in what a model wrote. Stands on nothing."""

import json
import re
from typing import Any

_FENCE = re.compile(r"```[ \t]*(?P<language>[\w+#.-]*)[ \t]*\r?\n?")


def extract_json_from_str(content: str) -> list[dict[str, Any]]:
    """Return the JSON values in a text, in order.

    The whole text may be JSON; or it holds code blocks, fenced with three backticks, of the language `json` or of none;
    or, without such blocks, JSON objects stand between other words. Blocks in other languages are passed over.

    Raises:
        ValueError: There is no JSON, or a block that should be JSON is not (`json.JSONDecodeError`).
    """
    try:
        return [json.loads(content)]
    except json.JSONDecodeError as error:
        found = _fenced(content) if "```" in content else _embedded(content)
        if not found:
            raise error from None
        return found


def _fenced(content: str) -> list[Any]:
    """Decode the blocks. Each is read to its end as JSON, so that backticks within its texts do no harm."""
    found: list[Any] = []
    other: str | None = None
    position = 0
    while fence := _FENCE.search(content, position):
        language = fence["language"].lower()
        if language in ("", "json"):
            value, position = _decode_at(content, fence.end())
            found.append(value)
        else:
            other, position = language, fence.end()
        end = content.find("```", position)
        position = len(content) if end < 0 else end + 3
    if other is not None and not found:
        raise ValueError(f"Expected JSON object, but found language: {other}")
    return found


def _embedded(content: str) -> list[Any]:
    found: list[Any] = []
    position = 0
    while (start := content.find("{", position)) >= 0:
        try:
            value, position = _decode_at(content, start)
        except json.JSONDecodeError:
            position = start + 1
        else:
            found.append(value)
    return found


def _decode_at(content: str, start: int) -> tuple[Any, int]:
    while start < len(content) and content[start].isspace():
        start += 1
    return json.JSONDecoder().raw_decode(content, start)
