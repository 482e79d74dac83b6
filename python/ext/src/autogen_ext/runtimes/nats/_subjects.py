"""The names under which a system of workers lives on a NATS server: subjects, streams, buckets.

Pure; it knows no connection.
"""

from functools import lru_cache
from hashlib import sha256

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_LONGEST = 200


@lru_cache(maxsize=4096)
def token(text: str) -> str:
    """Write any text as one token of a subject, and as part of a key; different texts have different tokens.

    ASCII letters, digits, `_` and `-` stand for themselves, any other byte of the UTF-8 text is `=` and two digits. The
    empty text is `=`, and a text too long for a subject is `=h` and its SHA-256.
    """
    data = text.encode("utf-8", "surrogatepass")
    if not data:
        return "="
    written = "".join(chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in data)
    return written if len(written) <= _LONGEST else f"=h{sha256(data).hexdigest()}"


@lru_cache(maxsize=4096)
def partition(key: str, partitions: int) -> int:
    """Return the partition of a pool that an agent's key belongs to: FNV-1a with 32 bits, as the server's `partition()`.

    Source: http://www.isthe.com/chongo/tech/comp/fnv/
    """
    hash = 2166136261
    for byte in token(key).encode():
        hash = ((hash ^ byte) * 16777619) & 0xFFFFFFFF
    return hash % partitions


class Names:
    """The names of one system.

    Args:
        namespace: What its names begin with; systems with different namespaces do not see each other.

    Raises:
        ValueError: The namespace is not made of letters, digits, `_` and `-`.
    """

    def __init__(self, namespace: str) -> None:
        if not namespace or token(namespace) != namespace:
            raise ValueError(f"A namespace has letters, digits, '_' and '-' only; got {namespace!r}.")
        self.namespace = namespace
        self.directory = f"{namespace}_DIR"
        self.leases = f"{namespace}_LEASE"
        self.states = f"{namespace}_STATE"
        self.dead = f"{namespace}_DEAD"

    # Streams and buckets

    def mailbox(self, pool: str) -> str:
        """Return the stream that holds the messages of a pool."""
        return f"{self.namespace}_MB_{token(pool)}"

    def bucket_subject(self, bucket: str, key: str) -> str:
        """Return the subject of a key in a bucket."""
        return f"$KV.{bucket}.{key}"

    def live(self, bucket: str, key: str = ">") -> str:
        """Return the subject on which a change of a bucket is told once it is stored."""
        return f"{self.namespace}.live.{bucket}.{key}"

    def state_key(self, agent_type: str, key: str) -> str:
        """Return where an agent's state is kept."""
        return f"{token(agent_type)}.{token(key)}"

    # Subjects

    def stored(self, pool: str, partition: int | str, kind: str) -> str:
        """Return the subject of messages that are kept for a partition of a pool, or for all its workers (`q`)."""
        return f"{self.namespace}.mb.{token(pool)}.{partition}.{kind}"

    def anyone(self, agent_type: str) -> str:
        """Return the subject of requests to any worker with a stateless agent type."""
        return f"{self.namespace}.sl.{token(agent_type)}"

    def worker(self, id: str) -> str:
        """Return the subject of what is for one worker."""
        return f"{self.namespace}.w.{id}"

    def answers(self, id: str) -> str:
        """Return the subject under which a worker gets answers."""
        return f"{self.namespace}.in.{id}"

    def pool_talk(self, pool: str) -> str:
        """Return the subject of what all workers of a pool must know: which requests are given up."""
        return f"{self.namespace}.x.{token(pool)}"

    def everybody(self) -> str:
        """Return the subject of what all workers answer."""
        return f"{self.namespace}.all"

    def letters(self) -> str:
        """Return the subjects of all messages that could not be handled."""
        return f"{self.namespace}.dead.>"

    def letter(self, reason: str) -> str:
        """Return the subject of messages that could not be handled."""
        return f"{self.namespace}.dead.{token(reason)}"
