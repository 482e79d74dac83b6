"""Two organisations at one server, and one of them with a server of its own: they share what is agreed and nothing else."""

import asyncio
from typing import Any

import pytest
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NoAnswerError

from autogen_ext.runtimes.nats._connection import ConnectionHooks, SubjectNotPermittedError
from autogen_ext.runtimes.nats._server import NatsServer
from autogen_ext.runtimes.nats._server_config import (
    NatsAccount,
    NatsExport,
    NatsImport,
    NatsLeafListen,
    NatsLeafRemote,
    NatsRights,
    NatsServerOptions,
    NatsUser,
)

from .certificates import Certificate, tls
from .conftest import NewClient, NewServer
from .waiting import until

ACCOUNTS = (
    NatsAccount(
        name="org-a",
        users=(NatsUser(token="a"),),
        exports=(
            NatsExport(kind="stream", subject="public.orders.>", accounts=("org-b",)),
            NatsExport(kind="service", subject="agents.helper", accounts=("org-b",)),
        ),
    ),
    NatsAccount(
        name="org-b",
        users=(
            NatsUser(token="b"),
            NatsUser(
                token="b-guest", rights=NatsRights(register=(), call=(), publish=(), also_subscribe=("a.orders.>",))
            ),
        ),
        imports=(
            NatsImport(kind="stream", account="org-a", subject="public.orders.>", to="a.orders.>"),
            NatsImport(kind="service", account="org-a", subject="agents.helper", to="a.helper"),
        ),
    ),
    NatsAccount(name="org-c", users=(NatsUser(token="c"),)),
)


async def _help(client: Any) -> None:
    """Answer as the helper of organisation A."""

    async def answer(message: Any) -> None:
        await message.respond(message.data.upper())

    await client.subscribe("agents.>", cb=answer)
    await client.flush()
    await client.flush()


async def test_an_account_sees_only_what_another_exports_to_it(new_server: NewServer, new_client: NewClient) -> None:
    server = await new_server(accounts=ACCOUNTS)
    a, b, c = [await new_client(server, token=name) for name in "abc"]
    await _help(a)
    assert (await b.request("a.helper", b"hi", timeout=5)).data == b"HI"
    for client, subject in ((b, "agents.other"), (b, "agents.helper"), (c, "agents.helper"), (c, "a.helper")):
        with pytest.raises(NoRespondersError):
            await client.request(subject, b"hi", timeout=5)


async def _settle(*clients: Any) -> None:
    for client in clients:
        await client.flush()
        await client.flush()


async def test_an_imported_topic_is_heard_under_its_name_here_and_nowhere_else(
    new_server: NewServer, new_client: NewClient
) -> None:
    server = await new_server(accounts=ACCOUNTS)
    a, b, guest, c = [await new_client(server, token=name) for name in ("a", "b", "b-guest", "c")]
    own = await a.subscribe("public.>")
    heard = [await client.subscribe("a.orders.>") for client in (b, guest)]
    foreign = [await c.subscribe(subject) for subject in ("a.orders.>", "public.>")]
    await _settle(a, b, guest, c)
    await b.publish("public.orders.eu", b"forged")
    await b.publish("a.orders.eu", b"local")
    await _settle(b)
    await a.publish("public.orders.eu", b"order")
    await _settle(a)
    assert [message.data for message in [await heard[0].next_msg(5) for _ in range(2)]] == [b"local", b"order"]
    assert [message.data for message in [await heard[1].next_msg(5) for _ in range(2)]] == [b"local", b"order"]
    assert (await own.next_msg(5)).data == b"order"
    await _settle(a, c)
    assert own.pending_msgs == 0
    assert [subscription.pending_msgs for subscription in foreign] == [0, 0]


async def test_an_organisation_keeps_a_durable_copy_of_an_imported_topic(
    new_server: NewServer, new_client: NewClient
) -> None:
    server = await new_server(accounts=ACCOUNTS)
    a, b = [await new_client(server, token=name) for name in "ab"]
    stream = b.jetstream()
    await stream.add_stream(name="orders", subjects=["a.orders.>"])
    await a.publish("public.orders.eu", b"order")
    await a.flush()
    found: list[bytes] = []

    async def kept() -> None:
        while not found:
            info = await stream.stream_info("orders")
            if info.state.messages:
                found.append((await stream.get_last_msg("orders", "a.orders.eu")).data)
            await asyncio.sleep(0.02)

    async with asyncio.timeout(10):
        await kept()
    assert found == [b"order"]
    # Streams of one account are not those of another.
    assert (await a.jetstream().account_info()).streams == 0


async def test_rights_hold_within_an_account(new_server: NewServer, new_client: NewClient) -> None:
    server = await new_server(accounts=ACCOUNTS)
    errors: list[SubjectNotPermittedError] = []

    async def refuse(error: SubjectNotPermittedError) -> None:
        errors.append(error)

    a = await new_client(server, token="a")
    await _help(a)
    guest = await new_client(server, token="b-guest", options={"hooks": ConnectionHooks(refused=refuse)})
    with pytest.raises(NoAnswerError):
        await guest.request("a.helper", b"hi", timeout=0.3)
    assert [error.subject for error in errors] == ["a.helper"]


@pytest.fixture
async def leaf(new_server: NewServer, authority: Certificate) -> Any:
    """The server of both organisations, and one of organisation B that is its leaf node; over TLS."""
    hub = await new_server(
        accounts=ACCOUNTS,
        tls=tls(authority),
        jetstream_domain="hub",
        leaf_listen=NatsLeafListen(users={"b-site": "org-b"}, passwords={"b-site": "p@ss/w:rd"}),
    )
    remote = NatsLeafRemote(url=hub.leaf_url, user="b-site", password="p@ss/w:rd", root_certificates=authority.pem)
    return hub, await new_server(jetstream_domain="site-b", leaf_remotes=(remote,))


async def test_a_leaf_node_sees_what_its_account_sees(
    leaf: tuple[NatsServer, NatsServer], new_client: NewClient, authority: Certificate
) -> None:
    hub, site = leaf
    a, c = [await new_client(hub, token=name, root_certificates=authority.pem) for name in "ac"]
    worker = await new_client(site)
    await _help(a)
    heard, foreign = await worker.subscribe("a.orders.>"), await c.subscribe(">")
    await _settle(c)
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await worker.request("a.helper", b"hi", timeout=1)).data == b"HI"
                break
            except (NoRespondersError, NoAnswerError):  # the servers still find each other, and the answer its way back
                await asyncio.sleep(0.05)
    with pytest.raises(NoRespondersError):
        await worker.request("agents.other", b"hi", timeout=5)
    await a.publish("public.orders.eu", b"order")
    assert (await heard.next_msg(5)).data == b"order"
    await worker.publish("public.orders.eu", b"forged")
    await worker.publish("a.orders.eu", b"local")
    await _settle(worker, a, c)
    assert (await heard.next_msg(5)).data == b"local"
    assert foreign.pending_msgs == 0


async def test_a_leaf_node_goes_on_alone_and_finds_its_hub_again(
    leaf: tuple[NatsServer, NatsServer], new_client: NewClient, authority: Certificate
) -> None:
    hub, site = leaf
    a = await new_client(hub, token="a", root_certificates=authority.pem)
    await _help(a)
    worker, neighbour = await new_client(site), await new_client(site)
    near = await neighbour.subscribe("near")
    await _settle(neighbour)
    port = hub.leaf_url
    await hub.stop()
    await worker.publish("near", b"still here")
    assert (await near.next_msg(5)).data == b"still here"
    await hub.start()
    assert hub.leaf_url == port
    answers: list[bytes] = []
    async with asyncio.timeout(20):
        while not answers:
            try:
                answers.append((await worker.request("a.helper", b"hi", timeout=1)).data)
            except (NoRespondersError, NoAnswerError):
                await asyncio.sleep(0.1)
    assert answers == [b"HI"]


async def test_a_leaf_node_without_the_password_is_refused(new_server: NewServer, new_client: NewClient) -> None:
    hub = await new_server(
        accounts=ACCOUNTS, leaf_listen=NatsLeafListen(users={"b-site": "org-b"}, passwords={"b-site": "right"})
    )
    site = await new_server(leaf_remotes=(NatsLeafRemote(url=hub.leaf_url, user="b-site", password="wrong"),))
    await until(lambda: "Authorization Violation" in site.log() or "authentication error" in hub.log())
    a, worker = await new_client(hub, token="a"), await new_client(site)
    await _help(a)
    with pytest.raises(NoRespondersError):
        await worker.request("a.helper", b"hi", timeout=5)


def test_accounts_that_do_not_fit_together_are_refused() -> None:
    b = ACCOUNTS[1]
    wrongs: list[tuple[str, dict[str, Any]]] = [
        ("no account 'org-a'", {"accounts": (b,)}),
        ("one name", {"accounts": (ACCOUNTS[2], ACCOUNTS[2])}),
        ("belongs to one of them", {"accounts": ACCOUNTS, "users": (NatsUser(token="t"),)}),
        ("no account 'org-b'", {"leaf_listen": NatsLeafListen(users={"x": "org-b"}, passwords={"x": "p"})}),
        ("no account 'org-d'", {"accounts": ACCOUNTS, "leaf_remotes": (NatsLeafRemote(url="u", account="org-d"),)}),
    ]
    for text, options in wrongs:
        with pytest.raises(ValueError, match=text):
            NatsServerOptions(**options)
    with pytest.raises(ValueError, match="password for each"):
        NatsLeafListen(users={"x": "org-b"})
    with pytest.raises(ValueError, match="user and password"):
        NatsLeafRemote(url="u", user="x")
