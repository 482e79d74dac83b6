"""Who may connect, and to whom; with certificates and keys made for the test."""

import asyncio
import json
import os
import ssl
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from autogen_core.exceptions import NotPermittedError
from autogen_ext.runtimes.nats._connection import UntrustedServerError, connect
from autogen_ext.runtimes.nats._security import NatsSecurity, public_key
from autogen_ext.runtimes.nats._server_config import NatsRights, NatsServerOptions, NatsTls, NatsUser
from autogen_ext.runtimes.nats._server_process import ServerProcess, find_nats_server

from .certificates import Certificate, certify, tls
from .conftest import NewClient, NewServer
from .waiting import until


def new_seed() -> str:
    nkeys: Any = import_module("nkeys")  # it has no types
    return bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)).decode()


async def refused(url: str, **security: Any) -> NotPermittedError:
    """Return why a connection is refused, which must not take until it is out of time."""
    before = asyncio.all_tasks()
    async with asyncio.timeout(15):
        with pytest.raises(NotPermittedError) as caught:
            await connect(url, NatsSecurity(**security), connect_timeout=60)
    assert asyncio.all_tasks() == before
    return caught.value


async def test_clients_talk_over_tls(new_server: NewServer, new_client: NewClient, authority: Certificate) -> None:
    server = await new_server(tls=tls(authority))
    assert server.url.startswith("tls://")
    client = await new_client(server, root_certificates=authority.pem)
    heard = await client.subscribe("words")
    await client.publish("words", b"hi")
    assert (await heard.next_msg(5)).data == b"hi"
    assert client._transport._io_writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    mine = ssl.create_default_context(cadata=authority.pem.decode())
    await new_client(server, tls=mine)


async def test_the_handshake_can_come_first(
    new_server: NewServer, new_client: NewClient, authority: Certificate
) -> None:
    server = await new_server(tls=tls(authority, handshake_first=True))
    await new_client(server, root_certificates=authority.pem, handshake_first=True)


@pytest.mark.parametrize("security", [{}, {"tls": True}, {"root": True}])
async def test_a_server_with_another_certificate_is_not_trusted(
    security: dict[str, Any], new_server: NewServer, authority: Certificate
) -> None:
    server = await new_server(tls=tls(certify("another authority")))
    if security.pop("root", False):
        security["root_certificates"] = authority.pem
    error = await refused(server.url, **security)
    assert isinstance(error, UntrustedServerError)
    assert "not trusted" in str(error)


async def test_a_certificate_for_another_host_is_not_trusted(
    new_server: NewServer, new_client: NewClient, authority: Certificate
) -> None:
    server = await new_server(tls=tls(authority))
    error = await refused(server.url, root_certificates=authority.pem, server_name="elsewhere.example")
    assert "elsewhere.example" in str(error)
    await new_client(server, root_certificates=authority.pem, server_name="localhost")


async def test_a_server_that_does_not_encrypt_hears_no_secret(authority: Certificate) -> None:
    """Somebody in between may pretend that the server speaks plain text only."""
    said: list[bytes] = []

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"INFO " + json.dumps({"server_id": "x", "version": "2.15.1", "max_payload": 1}).encode() + b"\r\n"
        )
        said.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(pretend, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for url, security in (
        (f"nats://127.0.0.1:{port}", {"root_certificates": authority.pem, "token": "secret"}),
        (f"tls://user:secret@127.0.0.1:{port}", {}),
    ):
        error = await refused(url, **security)
        assert "does not encrypt" in str(error)
    server.close()
    await server.wait_closed()
    assert set(said) == {b""}


async def test_a_client_shows_its_certificate(
    new_server: NewServer, new_client: NewClient, authority: Certificate
) -> None:
    server = await new_server(tls=tls(authority, client_root_certificates=authority.pem))
    mine, others = certify("worker", authority), certify("worker", certify("another authority"))
    roots = {"root_certificates": authority.pem}
    client = await new_client(server, **roots, private_key=mine.key_pem, certificate_chain=mine.pem)
    error = await refused(server.url, **roots, private_key=others.key_pem, certificate_chain=others.pem)
    assert not isinstance(error, UntrustedServerError)
    assert "certificate" in str(error)
    assert "certificate" in str(await refused(server.url, **roots))
    await client.flush()


async def test_users_are_known_by_their_certificates(
    new_server: NewServer, new_client: NewClient, authority: Certificate
) -> None:
    server = await new_server(
        tls=tls(authority, client_root_certificates=authority.pem),
        users=(NatsUser(certificate="CN=known", rights=NatsRights(register=("far",), call=())),),
    )

    def show(name: str) -> dict[str, bytes]:
        mine = certify(name, authority)
        return {"root_certificates": authority.pem, "private_key": mine.key_pem, "certificate_chain": mine.pem}

    client = await new_client(server, **show("known"))
    await client.request("$JS.API.INFO", b"", timeout=5)
    assert "did not let us in" in str(await refused(server.url, **show("stranger")))


async def test_a_client_needs_what_the_server_asks_for(new_server: NewServer, new_client: NewClient) -> None:
    """Several tokens, a password and an nkey, at one server."""
    seed = new_seed()
    server = await new_server(
        users=(
            NatsUser(token="a secret"),
            NatsUser(token="another secret"),
            NatsUser(name="user", password="p:a@s/s w$ö\"r'd\\"),
            NatsUser(nkey=public_key(seed)),
        )
    )
    known: list[dict[str, str]] = [
        {"token": "a secret"},
        {"token": "another secret"},
        {"user": "user", "password": "p:a@s/s w$ö\"r'd\\"},
        {"nkey_seed": seed},
    ]
    for security in known:
        client = await new_client(server, **security)
        await client.request("$JS.API.INFO", b"", timeout=5)
    strangers: list[dict[str, str]] = [
        {},
        {"token": "wrong"},
        {"user": "user", "password": "wrong"},
        {"nkey_seed": new_seed()},
    ]
    for security in strangers:
        assert "did not let us in" in str(await refused(server.url, **security))


async def test_the_one_token_of_a_foreign_server_is_known_to_it(new_client: NewClient, tmp_path: Path) -> None:
    """NATS' own `authorization { token }`, and its own users with `_INBOX.>`."""
    (tmp_path / "ports").mkdir()
    (tmp_path / "foreign.conf").write_text('listen: "127.0.0.1:-1"\nauthorization { token: "a secret" }\n')
    command = [find_nats_server(), "-c", str(tmp_path / "foreign.conf"), "--ports_file_dir", str(tmp_path / "ports")]
    process = await asyncio.to_thread(ServerProcess, command, tmp_path / "log")
    try:
        await until(lambda: any(path.read_text().endswith("}") for path in (tmp_path / "ports").iterdir()))
        url = json.loads(next((tmp_path / "ports").iterdir()).read_text())["nats"][0]
        client = await new_client(url, token="a secret")
        await client.flush()
        await refused(url, token="wrong")
    finally:
        process.kill()
        await asyncio.to_thread(process.wait, 10)


async def test_a_credentials_file_is_read_before_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await connect("nats://127.0.0.1:1", NatsSecurity(credentials=tmp_path / "none"))
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="BEGIN NATS USER JWT"):
        await connect("nats://127.0.0.1:1", NatsSecurity(credentials=tmp_path / "empty"))


def test_secrets_are_not_shown() -> None:
    seed = new_seed()
    own = certify("worker")
    shown = "".join(
        map(
            repr,
            (
                NatsSecurity(token="a secret"),
                NatsSecurity(user="user", password="a secret"),
                NatsSecurity(nkey_seed=seed),
                NatsSecurity(private_key=own.key_pem, certificate_chain=own.pem),
                NatsServerOptions(users=(NatsUser(token="a secret"), NatsUser(name="user", password="a secret"))),
                NatsTls(private_key=own.key_pem, certificate_chain=own.pem),
            ),
        )
    )
    assert "a secret" not in shown
    assert seed not in shown
    assert "PRIVATE KEY" not in shown
    assert "user" in shown


def test_half_a_security_is_refused() -> None:
    own = certify("worker")
    wrongs: list[tuple[str, dict[str, Any]]] = [
        ("private_key and certificate_chain", {"private_key": b"x"}),
        ("private_key and certificate_chain", {"certificate_chain": b"x"}),
        ("user and password", {"user": "user"}),
        ("one of", {"token": "t", "user": "user", "password": "p"}),
        ("empty", {"token": ""}),
        ("seed of an nkey", {"nkey_seed": "SUNOSEED"}),
        ("not both", {"tls": ssl.create_default_context(), "root_certificates": own.pem}),
    ]
    for text, security in wrongs:
        with pytest.raises(ValueError, match=text):
            NatsSecurity(**security)


def test_unusable_certificates_are_refused() -> None:
    own, another = certify("worker"), certify("another")
    wrongs: list[dict[str, Any]] = [
        {"root_certificates": b"no PEM"},
        {"private_key": another.key_pem, "certificate_chain": own.pem},
        {"private_key": b"no PEM", "certificate_chain": own.pem},
    ]
    for security in wrongs:
        with pytest.raises(ValueError, match="cannot be used"):
            NatsSecurity(**security).connect_options()


def test_certificates_of_users_need_tls() -> None:
    with pytest.raises(ValueError, match="client_root_certificates"):
        NatsServerOptions(users=(NatsUser(certificate="CN=known"),))
    own = certify("server")
    checked = NatsTls(certificate_chain=own.pem, private_key=own.key_pem, client_root_certificates=own.pem)
    with pytest.raises(ValueError, match="not both"):
        NatsServerOptions(tls=checked, users=(NatsUser(certificate="CN=known"), NatsUser(token="t")))
