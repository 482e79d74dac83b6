import asyncio
import builtins
import copy
import sys
from dataclasses import dataclass
from typing import Any, Self

import pytest

from autogen_core import AgentId
from autogen_core.exceptions import RegistrationError, RemoteError, UndeliverableException
from autogen_ext.runtimes._shared.errors import describe, revive, type_name

AGENT = AgentId("a", "k")


def cross(error: BaseException) -> Exception:
    metadata: dict[str, str] = {}
    text = describe(error, metadata)
    assert text
    return revive(text, metadata, AGENT, "id")


def test_an_error_keeps_its_type_text_and_traceback() -> None:
    with pytest.raises(KeyError) as raised:
        {}["boom"]
    there = cross(raised.value)
    assert isinstance(there, RemoteError)
    assert isinstance(there, KeyError)
    assert there.type_name == "builtins.KeyError"
    assert str(there) == "KeyError: 'boom'"
    assert '{}["boom"]' in there.traceback
    assert there.recipient == AGENT
    assert '{}["boom"]' in there.__notes__[0]


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(builtins).values()
        if isinstance(kind, type) and issubclass(kind, BaseException) and kind.__name__ != "BaseExceptionGroup"
    ],
)
def test_each_error_of_python_crosses(kind: type[BaseException]) -> None:
    several: dict[type[BaseException], tuple[object, ...]] = {
        UnicodeDecodeError: ("utf-8", b"x", 0, 1, "bad"),
        UnicodeEncodeError: ("utf-8", "x", 0, 1, "bad"),
        UnicodeTranslateError: ("x", 0, 1, "bad"),
        ExceptionGroup: ("several", [ValueError("one")]),
    }
    there = cross(kind(*several.get(kind, ("text",))))
    assert isinstance(there, RemoteError)
    assert kind.__name__ in there.type_name or kind in {IOError, EnvironmentError}


def test_an_error_of_a_runtime_arrives_as_itself() -> None:
    there = cross(UndeliverableException.unknown_recipient(AGENT, {"b"}))
    assert type(there) is UndeliverableException
    assert there.recipient == AGENT


def test_an_error_without_a_text_still_is_one() -> None:
    """An empty text would be a success for a caller of 0.7.5."""
    metadata: dict[str, str] = {}
    assert describe(ValueError(), metadata) == "ValueError"
    assert str(revive("ValueError", metadata, AGENT, "id")) == "ValueError: "


def test_an_error_that_cannot_be_shown_still_is_one() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Broken" in str(cross(Broken()))


def test_an_error_of_the_reference_has_its_text_only() -> None:
    there = revive("'boom'", {}, AGENT, "id")
    assert type(there) is RemoteError
    assert str(there) == "'boom'"


def test_an_error_that_crosses_twice_keeps_its_first_type() -> None:
    assert type_name(cross(cross(KeyError("x")))) == "builtins.KeyError"


def test_a_long_text_is_shortened() -> None:
    there = cross(ValueError("x" * 1_000_000))
    assert len(str(there)) < 10_000


# Classes of a program's own


class OrderError(ValueError):
    """Made of more than a text, and counts those that are made."""

    made = 0

    def __init__(self, order: str, items: list[int], secret: object) -> None:
        super().__init__(f"order {order} cannot be served")
        OrderError.made += 1
        self.order = order
        self.items = items
        self._secret = secret
        self.odd = secret
        self.text = "its own"

    class NestedError(Exception):
        """Has a qualified name of two parts."""


@dataclass(frozen=True)
class FrozenError(OSError):
    number: int


class ClosedError(Exception):
    @property
    def text(self) -> str:
        return "a property in the place of an attribute"


class ListedError(Exception):
    kinds: list[str] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        ListedError.kinds.append(cls.__name__)


class PickyError(KeyError):
    def __new__(cls, *args: object) -> Self:
        if len(args) != 2:
            raise TypeError("made of two things")
        return super().__new__(cls, *args)


class EndError(StopAsyncIteration): ...


class OwnUndeliverableError(UndeliverableException): ...


def test_an_error_of_a_programs_own_is_caught_by_its_class_and_has_its_plain_attributes() -> None:
    """Without its constructor, which asks for what did not travel."""
    error = OrderError("7", [1, 2], object())
    made = OrderError.made
    there: Any = cross(error)
    assert isinstance(there, OrderError)
    assert isinstance(there, ValueError)
    assert isinstance(there, RemoteError)
    assert OrderError.made == made
    assert (there.order, there.items) == ("7", [1, 2])
    assert not hasattr(there, "odd")
    assert not hasattr(there, "_secret")
    assert there.text == str(error)
    assert there.recipient == AGENT
    assert there.message_id == "id"
    assert "OrderError" in repr(there)
    assert len({there, cross(error)}) == 2
    assert there == there  # noqa: PLR0124 - its class may compare what it lacks
    assert isinstance(copy.copy(there), OrderError)


@pytest.mark.parametrize(
    "error",
    [
        FrozenError(5),
        ListedError("x"),
        PickyError("x", 1),
        OrderError.NestedError("x"),
        RegistrationError("x"),
        OwnUndeliverableError("x", recipient=AGENT),
        asyncio.QueueFull("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_all_sorts_of_classes_are_caught_by_them(error: Exception) -> None:
    there = cross(error)
    assert isinstance(there, type(error))
    assert isinstance(there, RemoteError)
    assert str(error) in str(there)
    assert repr(there)
    assert ListedError.kinds == []


@pytest.mark.parametrize("error", [ClosedError("x"), EndError("x"), type("Local", (Exception,), {})("x")])
def test_an_error_whose_class_cannot_be_had_is_a_remote_error(error: Exception) -> None:
    there = cross(error)
    assert type(there) is RemoteError
    assert there.type_name.endswith(type(error).__qualname__)


def test_nothing_is_imported_for_an_error() -> None:
    """Neither a module, nor what a module would import when asked for a name."""
    sys.modules.pop("this", None)
    there = revive("x", {"autogen-error-type": "this.NoError"}, AGENT, "id")
    assert type(there) is RemoteError
    assert "this" not in sys.modules
    for name in ("", ".", "builtins", "builtins.", "builtins.print", "builtins.int.real", "autogen_core.no.Error"):
        assert type(revive("x", {"autogen-error-type": name}, AGENT, "id")) is RemoteError


def test_a_name_that_leads_to_another_class_is_not_that_class() -> None:
    """Only a class's own name counts, so that what arrives is what was raised."""
    there = revive("x", {"autogen-error-type": f"{__name__}.UndeliverableException"}, AGENT, "id")
    assert type(there) is RemoteError


def test_attributes_survive_a_second_crossing() -> None:
    there: Any = cross(cross(OrderError("7", [1], object())))
    assert isinstance(there, OrderError)
    assert there.order == "7"


@pytest.mark.parametrize("text", ["no json", "[1]", '{"add_note": 1, "__class__": 2, "args": 3, "_x": 4, "text": 5}'])
def test_strange_attributes_are_left_out(text: str) -> None:
    told = {"autogen-error-type": "builtins.KeyError", "autogen-error-attributes": text}
    there = revive("x", told, AGENT, "id")
    assert isinstance(there, KeyError)
    assert str(there) == "KeyError: x"
    there.add_note("still a method")


def test_long_attributes_are_shortened_or_left_out() -> None:
    metadata: dict[str, str] = {}
    describe(OrderError("7" * 100_000, list(range(100_000)), None), metadata)
    assert len(metadata["autogen-error-attributes"]) < 20_000


def test_why_a_message_was_undeliverable_crosses() -> None:
    there = cross(UndeliverableException.unknown_recipient(AGENT, set()))
    assert isinstance(there, UndeliverableException)
    assert there.reason == "unknown_recipient"
    stopped = cross(UndeliverableException.runtime_stopped(AGENT))
    assert isinstance(stopped, UndeliverableException)
    assert stopped.reason == ""
