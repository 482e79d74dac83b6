"""The two sides of messaging, side by side: what an agent promises to a runtime, and a runtime to agents and programs.

`AgentProxy` is a handle to an agent from outside. The promises are described here and nowhere else. Stands on identities,
subscriptions and serialisers.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload, runtime_checkable

from autogen_core._cancellation import CancellationToken
from autogen_core._identity import AgentId, AgentMetadata, AgentType, TopicId
from autogen_core._message_context import MessageContext
from autogen_core._serialization import MessageSerializer
from autogen_core._subscriptions import Subscription

T = TypeVar("T", bound="Agent")


@runtime_checkable
class Agent(Protocol):
    """Something with an identity that receives messages and keeps state."""

    @property
    def metadata(self) -> AgentMetadata:
        """What the agent tells about itself."""
        ...

    @property
    def id(self) -> AgentId:
        """The agent's identity."""
        ...

    async def bind_id_and_runtime(self, id: AgentId, runtime: "AgentRuntime") -> None:
        """Tell the agent who it is and where it lives; called once, by the runtime."""
        ...

    async def on_message(self, message: Any, ctx: MessageContext) -> Any:
        """Handle a message.

        Returns:
            The answer, for a message whose sender waits (`ctx.is_rpc`).

        Raises:
            CantHandleException: The agent does not take such messages.
            Exception: Anything else reaches the sender as it is.
        """
        ...

    async def save_state(self) -> Mapping[str, Any]:
        """Return what the agent must be given to go on later; JSON values only."""
        ...

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `save_state` returned."""
        ...

    async def close(self) -> None:
        """Release what the agent holds; called once, when its runtime closes."""
        ...


@runtime_checkable
class AgentRuntime(Protocol):
    """Where agents live: makes them, delivers their messages, keeps their state."""

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message to one agent and wait for its answer.

        Cancelling the caller's task, or the token, cancels the handler and all it waits for.

        Args:
            message: Anything; it is handed over, not copied.
            recipient: The agent. It is made if it does not exist yet.
            sender: The agent that sends; None from outside.
            cancellation_token: Given to the handler in its context.
            message_id: Unique; made up if not given.

        Returns:
            What the handler returned.

        Raises:
            UndeliverableException: No such agent type, no handler for the message, or the runtime stopped.
            MessageDroppedException: An intervention handler dropped the message or its answer.
            Exception: The handler's own exception, the same object.
            asyncio.CancelledError: The token was cancelled.
        """
        ...

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> None:
        """Hand a message to all agents that hear the topic, except to its sender; returns before they handle it.

        Args:
            message: Anything; it is handed over, not copied.
            topic_id: The topic.
            sender: The agent that publishes; None from outside.
            cancellation_token: Given to the handlers in their context.
            message_id: Unique; made up if not given.
        """
        ...

    async def register_factory(
        self,
        type: str | AgentType,
        agent_factory: Callable[[], T | Awaitable[T]],
        *,
        expected_class: type[T] | None = None,
    ) -> AgentType:
        """Say how agents of a type are made, when their first message comes.

        Args:
            type: The agent type, unique in the runtime.
            agent_factory: Makes one agent. It may ask `AgentInstantiationContext` for the id and runtime.
            expected_class: The exact class of what the factory makes; checked when it is called.

        Raises:
            ValueError: The type is registered already.
        """
        ...

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Let an agent that exists already live here under the given id.

        All agents of its type must then be registered in this way.

        Raises:
            ValueError: The id is taken, its type has a factory, or the agent lives elsewhere.
        """
        ...

    async def try_get_underlying_agent_instance(self, id: AgentId, type: type[T] = Agent) -> T:  # type: ignore[assignment]  # any agent by default
        """Return the agent's object; it is made if it does not exist yet.

        Raises:
            LookupError: No such agent type.
            NotAccessibleError: It lives in another process.
            TypeError: It is not of the given class.
        """
        ...

    @overload
    async def get(self, id: AgentId, /, *, lazy: bool = ...) -> AgentId: ...
    @overload
    async def get(self, type: AgentType | str, /, key: str = ..., *, lazy: bool = ...) -> AgentId: ...
    async def get(
        self, id_or_type: AgentId | AgentType | str, /, key: str = "default", *, lazy: bool = True
    ) -> AgentId:
        """Return the id of an agent.

        Args:
            id_or_type: An id, or a type to be completed by `key`.
            key: The key, where a type is given.
            lazy: If false, the agent is made now if it does not exist yet.

        Raises:
            LookupError: Not lazy, and no such agent type.
        """
        ...

    async def save_state(self) -> Mapping[str, Any]:
        """Return the state of all agents that exist, by id; JSON values only."""
        ...

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `save_state` returned; agents that do not exist yet are made."""
        ...

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        """Return what an agent tells about itself; raises `LookupError` for an unknown type."""
        ...

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return the state of one agent; raises `LookupError` for an unknown type."""
        ...

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give an agent a state that was saved; raises `LookupError` for an unknown type."""
        ...

    async def add_subscription(self, subscription: Subscription) -> None:
        """Add a subscription, from the next message on; raises `ValueError` if it exists already."""
        ...

    async def remove_subscription(self, id: str) -> None:
        """Remove a subscription; raises `ValueError` if there is none with this id."""
        ...

    def add_message_serializer(self, serializer: MessageSerializer[Any] | Sequence[MessageSerializer[Any]]) -> None:
        """Make known how messages of a type become bytes, where they leave the process."""
        ...


class AgentProxy:
    """A handle to an agent from outside of its runtime.

    Args:
        agent: The agent's id.
        runtime: Where it lives.
    """

    def __init__(self, agent: AgentId, runtime: AgentRuntime) -> None:
        self._agent = agent
        self._runtime = runtime

    @property
    def id(self) -> AgentId:
        """The agent's identity."""
        return self._agent

    @property
    def metadata(self) -> Awaitable[AgentMetadata]:
        """What the agent tells about itself, to be awaited."""
        return self._runtime.agent_metadata(self._agent)

    async def send_message(
        self,
        message: Any,
        *,
        sender: AgentId,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send the agent a message; as `AgentRuntime.send_message`."""
        return await self._runtime.send_message(
            message,
            recipient=self._agent,
            sender=sender,
            cancellation_token=cancellation_token,
            message_id=message_id,
        )

    async def save_state(self) -> Mapping[str, Any]:
        """Return the agent's state."""
        return await self._runtime.agent_save_state(self._agent)

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give the agent a state that was saved."""
        await self._runtime.agent_load_state(self._agent, state)
