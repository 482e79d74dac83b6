"""Identities: what is accepted, how they are written and read, and when they are equal."""

import pytest

from autogen_core import AgentId, AgentType, DefaultTopicId, TopicId


def test_an_agent_id_is_written_as_type_and_key_and_read_back() -> None:
    agent_id = AgentId("writer", "session/1")
    assert str(agent_id) == "writer/session/1"
    assert AgentId.from_str(str(agent_id)) == agent_id
    assert (agent_id.type, agent_id.key) == ("writer", "session/1")


def test_an_agent_type_may_be_given_as_an_object() -> None:
    assert AgentId(AgentType("writer"), "1") == AgentId("writer", "1")
    assert len({AgentId(AgentType("writer"), "1"), AgentId("writer", "1")}) == 1


@pytest.mark.parametrize("bad", ["", "a b", "a/b", "a:b", "a\n"])
def test_an_agent_type_of_other_characters_is_refused_with_what_was_expected(bad: str) -> None:
    with pytest.raises(ValueError, match="Expected letters, digits"):
        AgentId(bad, "key")


@pytest.mark.parametrize("bad", ["", "a b", "a/b"])
def test_a_topic_type_of_other_characters_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="Invalid topic type"):
        TopicId(bad, "source")


def test_a_topic_id_is_written_as_type_and_source_and_read_back() -> None:
    topic = TopicId("news:eu=1", "desk/7")
    assert str(topic) == "news:eu=1/desk/7"
    assert TopicId.from_str(str(topic)) == topic


@pytest.mark.parametrize("cls", [AgentId, TopicId])
def test_an_id_without_a_slash_cannot_be_read(cls: type[AgentId | TopicId]) -> None:
    with pytest.raises(ValueError, match="Expected 'type/"):
        cls.from_str("nothing")


def test_a_default_topic_equals_the_topic_it_stands_for() -> None:
    assert DefaultTopicId() == TopicId("default", "default")
    assert hash(DefaultTopicId()) == hash(TopicId("default", "default"))


def test_an_agent_id_equals_no_other_kind_of_thing() -> None:
    assert AgentId("a", "b") != "a/b"
    assert AgentId("a", "b") != TopicId("a", "b")
