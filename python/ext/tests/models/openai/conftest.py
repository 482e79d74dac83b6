"""A canned server for each test, and a way to make clients that speak to it and are closed afterwards."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import pytest

from autogen_ext.models.openai import OpenAIChatCompletionClient

from .canned import CannedServer


class MakeClient(Protocol):
    """Makes a client of the canned server: for gpt-4o and without retries, unless told otherwise."""

    def __call__(self, **arguments: Any) -> OpenAIChatCompletionClient: ...


@pytest.fixture
async def server() -> AsyncGenerator[CannedServer, None]:
    async with CannedServer() as running:
        yield running


@pytest.fixture
async def make_client(server: CannedServer) -> AsyncGenerator[MakeClient, None]:
    clients: list[OpenAIChatCompletionClient] = []

    def make(**arguments: Any) -> OpenAIChatCompletionClient:
        defaults: dict[str, Any] = {
            "model": "gpt-4o",
            "api_key": "sk-secret-of-the-tests",
            "base_url": server.base_url,
            "max_retries": 0,
        }
        client = OpenAIChatCompletionClient(**(defaults | arguments))
        clients.append(client)
        return client

    yield make
    await asyncio.gather(*(client.close() for client in clients))
