"""What all messages have in common."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, BaseTextChatMessage, TextMessage
from autogen_core.models import UserMessage


def test_each_message_has_an_id_and_a_time_of_its_own() -> None:
    before = datetime.now(UTC)
    one, other = (TextMessage(source="a", content="x") for _ in range(2))
    assert one.id != other.id
    assert before <= one.created_at <= datetime.now(UTC)
    assert one.created_at.tzinfo is not None


def test_messages_do_not_share_their_metadata() -> None:
    one, other = (TextMessage(source="a", content="x") for _ in range(2))
    one.metadata["k"] = "v"
    assert other.metadata == {}


def test_the_bases_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        BaseChatMessage(source="a")  # pyright: ignore[reportAbstractUsage] - the misuse under test
    with pytest.raises(TypeError, match="abstract"):
        BaseAgentEvent(source="a")  # pyright: ignore[reportAbstractUsage] - the misuse under test


def test_load_refuses_data_of_another_type() -> None:
    with pytest.raises(ValidationError):
        TextMessage.load({"source": "a", "content": "x", "type": "StopMessage"})


def test_a_message_without_a_type_field_forbidding_extras_still_loads() -> None:
    class Strict(BaseTextChatMessage, extra="forbid"):
        pass

    message = Strict(source="a", content="x")
    assert message.dump()["type"] == "Strict"
    assert Strict.load(message.dump()) == message


def test_a_message_is_a_field_of_other_models_like_any_value() -> None:
    """Validators are built late; a model that holds a message must not notice."""

    class Letter(BaseModel):
        message: TextMessage

    message = TextMessage(source="a", content="x")
    assert Letter.model_validate_json(Letter(message=message).model_dump_json()).message == message
    assert "TextMessage" in json.dumps(Letter.model_json_schema())


async def test_a_message_type_first_used_by_many_threads_at_once_works_in_all() -> None:
    class Fresh(BaseChatMessage):
        number: int
        type: Literal["Fresh"] = "Fresh"

        def to_text(self) -> str:
            return str(self.number)

        def to_model_text(self) -> str:
            return str(self.number)

        def to_model_message(self) -> UserMessage:
            return UserMessage(content=str(self.number), source=self.source)

    made = await asyncio.gather(*(asyncio.to_thread(Fresh, source="a", number=number) for number in range(32)))
    assert [message.number for message in made] == list(range(32))
