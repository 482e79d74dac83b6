"""Conversations, rewritten for templates that know nothing of tools."""

from typing import Any

from autogen_ext.models.local._conversation import Result, for_template, last_request, pending, results_in

CALL: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "1", "content": "It is red."}


def says(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


def roles(turns: list[dict[str, Any]]) -> list[str]:
    return [turn["role"] for turn in turns]


def test_system_messages_become_one_at_the_beginning() -> None:
    turns = for_template([says("system", "A"), says("user", "hi"), says("system", "B")])
    assert turns == [says("system", "A\n\nB"), says("user", "hi")]


def test_a_default_system_message_is_used_only_where_there_is_none() -> None:
    assert for_template([says("user", "hi")], default_system="D")[0] == says("system", "D")
    assert for_template([says("system", "A"), says("user", "hi")], default_system="D")[0] == says("system", "A")


def test_two_turns_of_one_role_become_one() -> None:
    assert for_template([says("user", "a"), says("user", "b")]) == [says("user", "a\n\nb")]


def test_results_at_the_end_are_told_and_an_answer_is_asked_for() -> None:
    turns = for_template([says("user", "Which colour?"), CALL, RESULT])
    assert roles(turns) == ["user"]
    assert "Which colour?" in turns[0]["content"]
    assert "Result of look: It is red." in turns[0]["content"]


def test_earlier_results_that_nobody_put_into_words_are_what_the_assistant_said() -> None:
    turns = for_template([says("user", "Which colour?"), CALL, RESULT, says("user", "Thanks")])
    assert turns == [says("user", "Which colour?"), says("assistant", "It is red."), says("user", "Thanks")]


def test_earlier_results_that_were_put_into_words_are_left_out() -> None:
    turns = for_template(
        [says("user", "Which colour?"), CALL, RESULT, says("assistant", "Red."), says("user", "Thanks")]
    )
    assert turns == [says("user", "Which colour?"), says("assistant", "Red."), says("user", "Thanks")]


def test_pending_work_is_what_happened_since_somebody_spoke() -> None:
    messages = [says("user", "a"), CALL, RESULT, says("assistant", "b"), says("user", "c"), CALL, RESULT, CALL, RESULT]
    assert pending(messages) == messages[5:]
    assert pending(messages[:5]) == []
    assert last_request(messages) == "c"


def test_a_result_has_the_name_of_its_call_or_its_own() -> None:
    assert results_in([CALL, RESULT]) == [Result("look", "It is red.")]
    assert results_in([{**RESULT, "name": "see"}]) == [Result("see", "It is red.")]


def test_facts_are_read_from_flat_json_only() -> None:
    assert Result("f", '{"city": "Oslo", "wind_speed": 3}').facts == "city: Oslo, wind speed: 3"
    for text in ("It is red.", "42", '["a"]', '{"a": {"b": 1}}'):
        assert Result("f", text).facts == text
