"""Who may join a host, and what each worker may do there. Knows no stream.

A host without `HostSecurity` is as 0.7.5's: plain text, and whoever reaches its port may do everything.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import grpc


@dataclass(frozen=True, kw_only=True)
class WorkerRights:
    """What a worker may do; each is a list of patterns as of file names (`*`, `?`, `[abc]`), compared with case.

    Attributes:
        register: The agent types that it may host, and speak for as a sender.
        call: The agent types that it may send requests to, and ask for state.
        publish: The topic types that it may publish to.
        subscribe: The topic types, or prefixes of these, that its agents may hear. That of an agent type's own direct topic,
            `T:`, is always granted with the type.
    """

    register: tuple[str, ...] = ("*",)
    call: tuple[str, ...] = ("*",)
    publish: tuple[str, ...] = ("*",)
    subscribe: tuple[str, ...] = ("*",)


EVERYTHING = WorkerRights()


def allowed(name: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a name is within a right."""
    return patterns == ("*",) or any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True, kw_only=True)
class HostSecurity:
    """How a host tells workers apart. All that is PEM is given as bytes.

    Attributes:
        private_key: Of the host's certificate; None: plain text.
        certificate_chain: The host's certificate, and those it stands on.
        client_root_certificates: If given, only workers with a certificate that stands on one of these may connect.
        tokens: What workers with a bearer token may do, by token. If given, a worker needs one, or a certificate that is named
            in `certificates`.
        certificates: What workers with a certificate may do, by the certificate's common name.
    """

    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    client_root_certificates: bytes | None = None
    tokens: Mapping[str, WorkerRights] | None = field(default=None, repr=False)
    certificates: Mapping[str, WorkerRights] | None = None

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("HostSecurity needs private_key and certificate_chain, or neither of them.")
        if self.private_key is None and (self.client_root_certificates or self.certificates):
            raise ValueError(
                "Certificates of workers can be asked for with TLS only: give private_key and certificate_chain."
            )
        if self.certificates is not None and self.client_root_certificates is None:
            raise ValueError("Certificates of workers cannot be checked without client_root_certificates.")

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """Return what the host's port is opened with; None for plain text."""
        if self.private_key is None or self.certificate_chain is None:
            return None
        return grpc.ssl_server_credentials(
            [(self.private_key, self.certificate_chain)],
            root_certificates=self.client_root_certificates,
            require_client_auth=self.client_root_certificates is not None,
        )

    def rights(self, authorization: str | None, identity: str | None) -> WorkerRights | None:
        """Return what a worker may do, by its header and its certificate's name; None if it may not join."""
        if self.tokens is None and self.certificates is None:
            return EVERYTHING
        if self.certificates is not None and identity is not None and identity in self.certificates:
            return self.certificates[identity]
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or self.tokens is None:
            return None
        found = None
        for token, rights in self.tokens.items():  # all are compared, so that the time taken tells nothing
            if hmac.compare_digest(token.encode(), given.encode()):
                found = rights
        return found


@dataclass(frozen=True, kw_only=True)
class WorkerSecurity:
    """How a worker shows who it is, and makes sure of its host. All that is PEM is given as bytes.

    Attributes:
        tls: Whether to encrypt; so it is, too, where a certificate is given.
        root_certificates: What the host's certificate must stand on; None: the usual public ones.
        private_key: Of the worker's own certificate.
        certificate_chain: The worker's own certificate, for a host that asks for one.
        token: The bearer token. Without TLS everybody on the way can read it.
    """

    tls: bool = False
    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("WorkerSecurity needs private_key and certificate_chain, or neither of them.")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("A bearer token travels in a header: it may have printable ASCII characters only.")

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Return what the worker connects with; None for plain text."""
        if not (self.tls or self.root_certificates or self.private_key):
            return None
        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key, self.certificate_chain)
