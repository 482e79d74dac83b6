"""A client around a client passes everything on."""

from typing import Any

import pytest
from pydantic import BaseModel

from autogen_core import CancellationToken
from autogen_core.models import CreateResult
from autogen_core.tools import FunctionTool
from autogen_ext.models.middleware import ModelMiddleware
from autogen_ext.models.replay import ReplayChatCompletionClient

from .kit import HANG, HI, INFO, ScriptedClient, read, result


class Answer(BaseModel):
    text: str


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@pytest.mark.parametrize("streamed", [False, True])
async def test_all_arguments_of_a_call_reach_the_wrapped_client(streamed: bool) -> None:
    model = ReplayChatCompletionClient(["Hello."], INFO)
    client, token, tool = ModelMiddleware(model), CancellationToken(), FunctionTool(add, "Adds.")
    arguments: dict[str, Any] = {
        "tools": [tool],
        "tool_choice": tool,
        "json_output": Answer,
        "extra_create_args": {"seed": 1},
        "cancellation_token": token,
    }
    if streamed:
        await read(client, HI, **arguments)
    else:
        await client.create(HI, **arguments)
    call = model.create_calls[0]
    assert call["messages"] == HI
    assert call["tools"] == [tool]
    assert call["json_output"] is Answer
    assert call["extra_create_args"] == {"seed": 1}
    assert call["cancellation_token"] is token


async def test_a_stream_passes_on_item_by_item() -> None:
    client = ModelMiddleware(ScriptedClient([["a", "b", result("ab")]]))
    assert await read(client) == ["a", "b", result("ab")]


async def test_closing_a_stream_closes_that_of_the_wrapped_client() -> None:
    model = ScriptedClient([["a", HANG]])
    stream = ModelMiddleware(ModelMiddleware(model)).create_stream(HI)
    assert await anext(stream) == "a"
    await stream.aclose()
    assert model.calls[0].closed


async def test_what_is_no_call_is_passed_on_as_well() -> None:
    model = ScriptedClient()
    client = ModelMiddleware(ModelMiddleware(model))
    await client.create(HI)
    assert client.model_info == INFO
    assert client.count_tokens(HI) == 1
    assert client.remaining_tokens(HI) == 99
    assert client.actual_usage() == model.actual_usage()
    assert client.total_usage() == model.total_usage()
    with pytest.deprecated_call():
        assert client.capabilities["vision"]  # pyright: ignore[reportDeprecated] - that is what is tested
    await client.close()
    assert model.is_closed


async def test_a_result_is_handed_on_as_it_came() -> None:
    answer = result()
    assert isinstance((await read(ModelMiddleware(ScriptedClient([answer]))))[-1], CreateResult)
