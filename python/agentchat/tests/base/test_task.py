"""Results of runs."""

import pytest
from pydantic import TypeAdapter, ValidationError

from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage, ThoughtEvent

SAID: list[BaseAgentEvent | BaseChatMessage] = [
    TextMessage(source="user", content="hello"),
    ThoughtEvent(source="a", content="a greeting"),
    TextMessage(source="a", content="hi"),
]


def test_a_result_holds_the_very_messages_it_was_given() -> None:
    result = TaskResult(messages=SAID)
    assert [id(message) for message in result.messages] == [id(message) for message in SAID]
    assert result.stop_reason is None


def test_the_json_of_a_result_has_every_field_of_every_message_and_loads_again() -> None:
    result = TaskResult(messages=SAID, stop_reason="said all")
    assert result.model_dump(mode="json")["messages"] == [message.dump() for message in SAID]
    assert TaskResult.model_validate_json(result.model_dump_json()) == result


def test_a_result_with_an_unknown_message_type_says_so() -> None:
    with pytest.raises(ValidationError, match="Unknown message type: 'Riddle'"):
        TaskResult.model_validate({"messages": [{"type": "Riddle", "source": "a"}]})


def test_a_result_needs_messages() -> None:
    with pytest.raises(ValidationError):
        TaskResult(messages="hello")  # pyright: ignore[reportArgumentType] - the misuse under test


def test_a_response_is_written_with_every_field_of_its_messages() -> None:
    response = Response(chat_message=TextMessage(source="a", content="hi"), inner_messages=[SAID[1]])
    written = TypeAdapter(Response).dump_python(response, mode="json")
    assert written["chat_message"]["content"] == "hi"
    assert written["inner_messages"][0]["content"] == "a greeting"


def test_a_response_takes_its_parts_by_name_only() -> None:
    with pytest.raises(TypeError):
        Response(TextMessage(source="a", content="hi"))  # pyright: ignore[reportCallIssue] - the misuse under test
