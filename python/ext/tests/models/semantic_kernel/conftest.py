"""A protocol server for each test, and adapters on connectors that speak to it."""

import asyncio
import json
import warnings
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import pytest
from ollama import AsyncClient
from openai import AsyncOpenAI

from .._shared.server import Json, ProtocolServer, Reply

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # some classes of the SDK warn of themselves while they are defined
    from semantic_kernel.connectors.ai.ollama import OllamaChatCompletion
    from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion

    from autogen_ext.models.semantic_kernel import SKChatCompletionAdapter

SECRET = "sk-secret-of-the-tests"


class MakeClient(Protocol):
    """Makes an adapter on the connector for OpenAI, without repetitions."""

    def __call__(self, **arguments: Any) -> SKChatCompletionAdapter: ...


@pytest.fixture
async def server() -> AsyncGenerator[ProtocolServer, None]:
    async with ProtocolServer() as running:
        yield running


@pytest.fixture
async def make_client(server: ProtocolServer) -> AsyncGenerator[MakeClient, None]:
    clients: list[AsyncOpenAI] = []

    def make(**arguments: Any) -> SKChatCompletionAdapter:
        clients.append(AsyncOpenAI(api_key=SECRET, base_url=f"{server.url}/v1", max_retries=0))
        return SKChatCompletionAdapter(OpenAIChatCompletion("gpt-4o", async_client=clients[-1]), **arguments)

    yield make
    await asyncio.gather(*(client.close() for client in clients))


@pytest.fixture
async def ollama_client(server: ProtocolServer) -> AsyncGenerator[SKChatCompletionAdapter, None]:
    """An adapter on the connector for Ollama."""
    client = AsyncClient(host=server.url)
    yield SKChatCompletionAdapter(OllamaChatCompletion(ai_model_id="llama3.2", client=client))
    http: Any = vars(client)["_client"]
    await http.aclose()


def completion(content: str | None = "Hello", *, finish: str = "stop", **message: Json) -> Json:
    """A completion in OpenAI's form; extra fields go into its message."""
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def chunk(delta: dict[str, Json] | None = None, *, finish: str | None = None) -> Json:
    """A chunk of a stream in OpenAI's form."""
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
    }


USAGE: Json = {
    **chunk(),
    "choices": [],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}


def sse(*chunks: Json, **settings: Any) -> Reply:
    """A stream of server-sent events."""
    lines = [f"data: {json.dumps(one)}\n\n" for one in chunks]
    return Reply(lines=[*lines, "data: [DONE]\n\n"], kind="text/event-stream", **settings)


def call(name: str = "add", arguments: str = '{"a": 1, "b": 2}', call_id: str = "call_1", **fields: Json) -> Json:
    """A tool call, whole or (with an `index`) a fragment."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **fields}
