"""The progress ledger: what is read from a model's text, and what is said about a text that cannot be used."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autogen_agentchat.teams._magentic_one._ledger import LedgerError, ProgressLedger, ledger_type, read_ledger

from .orchestrated import entries, go

NAMES = ["alice", "bob_2", "web surfer"]
PLAIN = go("alice")


def problem(text: str) -> str:
    with pytest.raises(LedgerError) as caught:
        read_ledger(text, NAMES)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"```json\n{PLAIN}\n```",
        f"```\n{PLAIN}\n```",
        f"```json5\n{PLAIN}\n```",
        f"Here is the ledger you asked for:\n\n{PLAIN}\n\nI hope this helps!",
        f'I was unsure of {{"this"}} at first.\n```json\n{PLAIN}\n```\nDone.',
        f"[{PLAIN}]",
        f'{{"progress_ledger": {PLAIN}}}',
        PLAIN.replace("}}", "},}"),
        PLAIN.replace('{"reason"', '// the first\n{"reason"', 1).replace("}}", "}, /* the end */ }"),
        PLAIN.replace("false", "False").replace("true", "True"),
        PLAIN.replace("false", '"False"').replace("true", '"yes"'),
        PLAIN.replace("why is_in_loop", "first line\nsecond line"),
        PLAIN.replace("is_in_loop", "Is In Loop", 1),
        json.dumps({**entries("alice"), "confidence": 0.9, "notes": {"next_speaker": "bob_2"}}),
        json.dumps({**entries("alice"), "is_in_loop": False, "next_speaker": "alice"}),
        json.dumps({**entries("alice"), "is_in_loop": {"answer": False}, "is_request_satisfied": {"answer": 0}}),
        f"A draft: {go('bob_2')}\nOn second thoughts: {PLAIN}",
    ],
)
def test_a_ledger_is_found_however_it_is_wrapped_and_written(text: str) -> None:
    ledger = read_ledger(text, NAMES)
    assert ledger.next_speaker.answer == "alice"
    assert ledger.instruction_or_question.answer == "alice, go on"
    assert (ledger.is_request_satisfied.answer, ledger.is_in_loop.answer) == (False, False)
    assert ledger.is_progress_being_made.answer is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the reply was empty"),
        (" \n", "the reply was empty"),
        ("I think alice should go on.", "it was not valid JSON"),
        (PLAIN[: len(PLAIN) // 2], "it may have been cut off"),
        ("[1, 2]", "no JSON object with the keys"),
        ("{}", "no JSON object with the keys"),
        ("null", "no JSON object with the keys"),
        ("[" * 100_000, "JSON"),
        (json.dumps({k: v for k, v in entries().items() if k != "next_speaker"}), '"next_speaker" is missing'),
        (json.dumps({**entries(), "is_in_loop": {"reason": "r"}}), '"is_in_loop" has no "answer"'),
        (go(is_in_loop="perhaps"), "the answer of \"is_in_loop\" must be true or false, not 'perhaps'"),
        (go(is_request_satisfied=None), 'the answer of "is_request_satisfied" must be true or false, not None'),
        (go(instruction_or_question=["a", "b"]), 'the answer of "instruction_or_question" must be a text'),
        (go("carol"), "must be one of alice, bob_2, web surfer, not 'carol'"),
        (go("alice and bob_2"), "must be one of"),
        (go(""), "must be one of"),
        (json.dumps({**entries(), "next_speaker": {"reason": "r", "answer": 3}}), "must be a text, not 3"),
    ],
)
def test_what_is_wrong_is_said(text: str, expected: str) -> None:
    assert expected in problem(text)


def test_everything_that_is_wrong_is_said_at_once_and_each_once() -> None:
    with pytest.raises(LedgerError) as caught:
        read_ledger(json.dumps({"is_in_loop": 7, "next_speaker": {"answer": "carol"}}), NAMES)
    assert len(caught.value.problems) == len(ProgressLedger.model_fields)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Alice", "alice"),
        ('"alice"', "alice"),
        ("**alice**", "alice"),
        ("@Web Surfer", "web surfer"),
        ("I choose bob_2.", "bob_2"),
        (" bob_2\n", "bob_2"),
    ],
)
def test_a_name_is_recognised_however_it_is_spelled(text: str, name: str) -> None:
    assert read_ledger(go(text), NAMES).next_speaker.answer == name


def test_names_that_hold_each_other_are_told_apart() -> None:
    names = ["coder", "Coder", "coder_2"]
    for name in names:
        assert read_ledger(go(name), names).next_speaker.answer == name
    with pytest.raises(LedgerError):
        read_ledger(go("CODER"), names)


def test_a_team_of_one_needs_no_name() -> None:
    data = entries("somebody else")
    assert read_ledger(json.dumps(data), ["alice"]).next_speaker.answer == "alice"
    del data["next_speaker"]
    assert read_ledger(json.dumps(data), ["alice"]).next_speaker.answer == "alice"


def test_once_the_request_is_satisfied_the_rest_does_not_matter() -> None:
    ledger = read_ledger('{"is_request_satisfied": {"reason": "All is there.", "answer": "True"}}', NAMES)
    assert ledger.is_request_satisfied.answer
    assert ledger.is_request_satisfied.reason == "All is there."
    assert read_ledger(go("carol", is_request_satisfied=True), NAMES).is_request_satisfied.answer


@given(st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps), st.integers(0, 400))
def test_no_text_does_anything_but_give_a_ledger_or_say_what_is_wrong(noise: str, cut: int) -> None:
    for text in (noise, PLAIN[:cut] + noise + PLAIN[cut:]):
        with contextlib.suppress(LedgerError):
            assert read_ledger(text, NAMES).next_speaker.answer in NAMES


def test_the_type_for_structured_output_names_the_members_and_requires_everything() -> None:
    schema: dict[str, Any] = ledger_type(NAMES).model_json_schema()
    assert schema["required"] == list(ProgressLedger.model_fields)
    speaker = schema["$defs"][schema["properties"]["next_speaker"]["$ref"].rsplit("/", 1)[1]]
    assert speaker["properties"]["answer"]["enum"] == NAMES
    assert speaker["required"] == ["reason", "answer"]
    assert isinstance(ledger_type(NAMES).model_validate_json(PLAIN), ProgressLedger)
