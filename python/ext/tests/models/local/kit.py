"""What several tests of this folder say and wait for."""

import asyncio
import time

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models.local._engine import Engine


def user(text: str) -> UserMessage:
    return UserMessage(content=text, source="user")


def get_weather(city: str) -> str:
    return f"The weather in {city} is 23 degrees and sunny."


def find_flight(origin: str, destination: str) -> str:
    return f"Flight 7 from {origin} to {destination}."


def roll_dice(sides: int) -> int:
    return sides


WEATHER = FunctionTool(get_weather, description="Get the weather for a city.")
FLIGHT = FunctionTool(find_flight, description="Find a flight between two cities.")
DICE = FunctionTool(roll_dice, description="Roll a die.")


def call_of(result: CreateResult) -> FunctionCall:
    """The one call that a result holds."""
    assert isinstance(result.content, list), result
    assert result.finish_reason == "function_calls"
    [call] = result.content
    return call


def text_of(result: CreateResult) -> str:
    assert isinstance(result.content, str), result
    return result.content


def after(question: str, call: FunctionCall, result: str) -> list[LLMMessage]:
    """A conversation in which a tool was called and has answered."""
    executed = FunctionExecutionResult(content=result, name=call.name, call_id=call.id, is_error=False)
    return [
        user(question),
        AssistantMessage(content=[call], source="assistant"),
        FunctionExecutionResultMessage(content=[executed]),
    ]


async def becomes_idle(engine: Engine) -> None:
    """Wait until the engine computes nothing any more."""
    await asyncio.to_thread(_wait, engine, busy=False)


async def becomes_busy(engine: Engine) -> None:
    """Wait until the engine computes something."""
    await asyncio.to_thread(_wait, engine, busy=True)


def _wait(engine: Engine, *, busy: bool) -> None:
    until = time.monotonic() + 20
    while engine.busy is not busy:
        assert time.monotonic() < until, "the engine did not change its state"
        time.sleep(0.02)
