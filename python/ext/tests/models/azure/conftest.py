"""A protocol server for each test, and a way to make clients that speak to it and are closed afterwards."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import pytest
from azure.core.credentials import AzureKeyCredential

from autogen_ext.models.azure import AzureAIChatCompletionClient

from .._shared.server import Json, ProtocolServer, Reply

SECRET = "secret-of-the-tests"


class MakeClient(Protocol):
    """Makes a client of the protocol server: for gpt-4o and without repetitions, unless told otherwise."""

    def __call__(self, **arguments: Any) -> AzureAIChatCompletionClient: ...


@pytest.fixture
async def server() -> AsyncGenerator[ProtocolServer, None]:
    async with ProtocolServer() as running:
        yield running


@pytest.fixture
async def make_client(server: ProtocolServer) -> AsyncGenerator[MakeClient, None]:
    clients: list[AzureAIChatCompletionClient] = []

    def make(**arguments: Any) -> AzureAIChatCompletionClient:
        defaults: dict[str, Any] = {
            "endpoint": server.url,
            "credential": AzureKeyCredential(SECRET),
            "model": "gpt-4o",
            "retry_total": 0,
        }
        client = AzureAIChatCompletionClient(**(defaults | arguments))
        clients.append(client)
        return client

    yield make
    await asyncio.gather(*(client.close() for client in clients))
    await asyncio.sleep(0)  # aiohttp's connections are closed in the next round of the loop


def completion(
    content: str | None = "Hello",
    *,
    finish: str | None = "stop",
    message: dict[str, Json] | None = None,
    **fields: Json,
) -> Json:
    """A completion; `message` adds fields to its message, `fields` replace or add others."""
    return {
        "id": "1234567890",
        "model": "llama2-7b",
        "object": "chat.completion",
        "created": 1234567890,
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content, **(message or {})},
            }
        ],
        "usage": {"prompt_tokens": 205, "completion_tokens": 5, "total_tokens": 210},
        **fields,
    }


def update(delta: dict[str, Json] | None = None, *, finish: str | None = None, **fields: Json) -> Json:
    """An update of a stream."""
    return {
        "id": "1234567890",
        "model": "llama2-7b",
        "object": "chat.completion.chunk",
        "created": 1234567890,
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
        **fields,
    }


USAGE = {"usage": {"prompt_tokens": 205, "completion_tokens": 5, "total_tokens": 210}}


def sse(*updates: Json, done: bool = True, **settings: Any) -> Reply:
    """A stream of server-sent events; strings are written as they stand."""
    lines = [one if isinstance(one, str) else f"data: {json.dumps(one)}\n\n" for one in updates]
    return Reply(lines=[*lines, *(["data: [DONE]\n\n"] if done else [])], kind="text/event-stream", **settings)


def call(name: str = "add", arguments: str = '{"a": 1, "b": 2}', call_id: str = "call_1", **fields: Json) -> Json:
    """A tool call, whole or (with an `index`) a fragment."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **fields}
