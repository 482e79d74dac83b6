"""Processes that are gone after the test, and clients at their host."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from autogen_core import try_get_known_serializers_for_type
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime

from . import processes
from .processes import Command
from .shop import Done, Order

Start = Callable[..., Awaitable[Command]]
NewClient = Callable[..., Awaitable[GrpcWorkerAgentRuntime]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts commands."""
    made: list[Command] = []

    async def start(*arguments: str, **options: Any) -> Command:
        command = await processes.run(*arguments, **options)
        made.append(command)
        return command

    yield start
    for command in reversed(made):
        await command.kill()


@pytest.fixture
async def new_client(start: Start) -> AsyncIterator[NewClient]:
    """Connects runtimes of the test's own process that know the messages; they leave before the processes do."""
    made: list[GrpcWorkerAgentRuntime] = []

    async def connect(address: str, **options: Any) -> GrpcWorkerAgentRuntime:
        client = GrpcWorkerAgentRuntime(address, **options)
        for kind in (Order, Done):
            client.add_message_serializer(try_get_known_serializers_for_type(kind))
        await client.start()
        made.append(client)
        return client

    yield connect
    for client in made:
        await client.close()
