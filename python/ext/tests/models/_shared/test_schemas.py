from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from openai.lib import _pydantic as sdk
from pydantic import BaseModel, Field

from autogen_ext.models._shared._schemas import strict_json_schema


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    """Something inside."""

    count: int = Field(default=1, ge=0, description="How many")
    colour: Colour = Colour.RED


class Tree(BaseModel):
    value: int
    branches: list["Tree"] = []
    parent: "Tree | None" = None


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]
    default: int | None = None


class Everything(BaseModel):
    plain: Inner
    described: Inner = Field(description="With a text beside the reference")
    either: Annotated[Inner | Tree, Field(description="One of two")]
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    table: dict[str, Inner]
    numbers: dict[str, int] = {}
    pair: tuple[int, str]
    word: Literal["a", "b"] = "a"
    maybe: Inner | None = None
    anything: Any = None
    examples: list[str] = Field(examples=[{"type": "object"}], default_factory=list[str])
    properties: int


@pytest.mark.parametrize("model", [Inner, Tree, Everything])
def test_schemas_are_those_that_the_vendor_makes(model: type[BaseModel]) -> None:
    """The server accepts what the vendor's SDK sends, so ours must not differ; ours needs no private module of it."""
    assert strict_json_schema(model) == sdk.to_strict_json_schema(model)


class Chain(BaseModel):
    following: "Chain" = Field(description="The same again")


def test_a_class_that_refers_to_itself_with_a_description_ends() -> None:
    """Where it comes back to itself the reference stays, and the description has to go."""
    assert strict_json_schema(Chain)["properties"]["following"] == {"$ref": "#/$defs/Chain"}


def test_making_a_strict_schema_does_not_change_the_class() -> None:
    before = Inner.model_json_schema()
    strict_json_schema(Inner)
    assert Inner.model_json_schema() == before
