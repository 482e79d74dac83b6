"""`BaseRuntime`: the half of a runtime that all share: its agents, their state, its subscriptions and serialisers.

Stands on the directory, the subscription table and the serialiser registry; knows no delivery, and neither start nor stop.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from autogen_core._contracts import Agent, AgentRuntime
from autogen_core._identity import AgentId, AgentMetadata, AgentType
from autogen_core._runtime.directory import Directory
from autogen_core._serialization import MessageSerializer, SerializationRegistry
from autogen_core._subscriptions import Subscription, SubscriptionTable

T = TypeVar("T", bound=Agent)


class BaseRuntime(AgentRuntime):
    """Keeps agents. A runtime derives from it and adds `send_message` and `publish_message`."""

    def __init__(self) -> None:
        self._directory = Directory(self)
        self._subscriptions = SubscriptionTable()
        self._serializers = SerializationRegistry()

    # Agents

    async def register_factory(
        self,
        type: str | AgentType,
        agent_factory: Callable[[], T | Awaitable[T]],
        *,
        expected_class: type[T] | None = None,
    ) -> AgentType:
        """Say how agents of a type are made; promises as `AgentRuntime.register_factory`."""
        return self._directory.add_factory(type, agent_factory, expected_class)

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Let an agent that exists live here; promises as `AgentRuntime.register_agent_instance`."""
        return await self._directory.add_instance(agent_instance, agent_id)

    async def try_get_underlying_agent_instance(self, id: AgentId, type: type[T] = Agent) -> T:  # type: ignore[assignment]  # any agent by default
        """Return an agent's object; promises as `AgentRuntime.try_get_underlying_agent_instance`."""
        return cast("T", await self._directory.get_as(id, type))

    async def get(
        self, id_or_type: AgentId | AgentType | str, /, key: str = "default", *, lazy: bool = True
    ) -> AgentId:
        """Return the id of an agent; promises as `AgentRuntime.get`."""
        agent_id = id_or_type if isinstance(id_or_type, AgentId) else AgentId(id_or_type, key)
        if not lazy:
            await self._directory.activate(agent_id)
        return agent_id

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        """Return what an agent tells about itself; it is made if it does not exist yet."""
        return (await self._directory.activate(agent)).metadata

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return the state of one agent; it is made if it does not exist yet."""
        return await (await self._directory.activate(agent)).save_state()

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give one agent a state; it is made if it does not exist yet."""
        await (await self._directory.activate(agent)).load_state(state)

    async def save_state(self) -> Mapping[str, Any]:
        """Return the state of all agents that exist, by id."""
        return {str(id): dict(await agent.save_state()) for id, agent in list(self._directory.agents.items())}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `save_state` returned; states of agent types that are not registered are left out."""
        for text, agent_state in state.items():
            agent_id = AgentId.from_str(text)
            if self._directory.knows(agent_id):
                await (await self._directory.activate(agent_id)).load_state(agent_state)

    # Subscriptions and serialisers

    async def add_subscription(self, subscription: Subscription) -> None:
        """Add a subscription, from the next message on; raises `ValueError` if it exists already."""
        self._subscriptions.add(subscription)

    async def remove_subscription(self, id: str) -> None:
        """Remove a subscription; raises `ValueError` if there is none with this id."""
        self._subscriptions.remove(id)

    def add_message_serializer(self, serializer: MessageSerializer[Any] | Sequence[MessageSerializer[Any]]) -> None:
        """Make known how messages of a type become bytes; in this runtime nothing does."""
        self._serializers.add_serializer(serializer)
