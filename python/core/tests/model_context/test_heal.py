"""Interrupted conversations: each call without a result gets one that says so."""

from hypothesis import given
from hypothesis import strategies as st

from autogen_core import FunctionCall
from autogen_core.model_context._heal import INTERRUPTED, heal_history, is_marked
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

HI = UserMessage(content="hi", source="user")


def asking(*ids: str) -> AssistantMessage:
    return AssistantMessage(content=[FunctionCall(id=i, name="add", arguments="{}") for i in ids], source="a")


def results(*ids: str) -> FunctionExecutionResultMessage:
    return FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content=f"result {i}", name="add", call_id=i) for i in ids]
    )


def shape(messages: list[LLMMessage]) -> list[str]:
    """Write a conversation in short: calls, their results, and `!` for those that were marked."""
    words: list[str] = []
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            words.extend(f"{r.call_id}{'!' if is_marked(r) else '='}" for r in message.content)
        elif isinstance(message.content, list):
            words.extend(f"{part.id}?" for part in message.content if isinstance(part, FunctionCall))
        else:
            words.append(message.content)
    return words


def test_a_whole_conversation_is_returned_as_it_is() -> None:
    messages = [SystemMessage(content="s"), HI, asking("1", "2"), results("1"), results("2"), HI]
    healed = heal_history(messages)
    assert healed.messages is messages
    assert healed.count == 0


def test_each_call_without_a_result_gets_one_marked_error_right_behind() -> None:
    healed = heal_history([HI, asking("1", "2", "3"), results("2"), HI, asking("4")])
    assert shape(list(healed.messages)) == ["hi", "1?", "2?", "3?", "2=", "1!", "3!", "hi", "4?", "4!"]
    assert healed.count == 3
    marked = healed.messages[3]
    assert isinstance(marked, FunctionExecutionResultMessage)
    assert marked.content[0] == FunctionExecutionResult(content=INTERRUPTED, name="add", call_id="1", is_error=True)


def test_a_result_behind_other_messages_is_moved_to_its_call() -> None:
    healed = heal_history([asking("1", "2"), HI, results("1", "2"), HI])
    assert shape(list(healed.messages)) == ["1?", "2?", "1=", "2=", "hi", "hi"]
    assert healed.count == 0


def test_ids_may_be_used_again_in_a_later_turn() -> None:
    healed = heal_history([asking("1"), HI, asking("1"), results("1")])
    assert shape(list(healed.messages)) == ["1?", "1!", "hi", "1?", "1="]


def test_results_without_a_call_stay() -> None:
    messages = [results("9"), HI]
    assert heal_history(messages).messages is messages


def test_what_was_given_is_not_changed() -> None:
    messages: list[LLMMessage] = [asking("1"), HI]
    before = [message.model_copy(deep=True) for message in messages]
    heal_history(messages)
    assert messages == before


IDS = st.lists(st.sampled_from("123"), min_size=1, max_size=3, unique=True)
MESSAGES = st.lists(
    st.one_of(st.just(HI), IDS.map(lambda ids: asking(*ids)), IDS.map(lambda ids: results(*ids))), max_size=12
)


@given(MESSAGES)
def test_after_healing_every_call_is_answered_at_once_and_healing_again_changes_nothing(
    messages: list[LLMMessage],
) -> None:
    healed = list(heal_history(messages).messages)
    again = heal_history(healed)
    assert again.count == 0
    assert again.messages is healed
    waiting: set[str] = set()
    for message in healed:
        if isinstance(message, FunctionExecutionResultMessage):
            waiting -= {result.call_id for result in message.content}
            continue
        assert not waiting
        if isinstance(message.content, list):
            waiting = {part.id for part in message.content if isinstance(part, FunctionCall)}
    assert not waiting
    assert [m for m in healed if not isinstance(m, FunctionExecutionResultMessage)] == [
        m for m in messages if not isinstance(m, FunctionExecutionResultMessage)
    ]
