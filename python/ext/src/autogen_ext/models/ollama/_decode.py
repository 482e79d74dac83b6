"""Reads Ollama's replies, whole or in lines of a stream. Stands on `_answer`; reads the SDK's objects by attribute."""

import json
from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

from autogen_core.models import ChatCompletionTokenLogprob, TopLogprob
from autogen_ext.models._shared._answer import Answer
from autogen_ext.models._shared._flow import get


def read(answer: Answer, reply: Any) -> list[str]:
    """Read a whole reply or a line of a stream, which have the same form; return what a reader of a stream shall see."""
    message = get(reply, "message")
    answer.thought_name = "thinking"
    shown = [*answer.think(get(message, "thinking")), *answer.say(get(message, "content"))]
    calls = get(message, "tool_calls")
    for call in cast("list[Any]", calls) if isinstance(calls, list) else []:
        shown.extend(answer.end_thinking())
        _read_call(answer, call)
    _read_logprobs(answer, get(reply, "logprobs"))
    if get(reply, "done"):
        answer.end(get(reply, "done_reason") or "stop")
        answer.count(get(reply, "prompt_eval_count"), get(reply, "eval_count"))
    return shown


def _read_call(answer: Answer, call: Any) -> None:
    """Read a call. Ollama sends whole ones, with arguments as an object, and the SDK knows no id of theirs."""
    function = get(call, "function")
    arguments = get(function, "arguments")
    answer.calls.add_whole(
        call_id=get(call, "id") or f"call_{uuid4().hex[:24]}",
        name=get(function, "name"),
        arguments=json.dumps(dict(cast("Mapping[str, Any]", arguments)))
        if isinstance(arguments, Mapping)
        else arguments,
    )


def _read_logprobs(answer: Answer, logprobs: Any) -> None:
    for item in cast("list[Any]", logprobs) if isinstance(logprobs, list) else []:
        others = get(item, "top_logprobs")
        top = [TopLogprob(logprob=get(other, "logprob")) for other in cast("list[Any]", others or [])]
        answer.logprobs.append(
            ChatCompletionTokenLogprob(token=get(item, "token"), logprob=get(item, "logprob"), top_logprobs=top)
        )
