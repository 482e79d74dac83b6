"""A worker's connection: publishing, asking, and one inbox for all answers. Stands on nats-py; knows no agent.

While the server is away, what is published waits in the client's buffer; who needs to know that it arrived asks for an answer.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import (
    BadSubscriptionError,
    ConnectionClosedError,
    ConnectionDrainingError,
    MaxPayloadError,
    OutboundBufferLimitError,
)

from autogen_core import ROOT_LOGGER_NAME
from autogen_core.exceptions import AutoGenError

from ._connection import ConnectionHooks, SubjectNotPermittedError, connect
from ._security import NatsSecurity
from ._subjects import Names

logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.nats")

_HEADERS_BYTES = 512
"""What headers may add to a message. The server counts them in, and ends the connection of who sends too much."""

_ANSWER_S = 5.0
"""How long the server may take to answer, in seconds."""

Take = Callable[[Msg], None]


class ServerAwayError(AutoGenError, ConnectionError):
    """The NATS server cannot be reached, or did not answer in time."""


class ServerRefusedError(AutoGenError, RuntimeError):
    """The NATS server refused what a worker asked of JetStream.

    Attributes:
        code: The server's own code of the error (`err_code`).
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class NobodyThereError(AutoGenError, LookupError):
    """Nobody listens to the subject of a request."""


@dataclass
class LinkEvents:
    """What a link calls.

    Attributes:
        away: When the connection breaks.
        back: When it is made again.
        refused: When the server refuses a message or a subscription.
    """

    away: Callable[[], None]
    back: Callable[[], None]
    refused: Callable[[SubjectNotPermittedError], None]


class Link:
    """The connection of one worker.

    Args:
        servers: Addresses, such as `nats://127.0.0.1:4222`.
        security: How to show who this is.
        names: The system's names.
        id: The worker's id.
        events: What to call.
    """

    def __init__(
        self, servers: list[str], security: NatsSecurity | None, names: Names, id: str, events: LinkEvents
    ) -> None:
        self._servers = servers
        self._security = security
        self.inbox = names.answers(id)
        self._name = f"{names.namespace}-{id}"
        self._events = events
        self._client: Client | None = None
        self._expected: dict[str, Take] = {}
        self._asked: dict[str, tuple[str, asyncio.Future[Msg]]] = {}
        self._numbers = count(1)
        self._posted: deque[tuple[str, bytes]] = deque()
        self._more = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, and stay connected until `stop`.

        Raises:
            ConnectionError: There is no server.
            NotPermittedError: The server does not admit this worker.
        """
        self._client = await connect(
            self._servers,
            self._security,
            name=self._name,
            hooks=ConnectionHooks(disconnected=self._away, reconnected=self._back, refused=self._refused),
        )
        self._writer = asyncio.create_task(self._write_posted(), name="NATS link")
        await self.subscribe(f"{self.inbox}.*", self._take)

    async def _away(self) -> None:
        client = self._client
        if client is not None:
            # What the client had not written yet would be sent before what it had written and is lost. All of it is sent
            # again by whoever waits for an answer.
            client._pending.clear()  # pyright: ignore[reportPrivateUsage] - nats-py has no call for it
            client._pending_data_size = 0  # pyright: ignore[reportPrivateUsage] - as above
        self._events.away()

    async def _back(self) -> None:
        self._events.back()

    async def _refused(self, error: SubjectNotPermittedError) -> None:
        for subject, answer in list(self._asked.values()):
            if subject == error.subject and not answer.done():
                answer.set_exception(error)
        self._events.refused(error)

    async def stop(self) -> None:
        """Write what waits to be written, and disconnect."""
        if self._client is None:
            return
        await self.settle()
        client, self._client = self._client, None
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.cancel()
            await asyncio.wait([writer])
        await client.close()

    async def settle(self) -> None:
        """Let what was sent arrive, and what has come in be taken."""
        client = self._live()
        if not client.is_connected:
            return
        while self._posted:  # noqa: ASYNC110 - the writer needs one turn of the event loop, no signal
            await asyncio.sleep(0)
        try:
            for _ in range(2):  # the first question may overtake what was published
                await client.flush(timeout=2)
        except (TimeoutError, OSError, ConnectionClosedError):
            logger.debug("the server was gone before all had arrived")
            return
        for _ in range(3):  # a subscription takes what has come in a task of its own
            await asyncio.sleep(0)

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._client is not None and self._client.is_connected

    @property
    def max_bytes(self) -> int:
        """The longest message that the server takes, in bytes, apart from headers."""
        return self._live().max_payload - _HEADERS_BYTES

    @property
    def cluster_size(self) -> int:
        """How many servers can be connected to, as the server says; 1 for a single one."""
        info = self._live()._server_info
        return max(1, len(info.get("connect_urls") or ())) if info.get("cluster") else 1

    def _live(self) -> Client:
        if self._client is None:
            raise ServerAwayError("The runtime is not connected. Call start() first.")
        return self._client

    # Publishing and listening

    async def publish(
        self, subject: str, data: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Write a message; returns once it is in the client's buffer.

        Raises:
            ServerAwayError: The server has been away for so long that the buffer is full, or the link is stopped.
        """
        try:
            await self._live().publish(subject, data, reply=reply, headers=headers)
        except (OutboundBufferLimitError, ConnectionClosedError, ConnectionDrainingError) as error:
            raise ServerAwayError(f"Nothing can be sent to the NATS server: {error}") from error

    def post(self, subject: str, data: bytes) -> None:
        """Write a message from code that cannot wait; what cannot be written is logged."""
        self._posted.append((subject, data))
        self._more.set()

    async def _write_posted(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._posted:
                subject, data = self._posted.popleft()
                try:
                    await self.publish(subject, data)
                except ServerAwayError as error:  # it is asked again, or delivered again
                    logger.debug("nothing was sent to %s: %s", subject, error)
                except MaxPayloadError:
                    logger.error("%d bytes for %s are more than the server takes", len(data), subject)  # noqa: TRY400 - its text says all

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Listen no more."""
        client = self._client
        if client is not None and not client.is_closed:
            try:
                await subscription.unsubscribe()
            except (ConnectionClosedError, BadSubscriptionError) as error:
                logger.debug("a subscription was gone already: %r", error)

    async def subscribe(self, subject: str, take: Callable[[Msg], Awaitable[None]], queue: str = "") -> Subscription:
        """Let `take` have each message of a subject, one at a time; with `queue`, shared with all who name the same."""
        client: Any = self._live()  # nats-py's annotation of `subscribe` is incomplete
        return await client.subscribe(subject, queue=queue, cb=take)

    # Asking

    def expect(self, take: Take) -> str:
        """Return a subject whose messages `take` gets, until `forget`."""
        number = str(next(self._numbers))
        self._expected[number] = take
        return f"{self.inbox}.{number}"

    def forget(self, subject: str) -> None:
        """Drop what comes for a subject from now on."""
        self._expected.pop(subject.rpartition(".")[2], None)

    async def _take(self, message: Msg) -> None:
        take = self._expected.get(message.subject.rpartition(".")[2])
        if take is not None:
            take(message)

    async def ask(
        self,
        subject: str,
        data: bytes = b"",
        headers: dict[str, str] | None = None,
        wait_s: float = _ANSWER_S,
    ) -> Msg:
        """Publish a message and return the first answer.

        Raises:
            ServerAwayError: None came in time.
            NobodyThereError: Nobody listens there.
            NotPermittedError: The server does not let this worker ask.
        """
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

        def take(message: Msg) -> None:
            if not answer.done():
                answer.set_result(message)

        reply = self.expect(take)
        self._asked[reply] = subject, answer
        try:
            await self.publish(subject, data, reply, headers)
            async with asyncio.timeout(wait_s):
                message = await answer
        except TimeoutError:
            raise ServerAwayError(f"The NATS server did not answer within {wait_s:.3g} seconds ({subject}).") from None
        finally:
            self.forget(reply)
            del self._asked[reply]
        if status_of(message) == "503":
            raise NobodyThereError(f"Nobody listens to {subject}.")
        return message

    async def api(self, path: str, body: Mapping[str, Any] | None = None, wait_s: float = _ANSWER_S) -> dict[str, Any]:
        """Ask JetStream something; the answer is its JSON object.

        Raises:
            ServerAwayError: No answer in time, or the server has no JetStream.
            ServerRefusedError: It said no.
        """
        try:
            data = b"" if body is None else json.dumps(body).encode()
            message = await self.ask(f"$JS.API.{path}", data, wait_s=wait_s)
        except NobodyThereError as error:
            raise ServerAwayError("The NATS server has no JetStream (yet). Start it with `-js`.") from error
        return read_reply(message.data)


def read_reply(data: bytes) -> dict[str, Any]:
    """Read a JSON object of JetStream; raises `ServerRefusedError` if it tells of an error."""
    answer: dict[str, Any] = json.loads(data)
    error = answer.get("error")
    if error is not None:
        raise ServerRefusedError(str(error.get("description", error)), int(error.get("err_code", 0)))
    return answer


def status_of(message: Msg) -> str:
    """Return the status of a message without content that the server itself sent; empty for any other."""
    headers = message.headers
    return "" if headers is None or message.data else headers.get("Status", "")
