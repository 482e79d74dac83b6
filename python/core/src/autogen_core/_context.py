"""Ambient values: what the code of an agent may ask about the call it stands in. Stands on identities.

One helper, `Ambient`, and the three public contexts as its faces. Values live in context variables, so each task sees its own.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from autogen_core._identity import AgentId, AgentType

if TYPE_CHECKING:
    from autogen_core._contracts import AgentRuntime

T = TypeVar("T")


class Ambient(Generic[T]):
    """A value that is set for the duration of a block, and seen by all code the block calls."""

    def __init__(self, name: str, where: str) -> None:
        self.variable: ContextVar[T] = ContextVar(name)
        self._where = where

    @contextmanager
    def populate(self, value: T) -> Generator[None, Any, None]:
        """Set the value within the block."""
        token = self.variable.set(value)
        try:
            yield
        finally:
            self.variable.reset(token)

    def get(self, asked: str) -> T:
        """Return the value.

        Raises:
            RuntimeError: Called outside of a block that sets it.
        """
        try:
            return self.variable.get()
        except LookupError:
            raise RuntimeError(f"{asked} is known only {self._where}.") from None


class _Static:
    def __init__(self) -> None:
        raise RuntimeError(f"{type(self).__name__} is used through its class methods; it has no instances.")


class MessageHandlerContext(_Static):
    """Which agent is handling a message in the current task."""

    ambient: ClassVar[Ambient[AgentId]] = Ambient("message_handler", "while an agent handles a message")

    @classmethod
    @contextmanager
    def populate_context(cls, ctx: AgentId) -> Generator[None, Any, None]:
        """Let `agent_id` return `ctx` within the block."""
        with cls.ambient.populate(ctx):
            yield

    @classmethod
    def agent_id(cls) -> AgentId:
        """Return the agent that is handling a message.

        Raises:
            RuntimeError: No message is being handled.
        """
        return cls.ambient.get("MessageHandlerContext.agent_id()")


class AgentInstantiationContext(_Static):
    """For which runtime and under which id an agent is being made."""

    ambient: ClassVar[Ambient[tuple["AgentRuntime", AgentId]]] = Ambient(
        "agent_instantiation", "while a runtime calls an agent's factory"
    )

    @classmethod
    @contextmanager
    def populate_context(cls, ctx: tuple["AgentRuntime", AgentId]) -> Generator[None, Any, None]:
        """Let `current_runtime` and `current_agent_id` return the parts of `ctx` within the block."""
        with cls.ambient.populate(ctx):
            yield

    @classmethod
    def current_runtime(cls) -> "AgentRuntime":
        """Return the runtime that is making an agent.

        Raises:
            RuntimeError: Not called from a factory that a runtime called.
        """
        return cls.ambient.get("AgentInstantiationContext.current_runtime()")[0]

    @classmethod
    def current_agent_id(cls) -> AgentId:
        """Return the id of the agent that is being made.

        Raises:
            RuntimeError: Not called from a factory that a runtime called.
        """
        return cls.ambient.get("AgentInstantiationContext.current_agent_id()")[1]

    @classmethod
    def is_in_factory_call(cls) -> bool:
        """Tell whether a runtime is making an agent here."""
        return cls.ambient.variable.get(None) is not None


class SubscriptionInstantiationContext(_Static):
    """For which agent type subscriptions are being made."""

    ambient: ClassVar[Ambient[AgentType]] = Ambient(
        "subscription_instantiation", "while an agent class is registered with a runtime"
    )

    @classmethod
    @contextmanager
    def populate_context(cls, ctx: AgentType) -> Generator[None, Any, None]:
        """Let `agent_type` return `ctx` within the block."""
        with cls.ambient.populate(ctx):
            yield

    @classmethod
    def agent_type(cls) -> AgentType:
        """Return the agent type that subscriptions are made for.

        Raises:
            RuntimeError: Not called while a class is registered.
        """
        return cls.ambient.get("SubscriptionInstantiationContext.agent_type()")
