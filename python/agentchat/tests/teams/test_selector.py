"""`SelectorGroupChat`: who is chosen, by whom, and what the reader sees of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autogen_agentchat import TRACE_LOGGER_NAME
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    ModelClientStreamingChunkEvent,
    SelectorEvent,
    SelectSpeakerEvent,
    StopMessage,
    TextMessage,
)
from autogen_agentchat.teams import GroupChatError, RoundRobinGroupChat
from autogen_agentchat.teams._selector import SelectorGroupChat
from autogen_core import FunctionCall
from autogen_core.model_context import BufferedChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import CreateResult, RequestUsage, SystemMessage, UserMessage

from .selector_speakers import Chooser, Speaker, chat, speakers, texts

Thread = Sequence[BaseAgentEvent | BaseChatMessage]


class MyError(Exception):
    """An error of the program's own."""


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()


async def test_the_model_chooses_among_those_who_did_not_just_speak() -> None:
    model = Chooser("b", "a", "b")
    team = chat(model, max_turns=3)
    assert texts(await team.run(task="go")) == ["go", "b1", "a1", "b2"]
    assert model.offers() == ["['a', 'b', 'c']", "['a', 'c']", "['b', 'c']"]
    assert model.requests[1] == [
        "a: a speaks\nb: b speaks\nc: c speaks | ['a', 'c'] | user: go\n\n\nb: b1\n\n",
    ]


async def test_a_model_that_insists_on_one_name_makes_nobody_speak_twice_in_a_row() -> None:
    """The others speak in the team's order, and a warning says why."""
    model = Chooser(*["a"] * 100)
    assert speakers(await chat(model, max_turns=7).run(task="go")) == ["a", "b", "a", "b", "a", "b", "a"]


@given(replies=st.lists(st.sampled_from(["a", "b", "c", "A", "nobody", "a b", "", "the c"]), min_size=60, max_size=60))
@settings(max_examples=30, deadline=None)
def test_whatever_the_model_says_nobody_speaks_twice_in_a_row(replies: list[str]) -> None:
    async def run() -> list[str]:
        return speakers(await chat(Chooser(*replies), max_turns=20).run(task="go"))

    spoke = asyncio.run(run())
    assert len(spoke) == 20
    assert all(first != second for first, second in pairwise(spoke))


async def test_with_repeats_allowed_one_may_speak_again_and_again() -> None:
    model = Chooser("b", "b", "zz", "zz", "zz")
    team = chat(model, max_turns=3, allow_repeated_speaker=True)
    assert speakers(await team.run(task="go")) == ["b", "b", "b"]
    assert set(model.offers()) == {"['a', 'b', 'c']"}


async def test_each_attempt_is_an_event_with_its_words_and_its_cost() -> None:
    usage = RequestUsage(prompt_tokens=7, completion_tokens=3)
    called = CreateResult(
        finish_reason="function_calls",
        content=[FunctionCall(id="1", name="nobody", arguments="{}")],
        usage=usage,
        cached=False,
    )
    model = Chooser(called, "a or b", "zz", "", "Please, C!")
    team = chat(model, max_turns=1, emit_team_events=True, max_selector_attempts=5)
    result = await team.run(task="go")
    attempts = [event for event in result.messages if isinstance(event, SelectorEvent)]
    assert [event.content for event in attempts] == ["nobody({})", "a or b", "zz", "", "Please, C!"]
    assert attempts[0].models_usage == usage
    assert all(event.source == "SelectorGroupChatManager" and event.models_usage for event in attempts)
    assert texts(result)[-2:] == ["['c']", "c1"]


async def test_the_model_is_told_what_was_wrong_with_its_reply() -> None:
    model = Chooser("a", "A, I insist", "b or c", "", "c")
    await chat(model, max_turns=2, max_selector_attempts=4).run(task="go")
    conversation = model.requests[-1]
    assert conversation[1:] == [
        "A, I insist",
        "a has just spoken, and nobody may speak twice in a row. Choose one of these: b, c.",
        "b or c",
        "You named more than one: b, c. Answer with a single name out of these: b, c.",
        # an empty reply is not put into the conversation
        "I find no name in your answer. Answer with one of these, and nothing else: b, c.",
    ]
    assert [len(request) for request in model.requests] == [1, 1, 3, 5, 6]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("can_be_held", [False, True])
async def test_after_a_reply_that_is_no_choice_a_model_is_held_to_a_schema_if_it_can_be(
    *, streaming: bool, can_be_held: bool
) -> None:
    """The first request is as in 0.7.5; later ones leave room for nothing but a name."""
    model = Chooser("I cannot say.", '{"next_speaker": "b"}')
    model.model_info["structured_output"] = can_be_held
    team = chat(model, max_turns=1, model_client_streaming=streaming)
    assert speakers(await team.run(task="go")) == ["b"]
    first, second = (call["json_output"] for call in model.create_calls)
    assert first is None
    if not can_be_held:
        assert second is None
    else:
        field = second.model_json_schema()["properties"]["next_speaker"]
        assert (field["type"], field["enum"]) == ("string", ["a", "b", "c"])


async def test_the_words_of_the_schema_are_not_taken_for_names() -> None:
    model = Chooser("?", '{"next_speaker": "b"}')
    agents = [Speaker(name) for name in ("next_speaker", "b", "c")]
    team = SelectorGroupChat(list(agents), model, max_turns=1)
    assert speakers(await team.run(task="go")) == ["b"]
    assert len(model.requests) == 2


async def test_without_team_events_the_reader_sees_what_the_participants_say_and_nothing_else() -> None:
    for streaming in (False, True):
        team = chat(Chooser("zz", "a"), max_turns=1, model_client_streaming=streaming)
        items = [item async for item in team.run_stream(task="go")]
        assert [type(item) for item in items] == [TextMessage, TextMessage, TaskResult]


async def test_a_streamed_choice_is_seen_piece_by_piece() -> None:
    model = Chooser("I take b")
    team = chat(model, max_turns=1, model_client_streaming=True, emit_team_events=True)
    items = [item async for item in team.run_stream(task="go")]
    assert [type(item) for item in items] == [
        TextMessage,
        *[ModelClientStreamingChunkEvent] * 3,
        SelectorEvent,
        SelectSpeakerEvent,
        TextMessage,
        TaskResult,
    ]
    pieces = [item for item in items if isinstance(item, ModelClientStreamingChunkEvent)]
    event = next(item for item in items if isinstance(item, SelectorEvent))
    assert "".join(piece.content for piece in pieces) == event.content == "I take b"
    assert {piece.full_message_id for piece in pieces} == {event.id}


async def test_after_the_last_attempt_the_next_in_order_speaks_and_a_warning_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger=TRACE_LOGGER_NAME):
        model = Chooser("zz", "zz", "c", "zz", "zz")
        result = await chat(model, max_turns=3, max_selector_attempts=2).run(task="go")
    assert speakers(result) == ["a", "c", "a"]  # the first; the model's choice; after the last comes the first
    assert [record.getMessage() for record in caplog.records] == [
        "SelectorGroupChatManager: the model did not choose one of ['a', 'b', 'c'] in 2 attempts; a speaks next.",
        "SelectorGroupChatManager: the model did not choose one of ['a', 'b'] in 2 attempts; a speaks next.",
    ]


async def test_no_attempts_means_that_no_model_is_asked() -> None:
    model = Chooser()
    assert speakers(await chat(model, max_turns=4, max_selector_attempts=0).run(task="go")) == ["a", "b", "c", "a"]


async def test_where_only_one_can_speak_no_model_is_asked() -> None:
    model = Chooser("b")
    assert speakers(await chat(model, "ab", max_turns=4).run(task="go")) == ["b", "a", "b", "a"]
    assert len(model.requests) == 1


def always(answer: Any) -> Callable[[Thread], Any]:
    def function(thread: Thread) -> Any:
        return answer

    return function


def sync_or_async(function: Callable[[Thread], Any], *, is_async: bool) -> Callable[[Thread], Any]:
    async def later(thread: Thread) -> Any:
        await asyncio.sleep(0)
        return function(thread)

    return later if is_async else function


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_selector_function_decides_or_leaves_it_to_the_model(*, is_async: bool) -> None:
    """It may also let somebody speak twice."""
    seen: list[list[str]] = []

    def select(thread: Thread) -> str | None:
        seen.append([message.to_text() for message in thread])
        return "c" if len(thread) < 3 else None

    model = Chooser("a")
    team = chat(model, max_turns=3, selector_func=sync_or_async(select, is_async=is_async))
    assert speakers(await team.run(task="go")) == ["c", "c", "a"]
    assert seen == [["go"], ["go", "c1"], ["go", "c1", "c2"]]
    assert model.offers() == ["['a', 'b']"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_candidate_function_says_among_whom_the_model_chooses(*, is_async: bool) -> None:
    """Once it is the only candidate, twice it is among them."""
    offers = iter([["b"], ["c", "a", "c"], ["a", "b", "c"]])
    model = Chooser("a", "c")
    candidates = sync_or_async(lambda _: next(offers), is_async=is_async)
    team = chat(model, max_turns=3, candidate_func=candidates)
    assert speakers(await team.run(task="go")) == ["b", "a", "c"]
    assert model.offers() == ["['c', 'a']", "['b', 'c']"]


async def test_a_model_that_insists_on_somebody_excluded_does_not_get_them() -> None:
    model = Chooser(*["a"] * 20)
    team = chat(model, "abcd", max_turns=4, candidate_func=always(["b", "c", "d"]))
    assert speakers(await team.run(task="go")) == ["b", "c", "d", "b"]
    assert "It cannot be the turn of a now" in model.requests[1][-1]


async def test_if_the_candidate_function_has_only_the_last_speaker_they_speak_again() -> None:
    team = chat(Chooser(), max_turns=3, candidate_func=always(["b"]))
    assert speakers(await team.run(task="go")) == ["b", "b", "b"]


async def test_the_candidate_function_is_not_asked_if_the_selector_function_has_decided() -> None:
    def candidates(thread: Thread) -> list[str]:
        raise MyError

    team = chat(Chooser(), max_turns=2, selector_func=always("a"), candidate_func=candidates)
    assert speakers(await team.run(task="go")) == ["a", "a"]


async def test_functions_cannot_change_the_conversation() -> None:
    def select(thread: Any) -> str:
        thread.clear()
        return "a"

    team = chat(Chooser(), max_turns=2, selector_func=select)
    await team.run(task="go")
    state = await team.save_state()
    assert len(state["agent_states"]["SelectorGroupChatManager"]["message_thread"]) == 3


@pytest.mark.parametrize("returned", ["zz", "A", "", 3, ["a"]])
async def test_a_selector_function_that_names_nobody_is_an_error(returned: Any) -> None:
    team = chat(Chooser(), selector_func=always(returned))
    with pytest.raises(GroupChatError, match=r"Expected one of \['a', 'b', 'c'\]") as failed:
        await team.run(task="go")
    assert type(failed.value.__cause__) is ValueError


@pytest.mark.parametrize("returned", [None, [], ["a", "zz"], "zz", [["a"]]])
async def test_a_candidate_function_that_names_nobody_is_an_error(returned: Any) -> None:
    team = chat(Chooser(), candidate_func=always(returned))
    with pytest.raises(GroupChatError, match=r"at least one of \['a', 'b', 'c'\]") as failed:
        await team.run(task="go")
    assert type(failed.value.__cause__) is ValueError


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("which", ["selector_func", "candidate_func"])
async def test_an_exception_in_a_function_is_the_cause_and_the_team_runs_again(which: str, *, is_async: bool) -> None:
    errors = [MyError("mine")]

    def function(thread: Thread) -> Any:
        if len(thread) > 1 and errors:
            raise errors.pop()
        return "b" if which == "selector_func" else ["b"]

    error = errors[0]
    options: dict[str, Any] = {which: sync_or_async(function, is_async=is_async)}
    team = chat(Chooser(), max_turns=2, **options)
    with pytest.raises(GroupChatError) as failed:
        await team.run(task="go")
    assert failed.value.__cause__ is error
    assert [message.to_text() for message in failed.value.messages] == ["go", "b1"]
    assert texts(await team.run()) == ["b2"]  # of two turns, one was done


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_error_of_the_model_is_the_cause_and_the_next_run_selects_again(*, streaming: bool) -> None:
    model = Chooser("a", "fail", "b", "a")
    team = chat(model, max_turns=2, model_client_streaming=streaming)
    with pytest.raises(GroupChatError) as failed:
        await team.run(task="go")
    assert isinstance(failed.value.__cause__, KeyError)
    result = await team.run()
    assert texts(result)[0] == "b1"
    assert model.requests[1] == model.requests[2]


async def test_the_last_speaker_of_one_run_does_not_begin_the_next() -> None:
    model = Chooser("a", "a", "b", "a")
    team = chat(model, max_turns=1)
    await team.run(task="one")
    assert texts(await team.run(task="two")) == ["two", "b1"]
    await team.reset()
    assert texts(await team.run(task="three")) == ["three", "a1"]


async def test_the_model_sees_what_its_context_shows_it() -> None:
    context = BufferedChatCompletionContext(buffer_size=2)
    model = Chooser("a", "b", "a")
    await chat(model, max_turns=3, model_context=context).run(task="go")
    assert [request[0].split(" | ")[2] for request in model.requests] == [
        "user: go\n\n",
        "user: go\n\n\na: a1\n\n",
        "a: a1\n\n\nb: b1\n\n",
    ]


async def test_what_a_context_held_before_comes_first_also_after_a_reset() -> None:
    context = UnboundedChatCompletionContext([UserMessage(content="before", source="user"), SystemMessage(content="x")])
    model = Chooser("a", "a")
    team = chat(model, max_turns=1, model_context=context)
    await team.run(task="go")
    await team.reset()
    await team.run(task="again")
    assert [request[0].split(" | ")[2] for request in model.requests] == [
        "user: before\n\n\nuser: go\n\n",
        "user: before\n\n\nuser: again\n\n",
    ]


async def test_the_model_sees_every_kind_of_chat_message_and_no_event() -> None:
    handoff = HandoffMessage(
        content="over", source="user", target="b", context=[UserMessage(content="noted", source="secretary")]
    )
    model = Chooser("a", "b")
    team = chat(model, max_turns=2, emit_team_events=True)
    await team.run(task=[handoff, StopMessage(content="stop", source="user")])
    assert model.requests[-1][0].split(" | ")[2] == ("secretary: noted\n\n\nuser: over\n\n\nuser: stop\n\n\na: a1\n\n")


async def test_teams_can_be_chosen_like_agents() -> None:
    inner = RoundRobinGroupChat([Speaker("x"), Speaker("y")], name="inner team", description="Both.", max_turns=2)
    model = Chooser("Inner Team", "a", "inner\\_team")
    team = SelectorGroupChat(
        [Speaker("a"), inner, Speaker("b")], model, max_turns=3, selector_prompt="{roles}|{history}"
    )
    assert speakers(await team.run(task="go")) == ["x", "y", "a", "x", "y"]
    assert model.requests[0] == ["a: a speaks\ninner team: Both.\nb: b speaks|user: go\n\n"]
    assert model.requests[1][0].endswith("user: go\n\n\nx: x1\n\n\ny: y1\n\n")


async def test_a_streaming_selector_team_works_inside_another_team() -> None:
    inner = chat(Chooser("b", "a"), max_turns=2, model_client_streaming=True, emit_team_events=True, name="inner")
    outer = RoundRobinGroupChat([inner, Speaker("z")], max_turns=2)
    items = [item async for item in outer.run_stream(task="go")]
    result = items[-1]
    assert isinstance(result, TaskResult)
    assert speakers(result) == ["b", "a", "z"]
    assert [item.content for item in items if isinstance(item, SelectorEvent)] == ["b", "a"]
    assert any(isinstance(item, ModelClientStreamingChunkEvent) for item in items)
    fresh = RoundRobinGroupChat([chat(Chooser("c"), max_turns=1, name="inner"), Speaker("z")], max_turns=1)
    await fresh.load_state(await outer.save_state())
    assert speakers(await fresh.run(task="on")) == ["c"]
