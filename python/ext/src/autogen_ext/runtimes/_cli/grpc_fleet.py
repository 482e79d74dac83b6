"""Workers of the gRPC runtime, by what the arguments say. Stands on `autogen_ext.runtimes.grpc`, loaded when asked for."""

import argparse
import logging
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from .errors import UsageError, extra_needed
from .fleet import Fleet
from .values import file_bytes, secret

if TYPE_CHECKING:
    from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, WorkerSecurity

_logger = logging.getLogger("autogen")

_NOT_FOR_GRPC = ("namespace", "pool", "stateless", "user", "password_file", "nkey_file", "credentials", "shared_inbox")


def grpc_fleet(options: argparse.Namespace, urls: list[SplitResult]) -> "Fleet[GrpcWorkerAgentRuntime]":
    """Return the fleet of a host; raises `UsageError` if an argument does not fit."""
    with extra_needed("grpc"):
        import grpc

        from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime

    for name in _NOT_FOR_GRPC:
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} is for NATS only; the worker connects to a gRPC host.")
    if len(urls) != 1:
        raise UsageError("A gRPC worker connects to one host, such as grpc://host:50051.")
    url = urls[0]
    security = _security(options, tls=url.scheme == "grpcs")
    config = [("grpc.max_receive_message_length", options.max_message_bytes)] if options.max_message_bytes else []

    def make() -> GrpcWorkerAgentRuntime:
        return GrpcWorkerAgentRuntime(
            url.netloc,
            extra_grpc_config=config,
            security=security,
            timeout=options.timeout,
            shared_types=options.shared,
            drain_timeout=options.drain_timeout,
        )

    def may_come(error: Exception) -> bool:
        later = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        return isinstance(error, grpc.aio.AioRpcError) and error.code() in later

    return Fleet(address=url.geturl(), make=make, connected=lambda worker: worker.ready, may_come=may_come)


def _security(options: argparse.Namespace, *, tls: bool) -> "WorkerSecurity":
    from autogen_ext.runtimes.grpc import WorkerSecurity

    if not tls and (options.ca or options.certificate or options.key):
        raise UsageError("--ca, --certificate and --key are for TLS: connect to grpcs://host:port.")
    token = secret(options.token_file, "AUTOGEN_TOKEN", "token")
    if token is not None and not tls:
        _logger.warning("the token travels in plain text: connect to grpcs://host:port")
    try:
        return WorkerSecurity(
            tls=tls,
            root_certificates=file_bytes(options.ca, "authority"),
            private_key=file_bytes(options.key, "private key"),
            certificate_chain=file_bytes(options.certificate, "certificate"),
            token=token,
        )
    except ValueError as error:
        raise UsageError(f"{error} They are --key, --certificate and the token.") from error
