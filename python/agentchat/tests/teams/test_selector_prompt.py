"""How a model is asked who speaks next, and which names are found in its reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autogen_agentchat.teams._selector_prompt import (
    SELECTOR_PROMPT,
    check_prompt,
    fill_prompt,
    first_message,
    named_in,
    objection,
    reply_text,
)
from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

TEAM = ["writer", "song_writer", "Critic", "team_lead"]


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ("writer", ["writer"]),
        ("Writer.", ["writer"]),
        ("WRITER", ["writer"]),
        ('"critic"', ["Critic"]),
        ("'Critic'", ["Critic"]),
        ("`Critic`", ["Critic"]),
        ("**Critic**", ["Critic"]),
        ('{"role": "Critic"}', ["Critic"]),
        ("It is the critic's turn.", ["Critic"]),
        ("song_writer", ["song_writer"]),
        ("song writer", ["song_writer"]),
        ("song\\_writer", ["song_writer"]),
        ("Song Writer, please", ["song_writer"]),
        ("Team Lead", ["team_lead"]),
        ("writer or song_writer", ["writer", "song_writer"]),
        ("Critic Critic Critic", ["Critic"]),
        ("Critic and writer", ["Critic", "writer"]),
        ("the ghostwriter", []),
        ("writer_2", []),
        ("song-writing critics", []),
        ("", []),
        ("nobody", []),
        ("<think>Not the writer, who spoke.</think>Critic", ["Critic"]),
    ],
)
def test_names_are_found_as_whole_words_however_they_are_spelled(reply: str, named: list[str]) -> None:
    assert named_in(reply, TEAM, TEAM) == named


def test_a_name_spelled_as_it_is_counts_before_one_in_another_case() -> None:
    assert named_in("A good choice is b", ["a", "b"], ["a", "b"]) == ["b"]
    assert named_in("bob", ["Bob", "bob"], ["Bob", "bob"]) == ["bob"]
    assert named_in("BOB", ["Bob", "bob"], ["Bob", "bob"]) == ["Bob", "bob"]


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ("Zoë", ["Zoë"]),
        ("Zoe\u0308", ["Zoë"]),  # the same letter, composed of two
        ("ZOË!", ["Zoë"]),
        ("Straße", ["Straße"]),
        ("STRASSE", ["Straße"]),
        ("李明", ["李明"]),
        ("请李明发言", ["李明"]),
        ("下一个是Zoë。", ["Zoë"]),
        ("민수가 말합니다", ["민수"]),
        ("Нина", ["Нина"]),
        ("нина говорит", ["Нина"]),
        ("Нинаа", []),
    ],
)
def test_names_in_any_script_are_found(reply: str, named: list[str]) -> None:
    names = ["Zoë", "Straße", "李明", "민수", "Нина"]
    assert named_in(reply, names, names) == named


def test_names_of_teams_may_be_of_several_words_and_hold_one_another() -> None:
    names = ["team", "team one", "one (and only)", "a.b"]
    assert named_in("team one", names, names) == ["team one"]
    assert named_in("team", names, names) == ["team"]
    assert named_in("one (and only)", names, names) == ["one (and only)"]
    assert named_in("axb", names, names) == []
    assert named_in("Team_One", names, names) == ["team one"]
    assert named_in("a_b", ["a b", "a_b"], ["a b", "a_b"]) == ["a_b"]
    assert named_in("a b", ["a_b", "a b"], ["a b", "a_b"]) == ["a b"]


def test_if_no_candidate_is_named_the_others_are_returned() -> None:
    assert named_in("writer", TEAM, ["Critic"]) == ["writer"]
    assert named_in("writer... no: critic", TEAM, ["Critic"]) == ["writer", "Critic"]


@given(
    names=st.lists(st.from_regex(r"[^\W\d]\w{0,8}", fullmatch=True), min_size=2, max_size=6, unique_by=str.casefold),
    data=st.data(),
)
def test_the_bare_name_of_a_candidate_always_names_that_candidate(names: list[str], data: st.DataObject) -> None:
    """Whatever the others are called, and whatever stands around it."""
    name = data.draw(st.sampled_from(names))
    frame = data.draw(st.sampled_from(["{}", " {}\n", '"{}"', "*{}*", "({}).", "name: {}"]))
    if "name" in names:
        frame = "{}"
    assert name in named_in(frame.format(name), names, names)


@pytest.mark.parametrize("prompt", ["{role}", "{0}", "{", '{roles} {"name": 1}', "{roles.name}"])
def test_a_prompt_that_cannot_be_filled_in_is_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match=r"Its fields are {roles}, {participants} and {history}"):
        check_prompt(prompt)


def test_the_fields_of_a_prompt_are_the_team_the_candidates_and_the_conversation() -> None:
    """Braces in what is filled in are left alone."""
    history: list[LLMMessage] = [
        SystemMessage(content="not part of it"),
        UserMessage(content="hello\nworld {roles}", source="user"),
        UserMessage(content=["look", Image.from_base64(PIXEL)], source="user"),
        AssistantMessage(content=[FunctionCall(id="1", name="add", arguments="{}")], source="a"),
        FunctionExecutionResultMessage(
            content=[FunctionExecutionResult(content="3", name="add", call_id="1", is_error=False)]
        ),
        AssistantMessage(content="three", source="a"),
    ]
    prompt = fill_prompt("{roles}|{participants}|{history}|{{}}", [("a", "is\n  {x}"), ("b", "")], ["b"], history)
    roles, participants, conversation, braces = prompt.split("|")
    assert roles == "a: is {x}\nb: "
    assert participants == "['b']"
    assert [part for part in conversation.split("\n\n") if part.strip()] == [
        "user: hello\nworld {roles}",
        "\nuser: look\n<image>",
        "\na: add({})",
        "\nadd: 3",
        "\na: three",
    ]
    assert braces == "{}"


def test_the_default_prompt_says_who_there_is_what_was_said_and_among_whom_to_choose() -> None:
    check_prompt(SELECTOR_PROMPT)
    prompt = fill_prompt(SELECTOR_PROMPT, [("ann", "bakes")], ["bob"], [UserMessage(content="hungry", source="user")])
    assert "ann: bakes" in prompt
    assert "user: hungry" in prompt
    assert "['bob']" in prompt


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("gpt-4o", SystemMessage),
        ("o3", SystemMessage),
        ("gpt-5", SystemMessage),
        ("r1", UserMessage),
        ("claude-4-opus", UserMessage),
        ("gemini-2.5-pro", UserMessage),
        ("unknown", UserMessage),
    ],
)
def test_only_models_of_openai_get_the_prompt_as_a_system_message(family: str, kind: type) -> None:
    assert type(first_message("P", family)) is kind


def test_a_model_may_call_the_name_as_a_tool() -> None:
    reply = reply_text([FunctionCall(id="1", name="writer", arguments="{}")])
    assert named_in(reply, TEAM, TEAM) == ["writer"]


def test_an_objection_says_what_is_wrong_and_what_is_possible() -> None:
    assert "more than one: a, b." in objection(["a", "b"], ["a", "b", "c"], None)
    assert objection(["a"], ["b", "c"], "a").startswith("a has just spoken")
    assert objection(["a"], ["b", "c"], "c").startswith("It cannot be the turn of a now")
    assert objection([], ["b", "c"], "a").startswith("I find no name")
    for named in (["a", "b", "c"], ["a"], []):
        assert "b, c." in objection(named, ["b", "c"], "a")


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
