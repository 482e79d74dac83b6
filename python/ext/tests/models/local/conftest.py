"""One engine for all tests of this folder: it is kept loaded, so each client finds it there."""

from collections.abc import Generator

import pytest

from autogen_ext.models.local import LocalChatCompletionClient
from autogen_ext.models.local._engine import Engine


@pytest.fixture(scope="session")
def _kept() -> Generator[LocalChatCompletionClient, None, None]:
    keeper = LocalChatCompletionClient()
    keeper._lease.engine_now()
    yield keeper
    keeper._lease.release()


@pytest.fixture
def engine(_kept: LocalChatCompletionClient) -> Engine:
    """The loaded default model."""
    return _kept._lease.engine_now()


@pytest.fixture
def client(_kept: LocalChatCompletionClient) -> LocalChatCompletionClient:
    """A client of its own on the loaded default model."""
    return LocalChatCompletionClient(max_tokens=48)
