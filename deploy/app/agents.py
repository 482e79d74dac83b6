"""The agents that the manifests run, to be replaced by yours: `agents:experts` answers questions, `agents:clerks` ask them.

`worker` calls each function that it is told with a started runtime; which one that is, the agents do not know.
"""

from dataclasses import dataclass

from autogen_core import AgentId, AgentRuntime, MessageContext, RoutedAgent, message_handler
from autogen_core import try_get_known_serializers_for_type as serializers


@dataclass
class Question:
    """What somebody wants to know."""

    text: str


@dataclass
class Answer:
    """What somebody knows."""

    text: str


class Expert(RoutedAgent):
    """Knows how long words are."""

    def __init__(self) -> None:
        super().__init__("knows how long words are")

    @message_handler
    async def answer(self, message: Question, ctx: MessageContext) -> Answer:
        """Answer a question."""
        return Answer(f"{message.text!r} has {len(message.text)} letters")


class Clerk(RoutedAgent):
    """Takes questions, and passes them on to an expert, wherever that lives."""

    def __init__(self) -> None:
        super().__init__("passes questions on")

    @message_handler
    async def ask(self, message: Question, ctx: MessageContext) -> Answer:
        """Ask the expert for the first letter."""
        expert = AgentId("expert", message.text[:1].lower() or "none")
        return await self.send_message(message, expert, cancellation_token=ctx.cancellation_token)


async def experts(runtime: AgentRuntime) -> None:
    """Register the experts."""
    await Expert.register(runtime, "expert", Expert)
    runtime.add_message_serializer(serializers(Answer))


async def clerks(runtime: AgentRuntime) -> None:
    """Register the clerks."""
    await Clerk.register(runtime, "clerk", Clerk)
    runtime.add_message_serializer(serializers(Answer))
