"""Ids of what handlers send: the same when a handler runs again, and different for everything else."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as some

from autogen_ext.runtimes.nats._handling import Handling, handling, next_id

sent = some.tuples(some.text(max_size=20), some.binary(max_size=20))


@given(some.text(max_size=100), some.lists(sent, max_size=20))
def test_a_handler_that_runs_again_sends_the_same_ids(id: str, messages: list[tuple[str, bytes]]) -> None:
    first, again = Handling(id, []), Handling(id, ["outer"])
    ids = [first.child_id(*message) for message in messages]
    assert ids == [again.child_id(*message) for message in messages]
    assert len(set(ids)) == len(ids)


@given(some.text(max_size=100), some.lists(sent, max_size=20, unique=True), some.randoms(use_true_random=False))
def test_the_order_in_which_different_messages_are_sent_does_not_matter(
    id: str, messages: list[tuple[str, bytes]], random: object
) -> None:
    """Handlers that send from several tasks have no fixed order."""
    first, again = Handling(id, []), Handling(id, [])
    ids = {message: first.child_id(*message) for message in messages}
    assert ids == {message: again.child_id(*message) for message in reversed(messages)}


@given(some.text(max_size=200), some.text(max_size=200), sent)
def test_handlers_of_different_messages_send_different_ids(one: str, other: str, message: tuple[str, bytes]) -> None:
    same = Handling(one, []).child_id(*message) == Handling(other, []).child_id(*message)
    assert same is (one == other)


@given(sent, sent)
def test_different_messages_have_different_ids(one: tuple[str, bytes], other: tuple[str, bytes]) -> None:
    if one != other:
        assert Handling("m", []).child_id(*one) != Handling("m", []).child_id(*other)


def test_a_chain_names_the_messages_whose_handlers_wait_the_outermost_first() -> None:
    assert Handling("b", ["a"]).chain == ["a", "b"]


def test_outside_of_handlers_ids_are_new_and_given_ids_are_kept() -> None:
    assert next_id(None, "a/b", b"x") != next_id(None, "a/b", b"x")
    token = handling.set(Handling("m", []))
    try:
        assert next_id("mine", "a/b", b"x") == "mine"
        assert next_id(None, "a/b", b"x") == Handling("m", []).child_id("a/b", b"x")
    finally:
        handling.reset(token)


async def test_a_handler_has_ended_when_all_that_it_published_is_stored() -> None:
    current = Handling("m", [])
    stored: list[asyncio.Future[int]] = [asyncio.get_running_loop().create_future() for _ in range(3)]
    for one in stored:
        current.publishes(one)
    stored[0].set_result(1)
    settling = asyncio.create_task(current.settle())
    await asyncio.sleep(0)
    assert not settling.done()
    stored[1].set_result(2)
    stored[2].set_exception(OSError("full"))
    with pytest.raises(OSError, match="full"):
        await settling
