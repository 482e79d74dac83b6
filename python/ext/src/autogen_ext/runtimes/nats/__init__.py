"""A durable runtime on NATS JetStream, and the server for development, tests and single hosts."""

from importlib.util import find_spec

if find_spec("nats") is None:
    raise ImportError('The NATS runtime needs an extra: pip install "autogen-ext[nats]"')

from ._connection import NatsConnectionError, SubjectNotPermittedError, UntrustedServerError
from ._dead_letters import DeadLetter
from ._runtime import NatsAgentRuntime
from ._security import NatsSecurity
from ._server import NatsServer
from ._server_cluster import NatsCluster
from ._server_config import (
    NatsAccount,
    NatsExport,
    NatsImport,
    NatsLeafListen,
    NatsLeafRemote,
    NatsRights,
    NatsServerOptions,
    NatsTls,
    NatsUser,
)
from ._server_process import NatsServerError, NatsServerMissingError

__all__ = [
    "DeadLetter",
    "NatsAccount",
    "NatsAgentRuntime",
    "NatsCluster",
    "NatsConnectionError",
    "NatsExport",
    "NatsImport",
    "NatsLeafListen",
    "NatsLeafRemote",
    "NatsRights",
    "NatsSecurity",
    "NatsServer",
    "NatsServerError",
    "NatsServerMissingError",
    "NatsServerOptions",
    "NatsTls",
    "NatsUser",
    "SubjectNotPermittedError",
    "UntrustedServerError",
]
