"""The HTTP client of our own: what servers may do within HTTP/1.1, and what is left to the SDK's HTTP library."""

import asyncio
import contextlib
import gzip
import json
import logging
import ssl
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import openai
import pytest

from autogen_core.models import CreateResult, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.models.openai._library import http

from .canned import CannedServer, Reply, chunk, completion, message, sse
from .conftest import MakeClient

HI = [UserMessage(content="hi", source="user")]
BODY = json.dumps(completion(message("Hello"))).encode()
LENGTH = b"content-length: %d\r\n" % len(BODY)
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class ByteServer:
    """Answers the requests of each connection with bytes that a test wrote."""

    def __init__(self, *replies: bytes, close: bool = False) -> None:
        self.replies = list(replies)
        self.close = close
        self.connections = 0
        self.address = ""
        self.heads: list[bytes] = []
        self.tasks: set[asyncio.Task[Any]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self.answer(reader, writer)
        finally:
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while self.replies:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(self.replies.pop(0).replace(b"{address}", self.address.encode()))
                await writer.drain()
                if self.close:
                    break


@contextlib.asynccontextmanager
async def serving(server: ByteServer, **options: Any) -> AsyncGenerator[OpenAIChatCompletionClient]:
    """Run a server and yield a client of it."""
    running = await asyncio.start_server(server.accept, "127.0.0.1", 0, **options)
    scheme = "https" if options else "http"
    server.address = f"{scheme}://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key="key", base_url=f"{server.address}/v1", max_retries=0)
    try:
        yield client
    finally:
        await client.close()
        running.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


def chunked(*parts: bytes, trailer: bytes = b"", extension: bytes = b"") -> bytes:
    whole = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
    return OK + b"transfer-encoding: chunked\r\n\r\n" + whole + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize(
    ("reply", "close"),
    [
        (OK + LENGTH + b"\r\n" + BODY, False),
        (OK + b"\r\n" + BODY, True),
        (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, True),
        (b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + BODY, False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\n" + BODY, False),
        (chunked(BODY), False),
        (chunked(*(bytes([byte]) for byte in BODY)), False),
        (chunked(BODY, extension=b";name=value"), False),
        (chunked(BODY, trailer=b"x-late: yes\r\n"), False),
        (OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(BODY), True),
    ],
)
async def test_a_reply_is_read_in_every_form_that_http_allows(reply: bytes, close: bool) -> None:
    async with serving(ByteServer(reply, close=close)) as client:
        assert (await client.create(HI)).content == "Hello"


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        OK + b"content-length: many\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nlong\r\n",
        OK + b"content-length: 99999\r\n\r\n" + BODY,
        OK + b"transfer-encoding: chunked\r\n\r\nffff\r\n" + BODY,
        b"",
        b"HTTP/1.1 200",
    ],
)
async def test_a_reply_that_is_not_http_or_not_complete_is_an_error_of_the_connection(reply: bytes) -> None:
    async with serving(ByteServer(reply, close=True)) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.create(HI)


async def test_a_connection_serves_one_call_after_another() -> None:
    server = ByteServer(*[OK + LENGTH + b"\r\n" + BODY] * 3, chunked(BODY))
    async with serving(server) as client:
        for _ in range(4):
            await client.create(HI)
    assert server.connections == 1


async def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    server = ByteServer(*[OK + LENGTH + b"connection: close\r\n\r\n" + BODY] * 2, close=True)
    async with serving(server) as client:
        for _ in range(2):
            assert (await client.create(HI)).content == "Hello"
    assert server.connections == 2


async def test_calls_at_once_have_a_connection_each() -> None:
    server = ByteServer(*[OK + LENGTH + b"\r\n" + BODY] * 10)
    async with serving(server) as client:
        results = await asyncio.gather(*(client.create(HI) for _ in range(10)))
    assert [result.content for result in results] == ["Hello"] * 10
    assert 1 < server.connections <= 10


async def test_a_stream_that_was_read_to_its_end_keeps_the_connection(
    server: CannedServer, make_client: MakeClient
) -> None:
    client = make_client()
    ports: list[Any] = []
    for _ in range(2):
        async for _ in client.create_stream(HI):
            pass
        ports.append(len(server._connections))
    assert ports == [1, 1]


async def test_a_stream_larger_than_what_is_held_arrives_whole(server: CannedServer, make_client: MakeClient) -> None:
    """The server has to wait while the reader does."""
    piece = "x" * 100_000
    server.queue(sse(*[chunk({"content": piece}) for _ in range(40)], chunk({}, finish="stop")))
    count = 0
    async for item in make_client().create_stream(HI):
        await asyncio.sleep(0.001)
        if isinstance(item, CreateResult):
            assert item.content == piece * 40
        else:
            count += 1
    assert count == 40


async def test_one_piece_larger_than_what_is_held_arrives_whole(server: CannedServer, make_client: MakeClient) -> None:
    text = "x" * 3_000_000
    server.queue(sse(chunk({"content": text}), chunk({}, finish="stop")), completion(message(text)))
    client = make_client()
    *_, last = [item async for item in client.create_stream(HI)]
    assert isinstance(last, CreateResult)
    assert last.content == text
    assert (await client.create(HI)).content == text


async def test_a_redirect_is_followed() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nlocation: {address}/v1/there\r\ncontent-length: 0\r\n\r\n"
    async with serving(ByteServer(moved, moved, OK + LENGTH + b"\r\n" + BODY)) as client:
        assert (await client.create(HI)).content == "Hello"


async def test_cookies_come_back() -> None:
    """Gateways keep sessions by them."""
    server = ByteServer(*[OK + LENGTH + b"set-cookie: session=1\r\n\r\n" + BODY] * 2)
    async with serving(server) as client:
        for _ in range(2):
            await client.create(HI)
    assert b"session=1" not in server.heads[0]
    assert b"session=1" in server.heads[1]


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = ByteServer(OK + LENGTH + b"\r\n" + BODY)
    async with serving(proxy):
        monkeypatch.setenv("http_proxy", proxy.address)
        client = OpenAIChatCompletionClient(model="gpt-4o", api_key="key", base_url="http://far.invalid/v1")
        assert (await client.create(HI)).content == "Hello"
        await client.close()
    assert proxy.heads[0].startswith(b"POST http://far.invalid/v1/chat/completions ")


async def test_who_mocks_the_http_library_is_heard(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def mock(self: Any, request: Any) -> Any:
        return http.Response(200, json=completion(message("Mocked")))

    client = make_client()
    assert (await client.create(HI)).content == "Hello"
    monkeypatch.setattr(http.AsyncHTTPTransport, "handle_async_request", mock)
    assert (await client.create(HI)).content == "Mocked"


async def test_the_log_of_the_http_library_tells_of_requests(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger=http.__name__):
        await make_client().create(HI)
    assert "HTTP Request: POST" in caplog.text


async def test_an_argument_that_is_no_message_arrives_as_it_would_otherwise(
    server: CannedServer, make_client: MakeClient
) -> None:
    await make_client(
        extra_body={"top_k": 3}, extra_headers={"x-mine": "1"}, extra_query={"v": "2"}, default_headers={"x-all": "3"}
    ).create(HI)
    request = server.requests[0]
    assert request.path == "/v1/chat/completions?v=2"
    assert (request.headers["x-mine"], request.headers["x-all"]) == ("1", "3")
    assert request.body["top_k"] == 3


async def test_without_a_timeout_the_answer_may_take_its_time(server: CannedServer, make_client: MakeClient) -> None:
    client = make_client(timeout=None)
    assert (await client.create(HI)).content == "Hello"


async def test_a_certificate_that_nobody_vouches_for_is_an_error_and_a_known_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with serving(ByteServer(OK + LENGTH + b"\r\n" + BODY), ssl=context) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.create(HI)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(ByteServer(OK + LENGTH + b"\r\n" + BODY), ssl=context) as client:
        assert (await client.create(HI)).content == "Hello"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for the loopback, and its key."""
    x509: Any = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(pem))
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(pem, form, none))
    return paths


async def test_cancelling_a_call_closes_its_connection(server: CannedServer, make_client: MakeClient) -> None:
    server.queue(Reply(lines=[], hang=True))
    asking = asyncio.ensure_future(make_client().create(HI))
    await server.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(server.hung_up.wait(), 5)
