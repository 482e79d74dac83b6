"""Messages of models: their JSON is saved in states, so it is held here letter by letter."""

import json
from typing import Any

import pytest
from PIL import Image as PILImage
from pydantic import BaseModel, TypeAdapter, ValidationError

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionTokenLogprob,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    TopLogprob,
    UserMessage,
)

RED_DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
CALL = FunctionCall(id="1", arguments='{"a": 1}', name="f")
LOGPROB = ChatCompletionTokenLogprob(token="t", logprob=-1, top_logprobs=[TopLogprob(-1.0, [1])], bytes=[2])

RECORDED: list[tuple[BaseModel, str]] = [
    (SystemMessage(content="s"), '{"content":"s","type":"SystemMessage"}'),
    (UserMessage(content="u", source="me"), '{"content":"u","source":"me","type":"UserMessage"}'),
    (
        UserMessage(content=["a", Image(PILImage.new("RGB", (1, 1), "red"))], source="me"),
        '{"content":["a",{"data":"' + RED_DOT + '"}],"source":"me","type":"UserMessage"}',
    ),
    (
        AssistantMessage(content=[CALL], thought="hm", source="it"),
        (
            '{"content":[{"id":"1","arguments":"{\\"a\\": 1}","name":"f"}],"thought":"hm","source":"it",'
            '"type":"AssistantMessage"}'
        ),
    ),
    (
        AssistantMessage(content="x", source="it"),
        '{"content":"x","thought":null,"source":"it","type":"AssistantMessage"}',
    ),
    (
        FunctionExecutionResultMessage(content=[FunctionExecutionResult(content="r", name="f", call_id="1")]),
        '{"content":[{"content":"r","name":"f","call_id":"1","is_error":null}],"type":"FunctionExecutionResultMessage"}',
    ),
]


@pytest.mark.parametrize(("message", "text"), RECORDED)
def test_a_message_is_written_as_in_saved_states_and_read_back(message: BaseModel, text: str) -> None:
    assert message.model_dump_json() == text
    adapter: TypeAdapter[Any] = TypeAdapter(LLMMessage)
    copy = adapter.validate_json(text)
    assert type(copy) is type(message)
    assert copy.model_dump() == message.model_dump()


def test_an_answer_is_written_with_all_its_parts() -> None:
    answer = CreateResult(
        finish_reason="stop",
        content="x",
        usage=RequestUsage(prompt_tokens=1, completion_tokens=2),
        cached=False,
        logprobs=[LOGPROB],
        thought="t",
    )
    assert json.loads(answer.model_dump_json()) == {
        "finish_reason": "stop",
        "content": "x",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        "cached": False,
        "logprobs": [{"token": "t", "logprob": -1.0, "top_logprobs": [{"logprob": -1.0, "bytes": [1]}], "bytes": [2]}],
        "thought": "t",
    }


def test_an_unknown_finish_reason_is_refused() -> None:
    with pytest.raises(ValidationError):
        CreateResult.model_validate(
            {
                "finish_reason": "tired",
                "content": "",
                "usage": {"prompt_tokens": 0, "completion_tokens": 0},
                "cached": False,
            }
        )


def test_a_message_without_a_type_is_no_message() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(LLMMessage)
    with pytest.raises(ValidationError, match="type"):
        adapter.validate_python({"content": "x"})


def test_function_calls_are_equal_by_their_contents() -> None:
    assert FunctionCall("1", '{"a": 1}', "f") == CALL
