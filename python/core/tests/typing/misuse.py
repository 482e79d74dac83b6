"""Mistakes. A type checker must find one on each line that says `wrong`, and on no other. Never run."""

from typing import Self

from pydantic import BaseModel

from autogen_core import (
    AgentId,
    Component,
    ComponentBase,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    event,
    message_handler,
    rpc,
)
from autogen_core.tools import FunctionTool


class Handlers(RoutedAgent):
    """Handlers of a wrong form."""

    @message_handler  # wrong: the context is missing
    async def no_context(self, message: str) -> None:
        """Take two parameters."""

    @message_handler  # wrong: not async
    def not_async(self, message: str, ctx: MessageContext) -> None:
        """Do not wait."""

    @event  # wrong: an event handler answers nobody
    async def answers(self, message: str, ctx: MessageContext) -> str:
        """Answer."""
        return message

    @rpc(match="text")  # wrong: match is a function
    async def matched(self, message: str, ctx: MessageContext) -> str:
        """Answer."""
        return message

    @message_handler(strict="yes")  # wrong: strict is a bool
    async def lenient(self, message: str, ctx: MessageContext) -> str:
        """Answer."""
        return message


class Config(BaseModel):
    """A configuration."""

    name: str


class Other(BaseModel):
    """Another one."""


class Wrong(ComponentBase[BaseModel], Component[Config]):
    """A component that mixes its configurations up."""

    component_type = "x"
    component_config_schema = Other  # wrong: not the declared configuration

    def _to_config(self) -> str:  # wrong: not a configuration
        return ""

    @classmethod
    def _from_config(cls, config: Other) -> Self:  # wrong: another configuration
        return cls()


async def main(runtime: SingleThreadedAgentRuntime, handlers: Handlers) -> None:
    """Send and register in wrong ways."""
    await runtime.send_message("x", "agent/key")  # wrong: a text is no id
    await runtime.send_message("x", TopicId("t", "s"))  # wrong: a topic is published to
    await runtime.publish_message("x", AgentId("a", "k"))  # wrong: an agent is sent to
    await runtime.publish_message("x")  # wrong: no topic
    await runtime.send_message("x", AgentId("a", "k"), sender="b/k")  # wrong: a text is no id
    await handlers.send_message("x", AgentId("a", "k"), cancellation_token=True)  # wrong: no token
    await Handlers.register(runtime, "a", Handlers("made already"))  # wrong: an agent is no factory
    await Handlers.register(runtime, AgentId("a", "k"), lambda: Handlers("x"))  # wrong: an id is no type
    SingleThreadedAgentRuntime(intervention_handlers=["x"])  # wrong: no handler
    FunctionTool("x", description="y")  # wrong: a text is no function
    AgentId("a")  # wrong: no key
    runtime.start("now")  # wrong: takes nothing
