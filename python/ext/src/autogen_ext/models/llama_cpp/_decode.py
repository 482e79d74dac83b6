"""Reads what the library yields, in OpenAI's form of chunks. Stands on `_answer`; must not know the library."""

from typing import Any, cast

from autogen_core.models import ChatCompletionTokenLogprob, TopLogprob
from autogen_ext.models._shared._answer import Answer
from autogen_ext.models._shared._flow import get

from ._calls import CallFinder


def read_chunk(answer: Answer, chunk: Any) -> list[str]:
    """Read a chunk; return what the reader of a stream shall see of it."""
    usage = get(chunk, "usage")
    if usage is not None:
        answer.count(get(usage, "prompt_tokens"), get(usage, "completion_tokens"))
    shown: list[str] = []
    for choice in _list(get(chunk, "choices"))[:1]:
        delta = get(choice, "delta") or get(choice, "message")
        answer.end(get(choice, "finish_reason"))
        shown.extend(answer.say(get(delta, "content")))
        for call in _list(get(delta, "tool_calls")):
            function = get(call, "function")
            answer.calls.add(
                index=get(call, "index"),
                call_id=get(call, "id"),
                name=get(function, "name"),
                arguments=get(function, "arguments"),
            )
        _read_logprobs(answer, get(choice, "logprobs"))
    finder = answer.form.find_calls
    return finder.pass_on(shown) if isinstance(finder, CallFinder) else shown


def finish(answer: Answer) -> list[str]:
    """Return what the reader of a stream shall see after the last chunk."""
    finder = answer.form.find_calls
    held = finder.rest() if isinstance(finder, CallFinder) else []
    return [*held, *answer.end_thinking()]


def completion_of(chunks: list[Any]) -> dict[str, Any]:
    """Return chunks as one completion in OpenAI's form, for the record of a call."""
    choices = [choice for chunk in chunks for choice in _list(get(chunk, "choices"))]
    deltas = [get(choice, "delta") or get(choice, "message") for choice in choices]
    texts = [text for text in (get(delta, "content") for delta in deltas) if isinstance(text, str)]
    calls = [call for delta in deltas for call in _list(get(delta, "tool_calls"))]
    reasons = [reason for reason in (get(choice, "finish_reason") for choice in choices) if reason]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
    if calls:
        message["tool_calls"] = calls
    return {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": reasons[-1] if reasons else None}],
        "usage": next((get(chunk, "usage") for chunk in reversed(chunks) if get(chunk, "usage")), None),
    }


def _read_logprobs(answer: Answer, logprobs: Any) -> None:
    for item in _list(get(logprobs, "content")):
        token, logprob = get(item, "token"), get(item, "logprob")
        if isinstance(token, str) and isinstance(logprob, int | float):
            top = [TopLogprob(logprob=get(other, "logprob")) for other in _list(get(item, "top_logprobs"))]
            answer.logprobs.append(ChatCompletionTokenLogprob(token=token, logprob=float(logprob), top_logprobs=top))


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
