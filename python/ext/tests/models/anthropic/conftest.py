"""A canned server for each test, and a way to make clients that speak to it and are closed afterwards."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import pytest

from autogen_core.models import ChatCompletionClient, CreateResult
from autogen_ext.models.anthropic import AnthropicChatCompletionClient

from .canned import CannedServer, message, streamed

KEY = "sk-ant-secret-of-the-tests"


class MakeClient(Protocol):
    """Makes a client of the canned server: for a current model and without retries, unless told otherwise."""

    def __call__(self, **arguments: Any) -> AnthropicChatCompletionClient: ...


class Whole:
    """Asks for an answer in one piece."""

    streams = False

    def __init__(self) -> None:
        self.pieces: list[str] = []

    async def __call__(self, client: ChatCompletionClient, *args: Any, **kwargs: Any) -> CreateResult:
        return await client.create(*args, **kwargs)


class InPieces(Whole):
    """Asks for a stream."""

    streams = True

    async def __call__(self, client: ChatCompletionClient, *args: Any, **kwargs: Any) -> CreateResult:
        *pieces, result = [item async for item in client.create_stream(*args, **kwargs)]
        assert isinstance(result, CreateResult)
        self.pieces = [str(piece) for piece in pieces]
        return result


def reply(ask: Whole, *blocks: Any, stop: str = "end_turn") -> Any:
    """The same reply whole or streamed."""
    return streamed(*blocks, stop=stop) if ask.streams else message(*blocks, stop=stop)


@pytest.fixture(params=[Whole, InPieces], ids=["whole", "streamed"])
def ask(request: pytest.FixtureRequest) -> Whole:
    """Runs a test twice: with `create`, and with `create_stream`."""
    made: Whole = request.param()
    return made


@pytest.fixture
async def server() -> AsyncGenerator[CannedServer, None]:
    async with CannedServer() as running:
        yield running


@pytest.fixture
async def make_client(server: CannedServer, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[MakeClient, None]:
    clients: list[AnthropicChatCompletionClient] = []
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def make(**arguments: Any) -> AnthropicChatCompletionClient:
        defaults: dict[str, Any] = {
            "model": "claude-opus-5-5",
            "api_key": KEY,
            "base_url": server.base_url,
            "max_retries": 0,
        }
        client = AnthropicChatCompletionClient(**(defaults | arguments))
        clients.append(client)
        return client

    yield make
    await asyncio.gather(*(client.close() for client in clients))
