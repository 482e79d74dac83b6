"""Reads replies of Azure AI's model inference API, whole or in pieces of a stream.

Stands on `_answer`; reads the SDK's objects as the JSON that they hold, since models behind the API add fields to it.
"""

from collections.abc import Mapping
from typing import Any, cast

from autogen_core.models import ChatCompletionTokenLogprob, TopLogprob
from autogen_ext.models._shared._answer import Answer
from autogen_ext.models._shared._flow import get
from autogen_ext.models._shared._provider_data import merge_fragments
from autogen_ext.models._shared._replies import usage_in_openai_form

_REASONING = ("reasoning_content", "reasoning")
_READ_OF_MESSAGE = frozenset({"role", "content", "refusal", "tool_calls", "audio", *_REASONING})
_READ_OF_CALL = frozenset({"id", "type", "function", "index"})
_READ_OF_FUNCTION = frozenset({"name", "arguments"})


def read_completion(answer: Answer, choice: Any, usage: Any) -> None:
    """Read a whole reply."""
    message = get(choice, "message")
    answer.end(get(choice, "finish_reason"))
    merge_fragments(answer.fields, _unread(message, _READ_OF_MESSAGE))
    _read_reasoning(answer, message)
    for text in _texts_of(get(message, "content")):
        answer.say(text)
    for call in _list(get(message, "tool_calls")):
        function = get(call, "function")
        answer.calls.add_whole(
            call_id=get(call, "id"),
            name=get(function, "name"),
            arguments=get(function, "arguments"),
            extra=_unread_of_call(call),
        )
    _read_logprobs(answer, choice)
    if usage is None:
        answer.oddities.append("no usage was reported")
    _read_usage(answer, usage)


def read_update(answer: Answer, update: Any) -> list[str]:
    """Read a piece of a stream; return what its reader shall see of it."""
    shown: list[str] = []
    _read_usage(answer, get(update, "usage"))
    for choice in _list(get(update, "choices"))[:1]:
        delta = get(choice, "delta")
        answer.end(get(choice, "finish_reason"))
        merge_fragments(answer.fields, _unread(delta, _READ_OF_MESSAGE))
        shown.extend(_read_reasoning(answer, delta))
        for text in _texts_of(get(delta, "content")):
            shown.extend(answer.say(text))
        for call in _list(get(delta, "tool_calls")):
            shown.extend(answer.end_thinking())
            function = get(call, "function")
            answer.calls.add(
                index=get(call, "index"),
                call_id=get(call, "id"),
                name=get(function, "name"),
                arguments=get(function, "arguments"),
                extra=_unread_of_call(call),
            )
        _read_logprobs(answer, choice)
    return shown


def _read_usage(answer: Answer, usage: Any) -> None:
    if usage is not None:
        answer.use(usage_in_openai_form(usage, get))


def _read_logprobs(answer: Answer, choice: Any) -> None:
    for item in _list(get(get(choice, "logprobs"), "content")):
        token, logprob = get(item, "token"), get(item, "logprob")
        if isinstance(token, str) and isinstance(logprob, int | float):
            top = [
                TopLogprob(logprob=get(other, "logprob"), bytes=get(other, "bytes"))
                for other in _list(get(item, "top_logprobs"))
            ]
            answer.logprobs.append(
                ChatCompletionTokenLogprob(token=token, logprob=logprob, top_logprobs=top, bytes=get(item, "bytes"))
            )


def _read_reasoning(answer: Answer, message: Any) -> list[str]:
    """Read the reasoning that a model keeps apart from the text; there are two customs of naming it."""
    for name in _REASONING:
        value = get(message, name)
        if isinstance(value, str) and value:
            answer.thought_name = name
            return answer.think(value)
    return []


def _unread(value: Any, read: frozenset[str]) -> dict[str, Any]:
    """Return what a model added to the API's fields, and is not empty."""
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
    return {key: item for key, item in fields.items() if key not in read and item not in (None, "", [], {})}


def _unread_of_call(call: Any) -> dict[str, Any]:
    added = _unread(call, _READ_OF_CALL)
    function = _unread(get(call, "function"), _READ_OF_FUNCTION)
    return {**added, "function": function} if function else added


def _texts_of(content: Any) -> list[str]:
    """Return the text of a content, which some models send as a list of parts."""
    if isinstance(content, str):
        return [content]
    texts = (get(part, "text") for part in _list(content))
    return [text for text in texts if isinstance(text, str)]


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
