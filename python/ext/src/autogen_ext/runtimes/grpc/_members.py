"""Who is at a host: the workers, the agent types that they host, and what these hear.

Stands on the subscription table of autogen_core; knows no stream and moves no message.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from autogen_core import AgentId, TopicId, TypePrefixSubscription, TypeSubscription
from autogen_core.exceptions import NotPermittedError, RegistrationError
from autogen_core.lowlevel import SubscriptionTable

from ._codec import from_subscription
from ._outbox import Outbox
from ._security import EVERYTHING, WorkerRights, allowed
from .protos import agent_worker_pb2 as wire

USUAL_MAX_BYTES = 4 * 1024 * 1024
"""What gRPC takes in one message unless it is told otherwise."""

_Key = tuple[str, str, str]


@dataclass(eq=False)
class Client:
    """One worker at the host, as long as it is connected.

    Attributes:
        id: Its client id: one connection.
        worker: What stays the same when it connects again; for workers of 0.7.5 the client id.
        own: Whether it is one of ours, which understand what 0.7.5 does not.
        rights: What it may do.
        max_bytes: The longest message that it takes.
        channel: What is on its way to it; None before it opened its channel, and after that ended.
        control: The same for control messages.
        types: The agent types that it hosts.
    """

    id: str
    worker: str = ""
    own: bool = False
    rights: WorkerRights = EVERYTHING
    max_bytes: int = USUAL_MAX_BYTES
    channel: Outbox[wire.Message] | None = None
    control: Outbox[wire.ControlMessage] | None = None
    types: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.worker = self.worker or self.id


class Members:
    """The workers of a host. An agent type has one worker, or several if all of them say that they share it."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self._hosts: dict[str, list[Client]] = {}
        self._shared: set[str] = set()
        self._table = SubscriptionTable()
        self._rules: dict[_Key, dict[str, Client]] = {}  # a rule, and by whom it is held under which ids
        self._keys: dict[str, _Key] = {}

    # Workers

    def add(self, client: Client) -> Client | None:
        """Let a worker in; return the one that it was before, where it connects again while that is not gone yet."""
        again = (old for old in self.clients.values() if old.own and old.worker == client.worker)
        before = next((old for old in again if old.rights == client.rights), None)
        if before is not None:
            self.remove(before)
        self.clients[client.id] = client
        return before

    def remove(self, client: Client) -> None:
        """Forget a worker, its agent types and its subscriptions."""
        if self.clients.get(client.id) is client:
            del self.clients[client.id]
        for agent_type in list(client.types):
            self.unregister(client, agent_type)
        for key, holders in list(self._rules.items()):
            for id in [id for id, holder in holders.items() if holder is client]:
                self._release(key, id)

    # Agent types

    @property
    def types(self) -> Iterable[str]:
        """The agent types that workers host."""
        return self._hosts

    def is_shared(self, agent_type: str) -> bool:
        """Tell whether several workers may host the type."""
        return agent_type in self._shared

    def register(self, client: Client, agent_type: str, *, shared: bool) -> None:
        """Let a worker host an agent type.

        Raises:
            RegistrationError: Another worker hosts it, and not both share it; or this one does already.
            NotPermittedError: The worker has no right to.
        """
        if not allowed(agent_type, client.rights.register):
            raise NotPermittedError(f"This worker has no right to register agent type {agent_type!r}.")
        hosts = self._hosts.get(agent_type, [])
        together = shared and agent_type in self._shared and client not in hosts
        if hosts and not together:
            raise RegistrationError(f"Agent type {agent_type} already registered with client {hosts[0].id}.")
        if shared:
            self._shared.add(agent_type)
        self._hosts.setdefault(agent_type, []).append(client)
        client.types.add(agent_type)

    def unregister(self, client: Client, agent_type: str) -> None:
        """Take an agent type from a worker, if it hosts that."""
        if agent_type not in client.types:
            return
        hosts = self._hosts[agent_type]
        hosts.remove(client)
        client.types.discard(agent_type)
        if not hosts:
            del self._hosts[agent_type]
            self._shared.discard(agent_type)

    def home(self, agent: AgentId) -> Client | None:
        """Return the worker that an agent lives on; None if no worker that can be reached hosts its type.

        Of several, each has an even share of the keys, and keeps it while others come and go (rendezvous hashing).
        """
        hosts = [client for client in self._hosts.get(agent.type, ()) if client.channel is not None]
        if len(hosts) <= 1:
            return hosts[0] if hosts else None
        return max(hosts, key=lambda client: blake2b(f"{client.worker}/{agent}".encode(), digest_size=8).digest())

    # Subscriptions

    def subscribe(self, client: Client, subscription: wire.Subscription) -> None:
        """Add a subscription; workers that share its agent type may each add the same one.

        Raises:
            RegistrationError: It exists already.
            NotPermittedError: The worker has no right to.
            UnreadableError: It holds no rule.
        """
        rule = from_subscription(subscription)
        key = _key(rule)
        _, topic_type, agent_type = key
        own_topic = topic_type == f"{agent_type}:"
        if not allowed(agent_type, client.rights.register) or not (
            own_topic or allowed(topic_type, client.rights.subscribe)
        ):
            raise NotPermittedError(
                f"This worker has no right to let agent type {agent_type!r} hear topic type {topic_type!r}."
            )
        holders = self._rules.get(key)
        together = agent_type in self._shared and holders is not None and client not in holders.values()
        if rule.id in self._keys or (holders is not None and not together):
            raise RegistrationError("Subscription already exists")
        if holders is None:
            self._table.add(rule)
            holders = self._rules[key] = {}
        holders[rule.id] = client
        self._keys[rule.id] = key

    def unsubscribe(self, client: Client, id: str) -> TypeSubscription | TypePrefixSubscription:
        """Remove a subscription, and return it.

        Raises:
            RegistrationError: There is none with this id.
            NotPermittedError: It is of an agent type that the worker may not host.
        """
        key = self._keys.get(id)
        if key is None:
            raise RegistrationError("Subscription does not exist")
        if not allowed(key[2], client.rights.register):
            raise NotPermittedError(f"This worker has no right to subscriptions of agent type {key[2]!r}.")
        rule = next(rule for known, rule in self.subscriptions() if known == id)
        self._release(key, id)
        return rule

    def subscriptions(self) -> Iterator[tuple[str, TypeSubscription | TypePrefixSubscription]]:
        """Return all subscriptions with their ids, in the order in which they were added."""
        for id, (kind, text, agent_type) in self._keys.items():
            made = TypeSubscription if kind == "exact" else TypePrefixSubscription
            yield id, made(text, agent_type, id)

    def hearers(self, topic: TopicId) -> dict[Client, list[str]]:
        """Return the workers whose agents hear a topic, each with the types of these agents."""
        found: dict[Client, list[str]] = {}
        for agent in self._table.recipients(topic):
            home = self.home(agent)
            if home is not None:
                found.setdefault(home, []).append(agent.type)
        return found

    def _release(self, key: _Key, id: str) -> None:
        holders = self._rules[key]
        del holders[id], self._keys[id]
        if not holders:
            del self._rules[key]
            rule = next(known for known in self._table if _key(known) == key)
            self._table.remove(rule.id)


def _key(rule: object) -> _Key:
    if isinstance(rule, TypeSubscription):
        return "exact", rule.topic_type, rule.agent_type
    assert isinstance(rule, TypePrefixSubscription)
    return "prefix", rule.topic_type_prefix, rule.agent_type
