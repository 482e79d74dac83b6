"""How a conversation becomes an answer: choose a tool under a grammar, else answer in words, or let the template do it.

Native tool calling fails with small models, so for them a call is chosen as JSON that follows one schema over all tools.
An answer in words is a second, free request: inside JSON small models repeat themselves until they are cut off. What the
smallest ones need beside that is named by `Manner`. Stands on `_engine` and the files that write and read; must not know
clients or servers.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from autogen_core import FunctionCall
from autogen_ext.models._shared._replies import add_usage, normalize_stop_reason, usage_of
from autogen_ext.models._shared._tool_calls import ToolCallAssembler

from ._conversation import calls_in, for_template, last_request, pending, results_in, system_text
from ._decode import Reply, read_choice, read_written_calls, seems_invented
from ._encode import encode_tool
from ._engine import Engine, Json
from ._errors import GenerationError
from ._prompts import (
    DEFAULT_SYSTEM,
    IS_TALK,
    KIND_GRAMMAR,
    Message,
    Signature,
    kind_prompt,
    report_messages,
    result_line,
    tool_demonstrations,
    tool_request,
)
from ._request import ChatRequest, ToolCalling
from ._schemas import Bounds, choice_schema, output_schema

_TINY_PARAMETERS = 300_000_000
_CAPABLE_PARAMETERS = 2_500_000_000

_CHOICE_TOKENS = 1024
"""Tokens that a choice may have. Its schema bounds it, so this is never reached but by very large argument lists."""

_CALL_STARTS = ("{", "[", "```", "<tool_call>", "<")


@dataclass(frozen=True, slots=True)
class Manner:
    """How to treat a model, by its size.

    Attributes:
        native: Its chat template calls tools, and it is large enough to do so.
        tiny: It is so small that it (1) gets one round of tools for a request, since it would go on for ever; (2) is
            asked whether a message is small talk, where its call seems invented; (3) reports results from the question
            alone, not the conversation; and (4) needs a system message and a light penalty on repetition.
        bounds: What its texts in JSON are held to.
    """

    native: bool
    tiny: bool
    bounds: Bounds

    @classmethod
    def of(cls, engine: Engine, tool_calling: ToolCalling) -> "Manner":
        """Return what suits a model."""
        tiny = engine.n_params < _TINY_PARAMETERS
        capable = engine.supports_tools and engine.n_params >= _CAPABLE_PARAMETERS
        native = tool_calling == "native" or (tool_calling == "auto" and capable)
        return cls(native, tiny, Bounds(120, padded=True) if tiny else Bounds(2000))


async def chat(engine: Engine, request: ChatRequest, manner: Manner) -> AsyncGenerator[str | Reply, None]:
    """Yield an answer piece by piece, and at the end the whole of it. Closing the stream stops the engine.

    Raises:
        ContextLengthError: The prompt is longer than the context.
        GenerationError: The engine refused the request, or the answer cannot be used.
    """
    reply = Reply()
    if request.tools and manner.native and not request.must_call and request.output is None:
        stream = _native(engine, request, reply)
    else:
        if request.tools and await _choose(engine, request, manner, reply):
            yield reply
            return
        stream = _answer(engine, request, manner, reply)
    async with aclosing(stream):
        async for piece in stream:
            yield piece
    yield reply


def first_prompt(request: ChatRequest, manner: Manner) -> Json:
    """Return what the engine is sent first: `messages`, and `tools` where the chat template takes them."""
    if not request.tools:
        return {"messages": _answer_messages(request, manner)}
    if manner.native and not request.must_call:
        return _native_prompt(request)
    return {"messages": _choice_messages(request, manner)}


async def _choose(engine: Engine, request: ChatRequest, manner: Manner, reply: Reply) -> bool:
    """Let the model choose; put its call into the reply and return `True`, or return `False` if it is to answer."""
    work = pending(request.messages)
    if manner.tiny and not request.must_call and results_in(work):
        return False
    schema = choice_schema(request.tools, manner.bounds, may_answer=not request.must_call)
    body: Json = {
        "messages": _choice_messages(request, manner),
        "grammar": engine.grammar(schema),
        "temperature": 0.0,
        "max_tokens": _CHOICE_TOKENS,
    }
    chosen = Reply()
    async with aclosing(_stream(engine, body, chosen)) as pieces:
        async for _ in pieces:
            pass
    reply.usage = chosen.usage
    call = read_choice(chosen.text)
    if call is not None and not request.must_call and await _leads_nowhere(engine, request, manner, call, reply):
        call = None
    if call is None:
        return False
    reply.calls = [call]
    reply.finish = "function_calls"
    return True


async def _leads_nowhere(
    engine: Engine, request: ChatRequest, manner: Manner, call: FunctionCall, reply: Reply
) -> bool:
    """Tell whether a call leads nowhere: it was made before, or a tiny model made it up in answer to small talk."""
    done = {(name, _normal(arguments)) for name, arguments in calls_in(pending(request.messages))}
    if (call.name, _normal(call.arguments)) in done:
        return True
    said = last_request(request.messages)
    if not manner.tiny or not seems_invented(call, said):
        return False
    body = {"prompt": kind_prompt(said), "grammar": KIND_GRAMMAR, "temperature": 0.0, "n_predict": 4}
    answer = await engine.complete(body)
    _count(reply, answer["usage"])
    return answer["text"] == IS_TALK


def _choice_messages(request: ChatRequest, manner: Manner) -> list[Message]:
    """Return a conversation whose next message is a choice. Tiny models are shown the last request alone."""
    signatures = [
        Signature(tool.name, list(tool.parameters.get("properties") or {}), tool.description) for tool in request.tools
    ]
    work = pending(request.messages)
    if manner.tiny:
        messages = tool_demonstrations("", leading_space=True)
        asked = last_request(request.messages)
    else:
        messages = tool_demonstrations(system_text(request.messages), leading_space=False)
        turns = for_template(request.messages[: len(request.messages) - len(work)])
        asked = turns.pop()["content"] if turns and turns[-1]["role"] == "user" else last_request(request.messages)
        messages += [turn for turn in turns if turn["role"] != "system"]
    messages.append({"role": "user", "content": tool_request(signatures, asked)})
    for message in work:
        if message["role"] == "tool":
            continue
        messages.extend(_shown_round(message, work))
    return messages


def _shown_round(message: Message, work: Sequence[Message]) -> list[Message]:
    """Return a round of calls and results as a model that chooses by schema would have written and read it."""
    shown: list[Message] = []
    results = {item.get("tool_call_id"): item for item in work if item["role"] == "tool"}
    for call in message["tool_calls"]:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        shown.append({"role": "assistant", "content": f'{{"tool": {json.dumps(name)}, "arguments": {arguments}}}'})
        result = results_in([{"name": name, **results[call["id"]]}])[0].text if call["id"] in results else "none"
        shown.append({"role": "user", "content": result_line(name, result)})
    return shown


def _answer_messages(request: ChatRequest, manner: Manner) -> list[Message]:
    results = results_in(pending(request.messages))
    if manner.tiny and results:
        return report_messages(last_request(request.messages), "; ".join(result.facts for result in results))
    return for_template(request.messages, default_system=DEFAULT_SYSTEM if manner.tiny else "")


async def _answer(engine: Engine, request: ChatRequest, manner: Manner, reply: Reply) -> AsyncGenerator[str, None]:
    """Yield an answer in words, or in JSON where the request says so."""
    body: Json = {"messages": _answer_messages(request, manner), **request.sampling}
    if request.output is not None:
        bounds = None if manner.native else Bounds(manner.bounds.characters)
        body["grammar"] = engine.grammar(output_schema(request.output, bounds))
    elif manner.tiny and not results_in(pending(request.messages)):
        body.setdefault("repeat_penalty", 1.05)
    async with aclosing(_stream(engine, body, reply)) as pieces:
        async for piece in pieces:
            yield piece
    if request.output is not None and reply.finish == "stop":
        _check_json(reply.text)


async def _native(engine: Engine, request: ChatRequest, reply: Reply) -> AsyncGenerator[str, None]:
    """Yield an answer where the chat template calls tools. What looks like a call written as text is held back."""
    body = {**_native_prompt(request), **request.sampling}
    shown = 0
    async with aclosing(_stream(engine, body, reply)) as pieces:
        async for _ in pieces:
            if not reply.text.lstrip().startswith(_CALL_STARTS):
                yield reply.text[shown:]
                shown = len(reply.text)
    if not reply.calls and shown == 0:
        reply.calls = read_written_calls(reply.text, {tool.name for tool in request.tools})
        if reply.calls:
            reply.text, reply.finish = "", "function_calls"
    if not reply.calls and shown < len(reply.text):
        yield reply.text[shown:]


def _native_prompt(request: ChatRequest) -> Json:
    return {"messages": request.messages, "tools": [encode_tool(tool) for tool in request.tools]}


async def _stream(engine: Engine, body: Json, reply: Reply) -> AsyncGenerator[str, None]:
    """Send a request; yield the pieces of text, and gather everything in the reply."""
    assembler = ToolCallAssembler()
    finish: str | None = None
    async with aclosing(engine.chat(body)) as chunks:
        async for chunk in chunks:
            if chunk.get("usage"):
                _count(reply, chunk["usage"])
            for choice in chunk.get("choices", ()):
                finish = choice.get("finish_reason") or finish
                delta: Json = choice.get("delta") or {}
                for part in delta.get("tool_calls") or ():
                    function: Json = part.get("function") or {}
                    assembler.add(
                        index=part.get("index"),
                        call_id=part.get("id"),
                        name=function.get("name"),
                        arguments=function.get("arguments"),
                    )
                if delta.get("reasoning_content"):
                    reply.thought = (reply.thought or "") + delta["reasoning_content"]
                if delta.get("content"):
                    reply.text += delta["content"]
                    yield delta["content"]
    reply.calls = assembler.calls()
    reply.finish = normalize_stop_reason(finish, has_calls=bool(reply.calls))


def _count(reply: Reply, usage: Json) -> None:
    reply.usage = add_usage(reply.usage, usage_of(usage.get("prompt_tokens"), usage.get("completion_tokens")))


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise GenerationError(
            "The engine could not hold the model to the JSON schema; simplify the schema (references, patterns and "
            f"formats are what it may not know). The model wrote: {text[:200]!r}"
        ) from error


def _normal(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return arguments
