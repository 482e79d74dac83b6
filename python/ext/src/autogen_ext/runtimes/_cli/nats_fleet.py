"""Workers of the NATS runtime, by what the arguments say. Stands on `autogen_ext.runtimes.nats`, loaded when asked for."""

import argparse
import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from autogen_core.exceptions import NotPermittedError

from .errors import UsageError, extra_needed
from .fleet import Fleet
from .values import file_bytes, secret

if TYPE_CHECKING:
    from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsSecurity

_logger = logging.getLogger("autogen")

_GATEWAY_DRAIN_S = 2.0

_NOT_FOR_NATS = ("shared", "max_message_bytes")


def nats_fleet(options: argparse.Namespace, urls: list[SplitResult]) -> "Fleet[NatsAgentRuntime]":
    """Return the fleet of a server or cluster; raises `UsageError` if an argument does not fit."""
    with extra_needed("nats"):
        from autogen_ext.runtimes.nats import NatsAgentRuntime
    for name in _NOT_FOR_NATS:
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} is for gRPC only; the worker connects to a NATS server.")
    security = _security(options, tls=any(url.scheme == "tls" for url in urls))
    servers = [url.geturl() for url in urls]

    def make() -> NatsAgentRuntime:
        return NatsAgentRuntime(
            servers,
            namespace=options.namespace or "autogen",
            pool=options.pool,
            stateless_types=options.stateless,
            security=security,
            timeout=options.timeout,
            drain_timeout=options.drain_timeout,
        )

    def may_come(error: Exception) -> bool:
        return isinstance(error, OSError) and not isinstance(error, NotPermittedError)

    return Fleet(
        address=",".join(servers),
        make=make,
        connected=lambda worker: worker.ready,
        may_come=may_come,
        new_loop=_fast_loop(),
    )


def gateway_runtimes(options: argparse.Namespace) -> "Callable[[], NatsAgentRuntime]":
    """Return what makes the runtimes that a host passes on to; raises `UsageError` if an argument does not fit."""
    with extra_needed("nats"):
        from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsSecurity
    servers = options.gateway.split(",")
    if not all(url.startswith(("nats://", "tls://")) for url in servers):
        raise UsageError(f"{options.gateway!r} is no gateway. Expected nats://host:port, or tls://host:port.")
    try:
        security = NatsSecurity(
            tls=any(url.startswith("tls://") for url in servers),
            root_certificates=file_bytes(options.gateway_ca, "server's authority"),
            token=secret(options.gateway_token_file, "AUTOGEN_GATEWAY_TOKEN", "gateway's token"),
            credentials=options.gateway_credentials,
        )
    except ValueError as error:
        raise UsageError(f"{error} They are --gateway-token-file and --gateway-credentials.") from error

    def make() -> NatsAgentRuntime:
        return NatsAgentRuntime(
            servers,
            namespace=options.gateway_namespace,
            security=security,
            drain_timeout=min(options.drain_timeout, _GATEWAY_DRAIN_S),
        )

    return make


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's event loop where it is installed: a message then costs the client less."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _security(options: argparse.Namespace, *, tls: bool) -> "NatsSecurity":
    from autogen_ext.runtimes.nats import NatsSecurity

    if not tls and (options.ca or options.certificate or options.key):
        raise UsageError("--ca, --certificate and --key are for TLS: connect to tls://host:port.")
    token = secret(options.token_file, "AUTOGEN_TOKEN", "token")
    password = secret(options.password_file, "AUTOGEN_PASSWORD", "password") if options.user else None
    if not tls and (token or password):
        _logger.warning("the token or password travels in plain text: connect to tls://host:port")
    try:
        return NatsSecurity(
            tls=tls,
            root_certificates=file_bytes(options.ca, "authority"),
            private_key=file_bytes(options.key, "private key"),
            certificate_chain=file_bytes(options.certificate, "certificate"),
            token=token,
            user=options.user,
            password=password,
            nkey_seed=secret(options.nkey_file, "AUTOGEN_NKEY", "nkey seed"),
            credentials=options.credentials,
            own_inbox=not options.shared_inbox,
        )
    except ValueError as error:
        raise UsageError(
            f"{error} They are --key, --certificate, --token-file, --user, --nkey-file, --credentials."
        ) from error
