"""Agents in several processes, over gRPC: a host, and workers that host the agents; on the wire of AutoGen 0.7.5."""

from importlib import import_module

try:
    import_module("grpc.aio")
    import_module("google.protobuf")
except ImportError as error:
    raise ImportError('The gRPC runtime needs an extra: pip install "autogen-ext[grpc]"') from error

from ._host import GrpcWorkerAgentRuntimeHost
from ._registry import RegistrationRefusedError
from ._security import HostSecurity, WorkerRights, WorkerSecurity
from ._servicer import GrpcWorkerAgentRuntimeHostServicer
from ._worker import GrpcWorkerAgentRuntime

__all__ = [
    "GrpcWorkerAgentRuntime",
    "GrpcWorkerAgentRuntimeHost",
    "GrpcWorkerAgentRuntimeHostServicer",
    "HostSecurity",
    "RegistrationRefusedError",
    "WorkerRights",
    "WorkerSecurity",
]
