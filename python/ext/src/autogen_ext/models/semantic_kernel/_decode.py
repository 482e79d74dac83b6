"""Reads Semantic Kernel's messages, whole or in pieces of a stream. Stands on `_answer` and the SDK's content types."""

import json
from collections.abc import Collection, Mapping
from typing import Any, cast

from semantic_kernel.contents import FunctionCallContent, StreamingTextContent, TextContent

from autogen_ext.models._shared._answer import Answer
from autogen_ext.models._shared._flow import get
from autogen_ext.models._shared._replies import usage_in_openai_form, usage_of
from autogen_ext.models._shared._usage import detailed


def read_message(answer: Answer, message: Any, names: Collection[str], *, whole: bool) -> list[str]:
    """Read a message or a piece of one; return what the reader of a stream shall see of it.

    Args:
        answer: Where it goes.
        message: The SDK's message.
        names: The tools that were offered.
        whole: Calls come in one piece.
    """
    shown: list[str] = []
    items: list[Any] = get(message, "items") or []
    for item in items:
        if isinstance(item, TextContent | StreamingTextContent):
            shown.extend(answer.say(item.text))
        elif isinstance(item, FunctionCallContent):
            shown.extend(answer.end_thinking())
            _read_call(answer, item, names, whole=whole)
        elif "Reasoning" in type(item).__name__:  # older versions of the SDK have no such content
            shown.extend(answer.think(get(item, "text")))
    reason = get(message, "finish_reason")
    answer.end(get(reason, "value") or reason)
    _read_usage(answer, get(get(message, "metadata"), "usage"))
    return shown


def _read_call(answer: Answer, call: FunctionCallContent, names: Collection[str], *, whole: bool) -> None:
    arguments: Any = call.arguments
    if isinstance(arguments, Mapping):
        arguments = json.dumps(dict(cast("Mapping[str, Any]", arguments)))
    name = _own_name(call, names)
    if whole:
        answer.calls.add_whole(call_id=call.id, name=name, arguments=arguments)
    else:
        answer.calls.add(index=call.index, call_id=call.id, name=name, arguments=arguments)


def _own_name(call: FunctionCallContent, names: Collection[str]) -> str | None:
    """Return the tool's name without that of a plugin, which models put in front that saw it elsewhere."""
    name = call.name
    if name and name not in names and call.function_name in names:
        return call.function_name
    return name


def _read_usage(answer: Answer, usage: Any) -> None:
    """Take numbers of tokens; some connectors report them one by one in several pieces."""
    prompt = get(usage, "prompt_tokens") or get(usage, "input_tokens") or 0
    completion = get(usage, "completion_tokens") or get(usage, "output_tokens") or 0
    before, read = detailed(answer.usage), detailed(usage_in_openai_form(usage, get))
    answer.use(
        usage_of(
            max(prompt, before.prompt_tokens),
            max(completion, before.completion_tokens),
            cached_tokens=max(read.cached_tokens, before.cached_tokens),
            reasoning_tokens=max(read.reasoning_tokens, before.reasoning_tokens),
        )
    )
