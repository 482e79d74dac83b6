"""How a conversation becomes an answer: choose a tool under a grammar, else answer in words, or let the template do it.

Native tool calling fails with small models, so for them a call is chosen as JSON that follows one schema over all tools.
An answer in words is a second, free request: inside JSON small models repeat themselves until they are cut off. What the
smallest ones need beside that is named by `Manner`. Stands on `_engine` and the files that write and read; must not know
clients or servers.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from autogen_core import FunctionCall
from autogen_ext.models._shared._replies import add_usage, normalize_stop_reason, usage_of
from autogen_ext.models._shared._tool_calls import ToolCallAssembler
from autogen_ext.models._shared._tools import ToolSpec

from ._asking import answer_messages, choice_messages, first_prompt, is_native, native_prompt
from ._conversation import calls_in, last_request, pending, results_in
from ._decode import HELD_TO_NO_SCHEMA, Reply, read_choice, read_choices, read_written_calls
from ._engine import Engine, Json
from ._errors import GenerationError
from ._relevance import concerned, is_quoted, is_unfounded
from ._request import ChatRequest, Manner, ToolCalling
from ._schemas import Bounds, choice_schema, choices_schema, output_schema

_CHOICE_TOKENS = 1024
"""Tokens that a choice may have. Its schema bounds it, so this is never reached but by very large argument lists."""

_MOST_CALLS = 8
"""Calls in one answer."""

_CALL_STARTS = ("{", "[", "```", "<")
"""How a call begins that a model writes as text."""


def manner_of(engine: Engine, tool_calling: ToolCalling) -> Manner:
    """Return how to treat the model of an engine."""
    return Manner.suited(engine.n_params, supports_tools=engine.supports_tools, tool_calling=tool_calling)


async def chat(engine: Engine, request: ChatRequest, manner: Manner) -> AsyncGenerator[str | Reply, None]:
    """Yield an answer piece by piece, and at the end the whole of it. Closing the stream stops the engine.

    Raises:
        ContextLengthError: The prompt is longer than the context.
        GenerationError: The engine refused the request, or the answer cannot be used.
    """
    turn = _Turn(engine, request, manner)
    if is_native(request, manner):
        stream = turn.native()
    elif request.tools and await turn.choose():
        yield turn.reply
        return
    else:
        stream = turn.answer()
    async with aclosing(stream):
        async for piece in stream:
            yield piece
    yield turn.reply


def count_tokens(engine: Engine, request: ChatRequest, manner: Manner) -> int:
    """Return the tokens of what the engine is sent first. Blocks for about a millisecond."""
    return engine.count_tokens(first_prompt(_narrowed(request, manner), manner))


def _narrowed(request: ChatRequest, manner: Manner) -> ChatRequest:
    """Leave out tools that a request is not about, for a model that would choose them all the same."""
    if not manner.tiny or len(request.tools) == 1:
        return request
    return replace(request, tools=concerned(request.tools, last_request(request.messages)) or request.tools)


class _Turn:
    """One answer in the making."""

    def __init__(self, engine: Engine, request: ChatRequest, manner: Manner) -> None:
        self.reply = Reply()
        self._engine = engine
        self._tools = request.tools
        self._request = _narrowed(request, manner)
        self._manner = manner
        self._said = last_request(request.messages)
        self._work = pending(request.messages)

    async def choose(self) -> bool:
        """Let the model choose; put its call into the reply and return `True`, or return `False` if it is to answer."""
        request, may_answer = self._request, not self._request.must_call
        if self._manner.tiny and may_answer and results_in(self._work):
            return False
        body: Json = {
            "messages": choice_messages(request, self._manner),
            "grammar": self._engine.grammar(choice_schema(request.tools, self._manner.bounds, may_answer=may_answer)),
            "temperature": 0.0,
            "max_tokens": _CHOICE_TOKENS,
        }
        async with aclosing(self._stream(body)) as pieces:
            async for _ in pieces:
                pass
        call = read_choice(self.reply, {tool.name for tool in request.tools})
        self.reply = Reply(usage=self.reply.usage)
        if call is None or (may_answer and self._leads_nowhere(call)):
            return False
        calls = [call]
        if request.parallel:
            async with aclosing(self._further(call)) as further:
                calls += [item async for item in further]
        self.reply.calls, self.reply.finish = calls, "function_calls"
        return True

    async def _further(self, first: FunctionCall) -> AsyncGenerator[FunctionCall, None]:
        """Yield the calls beside the first one that a request asks for.

        A model that follows instructions writes a list of all calls. The smallest ones end such a list too early, and mix
        the tools up; so they write one for each tool, and are made to go on until they repeat themselves or make
        something up.
        """
        made = {_comparable(*done) for done in calls_in(self._work)} | {_comparable(first.name, first.arguments)}
        count = 1
        for tools in self._lists():
            seen: set[tuple[str, str]] = set()
            async with aclosing(self._listed(tools)) as calls:
                async for call in calls:
                    known = _comparable(call.name, call.arguments)
                    made_up = self._manner.gullible and not is_quoted(call, tools, self._said)
                    if known in seen or made_up or count == _MOST_CALLS:
                        break
                    seen.add(known)
                    if known not in made:
                        made.add(known)
                        count += 1
                        yield call

    def _lists(self) -> list[Sequence[ToolSpec]]:
        """Return the tools of each list of calls that is to be written."""
        if not self._manner.tiny:
            return [self._tools]
        return [[tool] for tool in self._tools if concerned([tool], self._said)] or [self._request.tools]

    async def _listed(self, tools: Sequence[ToolSpec]) -> AsyncGenerator[FunctionCall, None]:
        """Yield the calls of a list as they are written. Closing it stops the engine."""
        at_least = _MOST_CALLS if self._manner.tiny else 1
        schema = choices_schema(tools, self._manner.bounds, count=_MOST_CALLS, at_least=at_least)
        body: Json = {
            "messages": choice_messages(replace(self._request, tools=tools), self._manner, several=True),
            "grammar": self._engine.grammar(schema),
            "temperature": 0.0,
            "max_tokens": _CHOICE_TOKENS,
        }
        self.reply = Reply(usage=self.reply.usage)
        names, done = {tool.name for tool in tools}, 0
        async with aclosing(self._stream(body)) as pieces:
            async for piece in pieces:
                if "}" not in piece:
                    continue
                calls = read_choices(self.reply.text, names)
                for call in calls[done:]:
                    yield call
                done = len(calls)

    def _leads_nowhere(self, call: FunctionCall) -> bool:
        """Tell whether a call was made before, or was made up by a model that cannot tell small talk."""
        if _comparable(call.name, call.arguments) in {_comparable(*done) for done in calls_in(self._work)}:
            return True
        return self._manner.gullible and is_unfounded(call, self._request.tools, self._said)

    async def answer(self) -> AsyncGenerator[str, None]:
        """Yield an answer in words, or in JSON where the request says so."""
        request, manner = self._request, self._manner
        body: Json = {"messages": answer_messages(request, manner), **request.sampling}
        if request.output is not None:
            # Without padding: the words of this JSON are not taken from the request.
            bounds = None if manner.native else Bounds(manner.bounds.characters)
            body["grammar"] = self._engine.grammar(output_schema(request.output, bounds))
        elif manner.tiny and not results_in(self._work):
            body.setdefault("repeat_penalty", 1.05)
        async with aclosing(self._stream(body)) as pieces:
            async for piece in pieces:
                yield piece
        if request.output is not None and self.reply.finish == "stop":
            _check_json(self.reply.text)

    async def native(self) -> AsyncGenerator[str, None]:
        """Yield an answer where the chat template calls tools. What looks like a call written as text is held back."""
        reply, shown = self.reply, 0
        async with aclosing(self._stream({**native_prompt(self._request), **self._request.sampling})) as pieces:
            async for _ in pieces:
                if shown or not reply.text.lstrip().startswith(_CALL_STARTS):
                    yield reply.text[shown:]
                    shown = len(reply.text)
        if not reply.calls and not shown:
            reply.calls = read_written_calls(reply.text, {tool.name for tool in self._request.tools})
            if reply.calls:
                reply.text, reply.finish = "", "function_calls"
        if not reply.calls and shown < len(reply.text):
            yield reply.text[shown:]

    async def _stream(self, body: Json) -> AsyncGenerator[str, None]:
        """Send a request; yield the pieces of text, and gather everything in the reply."""
        reply, assembler = self.reply, ToolCallAssembler()
        finish: str | None = None
        async with aclosing(self._chunks(body)) as chunks:
            async for chunk in chunks:
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

    async def _chunks(self, body: Json) -> AsyncGenerator[Json, None]:
        """Send a request and count what it used, also where it is stopped before the engine says how much that was."""
        read, written = 0, 0
        try:
            async with aclosing(self._engine.chat(body)) as chunks:
                async for chunk in chunks:
                    progress, usage = chunk.get("prompt_progress"), chunk.get("usage")
                    if progress:
                        read = progress["total"]
                    if usage:
                        read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
                    elif not progress:
                        written += 1  # the engine hands over each token
                    yield chunk
        finally:
            self.reply.usage = add_usage(self.reply.usage, usage_of(read, written))


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise GenerationError(f"The answer is no JSON; {HELD_TO_NO_SCHEMA}. It is: {text[:200]!r}") from error


def _comparable(name: str, arguments: str) -> tuple[str, str]:
    """Return a call without the differences that spaces and the order of arguments make."""
    try:
        return name, json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return name, arguments
