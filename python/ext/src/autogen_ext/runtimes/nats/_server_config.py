"""What a NATS server is told: addresses, limits, TLS, who may come in, accounts, leaf nodes. Starts nothing, writes no file.

Secrets are never in the `repr` of these records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

__all__ = [
    "NatsAccount",
    "NatsClusterMember",
    "NatsExport",
    "NatsImport",
    "NatsLeafListen",
    "NatsLeafRemote",
    "NatsRights",
    "NatsServerOptions",
    "NatsTls",
    "NatsUser",
]


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True, kw_only=True)
class NatsRights:
    """What a worker may do on the server.

    Agent types are named in full, or `("*",)` stands for all: the server compares whole names, patterns such as `guest-*`
    it cannot.

    What the **server** enforces, whatever the worker's program does:

    - Hosting an agent type: a worker without `register` for `admin` can neither enter `admin` or one of its instances or
      subscriptions in the directory, nor make, read or acknowledge its mailbox, nor serve it without state, nor write the
      state of its agents.
    - Calling an agent type: a worker without `call` for `admin` can neither put a request into its mailbox, nor ask its
      stateless servers, nor cancel there.
    - Hearing a topic, as long as `subscribe` has no patterns but whole names: other subscriptions cannot be entered.

    What only **our runtime** enforces, if the same rights are given to it in `NatsSecurity(rights=...)`, because the server
    does not see it: `publish`, and patterns in `subscribe`. An event goes into the mailboxes of the agent types that hear its
    topic, so the server knows the mailbox but not the topic. With `publish=()` the server refuses every event.

    What **nobody** enforces among workers of one account: a worker can read the directory, and states, of all; it can write to
    `<namespace>.w.<worker>` and `<namespace>.in.<worker>` of any other, and listen there, because the ids of workers are made
    as they start; and one that may make streams could, with requests that our runtime never sends, have the server copy a
    stream of the account. Rights keep honest workers to their place. Those who do not trust each other belong into accounts of
    their own.

    Attributes:
        register: The agent types that the worker may host.
        call: The agent types that it may send requests to.
        publish: The topic types that it may publish to, as patterns (`*`, `?`, `[abc]`).
        subscribe: The topic types that its agents may hear, as patterns.
        pools: The pool of an agent type, where that is not named as the type. The server tells mailboxes apart by pool.
        timers: Whether the worker may set timers, and send what is due. Whichever worker takes a message that is due sends it,
            with rights of its own: so a timer can reach an agent type that only another worker may call, or fail because this
            one may not.
        namespace: The runtime's namespace.
        also_publish: Further subjects that the worker may publish to, as NATS writes them.
        also_subscribe: Further subjects that it may subscribe to, as NATS writes them.
    """

    register: tuple[str, ...] = ("*",)
    call: tuple[str, ...] = ("*",)
    publish: tuple[str, ...] = ("*",)
    subscribe: tuple[str, ...] = ("*",)
    pools: Mapping[str, str] = field(default_factory=dict[str, str])
    timers: bool = False
    namespace: str = "autogen"
    also_publish: tuple[str, ...] = ()
    also_subscribe: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.register, *self.call):
            if name != "*" and set(name) & set("*?["):
                raise ValueError(
                    f"NatsRights names agent types in full, or all of them by '*'; the server cannot compare with {name!r}."
                )

    def may_publish(self, topic_type: str) -> bool:
        """Tell whether events may be published to topics of a type; the runtime asks, as the server cannot tell."""
        return _fits(topic_type, self.publish)

    def may_hear(self, topic_type: str, agent_type: str) -> bool:
        """Tell whether an agent type may subscribe to a topic type, or to a prefix of these; to its own direct topic it may."""
        return topic_type == f"{agent_type}:" or _fits(topic_type, self.subscribe)


@dataclass(frozen=True, kw_only=True)
class NatsTls:
    """The server's certificate. All that is PEM is given as bytes.

    Attributes:
        certificate_chain: The server's certificate, and those it stands on.
        private_key: Of the server's certificate.
        client_root_certificates: If given, only clients with a certificate that stands on one of these may connect.
        handshake_first: Encrypt before the first word; the client must be told so, too. By default the server greets in plain
            text, as NATS does; no secret is in that.
    """

    certificate_chain: bytes
    private_key: bytes = field(repr=False)
    client_root_certificates: bytes | None = None
    handshake_first: bool = False


@dataclass(frozen=True, kw_only=True)
class NatsUser:
    """Somebody who may connect, by exactly one of: name and password, token, nkey, certificate.

    Attributes:
        name: The user's name, with `password`.
        password: With `name`. It stands in the server's configuration file, which only the process's user can read.
        token: A bearer token, for clients with `NatsSecurity(token=...)`. Make it with `secrets.token_urlsafe()`; the server
            keeps only a key that is derived from it.
        nkey: The public nkey (`U...`), for clients with the seed.
        certificate: The name in the client's certificate: an e-mail address or DNS name among its alternative names, or its
            whole subject, as `CN=worker`. Needs TLS with `client_root_certificates`, and all users of the server by one.
        rights: What they may do; None: everything in their account.
    """

    name: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey: str | None = None
    certificate: str | None = None
    rights: NatsRights | None = None

    def __post_init__(self) -> None:
        if (self.name is None) != (self.password is None):
            raise ValueError("NatsUser needs name and password, or neither of them.")
        ways = [way for way in (self.name, self.token, self.nkey, self.certificate) if way is not None]
        if len(ways) != 1 or not ways[0]:
            raise ValueError("NatsUser needs exactly one of: name and password, token, nkey, certificate.")


@dataclass(frozen=True, kw_only=True)
class NatsExport:
    """Subjects that an account offers to others.

    Attributes:
        kind: `stream`: what is published here can be heard there. `service`: requests from there are answered here.
        subject: The subject, or several by wildcards.
        accounts: The accounts that may import it; None: all of the server.
    """

    kind: Literal["stream", "service"]
    subject: str
    accounts: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class NatsImport:
    """Subjects of another account's export that an account can use.

    Attributes:
        kind: As in the export.
        account: The account that exports it.
        subject: The subject there.
        to: The subject here; None: the same.
    """

    kind: Literal["stream", "service"]
    account: str
    subject: str
    to: str | None = None


@dataclass(frozen=True, kw_only=True)
class NatsAccount:
    """A world of its own: its users see no subject, stream or key of another account, save what that exports to them."""

    name: str
    users: tuple[NatsUser, ...] = ()
    exports: tuple[NatsExport, ...] = ()
    imports: tuple[NatsImport, ...] = ()
    jetstream: bool = True


@dataclass(frozen=True, kw_only=True)
class NatsLeafListen:
    """Where servers of others connect as leaf nodes.

    Attributes:
        users: Account by user name; each has a password in `passwords`. Without users every leaf node is let in.
        passwords: Password by user name.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
    """

    users: Mapping[str, str] = field(default_factory=dict[str, str])
    passwords: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    host: str = "127.0.0.1"
    port: int = 0

    def __post_init__(self) -> None:
        if set(self.users) != set(self.passwords):
            raise ValueError("NatsLeafListen needs a password for each of its users, and a user for each password.")


@dataclass(frozen=True, kw_only=True)
class NatsLeafRemote:
    """A server that this one connects to as its leaf node: what its account sees there, the account here sees, too.

    Attributes:
        url: The other server's address for leaf nodes, `nats-leaf://host:port`.
        user: The user name there.
        password: With `user`.
        account: The account here that is connected; None: the only one.
        root_certificates: What the other server's certificate must stand on, as PEM; None: plain text.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    account: str | None = None
    root_certificates: bytes | None = None

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password is None):
            raise ValueError("NatsLeafRemote needs user and password, or neither of them.")


@dataclass(frozen=True, kw_only=True)
class NatsClusterMember:
    """A server's place in a cluster: the cluster's name, its own port there, and the ports of all members on this host."""

    name: str
    port: int
    members: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class NatsServerOptions:
    """How a server is run.

    Attributes:
        host: The address to listen on.
        name: The server's name; None: one is made.
        max_payload: Bytes that a message may have, headers included; 64 MiB at most.
        ping_interval: Seconds between the server's questions whether a client is there.
        max_pings: Unanswered questions after which a client is dropped.
        max_connections: Clients at a time.
        monitoring: Whether to serve the monitoring pages, without a password, on a free port of `host`.
        tls: The server's certificate; None: plain text.
        users: Who may connect. With neither users nor accounts everybody who reaches the port may do everything.
        accounts: Worlds of their own, each with users; instead of `users`.
        jetstream: Whether streams can be kept. The runtime needs it.
        jetstream_domain: The name of this server's streams where leaf nodes have some, too.
        sync_interval: Seconds after which what was written is forced to disk; 0: at once, which is three to ten times slower.
            None: two minutes, as NATS does: a killed server loses nothing, a host that loses power may lose so much.
        max_store: Bytes of disk for streams; None: three quarters of what is free.
        max_memory: Bytes of memory for streams; None: three quarters of the host's.
        leaf_listen: Where leaf nodes may connect.
        leaf_remotes: Servers to connect to as a leaf node.
        cluster: The place in a cluster; `NatsCluster` sets it.
    """

    host: str = "127.0.0.1"
    name: str | None = None
    max_payload: int = 8 * 1024 * 1024
    ping_interval: float = 2.0
    max_pings: int = 2
    max_connections: int = 65_536
    monitoring: bool = False
    tls: NatsTls | None = None
    users: tuple[NatsUser, ...] = ()
    accounts: tuple[NatsAccount, ...] = ()
    jetstream: bool = True
    jetstream_domain: str | None = None
    sync_interval: float | None = None
    max_store: int | None = None
    max_memory: int | None = None
    leaf_listen: NatsLeafListen | None = None
    leaf_remotes: tuple[NatsLeafRemote, ...] = ()
    cluster: NatsClusterMember | None = None

    def __post_init__(self) -> None:
        if not 1024 <= self.max_payload <= 64 * 1024 * 1024:
            raise ValueError(f"max_payload is {self.max_payload} bytes; the server takes 1 KiB to 64 MiB.")
        if self.ping_interval <= 0 or self.max_pings < 1:
            raise ValueError("ping_interval must be more than 0 seconds, and max_pings at least 1.")
        if self.users and self.accounts:
            raise ValueError(
                "With accounts each user belongs to one of them: give NatsAccount(users=...) instead of users."
            )
        everybody = self.everybody
        mapped = [user for user in everybody if user.certificate is not None]
        if mapped and len(mapped) != len(everybody):
            raise ValueError("The server knows users by certificate, or in other ways, but not both.")
        if mapped and (self.tls is None or self.tls.client_root_certificates is None):
            raise ValueError("Certificates of users cannot be checked without tls with client_root_certificates.")
        self._check_accounts()

    @property
    def everybody(self) -> tuple[NatsUser, ...]:
        """All users, of all accounts."""
        return (*self.users, *(user for account in self.accounts for user in account.users))

    def _check_accounts(self) -> None:
        names = [account.name for account in self.accounts]
        if len(set(names)) != len(names):
            raise ValueError(f"Two accounts have one name: {', '.join(sorted(names))}.")
        leaves = self.leaf_listen.users.values() if self.leaf_listen is not None else ()
        remotes = [remote.account for remote in self.leaf_remotes if remote.account is not None]
        imports = [one.account for account in self.accounts for one in account.imports]
        exports = [name for account in self.accounts for one in account.exports for name in one.accounts or ()]
        for name in (*leaves, *remotes, *imports, *exports):
            if name not in names:
                raise ValueError(f"There is no account {name!r} (accounts: {', '.join(sorted(names)) or 'none'}).")
