"""What is kept on the server: streams, consumers, and buckets of keys. Here stands what nats-py has no call for.

Pinned consumers, resetting a consumer, keys with a time to live and compare-and-swap are plain requests to JetStream's API
(https://docs.nats.io/reference/reference-protocols/nats_api_reference). Stands on the link.
"""

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg

from ._link import Link, NobodyThereError, ServerAwayError, ServerRefusedError, read_reply, status_of
from ._subjects import Names

GROUP = "g"
"""The name of the one priority group of each consumer."""

_SECOND = 1_000_000_000
_DIFFERENT_CONFIG = 10058
_STREAM_MISSING = 10059
_WRONG_LAST_SEQUENCE = {10071, 10164}
FULL = {10077, 10048, 10047}
"""Codes of refusals because a stream holds as many messages or bytes as it may."""

DUPLICATES_S = 120
"""For how long the server knows the ids of messages, in seconds."""

PIN_S = 3
"""After how many seconds without a request its reader loses a partition, also if earlier requests still wait there."""

ACK_S = 30
"""For how long a message may be worked on without a sign of life, in seconds."""

_LIST_S = 10.0

_LEADER_S = 2.0
"""After how many seconds without an answer a consumer is asked again: one without leader says nothing, and chooses one soon."""

MAX_PENDING = 1_000
"""How many messages of a partition may be worked on at a time."""


class ConflictError(Exception):
    """A key was changed by somebody else."""


@dataclass(frozen=True)
class Entry:
    """A key of a bucket. `revision` counts up over the bucket; `value` is empty where the key was deleted or ran out."""

    key: str
    value: bytes
    revision: int


class Storage:
    """The streams and buckets of a system.

    Args:
        link: Where they are.
        names: What they are called.
        replicas: On how many servers each is kept; None: on three, in a cluster of as many.
    """

    def __init__(self, link: Link, names: Names, replicas: int | None) -> None:
        self._link = link
        self._names = names
        self._replicas = replicas

    # Streams

    async def open(self) -> None:
        """Make what every system has, where it is missing."""
        names = self._names
        live = {"republish": {"src": f"$KV.{names.directory}.>", "dest": names.live(names.directory)}}
        await self._bucket(names.directory, "file", live)
        live = {"republish": {"src": f"$KV.{names.leases}.>", "dest": names.live(names.leases)}}
        await self._bucket(names.leases, "memory", {"allow_msg_ttl": True} | live)
        await self._bucket(names.states, "file", {})
        await self._stream(
            {
                "name": names.dead,
                "subjects": [names.letters()],
                "max_msgs": 100_000,
                "discard": "old",
            }
        )

    async def _bucket(self, name: str, storage: str, more: dict[str, Any]) -> None:
        config: dict[str, Any] = {
            "name": f"KV_{name}",
            "subjects": [f"$KV.{name}.>"],
            "max_msgs_per_subject": 1,
            "storage": storage,
            "discard": "new",
            "allow_rollup_hdrs": True,
            "deny_delete": True,
        }
        await self._stream(config | more)

    async def open_pool(self, pool: str, mailbox_size: int) -> None:
        """Make the stream of a pool's messages, where it is missing."""
        await self._stream(
            {
                "name": self._names.mailbox(pool),
                "subjects": [self._names.stored(pool, "*", "*")],
                "retention": "workqueue",
                "discard": "new",
                "max_msgs": mailbox_size,
                "duplicate_window": DUPLICATES_S * _SECOND,
                "allow_msg_ttl": True,
            }
        )

    async def open_timers(self, pool: str) -> None:
        """Make the stream of a pool whose messages may be sent later, where it is missing."""
        await self._stream(
            {
                "name": self._names.mailbox(pool),
                "subjects": [self._names.stored(pool, "*", "*")],
                "retention": "workqueue",
                "discard": "old",
                "allow_msg_ttl": True,
                "allow_msg_schedules": True,
            }
        )

    async def purge(self, pool: str, subject: str) -> int:
        """Remove the messages of a subject; return how many there were."""
        answer = await self._link.api(f"STREAM.PURGE.{self._names.mailbox(pool)}", {"filter": subject})
        return int(answer["purged"])

    async def _stream(self, config: dict[str, Any]) -> None:
        replicas = self._replicas or (3 if self._link.cluster_size >= 3 else 1)
        usual = {"storage": "file", "allow_direct": True, "num_replicas": replicas}
        try:
            await self._link.api(f"STREAM.CREATE.{config['name']}", usual | config)
        except ServerRefusedError as error:
            if error.code != _DIFFERENT_CONFIG:  # it is there, as its first maker or an operator wanted it
                raise

    async def pending(self, pool: str) -> tuple[int, int]:
        """Return how many messages wait for a pool, and how many may."""
        info = await self._link.api(f"STREAM.INFO.{self._names.mailbox(pool)}", {}, _LEADER_S)
        return info["state"]["messages"], info["config"]["max_msgs"]

    async def delete_message(self, pool: str, sequence: int) -> None:
        """Remove a message that waits for a pool."""
        await self._link.api(f"STREAM.MSG.DELETE.{self._names.mailbox(pool)}", {"seq": sequence, "no_erase": True})

    # Consumers

    async def open_partition(self, pool: str, partition: int) -> None:
        """Make the consumer of a partition, where it is missing: one worker at a time may read there."""
        pinned = {"priority_groups": [GROUP], "priority_policy": "pinned_client", "priority_timeout": PIN_S * _SECOND}
        await self._consumer(pool, str(partition), pinned)

    async def open_shared(self, pool: str) -> None:
        """Make the consumer of a pool of stateless agents, where it is missing: all its workers read there."""
        await self._consumer(pool, "q", {})

    async def _consumer(self, pool: str, name: str, more: dict[str, Any]) -> None:
        stream = self._names.mailbox(pool)
        config: dict[str, Any] = {
            "durable_name": name,
            "ack_policy": "explicit",
            "ack_wait": ACK_S * _SECOND,
            "max_ack_pending": MAX_PENDING,
            "filter_subject": self._names.stored(pool, name, "*"),
        }
        body = {"stream_name": stream, "config": config | more}
        await self._link.api(f"CONSUMER.CREATE.{stream}.{name}", body, _LEADER_S)

    async def pull(self, pool: str, consumer: str, inbox: str, request: dict[str, Any]) -> None:
        """Ask for messages; they come to the inbox."""
        stream = self._names.mailbox(pool)
        body = json.dumps(request).encode()
        await self._link.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", body, reply=inbox)

    async def reset(self, pool: str, consumer: str) -> None:
        """Let everything that is not acknowledged be delivered again, in order."""
        await self._link.api(f"CONSUMER.RESET.{self._names.mailbox(pool)}.{consumer}", {}, _LEADER_S)

    async def unpin(self, pool: str, consumer: str) -> None:
        """Let the next who asks have the partition."""
        await self._link.api(f"CONSUMER.UNPIN.{self._names.mailbox(pool)}.{consumer}", {"group": GROUP}, _LEADER_S)

    # Buckets

    async def put(
        self, bucket: str, key: str, value: bytes, *, revision: int | None = None, ttl_s: int | None = None
    ) -> int:
        """Write a key and return its revision.

        Args:
            bucket: The bucket.
            key: The key.
            value: What is written.
            revision: What the key's revision must be, 0 for a key that is not there; None: whatever it is.
            ttl_s: In how many seconds it runs out; None: never.

        Raises:
            ConflictError: The key has another revision.
            ServerAwayError: It is not known whether the key was written.
        """
        headers: dict[str, str] = {}
        if revision is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(revision)
        if ttl_s is not None:
            headers["Nats-TTL"] = f"{ttl_s}s"
        return await self._write(self._names.bucket_subject(bucket, key), value, headers)

    async def delete(self, bucket: str, key: str) -> int:
        """Delete a key, as NATS's own tools do, and return the revision of that."""
        return await self._write(self._names.bucket_subject(bucket, key), b"", {"KV-Operation": "DEL"})

    async def _write(self, subject: str, value: bytes, headers: dict[str, str]) -> int:
        try:
            message = await self._link.ask(subject, value, headers or None)
            return int(read_reply(message.data)["seq"])
        except NobodyThereError as error:
            raise ServerAwayError("The NATS server has no such bucket (yet).") from error
        except ServerRefusedError as error:
            if error.code in _WRONG_LAST_SEQUENCE:
                raise ConflictError(str(error)) from error
            raise

    async def get(self, bucket: str, key: str) -> Entry | None:
        """Read a key, from the server that decides; None if it is not there."""
        try:
            found = await self._link.api(
                f"STREAM.MSG.GET.KV_{bucket}", {"last_by_subj": self._names.bucket_subject(bucket, key)}
            )
        except ServerRefusedError as error:
            if error.code == 10037:
                return None
            raise
        message = found["message"]
        return Entry(key, base64.b64decode(message.get("data", "")), int(message["seq"]))

    async def load(self, bucket: str) -> list[Entry]:
        """Read all keys of a bucket, also deleted ones."""
        prefix = self._names.bucket_subject(bucket, "")
        return await self.read_many(f"KV_{bucket}", prefix, {"multi_last": [f"{prefix}>"], "batch": 100_000})

    async def read_many(self, stream: str, prefix: str, request: dict[str, Any]) -> list[Entry]:
        """Read many messages of a stream; keys are their subjects without the prefix, revisions their numbers."""
        reader = _ManyReader(prefix)
        inbox = self._link.expect(reader.take)
        try:
            await self._link.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), reply=inbox)
            return await reader.entries()
        finally:
            self._link.forget(inbox)


class _ManyReader:
    """Collects the answer to a request for many keys: one message for each, and one that ends it."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._entries: list[Entry] = []
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, message: Msg) -> None:
        headers = message.headers or {}
        if status_of(message):
            if not self._end.done():
                self._end.set_result(None)
            return
        deleted = "KV-Operation" in headers or "Nats-Marker-Reason" in headers
        key = headers["Nats-Subject"].removeprefix(self._prefix)
        self._entries.append(Entry(key, b"" if deleted else message.data, int(headers["Nats-Sequence"])))

    async def entries(self) -> list[Entry]:
        try:
            async with asyncio.timeout(_LIST_S):
                await self._end
        except TimeoutError:
            raise ServerAwayError("The NATS server did not list a bucket's keys in time.") from None
        return self._entries
