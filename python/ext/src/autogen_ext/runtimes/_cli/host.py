"""`host`: where the workers of the gRPC runtime meet. Stands on `autogen_ext.runtimes.grpc`, loaded when it runs."""

import argparse
import asyncio
import logging
from typing import TYPE_CHECKING

from .errors import CommandError, UsageError, extra_needed
from .health import Address
from .life import living
from .nats_fleet import gateway_runtimes
from .values import Rights, file_bytes, here, rights

if TYPE_CHECKING:
    from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost, HostSecurity, WorkerRights

_logger = logging.getLogger("autogen")


def run_host(options: argparse.Namespace) -> None:
    """Serve until the process is told to end, then let workers finish the calls they are in."""
    with extra_needed("grpc"):
        from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost
    gateway = None if options.gateway is None else gateway_runtimes(options)
    config = [("grpc.max_receive_message_length", options.max_message_bytes)] if options.max_message_bytes else []
    host = GrpcWorkerAgentRuntimeHost(str(options.listen), config, security=_security(options), gateway=gateway)
    asyncio.run(_serve(host, options))


async def _serve(host: "GrpcWorkerAgentRuntimeHost", options: argparse.Namespace) -> None:
    async with living(options.health) as life:
        try:
            host.start()
        except RuntimeError as error:
            raise CommandError(
                f"The host cannot listen on {options.listen}: not an address of this machine, or in use."
            ) from error
        try:
            _logger.info("the host listens on %s", Address(options.listen.host, host.port))
            life.connected = lambda: host.ready
            await life.work()
        finally:
            await life.drain(host.stop(round(options.drain_timeout)), options.drain_timeout)


def _security(options: argparse.Namespace) -> "HostSecurity | None":
    from autogen_ext.runtimes.grpc import HostSecurity, WorkerRights

    tokens = rights(options.tokens, "tokens")
    certificates = rights(options.certificate_names, "certificate names")
    private_key, chain = file_bytes(options.key, "private key"), file_bytes(options.certificate, "certificate")
    authority = file_bytes(options.client_ca, "workers' authority")
    if tokens is None and private_key is None and chain is None and authority is None and certificates is None:
        if not here(options.listen.host):
            _logger.warning(
                "everybody who reaches %s may do everything: give --certificate, --key and --tokens", options.listen
            )
        return None
    if tokens is not None and private_key is None:
        _logger.warning("tokens travel in plain text: give --certificate and --key")

    def granted(by: dict[str, Rights] | None) -> "dict[str, WorkerRights] | None":
        return None if by is None else {name: WorkerRights(**entry) for name, entry in by.items()}

    try:
        return HostSecurity(
            private_key=private_key,
            certificate_chain=chain,
            client_root_certificates=authority,
            tokens=granted(tokens),
            certificates=granted(certificates),
        )
    except ValueError as error:
        raise UsageError(f"{error} They are --key, --certificate, --client-ca and --certificate-names.") from error
