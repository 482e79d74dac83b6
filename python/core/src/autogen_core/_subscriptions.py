"""Who hears what: subscriptions map topics to agents. Stands on identities, ambient context and errors; knows no runtime.

A topic's recipients are found by an index over topic types and prefixes, never by asking all subscriptions; only
subscriptions of a custom class are asked one by one.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar, overload, runtime_checkable
from uuid import uuid4

from autogen_core._context import MessageHandlerContext, SubscriptionInstantiationContext
from autogen_core._identity import AgentId, AgentType, TopicId
from autogen_core.exceptions import CantHandleException, RegistrationError


@runtime_checkable
class Subscription(Protocol):
    """A rule that tells which agent hears a topic."""

    @property
    def id(self) -> str:
        """Unique to this subscription; it is removed by this id."""
        ...

    def __eq__(self, other: object) -> bool:
        """Tell whether the other rule is this one: the same id, or the same effect."""
        ...

    def is_match(self, topic_id: TopicId) -> bool:
        """Tell whether messages published to the topic are heard."""
        ...

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        """Return the agent that hears the topic.

        Raises:
            CantHandleException: The topic does not match.
        """
        ...


class _TypedSubscription:
    """What both built-in subscriptions share: a text to match topic types with, an agent type, an id."""

    def __init__(self, text: str, agent_type: str | AgentType, id: str | None) -> None:
        self._text = text
        self._agent_type = agent_type.type if isinstance(agent_type, AgentType) else agent_type
        self._id = id or str(uuid4())

    @property
    def id(self) -> str:
        """Unique to this subscription; it is removed by this id."""
        return self._id

    @property
    def agent_type(self) -> str:
        """The type of the agents that hear matching topics; the topic's source is their key."""
        return self._agent_type

    def is_match(self, topic_id: TopicId) -> bool:
        """Tell whether messages published to the topic are heard."""
        raise NotImplementedError

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        """Return the agent whose key is the topic's source.

        Raises:
            CantHandleException: The topic does not match.
        """
        if not self.is_match(topic_id):
            raise CantHandleException(f"{self!r} does not match the topic {topic_id}.", recipient=topic_id)
        return AgentId(self._agent_type, topic_id.source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)) and not isinstance(self, type(other)):
            return NotImplemented
        assert isinstance(other, _TypedSubscription)
        return self._id == other._id or (self._text == other._text and self._agent_type == other._agent_type)

    __hash__ = None  # type: ignore[assignment]  # equal by id or by effect: no hash agrees with both

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text!r}, {self._agent_type!r})"


class TypeSubscription(_TypedSubscription):
    """Agents of one type hear topics of one type, one agent for each topic source.

    Args:
        topic_type: The topic type, compared exactly.
        agent_type: The agent type; the topic's source becomes the agent's key.
        id: Unique; made up if not given.
    """

    def __init__(self, topic_type: str, agent_type: str | AgentType, id: str | None = None) -> None:
        super().__init__(topic_type, agent_type, id)

    @property
    def topic_type(self) -> str:
        """The topic type it matches exactly."""
        return self._text

    def is_match(self, topic_id: TopicId) -> bool:
        """Tell whether the topic is of this type."""
        return topic_id.type == self._text


class TypePrefixSubscription(_TypedSubscription):
    """Agents of one type hear topics whose type begins with a text, one agent for each topic source.

    Args:
        topic_type_prefix: What the topic type begins with.
        agent_type: The agent type; the topic's source becomes the agent's key.
        id: Unique; made up if not given.
    """

    def __init__(self, topic_type_prefix: str, agent_type: str | AgentType, id: str | None = None) -> None:
        super().__init__(topic_type_prefix, agent_type, id)

    @property
    def topic_type_prefix(self) -> str:
        """What a topic type must begin with."""
        return self._text

    def is_match(self, topic_id: TopicId) -> bool:
        """Tell whether the topic's type begins with the prefix."""
        return topic_id.type.startswith(self._text)


class DefaultSubscription(TypeSubscription):
    """The subscription for programs with one topic: type `default`, and the agent type that is being registered.

    Raises:
        CantHandleException: No agent type was given, and no class is being registered here.
    """

    def __init__(self, topic_type: str = "default", agent_type: str | AgentType | None = None) -> None:
        if agent_type is None:
            try:
                agent_type = SubscriptionInstantiationContext.agent_type()
            except RuntimeError:
                raise CantHandleException(
                    "DefaultSubscription needs an agent_type here: it is filled in only while a class is registered "
                    "(in the decorator default_subscription, or in a function given to register)."
                ) from None
        super().__init__(topic_type, agent_type)


class DefaultTopicId(TopicId):
    """The topic for programs with one topic: type `default`, and the key of the agent that publishes as its source.

    Outside of a message handler the source is `default`.
    """

    def __init__(self, type: str = "default", source: str | None = None) -> None:
        if source is None:
            agent_id = MessageHandlerContext.ambient.variable.get(None)
            source = "default" if agent_id is None else agent_id.key
        super().__init__(type, source)


class _SubscribableClass(Protocol):
    @classmethod
    def add_class_subscription(cls, subscription: Callable[[], list[Subscription]]) -> None: ...


AgentClassT = TypeVar("AgentClassT", bound=type[_SubscribableClass])


def subscription_factory(make: Callable[[], list[Subscription]]) -> Callable[[AgentClassT], AgentClassT]:
    """Decorate an agent class with subscriptions that are made when it is registered."""

    def decorate(cls: AgentClassT) -> AgentClassT:
        cls.add_class_subscription(make)
        return cls

    return decorate


@overload
def default_subscription() -> Callable[[AgentClassT], AgentClassT]: ...
@overload
def default_subscription(cls: AgentClassT) -> AgentClassT: ...
def default_subscription(cls: AgentClassT | None = None) -> Callable[[AgentClassT], AgentClassT] | AgentClassT:
    """Let agents of the decorated class hear the default topic; see `DefaultSubscription`."""
    decorate: Callable[[AgentClassT], AgentClassT] = subscription_factory(lambda: [DefaultSubscription()])
    return decorate if cls is None else decorate(cls)


def type_subscription(topic_type: str) -> Callable[[AgentClassT], AgentClassT]:
    """Let agents of the decorated class hear topics of the given type; see `TypeSubscription`."""
    return subscription_factory(lambda: [DefaultSubscription(topic_type=topic_type)])


class SubscriptionTable:
    """All subscriptions of a runtime, and the recipients of a topic.

    Adding, removing and looking up take the same time however many there are. Recipients are remembered for the topics used
    last, so a program that makes a topic for each session does not grow.
    """

    _REMEMBERED = 4096

    def __init__(self) -> None:
        self._by_id: dict[str, tuple[int, Subscription]] = {}
        self._exact: dict[str, dict[str, tuple[int, str]]] = {}
        self._prefix: dict[str, dict[str, tuple[int, str]]] = {}
        self._prefix_lengths: dict[int, int] = {}
        self._custom: dict[str, tuple[int, Subscription]] = {}
        self._recipients: dict[TopicId, tuple[AgentId, ...]] = {}
        self._count = 0

    def __iter__(self) -> Iterator[Subscription]:
        return (subscription for _, subscription in self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, subscription: Subscription) -> None:
        """Add a subscription.

        Raises:
            RegistrationError: The same one is there already.
        """
        place = self._place(subscription)
        if place is None:
            taken = subscription.id in self._by_id or any(known == subscription for _, known in self._custom.values())
        else:
            agents = place.get(_text(subscription), {})
            taken = subscription.id in self._by_id or _agent_type(subscription) in agents
        if taken:
            raise RegistrationError(f"Subscription already exists: {subscription!r}. Remove the other one first.")
        self._count += 1
        self._by_id[subscription.id] = (self._count, subscription)
        if place is None:
            self._custom[subscription.id] = (self._count, subscription)
        else:
            text = _text(subscription)
            place.setdefault(text, {})[_agent_type(subscription)] = (self._count, subscription.id)
            if place is self._prefix:
                self._prefix_lengths[len(text)] = self._prefix_lengths.get(len(text), 0) + 1
        self._recipients = {}

    def remove(self, id: str) -> None:
        """Remove a subscription by its id.

        Raises:
            RegistrationError: There is none with this id.
        """
        found = self._by_id.pop(id, None)
        if found is None:
            raise RegistrationError(f"Subscription does not exist: {id!r}. Expected the id of one that was added.")
        subscription = found[1]
        place = self._place(subscription)
        if place is None:
            del self._custom[id]
        else:
            text = _text(subscription)
            del place[text][_agent_type(subscription)]
            if not place[text]:
                del place[text]
            if place is self._prefix:
                self._prefix_lengths[len(text)] -= 1
                if not self._prefix_lengths[len(text)]:
                    del self._prefix_lengths[len(text)]
        self._recipients = {}

    def recipients(self, topic: TopicId) -> Sequence[AgentId]:
        """Return the agents that hear a topic, in the order in which their subscriptions were added."""
        known = self._recipients.get(topic)
        if known is None:
            known = self._find(topic)
            if len(self._recipients) >= self._REMEMBERED:
                self._recipients = {}
            self._recipients[topic] = known
        return known

    def _find(self, topic: TopicId) -> tuple[AgentId, ...]:
        found: list[tuple[int, AgentId]] = []
        agent_types = list(self._exact.get(topic.type, {}).items())
        for length in self._prefix_lengths:
            if length <= len(topic.type):
                agent_types += self._prefix.get(topic.type[:length], {}).items()
        found = [(count, AgentId(agent_type, topic.source)) for agent_type, (count, _) in agent_types]
        for count, subscription in self._custom.values():
            if subscription.is_match(topic):
                found.append((count, subscription.map_to_agent(topic)))
        found.sort(key=lambda item: item[0])
        return tuple(agent_id for _, agent_id in found)

    def _place(self, subscription: Subscription) -> dict[str, dict[str, tuple[int, str]]] | None:
        """Return the index a subscription belongs to; None if its class may match in a way of its own."""
        kind = type(subscription)
        if kind is TypeSubscription or kind is DefaultSubscription:
            return self._exact
        return self._prefix if kind is TypePrefixSubscription else None


def _text(subscription: Subscription) -> str:
    assert isinstance(subscription, _TypedSubscription)
    return subscription._text


def _agent_type(subscription: Subscription) -> str:
    assert isinstance(subscription, _TypedSubscription)
    return subscription.agent_type
