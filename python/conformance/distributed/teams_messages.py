"""Scenarios for teams, each of which any runtime must play in the same way: messages that are more than text.

As in `teams_scenarios`: a scenario returns facts to be compared, and asserts what it is about.
"""

import typing
from typing import Any, Literal

from pydantic import BaseModel

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    BaseTextChatMessage,
    MultiModalMessage,
    StructuredMessage,
)
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken, Image

from .teams_cast import Cast, Facts, model, play


class Report(BaseModel):
    """What a structured answer holds."""

    title: str
    pages: int


async def structured_output(cast: Cast) -> Facts:
    """A structured answer arrives as an object of its class, and the others hear it."""
    kind = StructuredMessage[Report]
    author = await cast.seat(
        lambda: AssistantAgent("author", model('{"title": "Roses", "pages": 3}'), output_content_type=Report), kind
    )
    reader = await cast.seat(lambda: AssistantAgent("reader", model("Short.")), kind)
    team = RoundRobinGroupChat([author, reader], runtime=cast.runtime, max_turns=2, custom_message_types=[])
    result = await team.run(task="A report")
    answer = typing.cast("StructuredMessage[Report]", result.messages[1])
    assert type(answer) is kind
    assert answer.content == Report(title="Roses", pages=3)
    return [message.to_text() for message in result.messages]


class Price(BaseTextChatMessage):
    """A chat message of the program's own."""

    type: Literal["Price"] = "Price"
    amount: int


class Weighed(BaseAgentEvent):
    """An event of the program's own."""

    type: Literal["Weighed"] = "Weighed"
    grams: int

    def to_text(self) -> str:
        """Say the weight."""
        return f"{self.grams} g"


class Shop(BaseChatAgent):
    """Weighs, and answers with the price, raised by what it hears."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "names prices")

    @property
    def produced_message_types(self) -> list[type[BaseChatMessage]]:
        """Prices."""
        return [Price]

    async def on_messages(self, messages: Any, cancellation_token: CancellationToken) -> Response:
        """Name a price."""
        amount = 1 + sum(message.amount for message in messages if isinstance(message, Price))
        event = Weighed(grams=100 * amount, source=self.name)
        price = Price(content=f"{amount} kr", amount=amount, source=self.name, metadata={"currency": "NOK"})
        return Response(chat_message=price, inner_messages=[event])

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """There is nothing to forget."""


async def custom_messages(cast: Cast) -> Facts:
    """Types of the program's own cross as they are, messages as well as events."""
    seats = [await cast.seat(lambda name=name: Shop(name), Price, Weighed) for name in ("baker", "grocer")]
    team = RoundRobinGroupChat([*seats], runtime=cast.runtime, max_turns=3, custom_message_types=[Weighed])
    said = await play(team.run_stream(task=Price(content="2 kr", amount=2, source="user")))
    assert [one["amount"] for one in said[:-1] if one["type"] == "Price"] == [2, 3, 6, 7]
    assert [one["grams"] for one in said[:-1] if one["type"] == "Weighed"] == [300, 600, 700]
    return said


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Painter(BaseChatAgent):
    """Answers with an image, the one it was shown."""

    @property
    def produced_message_types(self) -> list[type[BaseChatMessage]]:
        """Images."""
        return [MultiModalMessage]

    async def on_messages(self, messages: Any, cancellation_token: CancellationToken) -> Response:
        """Show the image again."""
        images = [part for message in messages for part in message.content if isinstance(part, Image)]
        return Response(chat_message=MultiModalMessage(content=["Look:", *images], source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """There is nothing to forget."""


async def images(cast: Cast) -> Facts:
    """An image crosses in both directions, and reaches the model of another participant."""
    painter = await cast.seat(lambda: Painter("painter", "paints"))
    viewer = await cast.seat(lambda: AssistantAgent("viewer", model("A pixel.")))
    team = RoundRobinGroupChat([painter, viewer], runtime=cast.runtime, max_turns=2)
    task = MultiModalMessage(content=["See", Image.from_base64(PIXEL)], source="user")
    result = await team.run(task=task)
    answer = result.messages[1]
    assert isinstance(answer, MultiModalMessage)
    assert isinstance(answer.content[1], Image)
    assert answer.content[1].image.size == (1, 1)
    return [answer.content[1].to_base64(), *[one.to_text() for one in result.messages[1:]], result.stop_reason]
