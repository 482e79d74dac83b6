"""Subscriptions, and the table that finds a topic's recipients."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autogen_core import (
    AgentId,
    DefaultSubscription,
    Subscription,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
)
from autogen_core.exceptions import CantHandleException, RegistrationError
from autogen_core.lowlevel import SubscriptionTable


class EndsWith:
    """A subscription of a program's own: topics whose type ends with a text."""

    def __init__(self, end: str, agent_type: str) -> None:
        self.end = end
        self.agent_type = agent_type

    @property
    def id(self) -> str:
        return f"{self.end}->{self.agent_type}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EndsWith) and other.id == self.id

    def is_match(self, topic_id: TopicId) -> bool:
        return topic_id.type.endswith(self.end)

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        return AgentId(self.agent_type, "only")


def test_a_type_subscription_maps_the_source_to_the_key() -> None:
    subscription = TypeSubscription("news", "reader")
    assert subscription.is_match(TopicId("news", "s"))
    assert not subscription.is_match(TopicId("news.eu", "s"))
    assert subscription.map_to_agent(TopicId("news", "s")) == AgentId("reader", "s")


def test_a_prefix_subscription_matches_what_begins_with_its_text() -> None:
    subscription = TypePrefixSubscription("news.", "reader")
    assert subscription.is_match(TopicId("news.eu", "s"))
    assert not subscription.is_match(TopicId("new", "s"))


@pytest.mark.parametrize("subscription", [TypeSubscription("a", "x"), TypePrefixSubscription("a", "x")])
def test_mapping_a_topic_that_does_not_match_is_refused(subscription: Subscription) -> None:
    with pytest.raises(CantHandleException, match="does not match"):
        subscription.map_to_agent(TopicId("b", "s"))


def test_subscriptions_are_equal_by_id_or_by_effect_but_not_across_kinds() -> None:
    assert TypeSubscription("a", "x") == TypeSubscription("a", "x")
    assert TypeSubscription("a", "x", id="1") == TypeSubscription("b", "y", id="1")
    assert TypeSubscription("a", "x") != TypePrefixSubscription("a", "x")


def test_a_default_subscription_outside_of_a_registration_says_what_it_needs() -> None:
    with pytest.raises(CantHandleException, match="agent_type"):
        DefaultSubscription()


@pytest.mark.parametrize("make", [TypeSubscription, TypePrefixSubscription, EndsWith])
def test_adding_the_same_subscription_twice_is_refused(make: type[TypeSubscription]) -> None:
    table = SubscriptionTable()
    table.add(make("a", "x"))
    with pytest.raises(RegistrationError, match="already exists"):
        table.add(make("a", "x"))
    assert len(table) == 1


def test_removing_an_unknown_subscription_is_refused() -> None:
    with pytest.raises(ValueError, match="does not exist"):
        SubscriptionTable().remove("unknown")


def test_recipients_follow_what_is_added_and_removed_while_topics_are_remembered() -> None:
    table = SubscriptionTable()
    topic = TopicId("a.b", "s")
    assert list(table.recipients(topic)) == []
    first, second = TypePrefixSubscription("a", "x"), TypeSubscription("a.b", "y")
    table.add(first)
    table.add(second)
    assert list(table.recipients(topic)) == [AgentId("x", "s"), AgentId("y", "s")]
    table.remove(first.id)
    assert list(table.recipients(topic)) == [AgentId("y", "s")]
    table.remove(second.id)
    assert list(table.recipients(topic)) == []


def test_500_000_topics_seen_once_leave_no_growth() -> None:
    table = SubscriptionTable()
    table.add(TypePrefixSubscription("t", "x"))
    for number in range(500_000):
        table.recipients(TopicId("t", str(number)))
    assert len(table._recipients) <= table._REMEMBERED


_texts = st.text("ab.", min_size=1, max_size=3)
_rules = st.lists(
    st.tuples(st.sampled_from([TypeSubscription, TypePrefixSubscription, EndsWith]), _texts, st.sampled_from("xyz")),
    unique=True,
    max_size=12,
)


@given(rules=_rules, topics=st.lists(_texts, max_size=6), removed=st.sets(st.integers(0, 11)))
def test_the_index_finds_what_asking_every_subscription_would_find(
    rules: list[tuple[type[TypeSubscription], str, str]], topics: list[str], removed: set[int]
) -> None:
    table = SubscriptionTable()
    kept: list[Subscription] = []
    for number, (kind, text, agent_type) in enumerate(rules):
        subscription = kind(text, agent_type)
        table.add(subscription)
        if number in removed:
            table.remove(subscription.id)
        else:
            kept.append(subscription)
        for topic in [TopicId(text, "s") for text in topics]:
            assert list(table.recipients(topic)) == [s.map_to_agent(topic) for s in kept if s.is_match(topic)]
