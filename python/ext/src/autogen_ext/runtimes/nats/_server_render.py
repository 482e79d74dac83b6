"""The configuration file of a NATS server, from the options. Stands on rights and keys; starts nothing.

The server's language contains JSON, so the file is JSON. What is secret is in files that only the process's user can read.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ._security import inbox_of, public_key, seed_of_token
from ._server_config import (
    NatsAccount,
    NatsClusterMember,
    NatsImport,
    NatsLeafListen,
    NatsLeafRemote,
    NatsServerOptions,
    NatsTls,
    NatsUser,
)
from ._server_rights import permissions

__all__ = ["ServerPorts", "write_config", "write_secret"]

_PATIENCE_S = 10
"""What a client has for its handshake and its name; the server's own two seconds are short on a busy machine."""


@dataclass(kw_only=True)
class ServerPorts:
    """Where a server listens; 0: on a free port."""

    client: int = 0
    monitoring: int = 0
    leaf: int = 0


def write_secret(path: Path, content: bytes) -> Path:
    """Write a file that only the process's user can read, also while it is written."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return path


def write_config(options: NatsServerOptions, ports: ServerPorts, store: Path, folder: Path) -> Path:
    """Write the configuration, and the certificates it names, into a folder; return the configuration's path."""
    config: dict[str, Any] = {
        "host": options.host,
        "port": _port(ports.client),
        "max_payload": options.max_payload,
        "max_connections": options.max_connections,
        "ping_interval": _seconds(options.ping_interval),
        "ping_max": options.max_pings,
    }
    if options.name is not None:
        config["server_name"] = options.name
    if options.monitoring:
        config["http"] = f"{_bracketed(options.host)}:{_port(ports.monitoring)}"
    if options.jetstream:
        config["jetstream"] = _jetstream(options, store)
    if options.tls is not None:
        config["tls"] = _tls(options.tls, folder, "server")
        if any(user.certificate is not None for user in options.everybody):
            config["tls"]["verify_and_map"] = True
    if options.users:
        config["authorization"] = {"timeout": _PATIENCE_S, "users": [_user(user) for user in options.users]}
    elif options.accounts:
        config["authorization"] = {"timeout": _PATIENCE_S}
        config["accounts"] = {account.name: _account(account) for account in options.accounts}
    if options.leaf_listen is not None or options.leaf_remotes:
        config["leafnodes"] = _leaves(options, ports, folder)
    if options.cluster is not None:
        config["cluster"] = _cluster(options.cluster, options.host)
    text = json.dumps(config, indent=1, ensure_ascii=False)
    return write_secret(folder / "server.conf", text.encode())


def _jetstream(options: NatsServerOptions, store: Path) -> dict[str, Any]:
    limits: dict[str, Any] = {"store_dir": str(store)}
    if options.jetstream_domain is not None:
        limits["domain"] = options.jetstream_domain
    if options.sync_interval is not None:
        limits["sync_interval"] = _seconds(options.sync_interval) if options.sync_interval else "always"
    if options.max_store is not None:
        limits["max_file_store"] = options.max_store
    if options.max_memory is not None:
        limits["max_memory_store"] = options.max_memory
    return limits


def _tls(tls: NatsTls, folder: Path, name: str) -> dict[str, Any]:
    written: dict[str, Any] = {
        "cert_file": str(write_secret(folder / f"{name}-certificate.pem", tls.certificate_chain)),
        "key_file": str(write_secret(folder / f"{name}-key.pem", tls.private_key)),
        "timeout": _PATIENCE_S,
    }
    if tls.client_root_certificates is not None:
        path = write_secret(folder / f"{name}-client-roots.pem", tls.client_root_certificates)
        written |= {"ca_file": str(path), "verify": True}
    if tls.handshake_first:
        written["handshake_first"] = True
    return written


def _user(user: NatsUser) -> dict[str, Any]:
    inbox: str | None
    if user.token is not None:
        inbox = public_key(seed_of_token(user.token))
        written: dict[str, Any] = {"nkey": inbox}
    elif user.nkey is not None:
        inbox = user.nkey
        written = {"nkey": inbox}
    elif user.certificate is not None:
        inbox = None  # the client does not know by which of its certificate's names it goes
        written = {"user": user.certificate}
    else:
        inbox = user.name
        written = {"user": user.name, "password": user.password}
    allowed = permissions(user.rights, inbox_of(inbox))
    return written if allowed is None else written | {"permissions": allowed}


def _account(account: NatsAccount) -> dict[str, Any]:
    written: dict[str, Any] = {"users": [_user(user) for user in account.users]}
    if account.jetstream:
        written["jetstream"] = "enabled"
    if account.exports:
        written["exports"] = [
            {one.kind: one.subject} | ({} if one.accounts is None else {"accounts": list(one.accounts)})
            for one in account.exports
        ]
    if account.imports:
        written["imports"] = [_import(one) for one in account.imports]
    return written


def _import(one: NatsImport) -> Mapping[str, Any]:
    written: dict[str, Any] = {one.kind: {"account": one.account, "subject": one.subject}}
    return written if one.to is None else written | {"to": one.to}


def _leaves(options: NatsServerOptions, ports: ServerPorts, folder: Path) -> dict[str, Any]:
    written: dict[str, Any] = {"reconnect": "1s"}
    listen: NatsLeafListen | None = options.leaf_listen
    if listen is not None:
        written |= {"host": listen.host, "port": _port(ports.leaf)}
        if listen.users:
            users = [
                {"user": name, "password": listen.passwords[name], "account": account}
                for name, account in listen.users.items()
            ]
            written["authorization"] = {"timeout": _PATIENCE_S, "users": users}
        if options.tls is not None:
            written["tls"] = _tls(options.tls, folder, "leaves")
    if options.leaf_remotes:
        written["remotes"] = [_remote(one, folder, number) for number, one in enumerate(options.leaf_remotes)]
    return written


def _remote(remote: NatsLeafRemote, folder: Path, number: int) -> dict[str, Any]:
    url = remote.url
    if remote.user is not None:
        scheme, _, rest = url.partition("://")
        url = f"{scheme}://{quote(remote.user, safe='')}:{quote(remote.password or '', safe='')}@{rest}"
    written: dict[str, Any] = {"urls": [url]}
    if remote.account is not None:
        written["account"] = remote.account
    if remote.root_certificates is not None:
        path = write_secret(folder / f"remote-{number}-roots.pem", remote.root_certificates)
        written["tls"] = {"ca_file": str(path), "timeout": _PATIENCE_S}
    return written


def _cluster(member: NatsClusterMember, host: str) -> dict[str, Any]:
    return {
        "name": member.name,
        "host": host,
        "port": member.port,
        "routes": [f"nats-route://{_bracketed(host)}:{port}" for port in member.members if port != member.port],
        "connect_retries": 1_000,
    }


def _port(port: int) -> int:
    return port or -1


def _seconds(seconds: float) -> str:
    return f"{max(round(seconds * 1000), 1)}ms"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
