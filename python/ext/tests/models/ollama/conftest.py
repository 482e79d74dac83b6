"""A protocol server for each test, and a way to make clients that speak to it and are closed afterwards."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import pytest

from autogen_ext.models.ollama import OllamaChatCompletionClient

from .._shared.server import Json, ProtocolServer, Reply

SECRET = "secret-of-the-tests"


class MakeClient(Protocol):
    """Makes a client of the protocol server: for llama3.2, unless told otherwise."""

    def __call__(self, **arguments: Any) -> OllamaChatCompletionClient: ...


@pytest.fixture
async def server() -> AsyncGenerator[ProtocolServer, None]:
    async with ProtocolServer() as running:
        yield running


@pytest.fixture
async def make_client(server: ProtocolServer) -> AsyncGenerator[MakeClient, None]:
    clients: list[OllamaChatCompletionClient] = []

    def make(**arguments: Any) -> OllamaChatCompletionClient:
        defaults: dict[str, Any] = {"model": "llama3.2", "host": server.url}
        client = OllamaChatCompletionClient(**(defaults | arguments))
        clients.append(client)
        return client

    yield make
    await asyncio.gather(*(client.close() for client in clients))


def final(**fields: Json) -> Json:
    """The numbers at the end of a reply, as in the reference's examples."""
    return {
        "done": True,
        "done_reason": "stop",
        "total_duration": 4883583458,
        "load_duration": 1334875,
        "prompt_eval_count": 26,
        "prompt_eval_duration": 342546000,
        "eval_count": 282,
        "eval_duration": 4535599000,
        **fields,
    }


def reply(
    content: str = "Hello! How are you today?", *, message: dict[str, Json] | None = None, **fields: Json
) -> Json:
    """A reply that is not streamed; `message` adds fields to the message."""
    return {
        "model": "llama3.2",
        "created_at": "2023-12-12T14:13:43.416799Z",
        "message": {"role": "assistant", "content": content, **(message or {})},
        **final(**fields),
    }


def line(content: str = "", *, message: dict[str, Json] | None = None, **fields: Json) -> Json:
    """A line of a stream."""
    return {
        "model": "llama3.2",
        "created_at": "2023-08-04T08:52:19.385406455-07:00",
        "message": {"role": "assistant", "content": content, **(message or {})},
        "done": False,
        **fields,
    }


def stream(*lines: Json, **settings: Any) -> Reply:
    """A stream of JSON objects, one a line; strings are written as they stand."""
    texts = [one if isinstance(one, str) else f"{json.dumps(one)}\n" for one in lines]
    return Reply(lines=texts, kind="application/x-ndjson", **settings)


def call(name: str = "get_current_weather", **arguments: Json) -> Json:
    """A tool call."""
    return {"function": {"name": name, "arguments": arguments}}
