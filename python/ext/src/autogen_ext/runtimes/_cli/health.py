"""`GET /healthz` and `GET /readyz` for whoever watches over a process. Stands on the standard library's HTTP server.

The server has threads of its own and asks the event loop for its answer, so it can say also that the loop is stuck, which
a server inside the loop could not. Two endpoints need no web framework in each worker. Knows nothing of runtimes.
"""

import asyncio
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self

from .errors import CommandError

_logger = logging.getLogger("autogen")

_LOOP_S = 2.0
"""How long the event loop may take to answer, in seconds; longer than a handler should compute, shorter than a probe waits."""

_CONNECTION_S = 5.0
_CONNECTIONS = 16
_BEAT_S = 0.5
"""How often the server looks whether it is to end, in seconds."""


@dataclass(frozen=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class HealthServer:
    """Answers probes while it is entered.

    Args:
        address: Where to listen; port 0 takes a free one, see `address` afterwards.
        reason: Why the process is not ready, None if it is; called in the event loop that enters this.
    """

    def __init__(self, address: Address, reason: Callable[[], str | None]) -> None:
        self.address = address
        self._reason = reason
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        """Listen; raises `CommandError` if the address cannot be had."""
        try:
            self._server = server = _Server(self.address, _Question(asyncio.get_running_loop(), self._reason))
        except (OSError, OverflowError) as error:
            text = f"The health endpoint cannot listen on {self.address}: {error}. Choose another --health."
            raise CommandError(text) from error
        self.address = Address(self.address.host, server.server_port)
        self._thread = threading.Thread(
            target=server.serve_forever, args=(_BEAT_S,), name="autogen health", daemon=True
        )
        self._thread.start()
        _logger.info("health at http://%s/healthz and /readyz", self.address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        server, thread = self._server, self._thread
        if server is not None and thread is not None:
            await asyncio.to_thread(server.shutdown)
            thread.join()
            server.server_close()


class _Question:
    """What threads ask the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reason: Callable[[], str | None]) -> None:
        self._loop = loop
        self._reason = reason

    def ask(self) -> str | None:
        """Return why the process is not ready, None if it is; raises `TimeoutError` if the loop does not answer."""
        answer = Future[str | None]()
        try:
            self._loop.call_soon_threadsafe(self._give, answer)
        except RuntimeError:  # the loop is closed: the process is about to end
            raise TimeoutError from None
        return answer.result(_LOOP_S)

    def _give(self, answer: "Future[str | None]") -> None:
        try:
            answer.set_result(self._reason())
        except Exception as error:  # noqa: BLE001 - it goes to the thread that asks
            answer.set_exception(error)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 4 * _CONNECTIONS

    def __init__(self, address: Address, question: _Question) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.question = question
        self._places = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        """Take the address, as the base class does, but without asking the name service who that is: it may be slow."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection, unless there are so many that somebody must be holding them open."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note why a probe was not answered; the next one will be."""
        gone = isinstance(sys.exception(), OSError)  # the client went away in between
        _logger.log(logging.DEBUG if gone else logging.ERROR, "a probe of %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = _CONNECTION_S
    server_version, sys_version = "autogen", ""

    def do_GET(self) -> None:
        """Answer a probe."""
        path = self.path.partition("?")[0]
        if path not in {"/healthz", "/readyz"}:
            self._answer(HTTPStatus.NOT_FOUND, {"status": "not found", "reason": "Ask for /healthz or /readyz."})
            return
        assert isinstance(self.server, _Server)
        try:
            reason = self.server.question.ask()
        except TimeoutError:
            text = f"The event loop did not turn within {_LOOP_S} seconds: something blocks it."
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "stuck", "reason": text})
            return
        if path == "/healthz":
            self._answer(HTTPStatus.OK, {"status": "alive"})
        elif reason is None:
            self._answer(HTTPStatus.OK, {"status": "ready"})
        else:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready", "reason": reason})

    do_HEAD = do_GET  # noqa: N815 - the base class's name

    def _answer(self, status: HTTPStatus, content: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Note a probe where it disturbs nobody: there is one every few seconds."""
        _logger.debug("health: " + format, *arguments)  # noqa: G003 - the base class hands a format over
