"""The recipe on a scripted engine: what a model of each size is asked, and what becomes of what it says.

The real engine is met in the other files; here a script stands for models that are too large to be tests.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from autogen_ext.models._shared._tools import ToolSpec
from autogen_ext.models.local._decode import Reply
from autogen_ext.models.local._engine import Engine, Json
from autogen_ext.models.local._recipe import chat
from autogen_ext.models.local._request import ChatRequest, Manner
from autogen_ext.models.local._schemas import Bounds

TOOL = ToolSpec("look", "Look at a thing.", {"type": "object", "properties": {"at": {"type": "string"}}}, strict=False)
SMALL = Manner(native=False, tiny=False, gullible=False, bounds=Bounds(2000))
LARGE = Manner(native=True, tiny=False, gullible=False, bounds=Bounds(2000))
CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at": "it"}'}}


class ScriptedEngine:
    """Answers each request with the next list of deltas, and keeps the requests."""

    def __init__(self, *answers: list[Json]) -> None:
        self.answers = list(answers)
        self.requests: list[Json] = []

    def grammar(self, schema: Json) -> str:
        return str(schema)

    async def chat(self, request: Json) -> AsyncGenerator[Json, None]:
        self.requests.append(request)
        for delta in self.answers.pop(0):
            yield {"choices": [{"delta": delta, "finish_reason": None}]}
        usage = {"prompt_tokens": 10, "completion_tokens": 2}
        yield {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage}


def request(*messages: Json, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=list(messages), **fields)


async def run(engine: ScriptedEngine, asked: ChatRequest, manner: Manner) -> tuple[list[str], Reply]:
    async with aclosing(chat(cast("Engine", engine), asked, manner)) as stream:
        items = [item async for item in stream]
    reply = items.pop()
    assert isinstance(reply, Reply)
    return [cast("str", item) for item in items], reply


def says(role: str, text: str) -> Json:
    return {"role": role, "content": text}


def text(*pieces: str) -> list[Json]:
    return [{"content": piece} for piece in pieces]


async def test_a_choice_to_answer_is_followed_by_a_free_request() -> None:
    engine = ScriptedEngine(text('{"tool": "final_answer"}'), text("It ", "is."))
    pieces, reply = await run(engine, request(says("user", "Hi"), tools=[TOOL]), SMALL)
    assert pieces == ["It ", "is."]
    assert (reply.text, reply.calls) == ("It is.", [])
    assert "grammar" in engine.requests[0]
    assert "grammar" not in engine.requests[1]
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (20, 4)


async def test_a_small_model_is_shown_the_whole_conversation() -> None:
    engine = ScriptedEngine(text('{"tool": "look", "arguments": {"at": "that"}}'))
    asked = request(
        says("system", "Be kind."),
        says("user", "First?"),
        says("assistant", "Yes."),
        says("user", "Second?"),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "red"},
        tools=[TOOL],
    )
    _, reply = await run(engine, asked, SMALL)
    shown = [message["content"] for message in engine.requests[0]["messages"]]
    assert "Be kind." in shown[0]
    assert shown[-5:-3] == ["First?", "Yes."]
    assert shown[-3].endswith("Request: Second?")
    assert shown[-2:] == ['{"tool": "look", "arguments": {"at": "it"}}', "Result of look: red"]
    assert reply.calls[0].arguments == '{"at": "that"}'


async def test_a_call_that_was_made_already_is_not_made_again() -> None:
    engine = ScriptedEngine(text('{"tool": "look", "arguments": {"at": "it"}}'), text("Red."))
    asked = request(
        says("user", "Which colour?"),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "red"},
        tools=[TOOL],
    )
    _, reply = await run(engine, asked, SMALL)
    assert (reply.text, reply.calls) == ("Red.", [])


async def test_a_large_model_calls_as_its_template_has_it() -> None:
    fragments = [
        {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "look", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"at": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"it"}'}}]},
    ]
    engine = ScriptedEngine(fragments)
    pieces, reply = await run(engine, request(says("user", "Look!"), tools=[TOOL]), LARGE)
    assert pieces == []
    assert [(call.id, call.name, call.arguments) for call in reply.calls] == [("c1", "look", '{"at": "it"}')]
    assert reply.finish == "function_calls"
    assert engine.requests[0]["tools"][0]["function"]["name"] == "look"


async def test_a_call_that_a_large_model_writes_as_text_is_held_back_and_understood() -> None:
    engine = ScriptedEngine(text("```json\n", '{"name": "look", ', '"arguments": {"at": "it"}}\n```'))
    pieces, reply = await run(engine, request(says("user", "Look!"), tools=[TOOL]), LARGE)
    assert pieces == []
    assert (reply.text, reply.calls[0].arguments) == ("", '{"at": "it"}')


async def test_text_that_only_looks_like_a_call_comes_in_the_end() -> None:
    engine = ScriptedEngine(text("{", "curly} braces"))
    pieces, reply = await run(engine, request(says("user", "Write."), tools=[TOOL]), LARGE)
    assert pieces == ["{curly} braces"]
    assert reply.calls == []


async def test_a_large_model_streams_its_words() -> None:
    engine = ScriptedEngine([{"reasoning_content": "Hm."}, *text("It ", "is ", "red.")])
    pieces, reply = await run(engine, request(says("user", "Which?"), tools=[TOOL]), LARGE)
    assert pieces == ["It ", "is ", "red."]
    assert reply.thought == "Hm."


async def test_a_large_model_that_must_call_is_held_to_the_schema() -> None:
    engine = ScriptedEngine(text('{"tool": "look", "arguments": {"at": "it"}}'))
    _, reply = await run(engine, request(says("user", "Look!"), tools=[TOOL], must_call=True), LARGE)
    assert "final_answer" not in engine.requests[0]["grammar"]
    assert reply.calls[0].name == "look"


TINY = Manner(native=False, tiny=True, gullible=True, bounds=Bounds(120, padded=True))


def looks(*things: str) -> str:
    return ", ".join(f'{{"tool": "look", "arguments": {{"at": "{thing}"}}}}' for thing in things)


def seen_by(reply: Reply) -> list[Any]:
    assert reply.finish == "function_calls"
    return [json.loads(call.arguments)["at"] for call in reply.calls]


async def test_a_small_model_lists_the_calls_beside_the_first_where_several_are_allowed() -> None:
    engine = ScriptedEngine(text(looks("a cat")), text(f"[{looks('a cat', 'a dog')}]"))
    asked = request(says("user", "Look at a cat and at something else"), tools=[TOOL], parallel=True)
    _, reply = await run(engine, asked, SMALL)
    assert seen_by(reply) == ["a cat", "a dog"]
    assert len({call.id for call in reply.calls}) == 2
    assert "'minItems': 1" in engine.requests[1]["grammar"]
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (20, 4)


async def test_a_tiny_model_goes_on_until_it_repeats_itself_or_makes_something_up() -> None:
    for listed in (("a cat", "a dog", "a cat", "a pig"), ("a cat", "a dog", "a cow", "a pig")):
        engine = ScriptedEngine(text(looks("a cat")), text("[", *(f"{looks(thing)}, " for thing in listed)))
        asked = request(says("user", "Look at a cat, a dog, a pig"), tools=[TOOL], parallel=True)
        _, reply = await run(engine, asked, TINY)
        assert seen_by(reply) == ["a cat", "a dog"]
        assert "'minItems': 8" in engine.requests[1]["grammar"]
        assert reply.usage.completion_tokens == 2 + 4, "the list counts, though it was stopped after its third call"


async def test_a_model_whose_template_calls_tools_is_told_that_several_are_allowed() -> None:
    engine = ScriptedEngine(text("Red."))
    await run(engine, request(says("user", "Look!"), tools=[TOOL], parallel=True), LARGE)
    assert engine.requests[0]["parallel_tool_calls"] is True
