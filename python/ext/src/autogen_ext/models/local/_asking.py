"""The conversations that a model is shown: to choose a tool, to answer, or as its template has it.

Stands on `_prompts` and `_conversation`; must not know any engine.
"""

import json
from collections.abc import Sequence
from typing import Any

from ._conversation import Result, for_template, last_request, pending, results_in, system_text
from ._encode import encode_tool
from ._prompts import (
    DEFAULT_SYSTEM,
    Message,
    Signature,
    parallel_demonstrations,
    report_messages,
    result_line,
    tool_demonstrations,
    tool_request,
)
from ._request import ChatRequest, Manner


def choice_messages(request: ChatRequest, manner: Manner, *, several: bool = False) -> list[Message]:
    """Return a conversation whose next message is a choice. Tiny models are shown the last request alone.

    Args:
        request: What is asked.
        manner: How to treat the model.
        several: The next message is a list of choices.
    """
    demonstrations = parallel_demonstrations if several else tool_demonstrations
    work = pending(request.messages)
    if manner.tiny:
        messages = demonstrations("", leading_space=True)
        asked = last_request(request.messages)
    else:
        messages = demonstrations(system_text(request.messages), leading_space=False)
        turns = for_template(request.messages[: len(request.messages) - len(work)])
        asked = turns.pop()["content"] if turns and turns[-1]["role"] == "user" else last_request(request.messages)
        messages += [turn for turn in turns if turn["role"] != "system"]
    tools = [
        Signature(tool.name, list(tool.parameters.get("properties") or {}), tool.description) for tool in request.tools
    ]
    messages.append({"role": "user", "content": tool_request(tools, asked)})
    return messages + _shown_work(work)


def answer_messages(request: ChatRequest, manner: Manner) -> list[Message]:
    """Return a conversation whose next message is an answer in words."""
    results = results_in(pending(request.messages))
    if manner.tiny and results:
        return report_messages(last_request(request.messages), "; ".join(result.facts for result in results))
    return for_template(request.messages, default_system=DEFAULT_SYSTEM if manner.tiny else "")


def native_prompt(request: ChatRequest) -> dict[str, Any]:
    """Return the conversation and the tools for a chat template that knows tools."""
    prompt: dict[str, Any] = {"messages": request.messages, "tools": [encode_tool(tool) for tool in request.tools]}
    return {**prompt, "parallel_tool_calls": True} if request.parallel else prompt


def is_native(request: ChatRequest, manner: Manner) -> bool:
    """Tell whether the template's own tools are used: for a free choice; a forced one needs the schema's force."""
    return bool(request.tools) and manner.native and not request.must_call and request.output is None


def first_prompt(request: ChatRequest, manner: Manner) -> dict[str, Any]:
    """Return what the engine is sent first: `messages`, and `tools` where the chat template takes them."""
    if is_native(request, manner):
        return native_prompt(request)
    return {"messages": choice_messages(request, manner) if request.tools else answer_messages(request, manner)}


def _shown_work(work: Sequence[Message]) -> list[Message]:
    """Return calls and results as a model that chooses by schema would have written and read them."""
    results: dict[str, Result] = {}
    for message in work:
        if message["role"] == "tool":
            results[str(message.get("tool_call_id"))] = results_in([*work, message])[-1]
    shown: list[Message] = []
    for call in (call for message in work for call in message.get("tool_calls") or ()):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        result = results.get(call["id"], Result(name, "none"))
        shown.append({"role": "assistant", "content": f'{{"tool": {json.dumps(name)}, "arguments": {arguments}}}'})
        shown.append({"role": "user", "content": result_line(result.name, result.text)})
    return shown
