"""What a turn yields, one line an item, recorded from 0.7.5; the few that differ on purpose say so."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import BaseModel

from autogen_agentchat.base import Handoff, Response
from autogen_agentchat.messages import ModelClientStreamingChunkEvent, TextMessage
from autogen_core import CancellationToken
from autogen_core.memory import ListMemory
from autogen_core.models import CreateResult
from autogen_core.tools import BaseStreamTool, FunctionTool, StaticWorkbench

from .scripted import ADD, ADD_MORE, Model, add, agent, answer, call, line, remembers, turn


class Answer(BaseModel):
    word: str
    number: int = 0


class Counting(BaseModel):
    n: int


class Counter(BaseStreamTool[Counting, Any, Any]):
    """A tool that streams messages of its own, and other things that are nobody's message."""

    def __init__(self) -> None:
        super().__init__(Counting, str, "count", "Counts.")

    async def run(self, args: Counting, cancellation_token: CancellationToken) -> str:
        return str(args.n)

    async def run_stream(
        self, args: Counting, cancellation_token: CancellationToken
    ) -> AsyncGenerator[Any | str, None]:
        for number in range(args.n):
            yield TextMessage(content=str(number), source="counter")
            yield number
        yield ModelClientStreamingChunkEvent(content="...", source="counter")
        yield "counted"


ROUND = "ToolCallRequestEvent ToolCallExecutionEvent"
ASKED_ADD = 'ToolCallRequestEvent add({"a": 1, "b": 2}) 10+5'
ASKED_MORE = 'ToolCallRequestEvent add({"a": 3, "b": 2}) 10+5'
OVER_TO_ANN = "Over to Ann."

TRANSCRIPTS: dict[str, tuple[list[str | CreateResult], dict[str, Any], list[str]]] = {
    "a plain answer": (["hi there"], {}, ["Response TextMessage hi there 2+2 <- []"]),
    "a streamed answer": (
        ["hi there"],
        {"model_client_stream": True},
        [
            "ModelClientStreamingChunkEvent hi ",
            "ModelClientStreamingChunkEvent there",
            "Response TextMessage hi there 2+2 <- []",
        ],
    ),
    "a thought": (
        [answer("hi", thought="hm")],
        {},
        ["ThoughtEvent hm", "Response TextMessage hi 10+5 <- [ThoughtEvent]"],
    ),
    "a tool call with the default settings": (
        [answer([ADD])],
        {"tools": [add]},
        [
            ASKED_ADD,
            "ToolCallExecutionEvent 1=3",
            f"Response ToolCallSummaryMessage 3 <- [{ROUND}]",
        ],
    ),
    "text with a tool call": (
        [answer([ADD], thought="I'll add")],
        {"tools": [add]},
        [
            "ThoughtEvent I'll add",
            ASKED_ADD,
            "ToolCallExecutionEvent 1=3",
            "Response ToolCallSummaryMessage 3 <- [ThoughtEvent ToolCallRequestEvent ToolCallExecutionEvent]",
        ],
    ),
    "two tool calls": (
        [answer([ADD, ADD_MORE])],
        {"tools": [add]},
        [
            'ToolCallRequestEvent add({"a": 1, "b": 2}), add({"a": 3, "b": 2}) 10+5',
            "ToolCallExecutionEvent 1=3, 2=5",
            f"Response ToolCallSummaryMessage 3\n5 <- [{ROUND}]",
        ],
    ),
    "reflection": (
        [answer([ADD]), answer("three", thought="hm")],
        {"tools": [add], "reflect_on_tool_use": True},
        [
            ASKED_ADD,
            "ToolCallExecutionEvent 1=3",
            "ThoughtEvent hm",
            "Response TextMessage three 10+5 <- [ToolCallRequestEvent ToolCallExecutionEvent ThoughtEvent]",
        ],
    ),
    "streamed reflection": (
        [answer([ADD]), "it is"],
        {"tools": [add], "reflect_on_tool_use": True, "model_client_stream": True},
        [
            ASKED_ADD,
            "ToolCallExecutionEvent 1=3",
            "ModelClientStreamingChunkEvent it ",
            "ModelClientStreamingChunkEvent is",
            f"Response TextMessage it is 2+2 <- [{ROUND}]",
        ],
    ),
    "a loop that runs to an answer": (
        [answer([ADD]), answer([ADD_MORE]), answer("done")],
        {"tools": [add], "max_tool_iterations": 3},
        [
            ASKED_ADD,
            "ToolCallExecutionEvent 1=3",
            ASKED_MORE,
            "ToolCallExecutionEvent 2=5",
            f"Response TextMessage done 10+5 <- [{ROUND} {ROUND}]",
        ],
    ),
    "a loop that reaches its limit": (
        [answer([ADD]), answer([ADD_MORE]), answer("unused")],
        {"tools": [add], "max_tool_iterations": 2},
        [
            ASKED_ADD,
            "ToolCallExecutionEvent 1=3",
            ASKED_MORE,
            "ToolCallExecutionEvent 2=5",
            f"Response ToolCallSummaryMessage 5 <- [{ROUND} {ROUND}]",
        ],
    ),
    "a handoff": (
        [answer([call("transfer_to_ann")])],
        {"handoffs": [Handoff(target="ann", message=OVER_TO_ANN)]},
        [
            "ToolCallRequestEvent transfer_to_ann({}) 10+5",
            f"ToolCallExecutionEvent 1={OVER_TO_ANN}",
            f"Response HandoffMessage {OVER_TO_ANN} <- [{ROUND}]",
        ],
    ),
    "structured output": (
        [answer('{"word": "x", "number": 3}')],
        {"output_content_type": Answer},
        ['Response StructuredMessage[Answer] {"word":"x","number":3} 10+5 <- []'],
    ),
    "structured output after a tool call": (
        [answer([ADD]), answer('{"word": "x"}')],
        {"output_content_type": Answer, "tools": [add]},
        [
            ASKED_ADD,
            "ToolCallExecutionEvent 1=3",
            'Response StructuredMessage[Answer] {"word":"x","number":0} 10+5 <- [' + ROUND + "]",
        ],
    ),
    "structured output without reflection": (
        [answer([ADD])],
        {"output_content_type": Answer, "tools": [add], "reflect_on_tool_use": False},
        [
            ASKED_ADD,
            "ToolCallExecutionEvent 1=3",
            f"Response ToolCallSummaryMessage 3 <- [{ROUND}]",
        ],
    ),
    "a memory": (
        [answer("ok")],
        {"memory": [remembers("tea"), ListMemory()]},
        ["MemoryQueryEvent tea", "Response TextMessage ok 10+5 <- [MemoryQueryEvent]"],
    ),
    "a workbench": (
        [answer([ADD])],
        {"workbench": StaticWorkbench([FunctionTool(add, "Adds.")])},
        [
            ASKED_ADD,
            "ToolCallExecutionEvent 1=3",
            f"Response ToolCallSummaryMessage 3 <- [{ROUND}]",
        ],
    ),
    # 0.7.5 kept the chunk in the inner messages as well, and so in the result of `run`.
    "a tool that streams": (
        [answer([call("count", '{"n": 2}')])],
        {"tools": [Counter()]},
        [
            'ToolCallRequestEvent count({"n": 2}) 10+5',
            "TextMessage 0",
            "TextMessage 1",
            "ModelClientStreamingChunkEvent ...",
            "ToolCallExecutionEvent 1=counted",
            (
                "Response ToolCallSummaryMessage counted <- "
                "[ToolCallRequestEvent TextMessage TextMessage ToolCallExecutionEvent]"
            ),
        ],
    ),
    # 0.7.5 put a call without name or arguments into the conversation.
    "an empty list of calls": ([answer([])], {"tools": [add]}, ["Response TextMessage  10+5 <- []"]),
}


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_a_turn_yields_what_its_transcript_says(name: str) -> None:
    answers, options, expected = TRANSCRIPTS[name]
    assert [line(item) for item in await turn(agent(Model(*answers), **options))] == expected


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_run_gives_the_same_messages_without_the_chunks(name: str) -> None:
    answers, options, _ = TRANSCRIPTS[name]
    *items, response = await turn(agent(Model(*answers), **options))
    assert isinstance(response, Response)
    kept = [line(item) for item in items if not isinstance(item, ModelClientStreamingChunkEvent)]
    result = await agent(Model(*answers), **options).run(task="hello")
    assert [line(message) for message in result.messages] == [
        "TextMessage hello",
        *kept,
        line(response.chat_message),
    ]
