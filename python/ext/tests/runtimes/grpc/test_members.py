import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import RegistrationError
from autogen_ext.runtimes.grpc._codec import to_subscription
from autogen_ext.runtimes.grpc._members import Client, Members
from autogen_ext.runtimes.grpc._outbox import Outbox
from autogen_ext.runtimes.grpc.protos import agent_worker_pb2 as wire


def client(name: str, members: Members) -> Client:
    made = Client(f"connection of {name}", name, own=True, channel=Outbox[wire.Message](10))
    members.add(made)
    return made


def rule(topic: str, agent_type: str) -> wire.Subscription:
    return to_subscription(TypeSubscription(topic, agent_type))


def test_a_type_has_one_worker_unless_all_share_it() -> None:
    members = Members()
    one, two = client("one", members), client("two", members)
    members.register(one, "a", shared=False)
    with pytest.raises(RegistrationError, match=r"^Agent type a already registered with client connection of one\.$"):
        members.register(two, "a", shared=True)
    members.register(one, "b", shared=True)
    members.register(two, "b", shared=True)
    with pytest.raises(RegistrationError):
        members.register(two, "b", shared=True)


def test_keys_of_a_shared_type_are_spread_evenly_and_stay_where_they_are() -> None:
    members = Members()
    workers = [client(f"worker {number}", members) for number in range(3)]
    for worker in workers:
        members.register(worker, "a", shared=True)
    agents = [AgentId("a", str(number)) for number in range(300)]
    before = {agent: members.home(agent) for agent in agents}
    for worker in workers:
        assert 70 <= list(before.values()).count(worker) <= 130
    members.remove(workers[2])
    after = {agent: members.home(agent) for agent in agents}
    assert all(after[agent] is home for agent, home in before.items() if home is not workers[2])


def test_a_worker_that_leaves_takes_its_types_and_subscriptions_along() -> None:
    members = Members()
    one = client("one", members)
    members.register(one, "a", shared=False)
    members.subscribe(one, rule("t", "a"))
    assert list(members.hearers(TopicId("t", "s"))) == [one]
    members.remove(one)
    assert not members.hearers(TopicId("t", "s"))
    assert members.home(AgentId("a", "k")) is None
    assert not list(members.subscriptions())


def test_a_worker_that_comes_again_replaces_what_it_was() -> None:
    members = Members()
    before = client("one", members)
    members.register(before, "a", shared=False)
    again = Client("new connection", "one", own=True, channel=Outbox[wire.Message](10))
    assert members.add(again) is before
    members.register(again, "a", shared=False)
    assert members.home(AgentId("a", "k")) is again


def test_workers_that_share_a_type_hold_a_subscription_together() -> None:
    members = Members()
    one, two = client("one", members), client("two", members)
    for worker in (one, two):
        members.register(worker, "a", shared=True)
        members.subscribe(worker, rule("t", "a"))
    members.remove(one)
    assert list(members.hearers(TopicId("t", "s"))) == [two]
    members.remove(two)
    members.subscribe(client("three", members), rule("t", "a"))


def test_a_subscription_exists_once_otherwise() -> None:
    members = Members()
    one, two = client("one", members), client("two", members)
    members.subscribe(one, rule("t", "a"))
    with pytest.raises(RegistrationError, match="Subscription already exists"):
        members.subscribe(two, rule("t", "a"))
    with pytest.raises(RegistrationError, match="Subscription does not exist"):
        members.unsubscribe(one, "no such id")
    ((id, _),) = members.subscriptions()
    members.unsubscribe(two, id)
    members.subscribe(two, rule("t", "a"))
