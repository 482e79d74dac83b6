"""What may be a message: it arrives equal, whatever it is made of, and whichever way it went."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

import pytest
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import BaseModel, Field

from autogen_core import (
    AgentId,
    FunctionCall,
    Image,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    try_get_known_serializers_for_type,
)
from autogen_core.models import AssistantMessage, FunctionExecutionResult, UserMessage

from .runtimes import World, until


class Colour(Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Model(BaseModel):
    """A pydantic model with what models have."""

    text: str = "é☃🙂"
    number: float = 1.5
    maybe: int | None = None
    many: list[dict[str, int]] = Field(default_factory=lambda: [{"a": 1}])
    colour: Colour = Colour.BLUE
    when: datetime = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


@dataclass
class Inner:
    """A part of a message."""

    tags: list[str]


@dataclass
class Outer:
    """A dataclass with parts: dataclasses, a model, unions, defaults."""

    inner: Inner
    model: Model
    choice: int | str = "two"
    maybe: Inner | None = None
    table: dict[str, list[int]] = field(default_factory=lambda: {"a": [1, 2], "": []})
    when: datetime = datetime(2026, 1, 1, tzinfo=UTC)


class Left(BaseModel):
    """One of two."""

    kind: Literal["left"] = "left"
    number: int


class Right(BaseModel):
    """The other of two."""

    kind: Literal["right"] = "right"
    text: str


class Parcel(BaseModel):
    """A message with parts that are told apart by a field."""

    parts: list[Left | Right]


@dataclass
class Nothing:
    """A message without content."""


def struct() -> Struct:
    """Return a protobuf message with a content."""
    made = Struct()
    made.update({"a": 1, "b": ["x", None]})
    return made


MESSAGES: list[Any] = [
    Model(),
    Model(text="", maybe=5, many=[]),
    Outer(Inner(["x", "é"]), Model()),
    Outer(Inner([]), Model(), choice=2, maybe=Inner(["y"])),
    Parcel(parts=[Left(number=1), Right(text="x")]),
    Nothing(),
    StringValue(value="protobuf é"),
    StringValue(),
    struct(),
    FunctionCall("1", '{"a": 1}', "f"),
    UserMessage(content="hi", source="user"),
    UserMessage(
        content=[
            "look",
            Image.from_uri(
                "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
            ),
        ],
        source="user",
    ),
    AssistantMessage(content=[FunctionCall("1", "{}", "f")], source="a", thought="hm"),
    FunctionExecutionResult(content="8", name="f", call_id="1", is_error=False),
]
NAMES = [type(message).__name__ for message in MESSAGES]


class Echo(RoutedAgent):
    """Keeps what it gets, and sends it back."""

    def __init__(self, kept: list[Any]) -> None:
        super().__init__("echoes")
        self.kept = kept

    async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> Any:
        """Take everything."""
        self.kept.append(message)
        return message


async def echo(world: World, *kinds: type[Any]) -> list[Any]:
    """Register an echo and return what it will keep."""
    kept: list[Any] = []
    world.knows(*kinds)
    await Echo.register(world.agents, "echo", lambda: Echo(kept))
    await world.agents.add_subscription(TypeSubscription("news", "echo"))
    return kept


def content(message: Any) -> Any:
    """Return what two equal messages have in common; images are equal by their content."""
    return message.model_dump_json() if isinstance(message, BaseModel) else message


def kind_of(message: Any) -> type[Any]:
    """Return the class of a message."""
    return message.__class__


@pytest.mark.parametrize("message", MESSAGES, ids=NAMES)
async def test_a_message_and_its_answer_arrive_equal(world: World, message: Any) -> None:
    kept = await echo(world, kind_of(message))
    await world.runtime.send_message(message, AgentId("echo", "k"))
    (arrived,) = kept
    assert type(arrived) is type(message)
    assert content(arrived) == content(message)


@pytest.mark.parametrize("message", MESSAGES, ids=NAMES)
async def test_an_event_arrives_equal(world: World, message: Any) -> None:
    kept = await echo(world, kind_of(message))
    await world.runtime.publish_message(message, TopicId("news", "k"))
    await until(lambda: len(kept) == 1)
    assert type(kept[0]) is type(message)
    assert content(kept[0]) == content(message)


@pytest.mark.parametrize("size", [0, 1, 100_000, 1_000_000])
async def test_a_message_of_a_megabyte_goes_there_and_back(world: World, size: int) -> None:
    class Sizer(RoutedAgent):
        async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> Any:
            return Right(text=message.text)

    world.knows(Right)
    await Sizer.register(world.agents, "sizer", lambda: Sizer("returns"))
    answer = await world.runtime.send_message(Right(text="é" * (size // 2)), AgentId("sizer", "k"))
    assert answer == Right(text="é" * (size // 2))


async def test_an_event_of_a_megabyte_arrives(world: World) -> None:
    kept = await echo(world, Right)
    await world.runtime.publish_message(Right(text="x" * 1_000_000), TopicId("news", "k"))
    await until(lambda: kept == [Right(text="x" * 1_000_000)])


@pytest.mark.parametrize(
    "text", ["", "\x00", "line\r\nbreak", '"quoted" \\ and {braces}', "🙂" * 1000, "\u2028", "\ufeff"]
)
async def test_a_text_arrives_as_it_is(world: World, text: str) -> None:
    kept = await echo(world, Right)
    answer = await world.runtime.send_message(Right(text=text), AgentId("echo", "k"))
    assert answer == kept[0] == Right(text=text)


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 10**30])
async def test_a_number_arrives_as_it_is(world: World, number: int) -> None:
    kept = await echo(world, Left)
    await world.runtime.send_message(Left(number=number), AgentId("echo", "k"))
    assert kept == [Left(number=number)]


async def test_many_kinds_of_messages_go_to_one_agent(world: World) -> None:
    kept = await echo(world, *{kind_of(message) for message in MESSAGES})
    for message in MESSAGES:
        await world.runtime.publish_message(message, TopicId("news", "k"))
    await until(lambda: len(kept) == len(MESSAGES))
    assert [type(message).__name__ for message in kept] == NAMES


class Temperature:
    """A class that is neither dataclass nor model, with a serialiser of the program's own."""

    def __init__(self, kelvin: float) -> None:
        self.kelvin = kelvin


class TemperatureSerializer:
    """Writes a temperature as a number."""

    type_name = "Temperature"
    data_content_type = "application/json"

    def serialize(self, message: Temperature) -> bytes:
        """Write it."""
        return f"{message.kelvin}".encode()

    def deserialize(self, payload: bytes) -> Temperature:
        """Read it."""
        return Temperature(float(payload))


async def test_a_class_with_a_serialiser_of_its_own_is_a_message(world: World) -> None:
    kept: list[Any] = []
    for worker in {world.runtime, world.agents}:
        worker.add_message_serializer(TemperatureSerializer())
    await Echo.register(world.agents, "echo", lambda: Echo(kept))
    await world.agents.add_subscription(TypeSubscription("news", "echo"))
    answer = await world.runtime.send_message(Temperature(273.15), AgentId("echo", "k"))
    await world.runtime.publish_message(Temperature(300.0), TopicId("news", "k"))
    await until(lambda: len(kept) == 2)
    assert [one.kelvin for one in (answer, *kept)] == [273.15, 273.15, 300.0]


async def test_what_is_heard_may_be_passed_on_and_arrives_equal(world: World) -> None:
    """Also by a worker that does not know its class."""
    kept: list[Any] = []
    world.runtime.add_message_serializer(try_get_known_serializers_for_type(Right))

    class Relay(RoutedAgent):
        async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> Any:
            return await self.send_message(message, AgentId("echo", "k"))

    await Relay.register(world.agents, "relay", lambda: Relay("passes on"))
    await Echo.register(world.runtime, "echo", lambda: Echo(kept))
    assert await world.runtime.send_message(Right(text="é"), AgentId("relay", "k")) == Right(text="é")
    assert kept == [Right(text="é")]
