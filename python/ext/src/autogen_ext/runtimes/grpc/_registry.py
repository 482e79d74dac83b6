"""What a worker hosts and hears, as its host is told of it: agent types and subscriptions, registered, and after a break again.

Stands on the link; knows no message.
"""

import asyncio
from collections.abc import Collection, Iterable
from typing import Any

import grpc

from autogen_core import Subscription
from autogen_core.exceptions import NotPermittedError, RegistrationError

from ._codec import SHARED, to_subscription
from ._link import Link
from .protos import agent_worker_pb2 as wire


class RegistrationRefusedError(RegistrationError, grpc.aio.AioRpcError):
    """The host refused an agent type or a subscription; as 0.7.5's `AioRpcError` it has the status and the details."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        grpc.aio.AioRpcError.__init__(
            self,
            error.code(),
            error.initial_metadata(),
            error.trailing_metadata(),
            error.details(),
            error.debug_error_string(),
        )


class Registry:
    """The registrations of a worker at its host; each method raises `RegistrationRefusedError` or `NotPermittedError`.

    Args:
        link: Where the host is.
        shared: The agent types that other workers host, too.
    """

    def __init__(self, link: Link, shared: Collection[str]) -> None:
        self._link = link
        self._shared = shared

    async def register(self, agent_type: str) -> None:
        """Say that an agent type lives here."""
        headers = ((SHARED, "1"),) if agent_type in self._shared else ()
        await self._ask("RegisterAgent", wire.RegisterAgentTypeRequest(type=agent_type), *headers)

    async def subscribe(self, subscription: wire.Subscription) -> None:
        """Add a subscription."""
        await self._ask("AddSubscription", wire.AddSubscriptionRequest(subscription=subscription))

    async def unsubscribe(self, id: str) -> None:
        """Remove a subscription."""
        await self._ask("RemoveSubscription", wire.RemoveSubscriptionRequest(id=id))

    async def tell_all(self, agent_types: Iterable[str], subscriptions: Iterable[Subscription]) -> None:
        """Register everything with a host that does not know this connection."""
        for agent_type in list(agent_types):
            await self.register(agent_type)
        for subscription in list(subscriptions):
            await self.subscribe(to_subscription(subscription))

    async def _ask(self, name: str, request: Any, *headers: tuple[str, str]) -> None:
        try:
            await self._link.unary(name, request, *headers)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.PERMISSION_DENIED:
                raise NotPermittedError(error.details() or "The host refuses.") from error
            if error.code() in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNKNOWN}:
                raise RegistrationRefusedError(error) from error
            raise


class Registering:
    """Lets requests for an agent type wait that come between the host's consent and the factory's place here."""

    def __init__(self, under_way: dict[str, asyncio.Future[None]], agent_type: str) -> None:
        self._under_way = under_way
        self._agent_type = agent_type

    async def __aenter__(self) -> None:
        self._under_way[self._agent_type] = asyncio.get_running_loop().create_future()

    async def __aexit__(self, *error: object) -> None:
        self._under_way.pop(self._agent_type).set_result(None)
