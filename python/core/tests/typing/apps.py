"""What users write. Type checkers accept it in their strict modes, without a single ignore."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel

from autogen_core import (
    AgentId,
    CancellationToken,
    ClosureAgent,
    ClosureContext,
    Component,
    ComponentBase,
    ComponentModel,
    DefaultInterventionHandler,
    DefaultSubscription,
    DefaultTopicId,
    DropMessage,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    default_subscription,
    event,
    message_handler,
    rpc,
    type_subscription,
)
from autogen_core.tools import BaseTool, FunctionTool


@dataclass
class Question:
    """A question."""

    text: str


@dataclass
class Answer:
    """Its answer."""

    text: str


def is_long(message: Question, ctx: MessageContext) -> bool:
    """Tell whether a question is long."""
    return len(message.text) > 10


@default_subscription
class Clerk(RoutedAgent):
    """Answers questions, and hears answers."""

    def __init__(self, name: str) -> None:
        super().__init__("a clerk")
        self.name = name

    @message_handler
    async def answer(self, message: Question, ctx: MessageContext) -> Answer:
        """Answer a question."""
        return Answer(message.text + self.name)

    @message_handler(match=is_long)
    async def answer_long(self, message: Question, ctx: MessageContext) -> Answer:
        """Answer a long question."""
        return Answer("too long")

    @event
    async def hear(self, message: Answer, ctx: MessageContext) -> None:
        """Hear an answer."""
        await self.publish_message(message, DefaultTopicId(), cancellation_token=ctx.cancellation_token)

    @rpc
    async def count(self, message: int | str, ctx: MessageContext) -> int | None:
        """Count."""
        return len(message) if isinstance(message, str) else None


@type_subscription("news")
class Reader(RoutedAgent):
    """Reads the news."""

    @event
    async def read(self, news: str, about: MessageContext) -> None:
        """Ask a clerk."""
        answer = await self.send_message(Question(news), AgentId("clerk", self.id.key))
        assert isinstance(answer, Answer)


class Guard(DefaultInterventionHandler):
    """Lets no empty question pass."""

    async def on_send(
        self, message: Any, *, message_context: MessageContext, recipient: AgentId
    ) -> Any | type[DropMessage]:
        """Drop it."""
        return DropMessage if message == Question("") else message


class GreeterConfig(BaseModel):
    """The configuration of a greeter."""

    name: str


class Greeter(ComponentBase[BaseModel], Component[GreeterConfig]):
    """A component."""

    component_type = "greeter"
    component_config_schema = GreeterConfig

    def __init__(self, name: str) -> None:
        self.name = name

    def _to_config(self) -> GreeterConfig:
        return GreeterConfig(name=self.name)

    @classmethod
    def _from_config(cls, config: GreeterConfig) -> Self:
        return cls(config.name)


class AddArgs(BaseModel):
    """Two numbers."""

    a: int
    b: int


class Sum(BaseModel):
    """Their sum."""

    value: int


class Add(BaseTool[AddArgs, Sum]):
    """A tool."""

    def __init__(self) -> None:
        super().__init__(AddArgs, Sum, "add", "Add two numbers.")

    async def run(self, args: AddArgs, cancellation_token: CancellationToken) -> Sum:
        """Add."""
        return Sum(value=args.a + args.b)


async def weather(city: Annotated[str, "which city"]) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


async def main() -> None:
    """Use it all."""
    runtime = SingleThreadedAgentRuntime(intervention_handlers=[Guard()], ignore_unhandled_exceptions=False)
    await Clerk.register(runtime, "clerk", lambda: Clerk("!"))
    await Reader.register(runtime, type="reader", factory=lambda: Reader("a reader"))
    heard: list[Answer] = []

    async def collect(agent: ClosureContext, message: Answer, ctx: MessageContext) -> None:
        heard.append(message)

    await ClosureAgent.register_closure(runtime, "collect", collect, subscriptions=lambda: [DefaultSubscription()])
    await runtime.add_subscription(TypeSubscription("questions", "clerk"))
    runtime.start()
    answer: Answer = await runtime.send_message(Question("q"), AgentId("clerk", "k"))
    await runtime.publish_message(answer, TopicId("default", "s"))
    clerk = await runtime.try_get_underlying_agent_instance(AgentId("clerk", "k"), Clerk)
    assert clerk.name == "!"
    await runtime.stop_when_idle()
    tool = FunctionTool(weather, description="Tell the weather.")
    assert await tool.run_json({"city": "Rome"}, CancellationToken()) == "sunny in Rome"
    total = await Add().run(AddArgs(a=1, b=2), CancellationToken())
    assert total.value == 3
    saved: ComponentModel = Greeter("x").dump_component()
    assert Greeter.load_component(saved).name == "x"


if __name__ == "__main__":
    asyncio.run(main())
