"""Who may join a host, and what each worker may do; with certificates made for the test."""

import datetime
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import NotPermittedError
from autogen_ext.runtimes.grpc import (
    GrpcWorkerAgentRuntime,
    GrpcWorkerAgentRuntimeHost,
    HostSecurity,
    WorkerRights,
    WorkerSecurity,
)

from .agents import Speaker, Word, knows_messages, speak, until

FAR = AgentId("far", "default")


@dataclass
class Certificate:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def certify(name: str, by: Certificate | None = None) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(minutes=60))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return Certificate(builder.sign(key if by is None else by.key, hashes.SHA256()), key)


@pytest.fixture(scope="module")
def authority() -> Certificate:
    return certify("our authority")


class Place:
    """Hosts and workers that are closed after the test."""

    def __init__(self) -> None:
        self.hosts: list[GrpcWorkerAgentRuntimeHost] = []
        self.workers: list[GrpcWorkerAgentRuntime] = []

    def host(self, security: HostSecurity) -> None:
        host = GrpcWorkerAgentRuntimeHost("localhost:0", security=security)
        host.start()
        self.hosts.append(host)

    async def worker(self, **security: Any) -> GrpcWorkerAgentRuntime:
        options = WorkerSecurity(**security)
        worker = knows_messages(GrpcWorkerAgentRuntime(f"localhost:{self.hosts[0].port}", security=options))
        await worker.start()
        self.workers.append(worker)
        return worker


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    yield place
    for worker in place.workers:
        await worker.close()
    for host in place.hosts:
        await host.stop(grace=0)


async def test_workers_talk_over_tls(place: Place, authority: Certificate) -> None:
    own = certify("host", authority)
    place.host(HostSecurity(private_key=own.key_pem, certificate_chain=own.pem))
    near, far = [await place.worker(root_certificates=authority.pem) for _ in range(2)]
    await speak(far, "far")
    assert await near.send_message(Word("hi"), FAR) == Word("HI")


async def test_a_host_with_another_certificate_is_not_trusted(place: Place, authority: Certificate) -> None:
    own = certify("host", certify("another authority"))
    place.host(HostSecurity(private_key=own.key_pem, certificate_chain=own.pem))
    for security in ({"root_certificates": authority.pem}, {}):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await place.worker(**security)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_worker_shows_its_certificate(place: Place, authority: Certificate) -> None:
    own = certify("host", authority)
    place.host(
        HostSecurity(
            private_key=own.key_pem,
            certificate_chain=own.pem,
            client_root_certificates=authority.pem,
            certificates={"known": WorkerRights(register=("far",)), "limited": WorkerRights(register=())},
        )
    )

    async def join(by: Certificate, name: str) -> GrpcWorkerAgentRuntime:
        mine = certify(name, by)
        return await place.worker(root_certificates=authority.pem, private_key=mine.key_pem, certificate_chain=mine.pem)

    far = await join(authority, "known")
    await speak(far, "far")
    limited = await join(authority, "limited")
    assert await limited.send_message(Word("hi"), FAR) == Word("HI")
    with pytest.raises(NotPermittedError):
        await speak(limited, "other")
    with pytest.raises(NotPermittedError, match="does not admit"):
        await join(authority, "stranger")
    with pytest.raises(grpc.aio.AioRpcError):
        await join(certify("another authority"), "known")
    with pytest.raises(grpc.aio.AioRpcError):
        await place.worker(root_certificates=authority.pem)


async def test_a_worker_needs_a_token(place: Place) -> None:
    place.host(HostSecurity(tokens={"secret": WorkerRights()}))
    await place.worker(token="secret")
    for security in ({}, {"token": "wrong"}):
        with pytest.raises(NotPermittedError, match="bearer token"):
            await place.worker(**security)
    with pytest.raises(ValueError, match="ASCII"):
        WorkerSecurity(token="sécret")


async def test_each_worker_has_its_rights(place: Place) -> None:
    place.host(
        HostSecurity(
            tokens={
                "trusted": WorkerRights(),
                "guest": WorkerRights(register=("guest-*",), call=("far",), publish=("open.*",), subscribe=("open.*",)),
            }
        )
    )
    trusted, guest = await place.worker(token="trusted"), await place.worker(token="guest")
    await speak(trusted, "far")
    await speak(trusted, "admin")
    await speak(guest, "guest-1")
    assert await guest.send_message(Word("hi"), FAR) == Word("HI")
    with pytest.raises(NotPermittedError, match="'admin'"):
        await guest.send_message(Word("hi"), AgentId("admin", "default"))
    with pytest.raises(NotPermittedError, match="'admin'"):
        await guest.agent_save_state(AgentId("admin", "default"))
    with pytest.raises(NotPermittedError, match="speak for"):
        await guest.send_message(Word("hi"), FAR, sender=AgentId("admin", "default"))
    with pytest.raises(NotPermittedError, match="register"):
        await speak(guest, "admin-2")
    with pytest.raises(NotPermittedError, match="publish"):
        await guest.publish_message(Word("hi"), TopicId("secret", "s"))
    with pytest.raises(NotPermittedError, match="hear"):
        await guest.add_subscription(TypeSubscription("secret", "guest-1"))
    await guest.add_subscription(TypeSubscription("open.news", "guest-1"))
    await guest.publish_message(Word("hi"), TopicId("open.news", "s"))
    assert await guest.send_message(Word("still there"), FAR) == Word("STILL THERE")


async def test_the_host_itself_refuses_events_without_a_right(place: Place) -> None:
    """A worker that does not look at its rights gets nowhere."""
    place.host(HostSecurity(tokens={"guest": WorkerRights(publish=("open",))}))
    guest = await place.worker(token="guest")
    await speak(guest, "far")
    for topic in ("secret", "open"):
        await guest.add_subscription(TypeSubscription(topic, "far"))
    guest._link.host.publish = ("*",)
    await guest.publish_message(Word("refused"), TopicId("secret", "default"))
    await guest.publish_message(Word("heard"), TopicId("open", "default"))
    agent = await guest.try_get_underlying_agent_instance(FAR, Speaker)
    await until(lambda: bool(agent.heard))
    assert agent.heard == ["heard"]


def test_secrets_are_not_shown() -> None:
    shown = repr(HostSecurity(tokens={"secret": WorkerRights()})) + repr(WorkerSecurity(token="secret"))
    assert "secret" not in shown


def test_half_a_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="private_key and certificate_chain"):
        HostSecurity(private_key=b"x")
    with pytest.raises(ValueError, match="TLS only"):
        HostSecurity(client_root_certificates=b"x")
    with pytest.raises(ValueError, match="private_key and certificate_chain"):
        WorkerSecurity(certificate_chain=b"x")
