"""Structured messages and their factory."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from autogen_agentchat.messages import StructuredMessage, StructuredMessageFactory
from autogen_core import ComponentModel


class Weather(BaseModel):
    city: str
    degrees: float = 0.0


OSLO = Weather(city="Oslo", degrees=-3.5)


def test_the_type_names_the_content() -> None:
    message = StructuredMessage[Weather](source="a", content=OSLO)
    assert message.type == "StructuredMessage[Weather]"
    assert message.dump()["type"] == "StructuredMessage[Weather]"


def test_without_a_format_everybody_reads_json() -> None:
    message = StructuredMessage[Weather](source="a", content=OSLO)
    assert message.to_text() == message.to_model_text() == '{"city":"Oslo","degrees":-3.5}'


def test_a_format_is_filled_with_the_fields() -> None:
    message = StructuredMessage[Weather](source="a", content=OSLO, format_string="{city}: {degrees} degrees")
    assert message.to_text() == message.to_model_text() == "Oslo: -3.5 degrees"


def test_a_model_is_always_shown_json() -> None:
    message = StructuredMessage[Weather](source="a", content=OSLO, format_string="{city}")
    assert message.to_model_message().content == '{"city":"Oslo","degrees":-3.5}'


def test_a_factory_makes_the_message_type_of_a_model() -> None:
    factory = StructuredMessageFactory(input_model=Weather, format_string="{city}")
    assert factory.ContentModel is Weather
    assert factory.StructuredMessage is StructuredMessage[Weather]
    assert factory.format_string == "{city}"


def test_a_factory_makes_the_message_type_of_a_schema() -> None:
    factory = StructuredMessageFactory(json_schema=Weather.model_json_schema(), content_model_name="Report")
    assert factory.StructuredMessage.__name__ == "StructuredMessage[Report]"
    message = factory.StructuredMessage(source="a", content=factory.ContentModel.model_validate({"city": "Oslo"}))
    assert message.content.model_dump() == {"city": "Oslo", "degrees": 0.0}
    with pytest.raises(ValidationError):
        factory.ContentModel.model_validate({"degrees": 1})


def test_a_schema_without_a_name_makes_a_model_with_a_general_one() -> None:
    factory = StructuredMessageFactory(json_schema=Weather.model_json_schema())
    assert factory.ContentModel.__name__ == "GeneratedContentModel"


def test_a_factory_needs_a_content_type() -> None:
    with pytest.raises(ValueError, match="input_model"):
        StructuredMessageFactory()


def test_a_dumped_factory_loads_and_makes_messages_of_the_same_type_name() -> None:
    factory = StructuredMessageFactory(input_model=Weather, format_string="{city}!")
    saved = json.loads(factory.dump_component().model_dump_json())
    loaded = StructuredMessageFactory.load_component(ComponentModel.model_validate(saved))
    data: dict[str, Any] = dict(factory.StructuredMessage(source="a", content=OSLO, format_string="{city}!").dump())
    again = loaded.StructuredMessage.load(data)
    assert loaded.format_string == "{city}!"
    assert again.dump() == data
    assert again.to_text() == "Oslo!"


def test_the_saved_form_is_that_of_the_reference() -> None:
    saved = StructuredMessageFactory(input_model=Weather).dump_component()
    assert saved.provider == "autogen_agentchat.messages.StructuredMessageFactory"
    assert saved.component_type == "structured_message"
    assert saved.config == {"json_schema": Weather.model_json_schema(), "content_model_name": "Weather"}
