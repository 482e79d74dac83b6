"""Reading one consumer of a pool's stream: a partition, which one worker at a time has, or what all workers of a pool share.

A partition is had by whom the server has pinned. Whoever gets it lets everything be delivered again that the one before him did
not acknowledge, so that nothing overtakes it. Stands on the storage; knows no agent.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from nats.aio.msg import Msg

from autogen_core.exceptions import AutoGenError
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._link import Link, ServerRefusedError, logger, status_of
from ._storage import ACK_S, GROUP, PIN_S, Storage
from ._subjects import Names
from ._wire import NOTHING, WAKE, Message

_BATCH = 200
_EXPIRES_S, _HEARTBEAT_S, _SILENCE_S = 30, 5, 12.0
"""For how long a request for messages holds; how often the server says that it does; after what silence it is made again."""

_WAKE_S = 1.0
_PAUSE_S = 0.1
_KEEP_S = PIN_S / 3
"""After how many seconds without a request another one is made, to keep the partition."""

_AGAIN_S = 0.2


@dataclass(slots=True, eq=False)
class Work:
    """A message that came from a mailbox and is not acknowledged yet.

    Attributes:
        message: The message.
        source: Where it came from.
        sequence: Which message of the stream it is.
        ack: Where to acknowledge it.
        left: How many agents are still to handle it.
        lost: Whether it is no longer this worker's: then nothing is told to anybody about it.
    """

    message: Message
    source: "Puller"
    sequence: int
    ack: str
    left: int = 1
    lost: bool = False


class Puller:
    """Reads one consumer.

    Args:
        link, storage, names: Where it is.
        pool: The pool's name.
        partition: The partition; None for what all workers of the pool share.
        take: Called with each message.
        broken: Called with what is no message, and why.
    """

    def __init__(
        self,
        parts: tuple[Link, Storage, Names],
        pool: str,
        partition: int | None,
        take: Callable[[Work], None],
        broken: Callable[[Msg, UnreadableError], None],
    ) -> None:
        self._link, self._storage, self._names = parts
        self.pool = pool
        self.partition = partition
        self.consumer = "q" if partition is None else str(partition)
        self._take = take
        self._broken = broken
        self._task: asyncio.Task[None] | None = None
        self._pin = ""
        self._taken = False
        self._restart = self._pause = False
        self._closed = False
        self._take_over = False
        self._asked = 0
        self._asked_at = self._heard_at = 0.0
        self._news = asyncio.Event()
        self._signed_at = 0.0
        self._emptied = asyncio.Event()
        self.works: dict[int, Work] = {}

    @property
    def has_it(self) -> bool:
        """Whether messages come here."""
        return self.partition is None or bool(self._pin)

    def start(self, *, take_over: bool = False) -> None:
        """Begin to read; with `take_over`, take the partition from a worker that gives no sign of life."""
        self._take_over = take_over
        self._task = asyncio.create_task(self._run(), name=f"mailbox {self.pool} {self.consumer}")

    def close(self) -> None:
        """Take no more messages, but keep the partition, so that nobody else has it while what has come is worked on.

        What the server still sends stays unacknowledged: whoever has the partition next lets it be delivered again. Only
        what other handlers wait for is still taken, since a handler that is to be finished may wait for them.
        """
        self._closed = True

    async def stop(self) -> None:
        """Read no more; what has come stays to be worked on."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def release(self) -> None:
        """Let another worker have the partition; call it when nothing of it is worked on any more."""
        if self._pin:
            self._pin = ""
            try:
                await self._storage.unpin(self.pool, self.consumer)
                await self.wake()
            except AutoGenError as error:  # the server frees it by itself, a second later
                logger.debug("partition %s of %s was not released: %r", self.consumer, self.pool, error)

    def again(self) -> None:
        """Ask anew, after a broken connection."""
        self._restart = True
        self._news.set()

    # Acknowledging

    def done(self, work: Work) -> None:
        """Acknowledge a message: it is not delivered again."""
        if self.works.get(work.sequence) is work:
            del self.works[work.sequence]
            if not self.works:
                self._emptied.set()
        self._link.post(work.ack, b"+ACK")

    async def empty(self, timeout_s: float) -> bool:
        """Wait until all that has come is acknowledged; return whether that was so in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.works:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    def lose(self) -> None:
        """Give up all messages that are not acknowledged: they are delivered to another worker."""
        for work in self.works.values():
            work.lost = True
        self.works.clear()
        self._emptied.set()

    def drop(self, works: list[Work]) -> None:
        """Give up messages that nobody has begun to handle; whoever has the partition next gets them."""
        for work in works:
            work.lost = True
            if self.works.get(work.sequence) is work:
                del self.works[work.sequence]
            if self.partition is None:
                self._link.post(work.ack, b"-NAK")
        if not self.works:
            self._emptied.set()

    def give_back(self, works: list[Work]) -> None:
        """Let messages be delivered here again, before all that came after them."""
        self.drop(works)
        if self.partition is not None:
            self._pause = True
            self.again()

    # Reading

    async def wake(self) -> None:
        """Send a message without meaning: a partition is given to a reader only together with a message."""
        id = str(uuid4())
        message = Message(WAKE, id, NOTHING)
        await self._link.publish(self._names.stored(self.pool, self.consumer, "d"), message.encode())

    async def _run(self) -> None:
        opened = False
        while True:
            try:
                if not opened:
                    if self.partition is None:
                        await self._storage.open_shared(self.pool)
                    else:
                        await self._storage.open_partition(self.pool, self.partition)
                    opened = True
                if self._take_over:
                    await self._unpin_dead()
                await self._read()
                if self._closed and not self.has_it:
                    return
                if self._pause:
                    await asyncio.sleep(_PAUSE_S)
            except AutoGenError as error:
                logger.debug("partition %s of %s cannot be read: %r; trying again", self.consumer, self.pool, error)
                await asyncio.sleep(_AGAIN_S)

    async def _unpin_dead(self) -> None:
        try:
            await self._storage.unpin(self.pool, self.consumer)
        except ServerRefusedError as error:  # nobody had it any more
            logger.debug("partition %s of %s was free: %s", self.consumer, self.pool, error)
        self._take_over = False

    async def _read(self) -> None:
        """Read until there is a reason to begin anew."""
        if self.partition is not None and (self._taken or self._pin):
            # Also when it was had before: what was sent to the inbox of last time may not have come.
            await self._storage.reset(self.pool, self.consumer)
        self._taken = self._restart = self._pause = False
        self._asked = 0
        loop = asyncio.get_running_loop()
        self._heard_at = self._signed_at = loop.time()
        woken_at = 0.0
        inbox = f"{self._link.inbox}.pull.{uuid4().hex}"  # not below what all answers come to
        subscription = await self._link.subscribe(inbox, self._arrived)
        try:
            while not self._restart:
                now = loop.time()
                if now - self._heard_at > _SILENCE_S or (self._closed and not self.has_it):
                    return
                # One at first: it brings the pin, and what more was asked for would go to an inbox that is left.
                few = self._closed or not self.has_it
                least, most = (0, 1) if few else (_BATCH // 2, _BATCH)
                if self._asked <= least:
                    await self._ask(inbox, most - self._asked)
                elif self._pin and now - self._asked_at > _KEEP_S:
                    await self._ask(inbox, 1)
                if not self.has_it and now - woken_at > _WAKE_S:
                    woken_at = now
                    await self.wake()
                if now - self._signed_at > ACK_S / 3:
                    self._signed_at = now
                    await self._sign()
                self._news.clear()
                try:
                    async with asyncio.timeout(_KEEP_S):
                        await self._news.wait()
                except TimeoutError:
                    continue
        finally:
            await self._link.unsubscribe(subscription)

    async def _ask(self, inbox: str, more: int) -> None:
        second = 1_000_000_000
        request: dict[str, object] = {
            "batch": more,
            "expires": _EXPIRES_S * second,
            "idle_heartbeat": _HEARTBEAT_S * second,
        }
        if self.partition is not None:
            request["group"] = GROUP
            if self._pin:
                request["id"] = self._pin
        self._asked += more
        self._asked_at = asyncio.get_running_loop().time()
        await self._storage.pull(self.pool, self.consumer, inbox, request)

    async def _sign(self) -> None:
        """Say that all that has come is still worked on."""
        for work in list(self.works.values()):
            await self._link.publish(work.ack, b"+WPI")

    async def _arrived(self, message: Msg) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        status = status_of(message)
        if status:
            self._told(status, message)
        elif not self._restart:
            headers = message.headers or {}
            pin = headers.get("Nats-Pin-Id", "")
            if self.partition is not None and pin != self._pin:
                self._pin, self._taken, self._restart = pin, True, True
                self._news.set()
                return
            self._asked -= 1
            if self._asked <= _BATCH // 2:
                self._news.set()
            self._deliver(message)

    def _told(self, status: str, message: Msg) -> None:
        if status == "100":
            return
        if status == "423":
            self._pin = ""
        # 404 and 408: a request ran out; 409: the server or the consumer moved; 503: there is no such consumer (yet).
        headers = message.headers or {}
        pending = headers.get("Nats-Pending-Messages")
        if status in {"404", "408"} and pending is not None:
            self._asked -= int(pending)
            if self._asked > _BATCH // 2:
                return
        else:
            self._restart = self._pause = True
        self._news.set()

    def _deliver(self, message: Msg) -> None:
        sequence = int(message.reply.split(".")[-4])
        known = self.works.get(sequence)
        if known is not None:
            known.ack = message.reply
            return
        try:
            read = Message.decode(message.data)
        except UnreadableError as error:
            self._broken(message, error)
            return
        if self._closed and not read.chain:  # a handler that is to be finished may wait for one with a chain
            return
        if read.kind == WAKE:
            self._link.post(message.reply, b"+ACK")
            return
        work = self.works[sequence] = Work(read, self, sequence, message.reply)
        self._take(work)
