"""TLS, certificates and tokens, from the files and variables that an operator has."""

import json
from pathlib import Path

import pytest

from autogen_core import AgentId
from autogen_ext.runtimes.grpc import WorkerSecurity

from .certificates import Certificate, certify
from .conftest import NewClient, Start
from .shop import Done, Order


@pytest.fixture
def authority(tmp_path: Path) -> Certificate:
    return certify(tmp_path, "authority")


def written(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)


async def test_workers_with_a_token_meet_over_tls(
    start: Start, new_client: NewClient, authority: Certificate, tmp_path: Path
) -> None:
    own = certify(tmp_path, "host", authority)
    tokens = written(tmp_path / "tokens.json", json.dumps({"shop": {"register": ["front"]}, "admin": {}}))
    listen = ("host", "--listen", "localhost:0", "--certificate", own.path, "--key", own.key, "--tokens", tokens)
    address = await (await start(*listen)).listens()
    join = ("--connect", f"grpcs://{address}", "--ca", authority.path)

    token_file = written(tmp_path / "token", "shop\n")
    worker = await (await start("worker", "shop:front", *join, "--token-file", token_file)).ready()
    security = WorkerSecurity(root_certificates=authority.pem, token="admin")
    client = await new_client(address, security=security)
    assert await client.send_message(Order("hi"), AgentId("front", "1")) == Done("HI", worker.process.pid)

    environment = {"AUTOGEN_TOKEN": "shop"}
    beyond = await start("worker", "shop:back", *join, environment=environment)
    assert await beyond.ended() == 3
    assert "NotPermittedError" in beyond.text
    for unknown in ({"AUTOGEN_TOKEN": "stranger"}, {}):
        refused = await start("worker", "shop:front", *join, environment=unknown)
        assert await refused.ended() == 4
        assert "does not take this worker" in refused.text
        assert "stranger" not in refused.text


async def test_rights_may_hang_on_the_name_in_a_certificate(
    start: Start, authority: Certificate, tmp_path: Path
) -> None:
    own, known, other = (certify(tmp_path, name, authority) for name in ("host", "known", "other"))
    names = written(tmp_path / "names.toml", '[known]\nregister = ["front"]\n')
    listen = ("host", "--listen", "localhost:0", "--certificate", own.path, "--key", own.key)
    host = await start(*listen, "--client-ca", authority.path, "--certificate-names", names)
    join = ("worker", "shop:front", "--connect", f"grpcs://{await host.listens()}", "--ca", authority.path)
    await (await start(*join, "--certificate", known.path, "--key", known.key)).ready()
    refused = await start(*join, "--certificate", other.path, "--key", other.key)
    assert await refused.ended() == 4


async def test_a_host_that_is_not_trusted_is_given_up_in_time(
    start: Start, authority: Certificate, tmp_path: Path
) -> None:
    own = certify(tmp_path, "host", authority)
    host = await start("host", "--listen", "localhost:0", "--certificate", own.path, "--key", own.key)
    stranger = certify(tmp_path, "stranger")
    join = ("worker", "shop:front", "--connect", f"grpcs://{await host.listens()}", "--ca", stranger.path)
    worker = await start(*join, "--connect-timeout", "0.5")
    assert await worker.ended() == 4
    assert "No connection" in worker.text


async def test_what_is_open_to_everybody_is_said(start: Start) -> None:
    host = await start("host", "--listen", "0.0.0.0:0")
    await host.says("everybody who reaches")
