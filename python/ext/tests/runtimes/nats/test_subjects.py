"""Names on the server, and how partitions are shared out."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from autogen_ext.runtimes.nats import NatsServer
from autogen_ext.runtimes.nats._ownership import share_out
from autogen_ext.runtimes.nats._subjects import Names, partition, token

from .conftest import NewClient

texts = some.text(some.characters(exclude_categories=())) | some.text("=hAF0123 .*>$\r\n/é", max_size=300)
workers_ = some.sets(some.text("abcdef0123456789", min_size=4, max_size=8), min_size=1, max_size=12).map(sorted)
SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=")


@given(texts)
def test_any_text_is_one_safe_token_of_bounded_length(text: str) -> None:
    written = token(text)
    assert set(written) <= SAFE
    assert 0 < len(written) <= 200


@given(texts, texts)
def test_different_texts_are_different_tokens(one: str, other: str) -> None:
    assert (token(one) == token(other)) is (one == other)


@given(some.lists(texts, min_size=2, max_size=8, unique=True))
def test_short_tokens_say_what_they_stand_for(several: list[str]) -> None:
    for text in several:
        written = token(text)
        if written != "=" and not written.startswith("=h"):
            parts = written.split("=")
            data = parts[0].encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in parts[1:])
            assert data.decode("utf-8", "surrogatepass") == text


@given(texts, some.integers(1, 64))
def test_a_partition_is_one_that_there_is(key: str, partitions: int) -> None:
    assert 0 <= partition(key, partitions) < partitions


async def test_the_server_divides_keys_as_we_do(nats_server: NatsServer, new_client: NewClient, namespace: str) -> None:
    """So that a stream of the server may pass messages on to the right partition."""
    client = await new_client(nats_server)
    keys = ["a", "", "k1", "a key: with.all > kinds * of ü", "x" * 500, *map(str, range(100))]
    config = {
        "name": namespace,
        "subjects": [f"{namespace}.*"],
        "storage": "memory",
        "subject_transform": {
            "src": f"{namespace}.*",
            "dest": f"{namespace}.{{{{partition(16,1)}}}}.{{{{wildcard(1)}}}}",
        },
    }
    await ask(client, f"$JS.API.STREAM.CREATE.{namespace}", config)
    for key in keys:
        await ask(client, f"{namespace}.{token(key)}", {})
    for number, key in enumerate(keys, 1):
        found = await ask(client, f"$JS.API.STREAM.MSG.GET.{namespace}", {"seq": number})
        _, place, name = found["message"]["subject"].split(".")
        assert name == token(key)
        assert int(place) == partition(key, 16), key
    await ask(client, f"$JS.API.STREAM.DELETE.{namespace}", {})


async def ask(client: Any, subject: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = json.loads((await client.request(subject, json.dumps(body).encode(), timeout=5)).data)
    assert "error" not in answer, answer
    return answer


@given(workers_, some.integers(1, 64), some.text(max_size=5))
def test_shares_differ_by_one_at_most(workers: list[str], partitions: int, pool: str) -> None:
    owners = share_out(pool, partitions, workers)
    assert len(owners) == partitions
    shares = Counter(dict.fromkeys(workers, 0))
    shares.update(owners)
    assert set(shares) == set(workers)
    assert max(shares.values()) - min(shares.values()) <= 1


@given(workers_, some.integers(1, 64), some.randoms(use_true_random=False))
def test_all_workers_come_to_the_same_shares(workers: list[str], partitions: int, random: Any) -> None:
    shuffled = random.sample(workers, len(workers))
    assert share_out("p", partitions, sorted(shuffled)) == share_out("p", partitions, workers)


def test_nobody_has_anything_where_nobody_is() -> None:
    assert share_out("p", 16, []) == []


@pytest.mark.parametrize("count", range(1, 9))
def test_few_partitions_move_when_a_worker_joins(count: int) -> None:
    """It gets its share, and what moves between the others, to even out theirs, is about as much at most."""
    partitions = 64
    for first in range(20):
        workers = sorted(f"worker {number}" for number in range(first, first + count))
        joining = f"worker {first + count}"
        before = share_out("p", partitions, workers)
        after = share_out("p", partitions, sorted([*workers, joining]))
        others = sum(was != now != joining for was, now in zip(before, after, strict=True))
        assert abs(after.count(joining) - partitions / (count + 1)) < 1
        assert others <= partitions / 4


@pytest.mark.parametrize("namespace", ["", "a.b", "a b", "a*", "ü", "a>"])
def test_a_namespace_is_a_plain_name(namespace: str) -> None:
    with pytest.raises(ValueError, match="namespace has letters"):
        Names(namespace)


@given(texts, texts, texts, texts)
def test_different_agents_have_different_keys_for_their_states(one: str, key: str, other: str, other_key: str) -> None:
    names = Names("n")
    same = (one, key) == (other, other_key)
    assert (names.state_key(one, key) == names.state_key(other, other_key)) is same
    assert (names.mailbox(one) == names.mailbox(other)) is (one == other)
