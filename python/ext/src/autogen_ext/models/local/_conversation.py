"""Looks at a conversation in OpenAI's form, and rewrites it for chat templates that know nothing of tools.

Stands on `_prompts`; must not know any engine or client.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ._prompts import ANSWER_FROM_RESULT, Message, result_line


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool returned."""

    name: str
    text: str

    @property
    def facts(self) -> str:
        """The result in words: the fields of a flat JSON object as `name: value`, anything else as it is."""
        try:
            value = json.loads(self.text)
        except ValueError:
            return self.text
        if not isinstance(value, dict):
            return self.text
        fields = cast("dict[str, Any]", value)
        if any(isinstance(item, dict | list) for item in fields.values()):
            return self.text
        return ", ".join(f"{name.replace('_', ' ')}: {item}" for name, item in fields.items())


def text_of(message: Message) -> str:
    """Return the text of a message; parts are joined by line breaks."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in cast("list[dict[str, Any]]", content))
    return content if isinstance(content, str) else ""


def system_text(messages: Sequence[Message]) -> str:
    """Return what the system messages say."""
    return "\n\n".join(text_of(message) for message in messages if message["role"] == "system")


def last_request(messages: Sequence[Message]) -> str:
    """Return the text of the last user message, or of whatever came last."""
    for message in reversed(messages):
        if message["role"] == "user":
            return text_of(message)
    return text_of(messages[-1]) if messages else ""


def pending(messages: Sequence[Message]) -> list[Message]:
    """Return the calls and results since somebody last said something: what the next message answers to."""
    start = len(messages)
    while start > 0 and _is_work(messages[start - 1]):
        start -= 1
    return list(messages[start:])


def results_in(messages: Sequence[Message]) -> list[Result]:
    """Return the results of tools in messages, with the names of the tools."""
    names = {call["id"]: call["function"]["name"] for message in messages for call in message.get("tool_calls") or ()}
    return [
        Result(message.get("name") or names.get(message.get("tool_call_id"), "tool"), text_of(message))
        for message in messages
        if message["role"] == "tool"
    ]


def calls_in(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Return the names and arguments of the tools that were called."""
    return [
        (call["function"]["name"], call["function"]["arguments"])
        for message in messages
        for call in message.get("tool_calls") or ()
    ]


def for_template(messages: Sequence[Message], *, default_system: str = "") -> list[Message]:
    """Return a conversation that every chat template takes: one system message, then user and assistant in turn.

    Calls are left out. Results that nobody put into words yet are told by the user at the end, with the request to
    answer; earlier in the conversation by the assistant, as what it answered.
    """
    turns: list[Message] = []
    system = system_text(messages) or default_system
    if system:
        turns.append({"role": "system", "content": system})
    spoken = [message for message in messages if message["role"] != "system"]
    while spoken:
        work = _leading_work(spoken)
        rest = spoken[len(work) :]
        results = results_in(work)
        if results and not rest:
            told = "\n".join(result_line(result.name, result.text) for result in results)
            _append(turns, "user", f"{told}\n\n{ANSWER_FROM_RESULT}")
        elif results and rest[0]["role"] == "user":
            _append(turns, "assistant", "\n".join(result.text for result in results))
        if rest:
            _append(turns, rest[0]["role"], text_of(rest[0]))
        spoken = rest[1:]
    return turns


def _leading_work(messages: Sequence[Message]) -> list[Message]:
    end = 0
    while end < len(messages) and _is_work(messages[end]):
        end += 1
    return list(messages[:end])


def _is_work(message: Message) -> bool:
    return message["role"] == "tool" or bool(message.get("tool_calls"))


def _append(turns: list[Message], role: str, text: str) -> None:
    """Add a turn; some templates refuse two of the same role in a row, so they become one."""
    if turns and turns[-1]["role"] == role:
        turns[-1] = {"role": role, "content": f"{turns[-1]['content']}\n\n{text}"}
    else:
        turns.append({"role": role, "content": text})
