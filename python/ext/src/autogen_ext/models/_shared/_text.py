"""Finds what matters in a model's text: thoughts between `<think>` tags, and JSON in prose. Stands on nothing."""

import json
import re

_THINK = re.compile(r"<think>(?P<thought>.*?)</think>", re.DOTALL)
_END = "</think>"
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n?(?P<body>.*?)```", re.DOTALL)
_OPENERS = ("{", "[")


def split_thought(text: str, *, reasoning_model: bool) -> tuple[str | None, str]:
    """Part a reply into its thought, if there is one, and its answer.

    Any model's reply may begin with a `<think>` block. With a reasoning model the block may stand anywhere, and its
    opening tag may be missing, since some chat templates write it into the prompt.

    Returns:
        The thought or `None`, and the answer. Without a thought the answer is the text as it was.
    """
    match = _THINK.search(text) if reasoning_model else _THINK.match(text.lstrip())
    if match is not None:
        source = match.string
        return match["thought"].strip(), source[match.end() :].strip()
    if reasoning_model and _END in text:
        thought, _, answer = text.partition(_END)
        return thought.strip(), answer.strip()
    return None, text


def extract_json(text: str) -> str | None:
    """Return the JSON object or array that a reply holds: bare, in a code fence, or between words.

    Returns:
        The text of the JSON as it was written, or `None` if there is none.
    """
    stripped = text.strip()
    if _is_json(stripped):
        return stripped
    for match in _FENCE.finditer(text):
        body = match["body"].strip()
        if _is_json(body):
            return body
    return _first_value(text)


def _is_json(text: str) -> bool:
    if not text:
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _first_value(text: str) -> str | None:
    """Find the first object or array of a text that parses; a text with many brackets is tried a bounded number of times."""
    decoder = json.JSONDecoder()
    for start in [index for index, character in enumerate(text) if character in _OPENERS][:50]:
        try:
            _, end = decoder.raw_decode(text, start)
        except ValueError:
            continue
        return text[start:end]
    return None
