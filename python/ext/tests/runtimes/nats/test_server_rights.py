"""What the server itself refuses a worker, whatever the worker's program does."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.errors import TimeoutError as NoAnswerError

from autogen_ext.runtimes.nats._connection import ConnectionHooks, SubjectNotPermittedError
from autogen_ext.runtimes.nats._server_config import NatsRights, NatsUser
from autogen_ext.runtimes.nats._subjects import Names, token

from .conftest import NewClient, NewServer

NAMES = Names("autogen")


class Worker:
    """A connection, and what the server refused it."""

    def __init__(self) -> None:
        self.refused: list[SubjectNotPermittedError] = []
        self.client: Any = None

    async def permitted(self, subject: str) -> bool:
        """Tell whether the worker may publish there."""
        return await self._permitted(lambda: self.client.publish(subject, b""))

    async def may_hear(self, subject: str, queue: str = "") -> bool:
        return await self._permitted(lambda: self.client.subscribe(subject, queue=queue))

    async def _permitted(self, act: Callable[[], Awaitable[Any]]) -> bool:
        before = len(self.refused)
        await act()
        # The server's refusal comes before its answer to a ping; but the client's first one may overtake what was sent.
        await self.client.flush()
        await self.client.flush()
        return len(self.refused) == before

    async def api(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.client.request(f"$JS.API.{path}", json.dumps(body or {}).encode(), timeout=5)
        read = json.loads(answer.data)
        assert "error" not in read, read
        return read


@pytest.fixture
async def join(new_server: NewServer, new_client: NewClient) -> Callable[..., Awaitable[Worker]]:
    """Makes a trusted worker and one with the given rights at a new server."""

    async def make(**rights: Any) -> tuple[Worker, Worker]:
        server = await new_server(
            users=(NatsUser(token="trusted"), NatsUser(token="guest", rights=NatsRights(**rights)))
        )
        workers = Worker(), Worker()
        for worker, name in zip(workers, ("trusted", "guest"), strict=True):

            async def refuse(error: SubjectNotPermittedError, worker: Worker = worker) -> None:
                worker.refused.append(error)

            worker.client = await new_client(server, token=name, options={"hooks": ConnectionHooks(refused=refuse)})
        await _open(workers[0])
        return workers

    return make  # pyright: ignore[reportReturnType] - both are workers


async def _open(worker: Worker) -> None:
    """Make what a system has, and the mailbox of `admin`."""
    for bucket in (NAMES.directory, NAMES.leases, NAMES.states):
        config = {"name": f"KV_{bucket}", "subjects": [f"$KV.{bucket}.>"], "allow_direct": True}
        await worker.api(f"STREAM.CREATE.KV_{bucket}", config)
    await worker.api(f"STREAM.CREATE.{NAMES.dead}", {"name": NAMES.dead, "subjects": [NAMES.letters()]})
    await worker.api(f"STREAM.CREATE.{NAMES.mailbox('admin')}", _mailbox("admin"))


def _mailbox(pool: str) -> dict[str, Any]:
    return {"name": NAMES.mailbox(pool), "subjects": [NAMES.stored(pool, "*", "*")], "retention": "workqueue"}


async def test_a_worker_without_the_right_to_a_type_cannot_host_it(join: Any) -> None:
    _, guest = await join(register=("far",), call=("*",))
    for bucket, key in (
        (NAMES.directory, "t.admin"),
        (NAMES.directory, "i.admin.default"),
        (NAMES.directory, "s.exact.news.admin"),
        (NAMES.directory, "p.admin"),
        (NAMES.states, NAMES.state_key("admin", "default")),
    ):
        subject = NAMES.bucket_subject(bucket, key)
        assert not await guest.permitted(subject), subject
        assert guest.refused[-1].operation == "publish"
        assert guest.refused[-1].subject == subject
    assert not await guest.may_hear(NAMES.anyone("admin"), "q")
    assert (guest.refused[-1].operation, guest.refused[-1].queue) == ("subscription", "q")
    assert not await guest.may_hear(NAMES.stored("admin", "*", "*"))
    stream = NAMES.mailbox("admin")
    for path in (
        f"CONSUMER.CREATE.{stream}.0",
        f"CONSUMER.CREATE.{stream}",
        f"CONSUMER.MSG.NEXT.{stream}.0",
        f"CONSUMER.DELETE.{stream}.0",
        f"STREAM.MSG.GET.{stream}",
        f"STREAM.MSG.DELETE.{stream}",
        f"STREAM.PURGE.{stream}",
        f"STREAM.DELETE.{stream}",
        f"STREAM.UPDATE.{stream}",
        f"STREAM.CREATE.{stream}",
        f"DIRECT.GET.{stream}",
    ):
        assert not await guest.permitted(f"$JS.API.{path}"), path
    assert not await guest.permitted(f"$JS.ACK.{stream}.0.1.1.1.1.0")


async def test_a_worker_without_the_right_to_a_type_cannot_call_it(join: Any) -> None:
    _, guest = await join(register=("far",), call=("far",), publish=())
    for subject in (
        NAMES.stored("admin", 3, "d"),
        NAMES.stored("admin", "q", "d"),
        NAMES.stored("admin", 3, "e"),
        NAMES.stored("far", 3, "e"),
        NAMES.anyone("admin"),
        NAMES.pool_talk("admin"),
    ):
        assert not await guest.permitted(subject), subject
    with pytest.raises(NoAnswerError):
        await guest.client.request(NAMES.anyone("admin"), b"", timeout=0.2)
    for subject in (NAMES.stored("far", 3, "d"), NAMES.anyone("far"), NAMES.pool_talk("far")):
        assert await guest.permitted(subject), subject


async def test_a_worker_can_do_what_it_has_the_right_to(join: Any) -> None:
    """It hosts its type and calls another, with all that belongs to that."""
    trusted, guest = await join(register=("far",), call=("admin",), subscribe=("news",))
    client = guest.client
    await guest.api(f"STREAM.CREATE.{NAMES.dead}", {"name": NAMES.dead, "subjects": [NAMES.letters()]})
    await guest.api(f"STREAM.CREATE.{NAMES.mailbox('far')}", _mailbox("far"))
    consumer = {"durable_name": "0", "ack_policy": "explicit", "filter_subject": NAMES.stored("far", 0, "*")}
    path = f"{NAMES.mailbox('far')}.0"
    await guest.api(f"CONSUMER.CREATE.{path}", {"stream_name": NAMES.mailbox("far"), "config": consumer})
    for bucket, key in (
        (NAMES.directory, "t.far"),
        (NAMES.directory, "p.far"),
        (NAMES.directory, "i.far.default"),
        (NAMES.directory, "s.exact.news.far"),
        (NAMES.directory, f"s.prefix.{token('far:')}.far"),
        (NAMES.leases, "worker-1"),
        (NAMES.states, NAMES.state_key("far", "a key: with = everything")),
    ):
        stored = await client.request(NAMES.bucket_subject(bucket, key), b"{}", timeout=5)
        assert "seq" in json.loads(stored.data)
    assert "seq" in json.loads((await client.request(NAMES.stored("admin", 2, "d"), b"call", timeout=5)).data)
    assert "seq" in json.loads((await client.request(NAMES.stored("admin", 2, "e"), b"event", timeout=5)).data)
    await trusted.client.request(NAMES.stored("far", 0, "d"), b"hi", timeout=5)
    inbox = await client.subscribe(f"{NAMES.answers('worker-1')}.1")
    ask = b'{"batch": 1, "expires": 5000000000}'
    await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{path}", ask, reply=f"{NAMES.answers('worker-1')}.1")
    got = await inbox.next_msg(timeout=6)
    assert got.data == b"hi"
    await client.request(got.reply, b"+ACK", timeout=5)
    assert (await guest.api(f"STREAM.INFO.{NAMES.mailbox('far')}"))["state"]["messages"] == 0
    await guest.api(f"CONSUMER.RESET.{path}")
    directory = f"KV_{NAMES.directory}"
    await guest.api(f"STREAM.MSG.GET.{directory}", {"last_by_subj": NAMES.bucket_subject(NAMES.directory, "t.far")})
    many = {"multi_last": [f"$KV.{NAMES.directory}.>"], "batch": 100}
    await client.request(f"$JS.API.DIRECT.GET.{directory}", json.dumps(many).encode(), timeout=5)
    for subject in (
        f"{NAMES.answers('worker-1')}.*",
        NAMES.worker("worker-1"),
        NAMES.everybody(),
        NAMES.pool_talk("far"),
        NAMES.live(NAMES.directory),
        NAMES.live(NAMES.leases),
    ):
        assert await guest.may_hear(subject), subject
    assert await guest.may_hear(NAMES.anyone("far"), "q")
    assert guest.refused == []
    assert await guest.permitted(NAMES.bucket_subject(NAMES.directory, "s.exact.secret.far")) is False


async def test_nobody_changes_or_empties_what_all_share(join: Any) -> None:
    _, guest = await join()
    for bucket in (NAMES.directory, NAMES.leases, NAMES.states):
        assert not await guest.may_hear(f"$KV.{bucket}.>")
    _, guest = await join(register=("far",))
    for bucket in (NAMES.directory, NAMES.leases, NAMES.states):
        for verb in ("DELETE", "PURGE", "UPDATE", "MSG.DELETE"):
            assert not await guest.permitted(f"$JS.API.STREAM.{verb}.KV_{bucket}")


async def test_a_worker_hears_no_answer_to_another_users_requests(join: Any) -> None:
    trusted, guest = await join()
    assert not await guest.may_hear("_INBOX.>")
    assert not await guest.may_hear(f"{trusted.client._inbox_prefix.decode()}.>")
    assert not await guest.may_hear(">")


async def test_types_of_any_name_are_told_apart(join: Any) -> None:
    _, guest = await join(register=("a type: with.dots > and ünicode",), call=())
    for name, expected in (("a type: with.dots > and ünicode", True), ("a type", False)):
        assert await guest.permitted(NAMES.bucket_subject(NAMES.directory, f"t.{token(name)}")) is expected


async def test_a_pool_of_another_name_can_be_given(join: Any) -> None:
    _, guest = await join(register=("far",), call=("near",), pools={"far": "workers", "near": "others"})
    assert await guest.permitted(f"$JS.API.STREAM.INFO.{NAMES.mailbox('workers')}")
    assert await guest.permitted(NAMES.stored("others", 0, "d"))
    assert not await guest.permitted(NAMES.stored("near", 0, "d"))


@pytest.mark.parametrize("timers", [True, False])
async def test_timers_are_a_right_of_their_own(timers: bool, join: Any) -> None:
    _, guest = await join(register=(), call=(), publish=(), timers=timers)
    stream = NAMES.mailbox("$timers")
    for subject in (f"$JS.API.STREAM.CREATE.{stream}", f"$JS.ACK.{stream}.q.1", NAMES.stored("$timers", "at", "daily")):
        assert await guest.permitted(subject) is timers, subject
    assert not await guest.permitted(NAMES.stored("$timers", "q", "e"))


async def test_further_subjects_can_be_given(join: Any) -> None:
    _, guest = await join(register=(), call=(), publish=(), also_publish=("audit.>",), also_subscribe=("news",))
    assert await guest.permitted("audit.guest")
    assert await guest.may_hear("news")
    assert not await guest.permitted("news")


async def test_a_refused_worker_keeps_its_connection(join: Any) -> None:
    _, guest = await join(register=("far",), call=("far",))
    assert not await guest.permitted(NAMES.anyone("admin"))
    with pytest.raises(NoAnswerError):
        await guest.client.request(f"$JS.API.STREAM.DELETE.{NAMES.mailbox('admin')}", b"", timeout=0.2)
    assert guest.client.is_connected
    assert (await guest.api("INFO"))["streams"] == 5


def test_the_server_cannot_compare_with_patterns() -> None:
    with pytest.raises(ValueError, match="in full"):
        NatsRights(register=("guest-*",))


def test_topics_are_compared_with_patterns() -> None:
    rights = NatsRights(publish=("open.*",), subscribe=("open.*", "news"))
    assert [rights.may_publish(topic) for topic in ("open.a", "news", "OPEN.a")] == [True, False, False]
    assert [rights.may_hear(topic, "far") for topic in ("open.a", "news", "far:", "near:")] == [True, True, True, False]
    assert NatsRights().may_publish("anything")


def test_a_user_shows_one_thing() -> None:
    wrongs: list[dict[str, Any]] = [{}, {"name": "a"}, {"token": "t", "nkey": "U"}, {"token": ""}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="NatsUser needs"):
            NatsUser(**wrong)
