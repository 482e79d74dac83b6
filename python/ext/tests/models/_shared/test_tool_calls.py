import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autogen_ext.models._shared._tool_calls import ToolCallAssembler


def assembled(*fragments: dict[str, Any]) -> list[tuple[str, str, str]]:
    assembler = ToolCallAssembler()
    for fragment in fragments:
        assembler.add(**fragment)
    return [(call.id, call.name, call.arguments) for call in assembler.calls()]


def fragment(index: int | None, call_id: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    return {"index": index, "call_id": call_id, "name": name, "arguments": arguments}


ADD = ("c1", "add", '{"a": 1}')
SUB = ("c2", "sub", "{}")


@pytest.mark.parametrize(
    "fragments",
    [
        pytest.param(
            [
                fragment(0, "c1", "add", ""),
                fragment(0, None, None, '{"a"'),
                fragment(0, None, None, ": 1}"),
                fragment(1, "c2", "sub", "{}"),
            ],
            id="as the protocol says",
        ),
        pytest.param([fragment(0, *ADD), fragment(0, *SUB)], id="one index for all"),
        pytest.param([fragment(None, *ADD), fragment(None, *SUB)], id="no index"),
        pytest.param(
            [
                fragment(0, "c1", "add", '{"a"'),
                fragment(1, "c2", "sub", "{"),
                fragment(0, None, None, ": 1}"),
                fragment(1, None, None, "}"),
            ],
            id="interleaved",
        ),
        pytest.param(
            [fragment(0, "c1", "add", '{"a"'), fragment(0, "c1", "add", ": 1}"), fragment(1, *SUB)],
            id="id and name in each fragment",
        ),
        pytest.param(
            [fragment(0, "c1", "add", '{"a"'), fragment(0, "x9", None, ": 1}"), fragment(1, *SUB)],
            id="another id with each fragment",
        ),
        pytest.param(
            [fragment(0, "c1", "a", None), fragment(0, "", "dd", '{"a": 1}'), fragment(1, *SUB)],
            id="name in pieces",
        ),
        pytest.param(
            [fragment(None, "c1", "add", '{"a"'), fragment(None, "c1", None, ": 1}"), fragment(None, *SUB)],
            id="no index but ids",
        ),
        pytest.param(
            [fragment(None, "c1", "add", '{"a"'), fragment(None, None, None, ": 1}"), fragment(None, *SUB)],
            id="nothing but the first tells",
        ),
        pytest.param(
            [fragment(0, *ADD), fragment(0, "c1", "add", ""), fragment(1, *SUB)],
            id="an empty fragment at the end",
        ),
    ],
)
def test_two_calls_are_put_together(fragments: list[dict[str, Any]]) -> None:
    assert assembled(*fragments) == [ADD, SUB]


@settings(deadline=None)  # a busy machine is slow
@given(
    arguments=st.lists(
        st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5)), min_size=1, max_size=4
    ),
    data=st.data(),
)
def test_however_arguments_are_cut_the_calls_are_the_same(arguments: list[dict[str, Any]], data: st.DataObject) -> None:
    fragments: list[dict[str, Any]] = []
    for index, value in enumerate(arguments):
        text = json.dumps(value)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
        pieces = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
        first, *others = pieces
        fragments.append(fragment(index, f"c{index}", "add", first))
        fragments.extend(fragment(index, None, None, piece) for piece in others)
    assert assembled(*fragments) == [(f"c{index}", "add", json.dumps(value)) for index, value in enumerate(arguments)]


def test_calls_without_ids_get_different_ones() -> None:
    calls = assembled(fragment(None, None, "add", "{}"), fragment(None, "", "add", "{}"))
    ids = {call_id for call_id, _, _ in calls}
    assert len(ids) == 2
    assert all(call_id.startswith("call_") for call_id in ids)


def test_an_id_that_two_calls_share_is_kept_by_the_first() -> None:
    first, second = assembled(fragment(0, "same", "add", "{}"), fragment(1, "same", "sub", "{}"))
    assert first[0] == "same"
    assert second[0] != "same"


def test_calling_the_same_tool_twice_under_one_index_gives_two_calls() -> None:
    calls = assembled(fragment(0, None, "add", '{"a": 1}'), fragment(0, None, "add", '{"a": 2}'))
    assert [arguments for _, _, arguments in calls] == ['{"a": 1}', '{"a": 2}']


@pytest.mark.parametrize("arguments", ["", None, "  "])
def test_empty_arguments_are_an_empty_object(arguments: str | None) -> None:
    assert assembled(fragment(0, "c1", "now", arguments)) == [("c1", "now", "{}")]


def test_arguments_that_are_no_text_are_written_as_json_and_noted() -> None:
    assembler = ToolCallAssembler()
    assembler.add_whole(call_id="c1", name="add", arguments={"a": 1})
    assert assembler.calls()[0].arguments == '{"a": 1}'
    assert "dict" in assembler.oddities[0]


def test_names_that_the_model_invented_are_made_acceptable() -> None:
    assert assembled(fragment(0, "c1", "functions.add", "{}"))[0][1] == "functions_add"


def test_without_fragments_there_is_no_call() -> None:
    assembler = ToolCallAssembler()
    assert not assembler
    assert assembler.calls() == []
