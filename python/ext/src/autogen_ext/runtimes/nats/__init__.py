"""A durable runtime on NATS JetStream, and the server for development, tests and single hosts."""

from ._dead_letters import DeadLetter
from ._runtime import NatsAgentRuntime
from ._security import NatsSecurity
from ._server import NatsServer

__all__ = ["DeadLetter", "NatsAgentRuntime", "NatsSecurity", "NatsServer"]
