"""The stand-in for the library, and clients on it."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import pytest

from autogen_ext.models.llama_cpp import LlamaCppChatCompletionClient

from . import stand_in


class MakeClient(Protocol):
    """Makes a client on the stand-in; `template` is the chat template of its model, `says` what it answers."""

    def __call__(self, *says: Any, template: str = "", **arguments: Any) -> LlamaCppChatCompletionClient: ...


@pytest.fixture
async def make_client(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[MakeClient, None]:
    monkeypatch.setitem(sys.modules, "llama_cpp", stand_in.module())
    clients: list[LlamaCppChatCompletionClient] = []

    def make(*says: Any, template: str = "", **arguments: Any) -> LlamaCppChatCompletionClient:
        monkeypatch.setattr(stand_in.Llama, "__init__", _with_template(template))
        given: dict[str, Any] = {"model_path": "model.gguf"} | arguments
        client = LlamaCppChatCompletionClient(**given)
        client.llm.replies.extend(says)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.llm.go_on.set()
    await asyncio.gather(*(client.close() for client in clients))


_plain = stand_in.Llama.__init__


def _with_template(template: str) -> Any:
    def init(self: stand_in.Llama, *args: Any, **kwargs: Any) -> None:
        _plain(self, *args, **kwargs)
        self.metadata["tokenizer.chat_template"] = template

    return init
