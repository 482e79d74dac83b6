"""`BaseAgent`: an agent that knows its id and runtime, sends and publishes, and registers itself with its subscriptions.

Stands on the contracts and subscriptions; knows no particular runtime.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, ClassVar, Self, final
from warnings import warn

from autogen_core._cancellation import CancellationToken
from autogen_core._context import AgentInstantiationContext, SubscriptionInstantiationContext
from autogen_core._contracts import Agent, AgentRuntime
from autogen_core._identity import AgentId, AgentMetadata, AgentType, TopicId
from autogen_core._message_context import MessageContext
from autogen_core._serialization import MessageSerializer
from autogen_core._subscriptions import Subscription, TypePrefixSubscription

UnboundSubscription = Callable[[], list[Subscription] | Awaitable[list[Subscription]]]
"""Makes subscriptions once the agent type is known; see `SubscriptionInstantiationContext`."""

HandledTypes = list[tuple[type[Any], list[MessageSerializer[Any]]]]
"""Message types with their serialisers."""


class BaseAgent(ABC, Agent):
    """The base of agents: write `on_message_impl`, or derive from `RoutedAgent`, which finds a handler by message type.

    Args:
        description: What the agent is for, in a sentence.
    """

    internal_unbound_subscriptions_list: ClassVar[list[UnboundSubscription]] = []
    internal_extra_handles_types: ClassVar[HandledTypes] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Subscriptions belong to the class that was decorated, not to those derived from it.
        cls.internal_unbound_subscriptions_list = []
        cls.internal_extra_handles_types = []

    def __init__(self, description: str) -> None:
        if not isinstance(description, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise ValueError(f"Agent description must be a string, got {type(description).__name__}.")
        self._description = description
        made_by = AgentInstantiationContext.ambient.variable.get(None)
        if made_by is not None:
            self._runtime, self._id = made_by

    @property
    def metadata(self) -> AgentMetadata:
        """The agent's type, key and description."""
        return AgentMetadata(type=self._id.type, key=self._id.key, description=self._description)

    @property
    def type(self) -> str:
        """The agent's type."""
        return self.id.type

    @property
    def id(self) -> AgentId:
        """The agent's identity, given to it by its runtime."""
        return self._id

    @property
    def runtime(self) -> AgentRuntime:
        """Where the agent lives."""
        return self._runtime

    async def bind_id_and_runtime(self, id: AgentId, runtime: AgentRuntime) -> None:
        """Tell the agent who it is and where it lives.

        Raises:
            RuntimeError: It is somebody else already, or lives elsewhere.
        """
        if getattr(self, "_id", id) != id:
            raise RuntimeError(f"The agent is {self._id} already and cannot become {id}. Make another instance.")
        if getattr(self, "_runtime", runtime) is not runtime:
            raise RuntimeError(f"The agent {id} lives in another runtime already. Make another instance.")
        self._id = id
        self._runtime = runtime

    @final
    async def on_message(self, message: Any, ctx: MessageContext) -> Any:
        """Handle a message, by `on_message_impl`."""
        return await self.on_message_impl(message, ctx)

    @abstractmethod
    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Handle a message: what a subclass writes. Promises as `Agent.on_message`."""
        ...

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message to another agent and wait for its answer; as `AgentRuntime.send_message`."""
        return await self._runtime.send_message(
            message,
            recipient,
            sender=self._id,
            cancellation_token=cancellation_token,
            message_id=message_id,
        )

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        cancellation_token: CancellationToken | None = None,
    ) -> None:
        """Publish a message to a topic; as `AgentRuntime.publish_message`. The agent itself does not receive it."""
        await self._runtime.publish_message(message, topic_id, sender=self._id, cancellation_token=cancellation_token)

    async def save_state(self) -> Mapping[str, Any]:
        """Return the agent's state: nothing, unless a subclass has some."""
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state. An agent class without this method warns if there is something to take up."""
        if state:
            warn(f"{type(self).__name__} has no load_state, so its saved state is not taken up.", stacklevel=2)

    async def close(self) -> None:
        """Release what the agent holds: nothing, unless a subclass has something."""

    @classmethod
    def add_class_subscription(cls, subscription: UnboundSubscription) -> None:
        """Let agents of this class have subscriptions that are made when it is registered; decorators call this."""
        cls.internal_unbound_subscriptions_list.append(subscription)

    @classmethod
    def _handles_types(cls) -> HandledTypes:
        return list(cls.internal_extra_handles_types)

    @classmethod
    async def register(
        cls,
        runtime: AgentRuntime,
        type: str,
        factory: Callable[[], Self | Awaitable[Self]],
        *,
        skip_class_subscriptions: bool = False,
        skip_direct_message_subscription: bool = False,
    ) -> AgentType:
        """Register a factory for agents of this class, with the class's subscriptions and message types.

        Args:
            runtime: Where the agents will live.
            type: Their agent type, unique in the runtime.
            factory: Makes one agent.
            skip_class_subscriptions: Leave out the subscriptions that the class was decorated with.
            skip_direct_message_subscription: Leave out the subscription to topics whose type begins with `{type}:`.

        Raises:
            ValueError: The type is registered already.
        """
        agent_type = await runtime.register_factory(type=AgentType(type), agent_factory=factory, expected_class=cls)
        own = [] if skip_class_subscriptions else await class_subscriptions(cls, agent_type)
        await subscribe(runtime, agent_type, own, direct=not skip_direct_message_subscription)
        cls._add_serializers(runtime)
        return agent_type

    async def register_instance(
        self,
        runtime: AgentRuntime,
        agent_id: AgentId,
        *,
        skip_class_subscriptions: bool = True,
        skip_direct_message_subscription: bool = False,
    ) -> AgentId:
        """Let this agent live in a runtime under the given id.

        Args:
            runtime: Where the agent will live.
            agent_id: Its identity, unique in the runtime.
            skip_class_subscriptions: Leave out the subscriptions that the class was decorated with.
            skip_direct_message_subscription: Leave out the subscription to topics whose type begins with the agent's type
                and a colon.

        Raises:
            ValueError: The id is taken, or its type has a factory.
        """
        agent_id = await runtime.register_agent_instance(agent_instance=self, agent_id=agent_id)
        agent_type = AgentType(agent_id.type)
        own = [] if skip_class_subscriptions else await class_subscriptions(type(self), agent_type)
        await subscribe(runtime, agent_type, own, direct=not skip_direct_message_subscription, again=True)
        self._add_serializers(runtime)
        return agent_id

    @classmethod
    def _add_serializers(cls, runtime: AgentRuntime) -> None:
        for _, serializers in cls._handles_types():
            runtime.add_message_serializer(serializers)


async def class_subscriptions(cls: type[BaseAgent], agent_type: AgentType) -> list[Subscription]:
    """Make the subscriptions that an agent class was decorated with, for one agent type."""
    return [
        subscription
        for make in cls.internal_unbound_subscriptions_list
        for subscription in await make_subscriptions(make, agent_type)
    ]


async def make_subscriptions(make: UnboundSubscription, agent_type: AgentType) -> list[Subscription]:
    """Call a subscription factory for an agent type."""
    with SubscriptionInstantiationContext.populate_context(agent_type):
        made = make()
        return await made if isawaitable(made) else made


async def subscribe(
    runtime: AgentRuntime,
    agent_type: AgentType,
    subscriptions: Sequence[Subscription],
    *,
    direct: bool,
    again: bool = False,
) -> None:
    """Add an agent type's subscriptions, and the one to its direct topics.

    Args:
        runtime: Where they are added.
        agent_type: The agent type.
        subscriptions: Those of its class.
        direct: Whether it hears topics whose type begins with `{agent_type}:`.
        again: Whether they may be there already, because another instance of the type brought them.
    """
    added = [*subscriptions]
    if direct:
        added.append(TypePrefixSubscription(topic_type_prefix=agent_type.type + ":", agent_type=agent_type))
    for subscription in added:
        try:
            await runtime.add_subscription(subscription)
        except ValueError:
            if not again:
                raise
