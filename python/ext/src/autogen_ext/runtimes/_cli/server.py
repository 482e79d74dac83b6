"""`server`: a NATS server for development and for a single machine. Stands on `NatsServer`, loaded when it runs."""

import argparse
import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CommandError, UsageError, extra_needed
from .life import Life, living
from .values import file_bytes, here, rights

if TYPE_CHECKING:
    from autogen_ext.runtimes.nats._server import NatsServer
    from autogen_ext.runtimes.nats._server_config import NatsRights, NatsTls, NatsUser

_logger = logging.getLogger("autogen")

_STOP_S = 10.0
_LOOK_S = 0.5


def run_server(options: argparse.Namespace) -> None:
    """Serve until the process is told to end, or the server's own process ends."""
    with extra_needed("nats"):
        from autogen_ext.runtimes.nats._server import NatsServer
    from autogen_ext.runtimes.nats._server_config import NatsServerOptions

    tls, users = _tls(options), _users(options)
    if not users and not here(options.host):
        _logger.warning("everybody who reaches %s may do everything: give --tokens or --nkeys", options.host)
    limits = {"max_payload": options.max_message_bytes} if options.max_message_bytes else {}
    try:
        how = NatsServerOptions(host=options.host, tls=tls, users=users, **limits)
    except ValueError as error:
        raise UsageError(str(error)) from error
    store = None if options.store is None else Path(options.store)
    server = NatsServer(how, store_dir=store, port=options.port, stop_timeout=_STOP_S)
    asyncio.run(_serve(server, options))


async def _serve(server: "NatsServer", options: argparse.Namespace) -> None:
    from autogen_ext.runtimes.nats._server_process import NatsServerError

    async with living(options.health) as life:
        life.connected = lambda: server.running
        try:
            await life.starting(server.start())
            _logger.info("the server listens on %s", server.url)
            await _work(life, server)
        except (NatsServerError, OSError) as error:
            raise CommandError(str(error)) from error
        finally:
            await life.drain(server.close(), _STOP_S)


async def _work(life: Life, server: "NatsServer") -> None:
    working, watching = asyncio.create_task(life.work()), asyncio.create_task(_ended(server))
    try:
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            lines = server.log().strip().splitlines()
            raise CommandError(f"The NATS server ended by itself. Its last word: {lines[-1] if lines else 'none'}")
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.wait([working, watching])


async def _ended(server: "NatsServer") -> None:
    while server.running:  # noqa: ASYNC110 - nobody tells of a process's end
        await asyncio.sleep(_LOOK_S)


def _tls(options: argparse.Namespace) -> "NatsTls | None":
    from autogen_ext.runtimes.nats._server_config import NatsTls

    private_key, chain = file_bytes(options.key, "private key"), file_bytes(options.certificate, "certificate")
    authority = file_bytes(options.client_ca, "clients' authority")
    if private_key is None and chain is None and authority is None:
        return None
    if private_key is None or chain is None:
        raise UsageError("TLS needs --certificate and --key, both of them.")
    return NatsTls(certificate_chain=chain, private_key=private_key, client_root_certificates=authority)


def _users(options: argparse.Namespace) -> "tuple[NatsUser, ...]":
    from autogen_ext.runtimes.nats._server_config import NatsRights, NatsUser

    def of(path: str | None, what: str) -> "dict[str, NatsRights | None]":
        granted = rights(path, what) or {}
        return {
            name: NatsRights(namespace=options.namespace or "autogen", **entry) if entry else None
            for name, entry in granted.items()
        }

    try:
        by_token = [NatsUser(token=token, rights=granted) for token, granted in of(options.tokens, "tokens").items()]
        by_nkey = [NatsUser(nkey=nkey, rights=granted) for nkey, granted in of(options.nkeys, "nkeys").items()]
    except ValueError as error:
        raise UsageError(str(error)) from error
    return (*by_token, *by_nkey)
