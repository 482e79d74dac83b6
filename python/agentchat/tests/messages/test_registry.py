"""The registry: one list of types; the unions, the factory and `__all__` agree with it."""

import re
from typing import Any, Literal, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from autogen_agentchat import messages
from autogen_agentchat.messages import (
    AgentEvent,
    BaseAgentEvent,
    BaseChatMessage,
    BaseMessage,
    BaseTextChatMessage,
    ChatMessage,
    MessageFactory,
    SelectorEvent,
    StructuredMessage,
    TextMessage,
    UnknownMessageTypeError,
)
from autogen_agentchat.messages._registry import BUILT_IN


class Weather(BaseModel):
    city: str
    degrees: float


class Beep(BaseTextChatMessage):
    type: Literal["beep"] = "beep"


class Untyped(BaseTextChatMessage):
    """A message type that declares no `type` of its own."""


def _members(union: Any) -> set[type]:
    return set(get_args(get_args(union)[0]))


def test_the_unions_hold_exactly_the_built_in_types() -> None:
    assert _members(ChatMessage) == {kind for kind in BUILT_IN if issubclass(kind, BaseChatMessage)}
    assert _members(AgentEvent) == {kind for kind in BUILT_IN if issubclass(kind, BaseAgentEvent)}


def test_every_concrete_message_of_the_package_is_built_in_and_exported() -> None:
    """Only structured messages are missing from the list: each of their types is made by the user."""
    public = {name: getattr(messages, name) for name in messages.__all__}
    classes = {value for value in public.values() if isinstance(value, type) and issubclass(value, BaseMessage)}
    bases = {BaseMessage, BaseChatMessage, BaseAgentEvent, BaseTextChatMessage, StructuredMessage}
    assert classes - bases == set(BUILT_IN)


def test_all_is_sorted_as_the_linter_sorts_and_has_no_strangers() -> None:
    assert len(set(messages.__all__)) == len(messages.__all__)
    for name in messages.__all__:
        assert hasattr(messages, name)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.__name__)
def test_every_built_in_type_is_registered_under_the_name_that_its_dump_carries(kind: type[BaseMessage]) -> None:
    factory = MessageFactory()
    assert factory.is_registered(kind)  # pyright: ignore[reportArgumentType] - BUILT_IN holds messages and events only
    assert kind.model_fields["type"].default == kind.__name__


def test_a_selector_event_survives_the_factory() -> None:
    event = SelectorEvent(source="team", content="a or b?")
    assert MessageFactory().create(event.dump()) == event


def test_unions_tell_types_apart_by_their_tag() -> None:
    chat: TypeAdapter[Any] = TypeAdapter(ChatMessage)
    made = chat.validate_python({"type": "StopMessage", "source": "a", "content": "enough"})
    assert type(made) is messages.StopMessage
    with pytest.raises(ValidationError):
        chat.validate_python({"type": "ThoughtEvent", "source": "a", "content": "hm"})


def test_an_unknown_type_is_a_typed_error_that_names_it() -> None:
    with pytest.raises(UnknownMessageTypeError, match=re.escape("'Nonsense'")) as caught:
        MessageFactory().create({"type": "Nonsense"})
    assert isinstance(caught.value, ValueError)
    assert caught.value.message_type == "Nonsense"


@pytest.mark.parametrize("strange", [[], {}, 3, ["TextMessage"]])
def test_a_type_that_is_no_text_is_unknown_too(strange: object) -> None:
    with pytest.raises(UnknownMessageTypeError):
        MessageFactory().create({"type": strange})


@pytest.mark.parametrize("data", [{}, {"type": None}])
def test_data_without_a_type_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'type' is required"):
        MessageFactory().create(data)


def test_data_that_do_not_fit_the_type_are_refused() -> None:
    with pytest.raises(ValidationError):
        MessageFactory().create({"type": "TextMessage", "source": "a"})


def test_a_registered_structured_message_comes_back_equal() -> None:
    factory = MessageFactory()
    message = StructuredMessage[Weather](source="a", content=Weather(city="Oslo", degrees=-3.5))
    assert not factory.is_registered(StructuredMessage[Weather])
    factory.register(StructuredMessage[Weather])
    assert factory.create(message.dump()) == message


def test_a_type_is_registered_once() -> None:
    factory = MessageFactory()
    factory.register(Beep)
    with pytest.raises(ValueError, match="already registered"):
        factory.register(Beep)


def test_only_messages_and_events_can_be_registered() -> None:
    with pytest.raises(ValueError, match="must be a subclass of BaseChatMessage or BaseAgentEvent"):
        MessageFactory().register(int)  # pyright: ignore[reportArgumentType] - the misuse under test


@pytest.mark.parametrize("kind", [Beep, Untyped], ids=["type differs from class name", "no type field"])
def test_custom_messages_come_back_whatever_their_type_field_says(kind: type[BaseTextChatMessage]) -> None:
    factory = MessageFactory()
    factory.register(kind)
    message = kind(source="a", content="x")
    again = factory.create(message.dump())
    assert type(again) is kind
    assert again == message


def test_a_custom_type_cannot_take_over_a_built_in_name() -> None:
    class Impostor(BaseTextChatMessage):
        type: Literal["TextMessage"] = "TextMessage"

    factory = MessageFactory()
    factory.register(Impostor)
    assert type(factory.create(TextMessage(source="a", content="x").dump())) is TextMessage


def test_factories_do_not_share_what_was_registered() -> None:
    MessageFactory().register(Beep)
    assert not MessageFactory().is_registered(Beep)
