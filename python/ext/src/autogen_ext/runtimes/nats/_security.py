"""How a worker shows who it is to a NATS server, and makes sure of that server. Knows no connection.

Secrets are never in a `repr`. A bearer token becomes an nkey: the server keeps its public half only, and several tokens with
rights of their own are possible, which NATS' own single token does not allow.
"""

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import pbkdf2_hmac, sha256
from importlib import import_module
from pathlib import Path
from typing import Any

try:
    nkeys: Any = import_module("nkeys")  # it has no types
except ImportError as error:
    raise ImportError('The NATS runtime needs an extra: pip install "autogen-ext[nats]"') from error

from ._server_config import NatsRights
from ._subjects import token as as_token

__all__ = ["NatsSecurity", "inbox_of", "public_key", "seed_of_token"]

_ROUNDS = 50_000
"""Of the derivation of a key from a token: about 20 ms, once for each token and process."""


@lru_cache(maxsize=256)
def seed_of_token(token: str) -> str:
    """Return the seed of the nkey that a bearer token stands for."""
    raw = pbkdf2_hmac("sha256", token.encode(), b"autogen nats bearer token", _ROUNDS)
    return bytes(nkeys.encode_seed(raw, nkeys.PREFIX_BYTE_USER)).decode()


def public_key(seed: str) -> str:
    """Return the public half of an nkey.

    Raises:
        ValueError: This is no seed of a user.
    """
    try:
        public = bytes(nkeys.from_seed(bytearray(seed.strip().encode())).public_key).decode()
    except Exception as error:  # the library raises errors of its own, of `binascii` and of libsodium
        raise ValueError("This is not the seed of an nkey (`SU...`).") from error
    if not public.startswith("U"):
        raise ValueError("This is the seed of an nkey, but not that of a user (`SU...`).")
    return public


def inbox_of(who: str | None) -> str:
    """Return the prefix of the subjects on which somebody hears answers; it is in nobody else's rights.

    Args:
        who: The user's name or public nkey; None if the client does not know its name.
    """
    return (
        "_INBOX" if who is None else f"_INBOX_{as_token(who) if len(who) <= 64 else sha256(who.encode()).hexdigest()}"
    )


@dataclass(frozen=True, kw_only=True)
class NatsSecurity:
    """How to connect: what the server's certificate must stand on, and who we are. All that is PEM is given as bytes.

    Give at most one of: token, user and password, nkey seed, credentials.

    Attributes:
        tls: Whether to encrypt, or a context of your own to encrypt with. It is encrypted, too, where a certificate is given.
            A server that does not offer it is then refused, before it learns any secret.
        root_certificates: What the server's certificate must stand on; None: the usual public ones.
        private_key: Of the worker's own certificate.
        certificate_chain: The worker's own certificate, for a server that asks for one.
        server_name: The name in the server's certificate, where that is not the host of its address.
        handshake_first: Encrypt before the server greets; the server must be set up for it (`NatsTls.handshake_first`).
        token: The bearer token. Without TLS everybody on the way can read it.
        user: The user name.
        password: With `user`. Without TLS everybody on the way can read it.
        nkey_seed: The seed of the worker's nkey (`SU...`); it never leaves the process.
        credentials: The path of a credentials file, with JWT and seed, as NATS' operator tools write it.
        rights: What the server was told that we may do, for the part of it that only the runtime can check: topics.
        own_inbox: Whether answers come to an inbox that is named after the user, which the rights of `NatsServerOptions`
            expect. False for servers with permissions of another making, which allow `_INBOX.>`.
    """

    tls: bool | ssl.SSLContext = False
    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    server_name: str | None = None
    handshake_first: bool = False
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    nkey_seed: str | None = field(default=None, repr=False)
    credentials: str | Path | None = None
    rights: NatsRights | None = None
    own_inbox: bool = True

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("NatsSecurity needs private_key and certificate_chain, or neither of them.")
        if isinstance(self.tls, ssl.SSLContext) and (self.root_certificates or self.private_key):
            raise ValueError("NatsSecurity takes certificates, or a context that has them, but not both.")
        if (self.user is None) != (self.password is None):
            raise ValueError("NatsSecurity needs user and password, or neither of them.")
        ways = [way for way in (self.token, self.user, self.nkey_seed, self.credentials) if way is not None]
        if len(ways) > 1:
            raise ValueError("NatsSecurity takes one of: token, user and password, nkey_seed, credentials.")
        if self.token == "":
            raise ValueError("The bearer token is empty.")
        if self.nkey_seed is not None:
            public_key(self.nkey_seed)

    @property
    def encrypted(self) -> bool:
        """Whether the connection must be encrypted."""
        return (
            bool(self.tls) or self.root_certificates is not None or self.private_key is not None or self.handshake_first
        )

    def connect_options(self) -> dict[str, Any]:
        """Return keyword arguments for `nats.connect`.

        A private key is written to a file for a moment, as `ssl` asks for that; only the process's user can read it.

        Raises:
            ValueError: A certificate or key is not PEM, or they do not belong together; or the credentials are none.
            OSError: The credentials file cannot be read.
        """
        options: dict[str, Any] = {}
        who: str | None = None
        if self.encrypted:
            options["tls"] = self._context()
            options["tls_handshake_first"] = self.handshake_first
            if self.server_name is not None:
                options["tls_hostname"] = self.server_name
        if self.token is not None:
            seed = seed_of_token(self.token)
            # The token itself is for servers with a single one: they do not ask for a signature.
            options |= {"nkeys_seed_str": seed, "token": self.token}
            who = public_key(seed)
        elif self.nkey_seed is not None:
            options["nkeys_seed_str"] = self.nkey_seed.strip()
            who = public_key(self.nkey_seed)
        elif self.user is not None:
            options |= {"user": self.user, "password": self.password}
            who = self.user
        elif self.credentials is not None:
            _check_credentials(Path(self.credentials))
            options["user_credentials"] = os.fspath(self.credentials)
        options["inbox_prefix"] = inbox_of(who if self.own_inbox else None)
        return options

    def _context(self) -> ssl.SSLContext:
        if isinstance(self.tls, ssl.SSLContext):
            return self.tls
        try:
            roots = None if self.root_certificates is None else self.root_certificates.decode("ascii")
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=roots)
            if self.private_key is not None and self.certificate_chain is not None:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder, "worker.pem")
                    path.touch(mode=0o600)
                    path.write_bytes(self.private_key.rstrip() + b"\n" + self.certificate_chain)
                    # An encrypted key is an error here, and no question on the terminal.
                    context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, UnicodeDecodeError) as error:
            raise ValueError(f"The certificates of NatsSecurity cannot be used: {error}.") from error
        return context


def _check_credentials(path: Path) -> None:
    """See that the marks are there which nats-py looks for; without them it would look for ever."""
    text = path.read_text(errors="replace")
    for mark in ("BEGIN NATS USER JWT", "BEGIN USER NKEY SEED"):
        if mark not in text:
            raise ValueError(f"{path} is no NATS credentials file: it has no line with {mark!r}.")


def _no_password() -> str:
    raise ValueError("The private key of NatsSecurity is encrypted; give it without a password.")
