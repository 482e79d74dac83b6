"""A connection to NATS that fails at once with a typed error at first, and afterwards never gives up.

What nats-py lacks stands here: a bound for the first connection, errors with a type, no word in plain text to a server that
must encrypt, jitter, and permission errors with their subject. Stands on nats-py; knows nothing of agents.
"""

import asyncio
import logging
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import ParseResult

from autogen_core.exceptions import AutoGenError, NotPermittedError

from ._security import NatsSecurity

try:
    import nats.errors
    from nats.aio.client import Client, Server, Srv
except ImportError as error:
    raise ImportError('The NATS runtime needs an extra: pip install "autogen-ext[nats]"') from error

__all__ = [
    "ConnectionHooks",
    "ConnectionLimits",
    "NatsConnectionError",
    "SubjectNotPermittedError",
    "UntrustedServerError",
    "connect",
]

_logger = logging.getLogger("autogen_ext.runtimes.nats")

_VIOLATION = re.compile(
    r"permissions violation for (?P<what>publish|subscription) to \"(?P<subject>[^\"]*)\"(?: using queue \"(?P<queue>.*)\")?",
    re.IGNORECASE,
)


Hook = Callable[[], Awaitable[None]]


class NatsConnectionError(AutoGenError, ConnectionError):
    """No NATS server could be reached in the time for it.

    Attributes:
        servers: The addresses that were tried, without passwords.
    """

    def __init__(self, text: str, servers: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.servers = tuple(servers)


class UntrustedServerError(NotPermittedError, ConnectionError):
    """The server has no certificate that we trust, or does not encrypt; it has learnt no secret from us."""


class SubjectNotPermittedError(NotPermittedError):
    """The server refused a message or a subscription, because the user has no right to its subject.

    Attributes:
        operation: `publish` or `subscription`.
        subject: The subject.
        queue: The queue group of a subscription; empty without one.
    """

    def __init__(self, operation: str, subject: str, queue: str = "") -> None:
        what = "publish to" if operation == "publish" else "subscribe to"
        super().__init__(f"The NATS server does not permit this user to {what} {subject!r}.")
        self.operation = operation
        self.subject = subject
        self.queue = queue


async def _ignore(*what: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class ConnectionHooks:
    """What to call when something happens to an established connection.

    ConnectionHooks are awaited in the connection's own tasks, so they must not take long; what one raises is logged.

    Attributes:
        error: An error of the connection, such as a subscription that is read too slowly. A lost server is none.
        refused: The server refused a message or subscription; there is no other sign of it.
        disconnected: The server is gone; the connection looks for one.
        reconnected: There is a server again; subscriptions are in place.
        closed: The connection was closed; it does not come back.
    """

    error: Callable[[Exception], Awaitable[None]] = _ignore
    refused: Callable[[SubjectNotPermittedError], Awaitable[None]] = _ignore
    disconnected: Hook = _ignore
    reconnected: Hook = _ignore
    closed: Hook = _ignore


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """How much a connection keeps, and how long it waits.

    Attributes:
        pending_bytes: What may wait to be sent while there is no server; more raises `OutboundBufferLimitError` at the sender.
        reconnect_wait: Least and most seconds between two attempts; each wait is drawn at random, so that not all workers
            come at once.
        ping_interval: Seconds between questions whether the server is there; after two without an answer it counts as lost.
        drain_timeout: Seconds that `drain()` may take.
    """

    pending_bytes: int = 16 * 1024 * 1024
    reconnect_wait: tuple[float, float] = (0.1, 0.5)
    ping_interval: float = 3.0
    drain_timeout: float = 30.0


NO_HOOKS = ConnectionHooks()
LIMITS = ConnectionLimits()


class _Client(Client):
    """nats-py's client, with its tongue and its ears corrected."""

    def __init__(self, hooks: ConnectionHooks, encrypted: bool) -> None:
        super().__init__()
        self._hooks = hooks
        self._encrypted = encrypted
        self.established = False
        self.found = asyncio.Event()
        self.failures: list[Exception] = []
        self.refusal = asyncio.get_running_loop().create_future()

    # What nats-py calls

    async def on_error(self, error: Exception) -> None:
        if self.established:
            if _lost(error):
                _logger.debug("The NATS server is gone: %s", error)
            else:
                await self._tell(self._hooks.error, error)
            return
        self.failures.append(error)
        refusal = _refusal(error)
        # One server of several may be wrong; that all are is known when each had its turn.
        if refusal is not None and not self.refusal.done():
            refused = sum(_refusal(one) is not None for one in self.failures)
            if refused >= len(self.servers):
                refusal.__cause__ = error
                self.refusal.set_result(refusal)

    async def on_disconnected(self) -> None:
        if self.established:
            await self._tell(self._hooks.disconnected)

    async def on_reconnected(self) -> None:
        self.found.set()
        if self.established:
            await self._tell(self._hooks.reconnected)

    async def on_closed(self) -> None:
        if self.established:
            await self._tell(self._hooks.closed)

    async def _tell(self, hook: Callable[..., Awaitable[None]], *arguments: Exception) -> None:
        try:
            await hook(*arguments)
        except Exception:
            _logger.exception("A hook of a NATS connection failed")

    # What nats-py does otherwise

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """As there, but a server that should encrypt and does not hears no more from us."""
        if initial_connection and self._encrypted and not info.get("tls_required"):
            if not info.get("tls_available"):
                raise nats.errors.SecureConnWantedError
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    async def _process_err(self, err_msg: str) -> None:
        """As there, but with the case of subjects, and without giving up for ever: the reconnection looks again."""
        violation = _VIOLATION.search(err_msg)
        if violation is None:
            _logger.warning("The NATS server ends the connection: %s", err_msg)
            if "stale connection" not in err_msg:
                await self.on_error(nats.errors.Error(f"nats: {err_msg}"))
            await self._process_op_err(nats.errors.StaleConnectionError())
            return
        line = bytes(self._ps.buf).partition(b"\r\n")[0].decode(errors="replace")
        exact = _VIOLATION.search(line)
        what, subject, queue = (exact or violation).group("what", "subject", "queue")
        refused = SubjectNotPermittedError(what.lower(), subject, (queue or "").rstrip('"'))
        _logger.warning("%s", refused)
        await self._tell(self._hooks.refused, refused)

    async def _connect_to_server(self, s: Srv) -> None:
        """As there, but the socket of an attempt that failed later is not left open."""
        if self._transport is not None:
            self._transport.close()
        await super()._connect_to_server(s)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """As there, but what can no longer be sent does not keep the rest from being closed."""
        try:
            await super()._close(status, do_cbs)
        except (OSError, RuntimeError) as error:  # the latter is uvloop's
            _logger.debug("Closed before everything was sent: %s", error)
            self._pending.clear()
            self._pending_data_size = 0
            self._status = Client.DISCONNECTED
            await super()._close(status, do_cbs)

    async def _attempt_reconnect(self) -> None:
        """As there, but an unforeseen error does not end the search."""
        while not self.is_closed:
            try:
                await super()._attempt_reconnect()
            except Exception as error:
                _logger.exception("Reconnecting to NATS failed")
                await self.on_error(error)
                await asyncio.sleep(0.5)
            else:
                return


class _Rotation:
    """Which server to try next, and when: each in its turn, at once in the first round and with a random wait in later ones."""

    def __init__(self, wait: tuple[float, float]) -> None:
        self._wait = wait
        self._tried: set[str] = set()
        self._rounds = 0

    def __call__(self, servers: list[Server], info: dict[str, Any]) -> tuple[Server | None, float]:
        left = [server for server in servers if server.uri.netloc not in self._tried]
        if not left:
            self._tried.clear()
            self._rounds += 1
            left = servers
        chosen = random.choice(left)  # noqa: S311 - no secret hangs on which server is tried
        self._tried.add(chosen.uri.netloc)
        least, most = self._wait if self._rounds else (0.0, self._wait[0])
        return chosen, random.uniform(least, most)  # noqa: S311 - nor on when

    def found(self) -> None:
        self._tried.clear()
        self._rounds = 0


async def connect(
    servers: str | Sequence[str],
    security: NatsSecurity | None = None,
    *,
    name: str = "autogen",
    connect_timeout: float = 5.0,
    hooks: ConnectionHooks = NO_HOOKS,
    limits: ConnectionLimits = LIMITS,
) -> Client:
    """Connect to one of the servers. Once connected, the connection comes back by itself whenever it is lost, for ever.

    A cancelled call leaves no connection and no task.

    Args:
        servers: Addresses, as `nats://host:port` or `tls://host:port`.
        security: Who we are, and which server is trusted.
        name: What the server shows as the connection's name.
        connect_timeout: Seconds in which a server must be reached, tried again and again until then.
        hooks: What to tell of the connection, from when it is established.
        limits: Of buffers and waits.

    Raises:
        NatsConnectionError: No server was reached (a `ConnectionError`).
        UntrustedServerError: Every server's certificate is wrong, or it does not encrypt (a `NotPermittedError`).
        NotPermittedError: Every server refused our token, user, key or certificate.
        ValueError: An address or a certificate is unusable.
    """
    addresses = [servers] if isinstance(servers, str) else list(servers)
    if not addresses:
        raise ValueError("Give the address of at least one NATS server.")
    security = security or NatsSecurity()
    encrypted = security.encrypted or any(address.startswith("tls://") for address in addresses)
    options = await asyncio.to_thread(security.connect_options)  # a key may have to be derived
    client = _Client(hooks, encrypted and not security.handshake_first)
    options |= _options(client, limits) | {"name": name, "connect_timeout": max(connect_timeout / 2, 0.1)}

    async def first() -> None:
        await client.connect(addresses, **options)
        if not client.is_connected:  # its `connect` returns, too, when the server has just hung up
            await client.found.wait()
        # Whoever asks for certificates says no after the handshake, so a first answer is waited for.
        await client.flush(timeout=10)

    await _first_connection(client, first, connect_timeout)
    client.established = True
    return client


def _options(client: _Client, limits: ConnectionLimits) -> dict[str, Any]:
    """Return nats-py's words for what we want; it says `int` for seconds, and computes with floats."""
    rotation = _Rotation(limits.reconnect_wait)

    async def reconnected() -> None:
        rotation.found()
        await client.on_reconnected()

    return {
        "error_cb": client.on_error,
        "disconnected_cb": client.on_disconnected,
        "reconnected_cb": reconnected,
        "closed_cb": client.on_closed,
        "reconnect_to_server_handler": rotation,
        "reconnect_time_wait": limits.reconnect_wait[0],
        "ping_interval": limits.ping_interval,
        "drain_timeout": limits.drain_timeout,
        "max_reconnect_attempts": -1,
        "max_outstanding_pings": 2,
        "pending_size": limits.pending_bytes,
        "flush_timeout": None,
        "no_echo": False,
    }


async def _first_connection(client: _Client, first: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Wait until connected, refused, or out of time; in the last two cases leave nothing behind."""
    attempt = asyncio.ensure_future(first())
    try:
        done, _ = await asyncio.wait({attempt, client.refusal}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if attempt in done and attempt.exception() is None:
            client.refusal.cancel()
            return
    except BaseException:
        await _give_up(client, attempt)
        raise
    await _give_up(client, attempt)
    if client.refusal in done:
        raise client.refusal.result()
    tried = [_address(server) for server in client.servers]
    error = attempt.exception() if attempt in done else None
    why = error or (client.failures[-1] if client.failures else None)
    if isinstance(error, nats.errors.Error) and not client.failures:
        raise ValueError(f"A NATS address cannot be used: {error}.") from error
    raise NatsConnectionError(
        f"No NATS server answered at {', '.join(tried)} within {seconds:g} seconds: {_say(why)}. Is one running there?",
        tried,
    ) from why


async def _give_up(client: _Client, attempt: asyncio.Future[None]) -> None:
    client.refusal.cancel()
    attempt.cancel()
    await asyncio.wait({attempt})
    try:
        await client.close()
    except (OSError, AssertionError) as error:  # it had not come far enough to be closed
        _logger.debug("Closing an unfinished connection: %s", error)


def _refusal(error: Exception) -> NotPermittedError | None:
    """Return what an error means that will not go away by trying again."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return UntrustedServerError(f"The NATS server's certificate is not trusted: {error.verify_message}.")
    if isinstance(error, nats.errors.SecureConnWantedError):
        return UntrustedServerError("The NATS server does not encrypt, and NatsSecurity asks for it. Nothing was sent.")
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        if "ALERT" in reason.upper():
            return NotPermittedError(f"The NATS server refused our certificate: {reason}.")
        return UntrustedServerError(f"No encrypted connection to the NATS server: {reason}.")
    text = str(error).lower()
    if isinstance(error, nats.errors.Error) and re.search("authorization|authentication (?!timeout)", text):
        return NotPermittedError(
            f"The NATS server did not let us in ({error}): check the token, user or key of NatsSecurity."
        )
    return None


def _lost(error: Exception) -> bool:
    """Tell whether an error only says that the server is gone, which `disconnected` tells already."""
    return isinstance(error, OSError | TimeoutError | EOFError | nats.errors.StaleConnectionError)


def _address(server: ParseResult) -> str:
    return f"{server.scheme}://{server.hostname}:{server.port}"


def _say(error: BaseException | None) -> str:
    return "no answer" if error is None else str(error) or type(error).__name__
