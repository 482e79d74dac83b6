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
from ._link import Link, unavailable
from .protos import agent_worker_pb2 as wire

_LOOKS, _LOOK_AGAIN_S = 10, 0.05
"""How often, and after how many seconds, to look whether a connection broke on which a call came to nothing."""


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

    While the host is away they wait for it, and what a break interrupts is asked again.

    Args:
        link: Where the host is.
        shared: The agent types that other workers host, too.
        patience_s: How long the host may be away; after it they raise `grpc.aio.AioRpcError` with `UNAVAILABLE`.
    """

    def __init__(self, link: Link, shared: Collection[str], patience_s: float) -> None:
        self._link = link
        self._shared = shared
        self._patience_s = patience_s
        self._there = asyncio.Event()  # while the host knows all, and also once the runtime stops
        self._stopping = False

    # With the host

    @property
    def joined(self) -> bool:
        """Whether there is a connection, and the host knows of all that is registered here."""
        return self._there.is_set() and not self._stopping and self._link.connected

    async def join(self, agent_types: Iterable[str], subscriptions: Iterable[Subscription]) -> None:
        """Register everything with a host that does not know this connection."""
        for agent_type in list(agent_types):
            await self._ask(*self._registering(agent_type))
        for subscription in list(subscriptions):
            await self._ask("AddSubscription", wire.AddSubscriptionRequest(subscription=to_subscription(subscription)))
        self._there.set()

    def enter(self) -> None:
        """Note that the runtime starts; `join` is called next."""
        self._stopping = False
        self._there.clear()

    def away(self) -> None:
        """Note that the connection broke; it is made again, and then `join` is called."""
        if not self._stopping:
            self._there.clear()

    def leave(self) -> None:
        """Note that the runtime stops: nobody waits for the host any more."""
        self._stopping = True
        self._there.set()

    # One by one

    async def register(self, agent_type: str) -> None:
        """Say that an agent type lives here."""
        await self._ask_patiently(*self._registering(agent_type))

    async def subscribe(self, subscription: wire.Subscription) -> None:
        """Add a subscription, which is in the table of this worker already, so that `join` adds it, too."""
        request = wire.AddSubscriptionRequest(subscription=subscription)
        await self._ask_patiently("AddSubscription", request, joining=True)

    async def unsubscribe(self, id: str) -> None:
        """Remove a subscription."""
        await self._ask_patiently("RemoveSubscription", wire.RemoveSubscriptionRequest(id=id))

    async def until_joined(self) -> None:
        """Wait for the host if it is away; raises `grpc.aio.AioRpcError` if it stays away."""
        await self._until_joined(asyncio.get_running_loop().time() + self._patience_s)

    def _registering(self, agent_type: str) -> tuple[Any, ...]:
        headers = ((SHARED, "1"),) if agent_type in self._shared else ()
        return "RegisterAgent", wire.RegisterAgentTypeRequest(type=agent_type), *headers

    async def _ask_patiently(self, name: str, request: Any, *headers: tuple[str, str], joining: bool = False) -> None:
        end = asyncio.get_running_loop().time() + self._patience_s
        while True:
            await self._until_joined(end)
            connection = self._link.client_id
            try:
                await self._ask(name, request, *headers)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or not await self._is_broken(connection):
                    raise
                if joining:
                    await self._until_joined(end)
                    return
            else:
                return

    async def _until_joined(self, end: float) -> None:
        left = end - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(left, 0)):
                await self._there.wait()
        except TimeoutError:
            raise unavailable(f"The host is away, for {self._patience_s:.0f} seconds now.") from None
        if self._stopping:
            raise unavailable("The runtime stopped.")

    async def _is_broken(self, connection: str) -> bool:
        """Tell whether a connection broke: then its streams end in a moment, if they have not yet."""
        for _ in range(_LOOKS):
            if not self.joined or self._link.client_id != connection:
                return True
            await asyncio.sleep(_LOOK_AGAIN_S)
        return False

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
