"""How a model is asked who speaks next, and how its reply is read: plain functions, no state.

Stands on the model contracts of `autogen_core`. Knows no team, no manager and no model client.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from pydantic import BaseModel, Field, JsonValue

from autogen_agentchat.utils._utils import content_to_str
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelFamily,
    SystemMessage,
    UserMessage,
)

SELECTOR_PROMPT = """Several participants work together on what the user asks for. You decide who of them speaks next.

Who they are:
{roles}

What was said so far:
{history}

Think of what is still missing, and of who can best contribute it.
Answer with one name out of {participants}, exactly as it is written there, and with nothing else."""
"""The default prompt. Its fields are those of every selector prompt, see `fill_prompt`."""

# Scripts that put no space between a name and the word beside it: Thai to Myanmar, Khmer, kana, Han, Hangul.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_BOUNDARIES = (r"\w", rf"[^\W{_UNSPACED}]")
"""What must not stand right beside a name: any letter; if no name is found so, any letter of a script with spaces."""

_GAP = re.compile(r"_|\\ ")
_ANY_GAP = r"(?:\\\\?_| )"
"""How models write the underscore or space in a name: as an underscore, one that is escaped for Markdown, or a space."""

_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)


def check_prompt(prompt: str) -> None:
    """Fail when the team is made rather than in the middle of a run.

    Raises:
        ValueError: The prompt names a field that there is none of, or has stray braces.
    """
    try:
        prompt.format(roles="", participants="", history="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(
            f"selector_prompt {prompt[:200]!r} cannot be filled in ({error}). "
            "Its fields are {roles}, {participants} and {history}; write other braces twice."
        ) from error


def fill_prompt(
    prompt: str, roles: Iterable[tuple[str, str]], candidates: Sequence[str], history: Sequence[LLMMessage]
) -> str:
    """Fill in a selector prompt.

    Args:
        prompt: The text, with any of the fields `{roles}`, `{participants}` and `{history}`.
        roles: Name and description of each member of the team: one line each.
        candidates: The names among which to choose: a list as Python writes it.
        history: The conversation, as the model context has it: each message a paragraph that begins with its source.
    """
    return prompt.format(
        roles="\n".join(f"{name}: {' '.join(description.split())}" for name, description in roles),
        participants=str(list(candidates)),
        history="\n".join(f"{line}\n\n" for message in history for line in _lines(message)),
    )


def first_message(prompt: str, family: str) -> LLMMessage:
    """Put the prompt into the message that models of a family take: OpenAI's a system message, others a user message.

    Many of the others refuse, or overlook, a conversation that has nothing but a system message.
    """
    return (
        SystemMessage(content=prompt) if ModelFamily.is_openai(family) else UserMessage(content=prompt, source="user")
    )


def reply_text(content: str | list[FunctionCall]) -> str:
    """Return what a model replied as text. A model that sees tools in names may call one: that counts as naming it."""
    if isinstance(content, str):
        return content
    return "\n".join(f"{call.name}({call.arguments})" for call in content)


def named_in(reply: str, names: Sequence[str], candidates: Sequence[str]) -> list[str]:
    r"""Return which names a reply mentions, each once.

    Names are looked for as whole words, the longest first, so that `writer` is not found in `song_writer`. An underscore
    may also be a space or `\_`. If none of the candidates is mentioned in this way, their case does not count, and names
    may also stand right beside letters of a script that has no spaces.

    Args:
        reply: The model's words. What it thought aloud, between `<think>` and `</think>`, does not count.
        names: All members of the team.
        candidates: Those who may speak next.
    """
    spoken = _THOUGHTS.sub(" ", reply)
    found: dict[str, None] = {}
    for spell in (_as_written, _in_any_case):
        for boundary in _BOUNDARIES:
            mentioned = _find(spell(spoken), names, spell, boundary)
            if any(name in candidates for name in mentioned):
                return mentioned
            found.update(dict.fromkeys(mentioned))
    return list(found)


def choice_type(candidates: Sequence[str]) -> type[BaseModel]:
    """Return a schema that leaves a model nothing to say but the name of a candidate."""

    class Choice(BaseModel):
        next_speaker: str = Field(json_schema_extra={"enum": list[JsonValue](candidates)})

    return Choice


def chosen_in(reply: str) -> str:
    """Return the name in a reply that was to follow `choice_type`; the reply itself if it does not."""
    try:
        answer = json.loads(reply)
    except ValueError:
        return reply
    return str(cast("dict[str, Any]", answer).get("next_speaker", reply)) if isinstance(answer, dict) else reply


def objection(named: Sequence[str], candidates: Sequence[str], previous: str | None) -> str:
    """Say what is wrong with a reply that does not name exactly one of the candidates.

    Args:
        named: The names that it mentions, of whomever.
        candidates: Those who may speak next.
        previous: Who has just spoken, if they may not speak again.
    """
    choice = ", ".join(candidates)
    if sum(name in candidates for name in named) > 1:
        return f"You named more than one: {', '.join(named)}. Answer with a single name out of these: {choice}."
    if previous is not None and previous in named:
        return f"{previous} has just spoken, and nobody may speak twice in a row. Choose one of these: {choice}."
    if named:
        return f"It cannot be the turn of {', '.join(named)} now. Choose one of these: {choice}."
    return f"I find no name in your answer. Answer with one of these, and nothing else: {choice}."


def _lines(message: LLMMessage) -> Iterable[str]:
    match message:
        case UserMessage():
            yield f"{message.source}: {content_to_str(message.content)}"
        case AssistantMessage():
            yield f"{message.source}: {reply_text(message.content)}"
        case FunctionExecutionResultMessage():
            for result in message.content:
                yield f"{result.name or 'tool'}: {result.content}"
        case SystemMessage():  # of the context's owner; it is not part of the conversation
            return


def _as_written(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _in_any_case(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _find(text: str, names: Sequence[str], spell: Callable[[str], str], boundary: str) -> list[str]:
    spelled: dict[str, list[str]] = {}
    for name in names:
        spelled.setdefault(spell(name), []).append(name)
    longest_first = sorted(spelled, key=len, reverse=True)
    words = "|".join("(" + _GAP.sub(_ANY_GAP, re.escape(word)) + ")" for word in longest_first)
    matches = re.finditer(rf"(?<!{boundary})(?:{words})(?!{boundary})", text)
    found = dict.fromkeys(
        match[0] if match[0] in spelled else longest_first[match.lastindex - 1]
        for match in matches
        if match.lastindex is not None
    )
    return [name for word in found for name in spelled[word]]
