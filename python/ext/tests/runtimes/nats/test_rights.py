"""Workers with rights: what they may not do is refused at once, by a typed error, and they go on working."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import NotPermittedError
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsRights, NatsSecurity, NatsUser

from . import doers
from .conftest import NewServer
from .doers import Do, Doer, Notes, Said, Workers, register

workers = doers.workers
ADMIN, FAR = AgentId("admin", "a"), AgentId("far", "a")
RIGHTS: dict[str, Any] = {
    "register": ("far", "spare"),
    "call": ("far", "near"),
    "publish": ("open.*",),
    "subscribe": ("news",),
}
KNOWS = pytest.mark.parametrize("knows", [True, False], ids=["knows its rights", "learns of them"])


async def join(
    new_server: NewServer, workers: Workers, notes: Notes, *, knows: bool, **more: Any
) -> tuple[NatsAgentRuntime, NatsAgentRuntime]:
    """Return a worker that may do everything, and has `admin` and `near`, and one that may do some things."""
    settings: dict[str, Any] = {**RIGHTS, "namespace": workers.namespace, **more}
    rights = NatsRights(**settings)
    server = await new_server(users=(NatsUser(token="trusted"), NatsUser(token="guest", rights=rights)))
    workers.url = server.url
    trusted = await workers(security=NatsSecurity(token="trusted"), stateless_types=["admin.free"])
    await register(trusted, notes, "admin")
    await register(trusted, notes, "admin.free", Doer)
    await register(trusted, notes, "near")
    await trusted.register_agent_instance(Doer(notes), AgentId("admin.one", "a"))
    guest = await workers(
        security=NatsSecurity(token="guest", rights=rights if knows else None), stateless_types=["admin.free"]
    )
    return trusted, guest


async def refused(attempt: Awaitable[object]) -> NotPermittedError:
    async with asyncio.timeout(1):
        with pytest.raises(NotPermittedError) as caught:
            await attempt
    return caught.value


@KNOWS
async def test_a_worker_does_what_it_may_and_is_refused_the_rest_within_a_second(
    new_server: NewServer, workers: Workers, knows: bool
) -> None:
    notes = Notes()
    trusted, guest = await join(new_server, workers, notes, knows=knows)
    await register(guest, notes, "far")
    for attempt in (
        register(guest, notes, "secret"),
        guest.register_agent_instance(Doer(notes), AgentId("secret.one", "a")),
        guest.send_message(Do("x"), ADMIN),
        guest.send_message(Do("x"), AgentId("admin.free", "a")),
        guest.agent_load_state(ADMIN, {"count": 0, "last": ""}),
        guest.add_subscription(TypeSubscription("secret", "far")),
        guest.add_subscription(TypeSubscription("news", "admin")),
        guest.send_message_later(Do("x"), FAR, after=timedelta(seconds=1)),
    ):
        error = await refused(attempt)
        assert "permit" in str(error) or "right" in str(error)
        assert await guest.send_message(Do("x", ask="near/a"), FAR)
        assert guest.ready
    assert await trusted.send_message(Do("y"), FAR) == Said("y", 9)
    await guest.add_subscription(TypeSubscription("news", "far"))
    await trusted.publish_message(Do("news"), TopicId("news", "a"))
    await notes.have("news")
    assert notes.texts(ADMIN) == []


async def test_topics_are_checked_by_a_worker_that_knows_its_rights(new_server: NewServer, workers: Workers) -> None:
    notes = Notes()
    trusted, guest = await join(new_server, workers, notes, knows=True)
    await trusted.add_subscription(TypeSubscription("open.day", "near"))
    await refused(guest.publish_message(Do("x"), TopicId("secret", "a")))
    await guest.publish_message(Do("open"), TopicId("open.day", "a"))
    await notes.have("open")


@KNOWS
async def test_a_worker_without_the_right_to_publish_is_refused_all_events(
    new_server: NewServer, workers: Workers, knows: bool
) -> None:
    notes = Notes()
    trusted, guest = await join(new_server, workers, notes, knows=knows, publish=())
    await trusted.add_subscription(TypeSubscription("open.day", "near"))

    async def publish() -> None:
        await guest.publish_message(Do("x"), TopicId("open.day", "a"))
        await guest.flush()

    await refused(publish())
    await register(guest, notes, "far")
    assert await guest.send_message(Do("x"), FAR) == Said("x", 1)
    with pytest.raises(NotPermittedError):
        await trusted.send_message(Do("x", publish="open.day/a"), FAR)
    assert await guest.send_message(Do("y"), FAR) == Said("y", 3)
    assert notes.texts(AgentId("near", "a")) == []


async def test_a_refused_registration_before_the_start_is_an_error_of_the_start(
    new_server: NewServer, workers: Workers
) -> None:
    notes = Notes()
    _, guest = await join(new_server, workers, notes, knows=True)
    security = guest._link._security
    other = workers.new(security=security)
    await register(other, notes, "secret")
    with pytest.raises(NotPermittedError):
        await other.start()
    assert not other.ready


async def test_a_worker_with_the_right_to_timers_sets_them(new_server: NewServer, workers: Workers) -> None:
    notes = Notes()
    _, guest = await join(new_server, workers, notes, knows=True, timers=True)
    await register(guest, notes, "far")
    await guest.send_message_later(Do("later"), FAR, after=timedelta(seconds=1))
    await notes.have("later")


async def test_who_is_not_let_in_is_told_so(new_server: NewServer, workers: Workers) -> None:
    server = await new_server(users=(NatsUser(token="trusted"),))
    for security in (None, NatsSecurity(token="wrong")):
        runtime = workers.new(servers=server.url, security=security)
        async with asyncio.timeout(3):
            with pytest.raises(NotPermittedError):
                await runtime.start()
        assert not runtime.ready
