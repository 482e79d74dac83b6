"""The bases of tools: with arguments as models, with state, and with a stream."""

import asyncio
import datetime
import json
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autogen_core import EVENT_LOGGER_NAME, CancellationToken
from autogen_core.tools import BaseStreamTool, BaseTool, BaseToolWithState, StreamTool, Tool


class Args(BaseModel):
    number: int = Field(description="how many")
    note: str | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: int


class Answer(BaseModel):
    text: str
    when: datetime.date = datetime.date(2024, 2, 29)


class Counter(BaseTool[Args, Answer]):
    def __init__(self, args_type: Any = Args, **options: Any) -> None:
        super().__init__(args_type, Answer, "counter", "Counts.", **options)

    async def run(self, args: Args, cancellation_token: CancellationToken) -> Answer:
        return Answer(text=str(args.number))


class Total(BaseModel):
    total: int = 0
    seen: datetime.date = datetime.date(2024, 2, 29)


class Adder(BaseToolWithState[Args, Answer, Total]):
    def __init__(self) -> None:
        super().__init__(Args, Answer, Total, "adder", "Adds.")
        self.total = 0

    async def run(self, args: Args, cancellation_token: CancellationToken) -> Answer:
        self.total += args.number
        return Answer(text=str(self.total))

    def save_state(self) -> Total:
        return Total(total=self.total)

    def load_state(self, state: Total) -> None:
        self.total = state.total


class Streamer(BaseStreamTool[Args, str, Answer]):
    def __init__(self, *items: Any) -> None:
        super().__init__(Args, Answer, "streamer", "Streams.")
        self.items = items
        self.closed = False

    async def run(self, args: Args, cancellation_token: CancellationToken) -> Answer:
        return Answer(text="at once")

    async def run_stream(self, args: Args, cancellation_token: CancellationToken) -> AsyncGenerator[str | Answer, None]:
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed = True


def test_the_schema_is_that_of_the_arguments_model() -> None:
    assert Counter().schema == {
        "name": "counter",
        "description": "Counts.",
        "parameters": {
            "type": "object",
            "properties": {
                "number": {"description": "how many", "title": "Number", "type": "integer"},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Note"},
            },
            "required": ["number"],
            "additionalProperties": False,
        },
        "strict": False,
    }


def test_a_subclass_may_use_the_name_of_the_schema_for_itself() -> None:
    class Own(Counter):
        def __init__(self) -> None:
            super().__init__()
            self._schema = "mine"

    assert Own().schema == Counter().schema


def test_arguments_that_are_not_declared_can_be_allowed_but_not_in_strict_mode() -> None:
    parameters = Counter(Open).schema.get("parameters")
    assert parameters is not None
    assert parameters.get("additionalProperties") is True
    with pytest.raises(ValueError, match="Strict mode is enabled, but additional"):
        _ = Counter(Open, strict=True).schema


def test_the_protocols_tell_tools_apart() -> None:
    assert isinstance(Counter(), Tool)
    assert not isinstance(Counter(), StreamTool)
    assert isinstance(Streamer(), StreamTool)


async def test_arguments_are_checked_before_the_work() -> None:
    assert await Counter().run_json({"number": "3"}, CancellationToken()) == Answer(text="3")
    with pytest.raises(ValidationError):
        await Counter().run_json({"number": "many"}, CancellationToken())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Answer(text="é"), '{"text": "\\u00e9", "when": "2024-02-29"}'),
        ("text", "text"),
        (3, "3"),
        (None, "None"),
        (["a"], "['a']"),
    ],
)
def test_a_result_is_shown_as_text(value: Any, text: str) -> None:
    assert Counter().return_value_as_string(value) == text


async def test_a_tool_without_state_saves_nothing() -> None:
    await Counter().load_state_json({"anything": 1})
    assert await Counter().save_state_json() == {}
    assert Counter().state_type() is None


async def test_the_state_of_a_tool_goes_through_json() -> None:
    adder = Adder()
    await adder.run_json({"number": 3}, CancellationToken())
    state = json.loads(json.dumps(await adder.save_state_json()))
    other = Adder()
    await other.load_state_json(state)
    assert other.total == 3
    assert other.state_type() is Total
    with pytest.raises(ValidationError):
        await other.load_state_json({"total": "much"})


async def collect(tool: Streamer) -> list[Any]:
    return [item async for item in tool.run_json_stream({"number": 1}, CancellationToken(), call_id="1")]


async def test_a_stream_ends_with_the_result_which_is_recorded(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=EVENT_LOGGER_NAME):
        assert await collect(Streamer("a", Answer(text="z"))) == ["a", Answer(text="z")]
    (record,) = caplog.records
    assert json.loads(json.loads(record.getMessage())["result"])["text"] == "z"


async def test_a_stream_that_ends_with_something_else_is_an_error() -> None:
    with pytest.raises(TypeError, match="must yield a Answer as the last item, but yielded a str"):
        await collect(Streamer("a"))


async def test_a_stream_without_items_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="yielded nothing"):
        await collect(Streamer())


async def test_what_a_stream_raises_reaches_the_caller() -> None:
    with pytest.raises(KeyError):
        await collect(Streamer("a", KeyError("k")))


async def test_closing_a_stream_closes_the_tools_own() -> None:
    tool = Streamer("a", "b", Answer(text="z"))
    stream = tool.run_json_stream({"number": 1}, CancellationToken())
    assert await anext(stream) == "a"
    await stream.aclose()
    assert tool.closed


def test_a_call_is_one_span_if_the_program_traces() -> None:
    """A provider can be set only once in a process, so it is another one."""
    program = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from autogen_core import CancellationToken
from autogen_core.tools import FunctionTool

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

def add(a: int) -> int:
    return a + 1

asyncio.run(FunctionTool(add, description="adds").run_json({"a": 1}, CancellationToken(), call_id="7"))
for span in exporter.get_finished_spans():
    print(span.name, span.attributes["gen_ai.tool.call.id"])
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "execute_tool add 7\n"


async def test_a_call_by_many_at_once_stays_apart() -> None:
    answers = await asyncio.gather(*(Counter().run_json({"number": n}, CancellationToken()) for n in range(5)))
    assert [answer.text for answer in answers] == ["0", "1", "2", "3", "4"]
